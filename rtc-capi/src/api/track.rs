//! Tracks.

use std::ffi::{c_char, c_int, c_uint};

use librtc::media::Request;
use librtc::sdp::{Codec, Direction, Media};
use librtc::{Error, Result};

use crate::abi;
use crate::boundary::{SUCCESS, copy_text, required, required_mut, required_text, text};
use crate::handles::{self, Object, UserPointer};

exports! {
    /// Adds a track that an m-section describes.
    pub extern "C" fn rtcAddTrack(pc: c_int, sdp: *const c_char) -> c_int {
        let sdp = required_text(sdp, "mediaDescriptionSdp")?;
        handles::peer(pc)?;
        add(pc, Media::parse(&sdp)?)
    }

    /// Adds a track for one codec.
    pub extern "C" fn rtcAddTrackEx(pc: c_int, init: *const abi::TrackInit) -> c_int {
        handles::peer(pc)?;
        add(pc, media(required(init, "init")?)?)
    }

    /// Closes a track and deletes its identifier; waits for its running callbacks.
    pub extern "C" fn rtcDeleteTrack(tr: c_int) -> c_int {
        handles::delete_track(tr)?.delete();
        handles::remove(tr);
        SUCCESS
    }

    /// Copies our description of the track out.
    pub extern "C" fn rtcGetTrackDescription(
        tr: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let description = handles::track(tr)?.description().to_string();
        copy_text(description.as_bytes(), buffer, size)
    }

    /// Copies the media identification out.
    pub extern "C" fn rtcGetTrackMid(tr: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        copy_text(handles::track(tr)?.mid().as_bytes(), buffer, size)
    }

    /// Tells the direction in our description of the track.
    pub extern "C" fn rtcGetTrackDirection(tr: c_int, direction: *mut c_int) -> c_int {
        let actual = handles::track(tr)?.direction();
        *required_mut(direction, "direction")? = actual as c_int;
        SUCCESS
    }

    /// Asks the peer for a key frame, if a handler of the track can.
    pub extern "C" fn rtcRequestKeyframe(tr: c_int) -> c_int {
        handles::track(tr)?.request(Request::Keyframe)?;
        SUCCESS
    }

    /// Asks the peer to send at most so many bits per second, if a handler of the track can.
    pub extern "C" fn rtcRequestBitrate(tr: c_int, bitrate: c_uint) -> c_int {
        handles::track(tr)?.request(Request::Bitrate(bitrate.into()))?;
        SUCCESS
    }
}

fn add(pc: c_int, media: Media) -> Result<c_int> {
    let track = handles::peer(pc)?.add_track(media)?;
    let inherited = handles::pointer(pc).unwrap_or(UserPointer::NULL);
    Ok(handles::insert(Object::Track(track), inherited))
}

fn media(c: &abi::TrackInit) -> Result<Media> {
    let codec = Codec::from_number(c.codec)
        .ok_or_else(|| Error::invalid(format!("there is no codec {}", c.codec)))?;
    let payload_type = u8::try_from(c.payload_type)
        .map_err(|_| Error::invalid(format!("there is no payload type {}", c.payload_type)))?;
    let (mid, profile) = (text(c.mid), text(c.profile));
    let mut media = Media::for_codec(
        codec,
        payload_type,
        mid.as_deref(),
        direction(c.direction)?,
        profile.as_deref(),
    )?;
    let (name, msid, track) = (text(c.name), text(c.msid), text(c.track_id));
    media.add_ssrc(c.ssrc, name.as_deref(), msid.as_deref(), track.as_deref())?;
    Ok(media)
}

fn direction(number: c_int) -> Result<Direction> {
    Ok(match number {
        abi::RTC_DIRECTION_UNKNOWN => Direction::Unknown,
        abi::RTC_DIRECTION_SENDONLY => Direction::SendOnly,
        abi::RTC_DIRECTION_RECVONLY => Direction::RecvOnly,
        abi::RTC_DIRECTION_SENDRECV => Direction::SendRecv,
        abi::RTC_DIRECTION_INACTIVE => Direction::Inactive,
        other => return Err(Error::invalid(format!("there is no direction {other}"))),
    })
}

//! Media: what the packets of a track pass, timestamps, and SSRCs in descriptions.

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};
use std::time::Duration;

use librtc::media::handler::{
    BitrateHandler, Depacketizing, KeyframeHandler, NackRequester, NackResponder, Pacing,
    ReceivingSession, SenderReporter,
};
use librtc::media::packetizer::{NalSeparator, ObuPacketization, Options};
use librtc::media::rtp::extension::{ColorSpace, PlayoutDelay};
use librtc::media::{Chain, Codec, RtpConfig};
use librtc::sdp::Media;
use librtc::{Description, DescriptionKind, Error, Result, Track};

use crate::boundary::{
    SUCCESS, bytes, copy_list, copy_text, required, required_mut, required_text, slice, text,
};
use crate::handles;
use crate::{abi, callbacks, opaque};

/// The clock of video (RFC 3551 §5), taken where a description names none.
const VIDEO_CLOCK: u32 = 90_000;

exports! {
    /// Makes a message that an interceptor callback may return.
    pub extern "C" fn rtcCreateOpaqueMessage(data: *mut c_void, size: c_int) -> *mut *mut c_void {
        if size < 0 {
            return Err(Error::invalid(format!("a size of {size} bytes is negative")));
        }
        Ok(opaque::insert(slice(data.cast::<u8>().cast_const(), size, "data")?))
    }

    /// Deletes a message that no interceptor callback has returned.
    pub extern "C" fn rtcDeleteOpaqueMessage(msg: *mut *mut c_void) {
        drop(opaque::take(msg));
        Ok(())
    }

    /// Sets or clears the callback that sees the packets of a connection before its tracks do.
    pub extern "C" fn rtcSetMediaInterceptorCallback(
        id: c_int,
        cb: abi::InterceptorCallback,
    ) -> c_int {
        let peer = handles::peer(id)?;
        match cb {
            Some(cb) => peer.on_media(callbacks::interceptor(id, cb)),
            None => peer.clear_on_media(),
        }
        SUCCESS
    }

    /// Makes the track take frames of H.264.
    pub extern "C" fn rtcSetH264Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::H264)
    }

    /// Makes the track take frames of H.265.
    pub extern "C" fn rtcSetH265Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::H265)
    }

    /// Makes the track take frames of AV1.
    pub extern "C" fn rtcSetAV1Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Av1)
    }

    /// Makes the track take frames of Opus.
    pub extern "C" fn rtcSetOpusPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Opus)
    }

    /// Makes the track take frames of AAC.
    pub extern "C" fn rtcSetAACPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Aac)
    }

    /// Makes the track take samples of G.711, µ-law.
    pub extern "C" fn rtcSetPCMUPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Pcmu)
    }

    /// Makes the track take samples of G.711, A-law.
    pub extern "C" fn rtcSetPCMAPacketizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Pcma)
    }

    /// Makes the track take samples of G.722.
    pub extern "C" fn rtcSetG722Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::G722)
    }

    /// Makes the track report on what it receives, and ask for what is missing if its description
    /// says so (`a=rtcp-fb:… nack`).
    pub extern "C" fn rtcChainRtcpReceivingSession(tr: c_int) -> c_int {
        let track = handles::track(tr)?;
        let description = track.description();
        let session = receiving_session(&description);
        let requester = nack_requester(&description);
        track.with_chain(|chain| {
            chain.push(session);
            if let Some(requester) = requester {
                chain.push(requester);
            }
        });
        SUCCESS
    }

    /// Makes the track report on what it sends; it needs a packetizer.
    pub extern "C" fn rtcChainRtcpSrReporter(tr: c_int) -> c_int {
        handles::track(tr)?.with_chain(|chain| {
            config(chain, tr)?;
            chain.push(SenderReporter::default());
            Ok::<_, Error>(())
        })?;
        SUCCESS
    }

    /// Makes the track send again what the peer misses, as long as it is stored.
    pub extern "C" fn rtcChainRtcpNackResponder(tr: c_int, packets: c_uint) -> c_int {
        let packets = usize::try_from(packets).unwrap_or(usize::MAX);
        handles::track(tr)?.with_chain(|chain| chain.push(NackResponder::new(packets)));
        SUCCESS
    }

    /// Makes the track call back when the peer wants a key frame.
    pub extern "C" fn rtcChainPliHandler(tr: c_int, cb: abi::PliHandlerCallback) -> c_int {
        let track = handles::track(tr)?;
        let cb = cb.ok_or_else(|| Error::invalid("cb is NULL"))?;
        let callback = callbacks::plain(tr, cb);
        track.on_keyframe_request(move |_| callback());
        track.with_chain(|chain| chain.push(KeyframeHandler::default()));
        SUCCESS
    }

    /// Makes the track call back with the bits per second that reach the peer.
    pub extern "C" fn rtcChainRembHandler(tr: c_int, cb: abi::RembHandlerCallback) -> c_int {
        let track = handles::track(tr)?;
        let cb = cb.ok_or_else(|| Error::invalid("cb is NULL"))?;
        track.on_bitrate_estimate(callbacks::bitrate(tr, cb));
        track.with_chain(|chain| chain.push(BitrateHandler));
        SUCCESS
    }

    /// Seconds as a timestamp of the track.
    pub extern "C" fn rtcTransformSecondsToTimestamp(
        id: c_int,
        seconds: c_double,
        timestamp: *mut u32,
    ) -> c_int {
        give(timestamp, with_config(id, |config| config.seconds_to_timestamp(seconds))?)
    }

    /// A timestamp of the track in seconds.
    pub extern "C" fn rtcTransformTimestampToSeconds(
        id: c_int,
        timestamp: u32,
        seconds: *mut c_double,
    ) -> c_int {
        give(seconds, with_config(id, |config| config.timestamp_to_seconds(timestamp))?)
    }

    /// The timestamp of the next frame.
    pub extern "C" fn rtcGetCurrentTrackTimestamp(id: c_int, timestamp: *mut u32) -> c_int {
        give(timestamp, with_config(id, |config| config.timestamp)?)
    }

    /// Sets the timestamp of the next frame.
    pub extern "C" fn rtcSetTrackRtpTimestamp(id: c_int, timestamp: u32) -> c_int {
        with_config(id, |config| config.timestamp = timestamp)?;
        SUCCESS
    }

    /// The timestamp in the last sender report, 0 before the first one; it needs a sender that
    /// reports.
    pub extern "C" fn rtcGetLastTrackSenderReportTimestamp(
        id: c_int,
        timestamp: *mut u32,
    ) -> c_int {
        let reported = handles::track(id)?.with_chain(|chain| match chain.config() {
            Some(config) if chain.has::<SenderReporter>() => Some(config.last_report_timestamp),
            _ => None,
        });
        let what = || Error::invalid(format!("the track {id} makes no sender reports"));
        give(timestamp, reported.ok_or_else(what)?)
    }

    /// The payload types of a codec in our description of the track.
    pub extern "C" fn rtcGetTrackPayloadTypesForCodec(
        tr: c_int,
        ccodec: *const c_char,
        buffer: *mut c_int,
        size: c_int,
    ) -> c_int {
        let track = handles::track(tr)?;
        let codec = text(ccodec).ok_or_else(|| Error::failure("ccodec is NULL"))?;
        let types = track.description().payload_types_of(&codec);
        let types: Vec<c_int> = types.into_iter().map(c_int::from).collect();
        copy_list(&types, buffer, size)
    }

    /// The SSRCs in our description of the track.
    pub extern "C" fn rtcGetSsrcsForTrack(tr: c_int, buffer: *mut u32, count: c_int) -> c_int {
        copy_list(&handles::track(tr)?.description().ssrcs(), buffer, count)
    }

    /// Copies the name of an SSRC out; 0 when it has none.
    pub extern "C" fn rtcGetCNameForSsrc(
        tr: c_int,
        ssrc: u32,
        cname: *mut c_char,
        size: c_int,
    ) -> c_int {
        match handles::track(tr)?.description().cname(ssrc) {
            Some(name) => copy_text(name.as_bytes(), cname, size),
            None => Ok(0),
        }
    }

    /// The SSRCs in the first section of a media type.
    pub extern "C" fn rtcGetSsrcsForType(
        media_type: *const c_char,
        sdp: *const c_char,
        buffer: *mut u32,
        size: c_int,
    ) -> c_int {
        let (kind, mut description) = description_and_kind(media_type, sdp)?;
        let ssrcs = description.media_of_kind_mut(&kind).map(|media| media.ssrcs());
        copy_list(&ssrcs.unwrap_or_default(), buffer, size)
    }

    /// Copies a description out with one more SSRC in the first section of a media type.
    pub extern "C" fn rtcSetSsrcForType(
        media_type: *const c_char,
        sdp: *const c_char,
        buffer: *mut c_char,
        size: c_int,
        init: *mut abi::SsrcForTypeInit,
    ) -> c_int {
        let (kind, mut description) = description_and_kind(media_type, sdp)?;
        if let Some(media) = description.media_of_kind_mut(&kind) {
            let init = required(init.cast_const(), "init")?;
            let (name, msid, track) = (text(init.name), text(init.msid), text(init.track_id));
            media.add_ssrc(init.ssrc, name.as_deref(), msid.as_deref(), track.as_deref())?;
        }
        copy_text(description.to_sdp().as_bytes(), buffer, size)
    }

    /// Does nothing, as upstream: reports go out by themselves.
    pub extern "C" fn rtcSetNeedsToSendRtcpSr(id: c_int) -> c_int {
        let _ = id;
        SUCCESS
    }

    // Of the release after 0.24.5.

    /// Sets or clears the callback for frames that a depacketizer put together.
    pub extern "C" fn rtcSetFrameCallback(tr: c_int, cb: abi::FrameCallback) -> c_int {
        let track = handles::track(tr)?;
        match cb {
            Some(cb) => track.on_frame(callbacks::frame(tr, cb)),
            None => track.clear_on_frame(),
        }
        SUCCESS
    }

    /// Makes the track take frames of VP8.
    pub extern "C" fn rtcSetVP8Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Vp8)
    }

    /// Makes the track take frames of VP9.
    pub extern "C" fn rtcSetVP9Packetizer(tr: c_int, init: *const abi::PacketizerInit) -> c_int {
        packetize(tr, init, Codec::Vp9)
    }

    /// Makes the track deliver frames of H.264.
    pub extern "C" fn rtcSetH264Depacketizer(tr: c_int, separator: c_int) -> c_int {
        depacketize(tr, separator, Codec::H264)
    }

    /// Makes the track deliver frames of H.265.
    pub extern "C" fn rtcSetH265Depacketizer(tr: c_int, separator: c_int) -> c_int {
        depacketize(tr, separator, Codec::H265)
    }

    /// Makes the track deliver temporal units of AV1.
    pub extern "C" fn rtcSetAV1Depacketizer(tr: c_int, packetization: c_int) -> c_int {
        obu_packetization(packetization)?;
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Av1)
    }

    /// Makes the track deliver frames of VP8.
    pub extern "C" fn rtcSetVP8Depacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Vp8)
    }

    /// Makes the track deliver frames of VP9.
    pub extern "C" fn rtcSetVP9Depacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Vp9)
    }

    /// Makes the track deliver frames of Opus.
    pub extern "C" fn rtcSetOpusDepacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Opus)
    }

    /// Makes the track deliver frames of AAC.
    pub extern "C" fn rtcSetAACDepacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Aac)
    }

    /// Makes the track deliver samples of G.711, µ-law.
    pub extern "C" fn rtcSetPCMUDepacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Pcmu)
    }

    /// Makes the track deliver samples of G.711, A-law.
    pub extern "C" fn rtcSetPCMADepacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::Pcma)
    }

    /// Makes the track deliver samples of G.722.
    pub extern "C" fn rtcSetG722Depacketizer(tr: c_int) -> c_int {
        depacketize(tr, abi::RTC_NAL_SEPARATOR_LENGTH, Codec::G722)
    }

    /// Spreads what the track sends: so many bits per second, in bursts so many milliseconds apart.
    pub extern "C" fn rtcChainPacingHandler(
        tr: c_int,
        bits_per_second: c_double,
        send_interval_ms: c_int,
    ) -> c_int {
        let track = handles::track(tr)?;
        let interval = u64::try_from(send_interval_ms).map(Duration::from_millis);
        let pacing = Pacing::new(bits_per_second, interval.unwrap_or_default());
        let pacing = pacing.ok_or_else(|| Error::invalid("not a rate and an interval"))?;
        track.with_chain(|chain| chain.push(pacing));
        SUCCESS
    }

    /// RTP time and NTP time of the last sender report that the peer sent.
    pub extern "C" fn rtcGetTrackRtcpSyncTimestamps(
        tr: c_int,
        rtp_timestamp: *mut u64,
        ntp_timestamp: *mut u64,
    ) -> c_int {
        let report = handles::track(tr)?.peer_report();
        let (rtp, ntp) = report.ok_or_else(|| Error::not_available("no sender report came yet"))?;
        *required_mut(rtp_timestamp, "rtpTimestamp")? = rtp.into();
        *required_mut(ntp_timestamp, "ntpTimestamp")? = ntp;
        SUCCESS
    }

    /// The payload types of a codec in a description.
    pub extern "C" fn rtcGetPayloadTypesForCodec(
        sdp: *const c_char,
        ccodec: *const c_char,
        buffer: *mut c_int,
        size: c_int,
    ) -> c_int {
        let (codec, description) = description_and_kind(ccodec, sdp)?;
        let types = description.media().flat_map(|media| media.payload_types_of(&codec));
        copy_list(&types.map(c_int::from).collect::<Vec<_>>(), buffer, size)
    }
}

fn packetize(tr: c_int, init: *const abi::PacketizerInit, codec: Codec) -> Result<c_int> {
    let track = handles::track(tr)?;
    let init = required(init, "init")?;
    let cname = required_text(init.cname, "cname")?;
    if init.payload_type > 127 {
        return Err(Error::invalid(format!("there is no payload type {}", init.payload_type)));
    }
    if init.clock_rate == 0 {
        return Err(Error::invalid("a clock rate of 0 measures nothing"));
    }
    let mut config = RtpConfig::new(init.ssrc, &cname, init.payload_type, init.clock_rate);
    config.sequence = init.sequence_number;
    config.timestamp = init.timestamp;
    config.start_timestamp = init.timestamp;
    config.extensions.playout_delay = (init.playout_delay_id > 0).then_some((
        init.playout_delay_id,
        PlayoutDelay { min: init.playout_delay_min, max: init.playout_delay_max },
    ));
    config.extensions.color_space = (init.color_space_id > 0).then_some((
        init.color_space_id,
        ColorSpace {
            primaries: init.color_primaries,
            transfer: init.color_transfer,
            matrix: init.color_matrix,
            range: init.color_range,
            siting_horizontal: init.color_chroma_siting_horz,
            siting_vertical: init.color_chroma_siting_vert,
        },
    ));
    let options = Options {
        max_fragment_size: init.max_fragment_size,
        nal_separator: nal_separator(init.nal_separator)?,
        obu_packetization: obu_packetization(init.obu_packetization)?,
    };
    track.set_packetizer(config, codec.packetizer(&options));
    SUCCESS
}

/// Formats whose packets repair those of others: RFC 4588, RFC 2198, RFC 5109, RFC 8627.
const REPAIRS: [&str; 4] = ["rtx", "red", "ulpfec", "flexfec-03"];

fn depacketize(tr: c_int, separator: c_int, codec: Codec) -> Result<c_int> {
    let track = handles::track(tr)?;
    let options = Options { nal_separator: nal_separator(separator)?, ..Options::default() };
    let description = track.description();
    let clock_rate = clock_rate(&description, codec.name(), codec.clock_rate());
    let repairs = REPAIRS.iter().flat_map(|name| description.payload_types_of(name)).collect();
    let depacketizing = Depacketizing::new(codec.depacketizer(&options), clock_rate);
    track.with_chain(|chain| chain.set_depacketizer(depacketizing.leaving_out(repairs)));
    SUCCESS
}

fn obu_packetization(number: c_int) -> Result<ObuPacketization> {
    match number {
        abi::RTC_OBU_PACKETIZED_OBU => Ok(ObuPacketization::Obu),
        abi::RTC_OBU_PACKETIZED_TEMPORAL_UNIT => Ok(ObuPacketization::TemporalUnit),
        other => Err(Error::invalid(format!("there is no OBU packetization {other}"))),
    }
}

fn nal_separator(number: c_int) -> Result<NalSeparator> {
    Ok(match number {
        abi::RTC_NAL_SEPARATOR_LENGTH => NalSeparator::Length,
        abi::RTC_NAL_SEPARATOR_LONG_START_SEQUENCE => NalSeparator::LongStart,
        abi::RTC_NAL_SEPARATOR_SHORT_START_SEQUENCE => NalSeparator::ShortStart,
        abi::RTC_NAL_SEPARATOR_START_SEQUENCE => NalSeparator::Start,
        other => return Err(Error::invalid(format!("there is no NAL unit separator {other}"))),
    })
}

/// The clock that a section gives a codec.
fn clock_rate(media: &Media, codec: &str, default: u32) -> u32 {
    let maps = media.payloads.iter().filter_map(|payload| payload.rtp_map.as_ref());
    maps.filter(|map| map.name.eq_ignore_ascii_case(codec))
        .map(|map| map.clock_rate)
        .find(|rate| *rate > 0)
        .unwrap_or(default)
}

/// Asks in the name of the receiving session, if the section announces generic NACKs (RFC 4585
/// §4.2).
fn nack_requester(media: &Media) -> Option<NackRequester> {
    let mut feedback = media.payloads.iter().flat_map(|payload| &payload.feedback);
    let is_nack = |feedback: &String| feedback.eq_ignore_ascii_case("nack");
    if !feedback.any(is_nack) && !media.feedback.iter().any(is_nack) {
        return None;
    }
    let types = media.payloads.iter().filter_map(|payload| {
        let map = payload.rtp_map.as_ref()?;
        let mut parameters = payload.fmtp.iter().flat_map(|line| line.split(';'));
        let repeated = parameters.find_map(|parameter| parameter.trim().strip_prefix("apt="))?;
        let is_rtx = map.name.eq_ignore_ascii_case("rtx");
        is_rtx.then_some((payload.payload_type, repeated.parse().ok()?))
    });
    Some(NackRequester::new(reporter(media)).with_rtx_types(types.collect()))
}

/// The first SSRC that the track announces; one that only receives announces none, and takes the
/// number that browsers take then.
fn reporter(media: &Media) -> u32 {
    media.ssrcs().first().copied().unwrap_or(1)
}

fn receiving_session(media: &Media) -> ReceivingSession {
    let ssrc = reporter(media);
    let first = media.payloads.iter().find_map(|payload| payload.rtp_map.as_ref());
    let clock_rate = first.map_or(VIDEO_CLOCK, |map| map.clock_rate.max(1));
    let session = ReceivingSession::new(ssrc, clock_rate);
    match media.cname(ssrc) {
        Some(cname) => session.with_cname(cname),
        None => session,
    }
}

fn config(chain: &mut Chain, tr: c_int) -> Result<&mut RtpConfig> {
    chain.config_mut().ok_or_else(|| Error::invalid(format!("the track {tr} has no packetizer")))
}

fn with_config<R>(tr: c_int, read: impl FnOnce(&mut RtpConfig) -> R) -> Result<R> {
    let track: Track = handles::track(tr)?;
    track.with_chain(|chain| config(chain, tr).map(read))
}

/// Writes a result where there is a place for it.
fn give<T>(place: *mut T, value: T) -> Result<c_int> {
    if !place.is_null() {
        *required_mut(place, "result")? = value;
    }
    SUCCESS
}

fn description_and_kind(word: *const c_char, sdp: *const c_char) -> Result<(String, Description)> {
    let (Some(word), Some(sdp)) = (text(word), bytes(sdp)) else {
        return Err(Error::failure("a string is NULL"));
    };
    let sdp = String::from_utf8_lossy(sdp);
    Ok((word, Description::parse(&sdp, DescriptionKind::Unspec)?))
}

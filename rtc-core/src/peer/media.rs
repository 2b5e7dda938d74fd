//! SRTP over the keys that DTLS agreed on (RFC 5764), and which track a packet belongs to.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc_media::rtcp;
use rtc_media::rtp::extension::{MID, REPAIRED_RID, RID};
use rtc_media::rtp::{Packet, is_rtcp};
use rtc_srtp_engine::{EXPORTER_LABEL, Profile, Role, Session};

use super::transport::{TransmitBuffer, Urgency, WORTH_SENDING};
use crate::backend::dtls::{DtlsRole, DtlsSession, SrtpProfile};
use crate::channel::Track;
use crate::error::{Error, Result};
use crate::sdp::Media;

/// DSCP of audio: expedited forwarding (RFC 8837 §5).
const DSCP_AUDIO: u8 = 46;
/// DSCP of other media: assured forwarding 42 (RFC 8837 §5).
const DSCP_VIDEO: u8 = 36;

/// Bytes of protected packets that wait while the socket is full; further ones are lost.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// Largest packet that a datagram has room for with what protects it.
pub(super) const MAX_PACKET: usize = 65_000;

/// Packets sent within such a time of each other are a burst.
const BURST: Duration = Duration::from_micros(50);

/// SSRCs that are remembered although no description names them.
const MAX_LEARNED: usize = 1024;

/// The SSRC of an RTP packet.
pub(super) fn rtp_ssrc(packet: &[u8]) -> Option<u32> {
    packet.get(8..12)?.try_into().map(u32::from_be_bytes).ok()
}

/// Protects and opens the packets of all tracks.
#[derive(Default)]
pub(super) struct MediaTransport {
    session: Option<Session>,
    audio: Waiting,
    video: Waiting,
    pub(super) routes: Routes,
    /// When something was last sent.
    last: Option<Instant>,
    /// Packets that were neither delivered nor sent.
    pub(super) dropped: u64,
}

impl MediaTransport {
    pub(super) fn is_ready(&self) -> bool {
        self.session.is_some()
    }

    /// Begins with the keys of a handshake that settled `profile`.
    pub(super) fn start(
        &mut self,
        dtls: &dyn DtlsSession,
        role: DtlsRole,
        profile: SrtpProfile,
    ) -> Result<()> {
        let profile = match profile {
            SrtpProfile::Aes128CmSha1_80 => Profile::Aes128CmSha1_80,
            SrtpProfile::AeadAes128Gcm => Profile::AeadAes128Gcm,
            SrtpProfile::AeadAes256Gcm => Profile::AeadAes256Gcm,
        };
        let role = match role {
            DtlsRole::Client => Role::Client,
            DtlsRole::Server => Role::Server,
        };
        let keys = dtls.export_keying_material(EXPORTER_LABEL, profile.exported_length())?;
        let session = Session::with_aead(profile, role, &keys, &|key| dtls.srtp_aead(key))
            .map_err(|error| Error::failure("SRTP could not start").caused_by(error))?;
        self.session = Some(session);
        Ok(())
    }

    /// The sequence number that a stream goes on with; `None` before its first packet.
    pub(super) fn next_sequence(&self, ssrc: u32) -> Option<u16> {
        self.session.as_ref()?.outbound.next_sequence(ssrc)
    }

    /// Protects a packet and leaves it for [`Self::transmit`]; what finds no room is lost.
    pub(super) fn send(&mut self, packet: &[u8], is_audio: bool) -> Result<()> {
        let Some(session) = &mut self.session else {
            return Err(Error::failure("cannot send: there is no media transport"));
        };
        let waiting = if is_audio { &mut self.audio } else { &mut self.video };
        if waiting.bytes.len() > MAX_WAITING {
            self.dropped += 1;
            return Ok(());
        }
        let profile = session.profile();
        let start = waiting.bytes.len();
        let overhead = profile.rtp_overhead().max(profile.rtcp_overhead());
        waiting.bytes.extend_from_slice(packet);
        waiting.bytes.resize(start + packet.len() + overhead, 0);
        let buffer = &mut waiting.bytes[start..];
        let protected = match is_rtcp(packet) {
            true => session.outbound.protect_rtcp(buffer, packet.len()),
            false => session.outbound.protect_rtp(buffer, packet.len()),
        };
        waiting.bytes.truncate(start + protected.as_ref().map_or(0, |length| *length));
        let length = protected.map_err(|error| {
            Error::failure("the packet could not be protected").caused_by(error)
        })?;
        waiting.lengths.push(length);
        Ok(())
    }

    /// How urgent it is to send what was just queued. Of packets that follow each other closely
    /// only the first goes out at once; the others share system calls.
    pub(super) fn urgency(&mut self, now: Instant) -> Urgency {
        let last = self.last.replace(now);
        let is_burst = last.is_some_and(|last| now.saturating_duration_since(last) < BURST);
        match is_burst && self.audio.bytes.len() + self.video.bytes.len() < WORTH_SENDING {
            true => Urgency::Soon,
            false => Urgency::Now,
        }
    }

    /// Opens a datagram in place; the length of the packet in it, or `None` when it is dropped.
    pub(super) fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let session = self.session.as_mut();
        let opened = session.map(|session| match is_rtcp(datagram) {
            true => session.inbound.open_rtcp(datagram),
            false => session.inbound.open_rtp(datagram),
        });
        let length = opened.and_then(std::result::Result::ok);
        if length.is_none() {
            self.dropped += 1;
        }
        length
    }

    /// Fills the empty `buffer` with packets of one class.
    pub(super) fn transmit(&mut self, buffer: &mut TransmitBuffer) {
        for (waiting, dscp) in [(&mut self.audio, DSCP_AUDIO), (&mut self.video, DSCP_VIDEO)] {
            if waiting.move_to(buffer) {
                buffer.dscp = dscp;
                return;
            }
        }
    }
}

/// Protected packets, back to back.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    /// Packets and bytes of them that have gone.
    sent: (usize, usize),
}

impl Waiting {
    /// Moves packets while there is room; false when there are none.
    fn move_to(&mut self, buffer: &mut TransmitBuffer) -> bool {
        let (first, mut start) = self.sent;
        let mut count = first;
        while let Some(&length) = self.lengths.get(count)
            && let Some(packet) = self.bytes.get(start..start + length)
            && let Some(room) = buffer.room(length)
        {
            room.copy_from_slice(packet);
            buffer.push(length);
            start += length;
            count += 1;
        }
        self.sent = (count, start);
        if count == self.lengths.len() {
            self.bytes.clear();
            self.lengths.clear();
            self.sent = (0, 0);
        }
        count > first
    }
}

/// Which track a packet belongs to (RFC 9143 §9.2): by its SSRC, else by the media identification
/// in its header, else by a restriction identifier there (RFC 8852) that only one track has, else by
/// such a payload type.
#[derive(Default)]
pub(super) struct Routes {
    /// Streams that descriptions announce.
    announced: HashMap<u32, Arc<Track>>,
    /// Streams that packets told of.
    learned: HashMap<u32, Arc<Track>>,
    /// The identifiers of [`MID`].
    mid_extensions: Vec<u8>,
    /// The identifiers of [`RID`] and [`REPAIRED_RID`].
    rid_extensions: Vec<u8>,
    rids: Marks<Box<[u8]>>,
    payload_types: Marks<u8>,
    tracks: Vec<Arc<Track>>,
}

/// What may tell a track: the tracks that have it.
#[derive(Default)]
struct Marks<K>(HashMap<K, Vec<Arc<Track>>>);

impl<K: Eq + Hash> Marks<K> {
    fn add(&mut self, mark: K, track: &Arc<Track>) {
        let tracks = self.0.entry(mark).or_default();
        if !tracks.iter().any(|known| Arc::ptr_eq(known, track)) {
            tracks.push(track.clone());
        }
    }

    /// The track that alone has it.
    fn only<Q: Eq + Hash + ?Sized>(&self, mark: &Q) -> Option<&Arc<Track>>
    where
        K: Borrow<Q>,
    {
        match self.0.get(mark)?.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl Routes {
    /// Forgets what descriptions said, and what was learned of tracks that are gone.
    pub(super) fn reset(&mut self, tracks: &[Arc<Track>]) {
        self.announced.clear();
        self.mid_extensions.clear();
        self.rid_extensions.clear();
        self.rids.0.clear();
        self.payload_types.0.clear();
        self.learned.retain(|_, track| tracks.iter().any(|other| Arc::ptr_eq(other, track)));
        self.tracks = tracks.to_vec();
    }

    /// Notes what a description of either side says of a track.
    pub(super) fn add(&mut self, media: &Media, track: &Arc<Track>) {
        for ssrc in media.ssrcs() {
            self.announced.insert(ssrc, track.clone());
        }
        for (id, extension) in &media.common.ext_maps {
            let ids = match extension.uri.as_str() {
                MID => &mut self.mid_extensions,
                RID | REPAIRED_RID => &mut self.rid_extensions,
                _ => continue,
            };
            if let Ok(id) = u8::try_from(*id)
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
        for rid in media.rids() {
            self.rids.add(rid.as_bytes().into(), track);
        }
        for payload in &media.payloads {
            self.payload_types.add(payload.payload_type, track);
        }
    }

    /// Notes a stream that a packet told of.
    pub(super) fn learn(&mut self, ssrc: u32, track: &Arc<Track>) {
        let known = self.of_ssrc(ssrc).is_some_and(|known| Arc::ptr_eq(known, track));
        if !known && self.learned.len() < MAX_LEARNED {
            self.learned.insert(ssrc, track.clone());
        }
    }

    fn of_ssrc(&self, ssrc: u32) -> Option<&Arc<Track>> {
        self.learned.get(&ssrc).or_else(|| self.announced.get(&ssrc))
    }

    /// The track of an RTP packet.
    pub(super) fn of_rtp(&mut self, packet: &[u8]) -> Option<Arc<Track>> {
        if let [only] = self.tracks.as_slice() {
            return Some(only.clone());
        }
        let ssrc = rtp_ssrc(packet)?;
        if let Some(track) = self.of_ssrc(ssrc) {
            return Some(track.clone());
        }
        let parsed = Packet::parse(packet).ok()?;
        let payload_type = parsed.header().payload_type;
        let track = self
            .of_mid(&parsed)
            .or_else(|| self.of_rid(&parsed))
            .or_else(|| self.payload_types.only(&payload_type))?
            .clone();
        self.learn(ssrc, &track);
        Some(track)
    }

    fn of_mid(&self, packet: &Packet<'_>) -> Option<&Arc<Track>> {
        let mid = self.mid_extensions.iter().find_map(|id| packet.extension(*id))?;
        self.tracks.iter().find(|track| track.mid().as_bytes() == mid)
    }

    fn of_rid(&self, packet: &Packet<'_>) -> Option<&Arc<Track>> {
        let rid = self.rid_extensions.iter().find_map(|id| packet.extension(*id))?;
        self.rids.only(rid)
    }

    /// The tracks that an RTCP packet is about.
    pub(super) fn of_rtcp(&self, packet: &[u8]) -> Vec<Arc<Track>> {
        if let [only] = self.tracks.as_slice() {
            return vec![only.clone()];
        }
        let mut tracks: Vec<Arc<Track>> = Vec::new();
        for ssrc in rtcp::ssrcs(packet) {
            if let Some(track) = self.of_ssrc(ssrc)
                && !tracks.iter().any(|known| Arc::ptr_eq(known, track))
            {
                tracks.push(track.clone());
            }
        }
        tracks
    }
}

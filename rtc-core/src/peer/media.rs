//! SRTP over the keys that DTLS agreed on (RFC 5764).

use std::time::{Duration, Instant};

use log::Level;
use rtc_media::rtp::is_rtcp;
use rtc_srtp_engine::{EXPORTER_LABEL, MAX_STREAMS, Profile, Role, Session};

use super::routes::Routes;
use super::transport::{TransmitBuffer, Urgency, WORTH_SENDING};
use crate::backend::dtls::{DtlsRole, DtlsSession, SrtpProfile};
use crate::error::{Error, Result};
use crate::notes::note;

/// DSCP of audio: expedited forwarding (RFC 8837 §5).
const DSCP_AUDIO: u8 = 46;
/// DSCP of other media: assured forwarding 42 (RFC 8837 §5).
const DSCP_VIDEO: u8 = 36;

/// Bytes of protected packets that wait while the socket is full; further ones are lost.
pub(super) const MAX_WAITING: usize = 4 * 1024 * 1024;

/// Largest packet that a datagram has room for with what protects it.
pub(super) const MAX_PACKET: usize = 65_000;

/// Packets sent within such a time of each other are a burst.
const BURST: Duration = Duration::from_micros(50);

/// Protects and opens the packets of all tracks.
#[derive(Default)]
pub(super) struct MediaTransport {
    session: Option<Session>,
    audio: Waiting,
    video: Waiting,
    pub(super) routes: Routes,
    /// When something was last sent.
    last: Option<Instant>,
    /// Packets of a stream were refused since there are too many, and that was said.
    is_full: bool,
    /// Packets and frames, of either direction, that were neither delivered nor sent.
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
        self.is_full = false;
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
        if waiting.left() + packet.len() > MAX_WAITING {
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
        match is_burst && self.audio.left() + self.video.left() < WORTH_SENDING {
            true => Urgency::Soon,
            false => Urgency::Now,
        }
    }

    /// Opens a datagram in place; the length of the packet in it, or `None` when there is none.
    pub(super) fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let session = self.session.as_mut()?;
        let opened = match is_rtcp(datagram) {
            true => session.inbound.open_rtcp(datagram),
            false => session.inbound.open_rtp(datagram),
        };
        if opened == Err(rtc_srtp_engine::Error::TooManyStreams) && !self.is_full {
            self.is_full = true;
            note(Level::Warn, || format!("the peer sends more than {MAX_STREAMS} SSRCs"));
        }
        opened.ok()
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
    /// Bytes that have not gone.
    fn left(&self) -> usize {
        self.bytes.len() - self.sent.1
    }

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
        // Each byte is moved once at most: what has gone is as long as what is left.
        if self.left() <= start {
            self.bytes.drain(..start);
            self.lengths.drain(..count);
            self.sent = (0, 0);
        }
        count > first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_takes_no_room_and_what_waits_keeps_its_order() {
        const SIZE: usize = 20_000;
        let mut waiting = Waiting::default();
        let mut buffer = TransmitBuffer::default();
        let (mut queued, mut gone) = (0u8, 0u8);
        for round in 0..50 {
            // Ten at first; then as many as go, so that it is never empty.
            for _ in 0..if round == 0 { 10 } else { 3 } {
                waiting.bytes.resize(waiting.bytes.len() + SIZE, queued);
                waiting.lengths.push(SIZE);
                queued += 1;
            }
            buffer.clear();
            assert!(waiting.move_to(&mut buffer));
            for (batch, size) in buffer.batches() {
                for packet in batch.chunks(size) {
                    assert!(packet.len() == SIZE && packet.iter().all(|byte| *byte == gone));
                    gone += 1;
                }
            }
            assert_eq!(waiting.left(), usize::from(queued - gone) * SIZE);
            assert!(waiting.bytes.len() <= 20 * SIZE, "{} bytes", waiting.bytes.len());
            assert!(waiting.lengths.len() <= 20);
        }
        assert_eq!((queued, gone), (157, 150));
    }
}

//! The two directions of a session and their streams.

use std::collections::HashMap;
use std::fmt;

use crate::cipher::{Cipher, ENCRYPTED, MakeAead};
use crate::header::{RtpHeader, rtcp_ssrc};
use crate::keys::{MasterKey, Protocol};
use crate::replay::{ReplayWindow, estimate_index};
use crate::sent::Sent;
use crate::{Error, Profile, Role};

/// How many SSRCs a direction keeps state for.
pub const MAX_STREAMS: usize = 2048;

/// Packets that RTP keys may protect (RFC 3711 §9.2).
const RTP_LIMIT: u64 = 1 << 48;

/// Both directions of what one DTLS handshake keyed.
#[derive(Debug)]
pub struct Session {
    /// Protects what we send.
    pub outbound: Outbound,
    /// Opens what the peer sent.
    pub inbound: Inbound,
}

impl Session {
    /// A session with the keys that DTLS exported under [`EXPORTER_LABEL`](crate::EXPORTER_LABEL),
    /// [`Profile::exported_length`] bytes.
    pub fn new(profile: Profile, role: Role, exported: &[u8]) -> Result<Self, Error> {
        Self::with_aead(profile, role, exported, &|_| None)
    }

    /// The same, with the AES-GCM that `make` makes.
    pub fn with_aead(
        profile: Profile,
        role: Role,
        exported: &[u8],
        make: MakeAead<'_>,
    ) -> Result<Self, Error> {
        let (client, server) = MasterKey::split(profile, exported)?;
        let (ours, theirs) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Ok(Self {
            outbound: Outbound::new(profile, &ours, make),
            inbound: Inbound::new(profile, &theirs, make),
        })
    }

    /// The profile of both directions.
    pub fn profile(&self) -> Profile {
        self.outbound.profile
    }
}

/// Protects packets.
pub struct Outbound {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    streams: HashMap<u32, OutboundStream>,
}

#[derive(Default)]
struct OutboundStream {
    rtp: Sent,
    /// The index of the next RTCP packet.
    rtcp: u32,
}

impl Outbound {
    fn new(profile: Profile, master: &MasterKey, make: MakeAead<'_>) -> Self {
        Self {
            profile,
            rtp: Cipher::new(profile, &master.derive(Protocol::Rtp, profile), make),
            rtcp: Cipher::new(profile, &master.derive(Protocol::Rtcp, profile), make),
            streams: HashMap::new(),
        }
    }

    /// Protects the RTP packet in `buffer[..length]` and returns its new length, which is
    /// [`Profile::rtp_overhead`] bytes more; `buffer` must have room for them.
    ///
    /// The last [`RESEND_WINDOW`](crate::RESEND_WINDOW) packets of a stream may be protected again,
    /// and come out the same. Another packet with the SSRC and sequence number of one of them, or
    /// one from before them, is [`Error::Reused`], for it would reveal content and, with GCM, what
    /// authenticates. What was encrypted by then is wiped.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        let packet = buffer.get(..length).ok_or(Error::NoRoom { needed: length })?;
        let header = RtpHeader::read(packet)?;
        let end = length + self.profile.rtp_overhead();
        let packet = buffer.get_mut(..end).ok_or(Error::NoRoom { needed: end })?;
        let stream = stream(&mut self.streams, header.ssrc)?;
        let highest = stream.rtp.highest().unwrap_or(header.sequence.into());
        let index = estimate_index(highest, header.sequence);
        if index >= RTP_LIMIT {
            return Err(Error::KeyExhausted);
        }
        if stream.rtp.forgot(index) {
            return Err(Error::Reused);
        }
        self.rtp.seal_rtp(packet, header.length, header.ssrc, index)?;
        // Every profile puts its tag, which is longer than this, behind the packet.
        let tag = packet.get(length..).and_then(<[u8]>::first_chunk).ok_or(Error::Malformed)?;
        if !stream.rtp.note(index, *tag) {
            packet.fill(0);
            return Err(Error::Reused);
        }
        Ok(end)
    }

    /// The sequence number that the next packet of a stream is to have at least; `None` before the
    /// first one.
    pub fn next_sequence(&self, ssrc: u32) -> Option<u16> {
        let highest = self.streams.get(&ssrc)?.rtp.highest()?;
        Some((highest as u16).wrapping_add(1))
    }

    /// Protects the RTCP packet in `buffer[..length]`, a compound or a single one, and returns its
    /// new length, which is [`Profile::rtcp_overhead`] bytes more.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        let packet = buffer.get(..length).ok_or(Error::NoRoom { needed: length })?;
        let ssrc = rtcp_ssrc(packet)?;
        let end = length + self.profile.rtcp_overhead();
        let packet = buffer.get_mut(..end).ok_or(Error::NoRoom { needed: end })?;
        let stream = stream(&mut self.streams, ssrc)?;
        if stream.rtcp & ENCRYPTED != 0 {
            return Err(Error::KeyExhausted);
        }
        self.rtcp.seal_rtcp(packet, ssrc, stream.rtcp)?;
        stream.rtcp += 1;
        Ok(end)
    }
}

/// Opens packets.
pub struct Inbound {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    streams: HashMap<u32, InboundStream>,
}

#[derive(Default)]
struct InboundStream {
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
}

impl Inbound {
    fn new(profile: Profile, master: &MasterKey, make: MakeAead<'_>) -> Self {
        Self {
            profile,
            rtp: Cipher::new(profile, &master.derive(Protocol::Rtp, profile), make),
            rtcp: Cipher::new(profile, &master.derive(Protocol::Rtcp, profile), make),
            streams: HashMap::new(),
        }
    }

    /// Opens an SRTP packet in place and returns the length of the RTP packet. What fails leaves
    /// the state as it was; the payload of the packet may then be lost.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let header = RtpHeader::read(packet)?;
        let known = self.streams.get_mut(&header.ssrc);
        let Some(window) = known.and_then(|stream| stream.rtp.as_mut()) else {
            return self.open_first_rtp(packet, &header);
        };
        let index = estimate_index(window.highest(), header.sequence);
        if window.rejects(index) {
            return Err(Error::Replayed);
        }
        let length = self.rtp.open_rtp(packet, header.length, header.ssrc, index)?;
        window.accept(index);
        Ok(length)
    }

    /// The first packet of a stream is in the first rollover period, or in the second one when
    /// those before it were lost.
    fn open_first_rtp(&mut self, packet: &mut [u8], header: &RtpHeader) -> Result<usize, Error> {
        has_room(&self.streams, header.ssrc)?;
        let mut index = u64::from(header.sequence);
        // A failed attempt may destroy what a second one needs.
        let kept = (header.sequence < 1 << 15).then(|| packet.to_vec());
        let mut opened = self.rtp.open_rtp(packet, header.length, header.ssrc, index);
        if opened == Err(Error::Authentication)
            && let Some(kept) = kept
        {
            packet.copy_from_slice(&kept);
            index += 1 << 16;
            opened = self.rtp.open_rtp(packet, header.length, header.ssrc, index);
        }
        let length = opened?;
        stream(&mut self.streams, header.ssrc)?.rtp = Some(ReplayWindow::new(index));
        Ok(length)
    }

    /// Opens an SRTCP packet in place and returns the length of the RTCP packet.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let ssrc = rtcp_ssrc(packet)?;
        let trailer = self.rtcp.rtcp_trailer(packet)?;
        let index = u64::from(trailer & !ENCRYPTED);
        let known = self.streams.get(&ssrc).and_then(|stream| stream.rtcp.as_ref());
        if known.is_some_and(|window| window.rejects(index)) {
            return Err(Error::Replayed);
        }
        has_room(&self.streams, ssrc)?;
        let length = self.rtcp.open_rtcp(packet, ssrc, trailer)?;
        match &mut stream(&mut self.streams, ssrc)?.rtcp {
            Some(window) => window.accept(index),
            first => *first = Some(ReplayWindow::new(index)),
        }
        Ok(length)
    }
}

/// The state of a stream, made when there is none and room for it.
fn stream<S: Default>(streams: &mut HashMap<u32, S>, ssrc: u32) -> Result<&mut S, Error> {
    has_room(streams, ssrc)?;
    Ok(streams.entry(ssrc).or_default())
}

fn has_room<S>(streams: &HashMap<u32, S>, ssrc: u32) -> Result<(), Error> {
    if streams.len() < MAX_STREAMS || streams.contains_key(&ssrc) {
        Ok(())
    } else {
        Err(Error::TooManyStreams)
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({:?}, {} streams)", self.profile, self.streams.len())
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbound({:?}, {} streams)", self.profile, self.streams.len())
    }
}

#[cfg(test)]
mod tests;

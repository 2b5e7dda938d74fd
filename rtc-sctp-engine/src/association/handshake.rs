//! Setting up the association (RFC 9260 §5).

use super::{Association, Backoff};
use crate::clock::Nanos;
use crate::cookie::Cookie;
use crate::inbound::TsnTracker;
use crate::serial;
use crate::wire::{
    COMMON_HEADER, Capabilities, Chunk, Init, InitFields, Packet, PacketWriter, cause, kind,
    padded, unrecognized_parameters,
};
use crate::{Event, FailureReason, State, ZeroChecksum};

/// Largest cookie of a peer we can return: it must fit one packet.
fn fits_cookie(mtu: usize, cookie: &[u8]) -> bool {
    cookie.len() + 16 + 12 <= mtu
}

impl Association {
    pub(super) fn start_handshake(&mut self, now: Nanos) {
        self.state = State::CookieWait;
        self.pending.init = true;
        self.handshake = Backoff { at: Some(now + self.outbound.rtt.rto()), expirations: 0 };
    }

    /// T1: INIT or COOKIE-ECHO was not answered.
    pub(super) fn expire_handshake(&mut self, now: Nanos) {
        self.handshake.expirations += 1;
        if self.handshake.expirations > self.config.max_retransmits {
            self.fail(FailureReason::HandshakeTimeout);
            return;
        }
        self.outbound.rtt.back_off();
        self.handshake.at = Some(now + self.outbound.rtt.rto());
        match self.state {
            State::CookieEchoed => self.pending.cookie_echo = true,
            _ => self.pending.init = true,
        }
    }

    /// The fields of our INIT or INIT-ACK.
    fn init_fields(&self, tag: u32, tsn: u32, zero_checksum: bool) -> InitFields {
        InitFields {
            initiate_tag: tag,
            window: u32::try_from(self.receive_limit).unwrap_or(u32::MAX),
            outbound_streams: self.config.outbound_streams.max(1),
            inbound_streams: self.config.max_inbound_streams.max(1),
            initial_tsn: tsn,
            capabilities: Capabilities {
                forward_tsn: true,
                reconfig: true,
                interleaving: self.config.interleaving,
                zero_checksum,
            },
        }
    }

    pub(super) fn write_init(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let offer = self.config.zero_checksum == ZeroChecksum::Offer;
        self.accepts_zero_checksum |= offer;
        let fields = self.init_fields(self.local_tag, self.local_tsn, offer);
        let mut packet = PacketWriter::new(buffer, self.ports(), 0)?;
        packet.put_init(&fields, None, std::iter::empty());
        Some(packet.finish(false))
    }

    /// The INIT chunk to be sent by signaling. A peer that reads it knows RFC 9653 as well, or
    /// skips what it does not know.
    pub(super) fn init_for_signaling(&mut self) -> Vec<u8> {
        let zero_checksum = self.config.zero_checksum != ZeroChecksum::Never;
        self.accepts_zero_checksum |= zero_checksum;
        let fields = self.init_fields(self.local_tag, self.local_tsn, zero_checksum);
        let mut buffer = vec![0; self.mtu];
        let Some(mut packet) = PacketWriter::new(&mut buffer, self.ports(), 0) else {
            return Vec::new();
        };
        packet.put_init(&fields, None, std::iter::empty());
        let length = packet.finish(true);
        buffer.truncate(length);
        buffer.drain(..COMMON_HEADER);
        buffer
    }

    /// Takes what signaling brought for an INIT and an INIT-ACK that both sides have seen.
    pub(super) fn adopt_signaled_init(&mut self, now: Nanos, chunk: &[u8]) -> bool {
        if self.state != State::Closed || self.over {
            return false;
        }
        // The chunk is read as the only one of a packet.
        let mut bytes = vec![0; COMMON_HEADER];
        bytes.extend_from_slice(chunk);
        let Some(packet) = Packet::parse(&bytes) else { return false };
        let parsed = packet.chunks().next().and_then(|raw| match Chunk::parse(&raw) {
            Some(Chunk::Init(init)) if init.is_valid() => Some(init),
            _ => None,
        });
        let Some(init) = parsed else { return false };
        self.take_peer(&self.peer_of(now, &init));
        self.establish(now);
        true
    }

    /// What INIT or INIT-ACK says about the peer.
    fn peer_of(&self, now: Nanos, init: &Init<'_>) -> Cookie {
        Cookie {
            created: now,
            local_tag: self.local_tag,
            peer_tag: init.initiate_tag,
            local_tsn: self.local_tsn,
            peer_tsn: init.initial_tsn,
            peer_window: init.window,
            peer_outbound: init.outbound_streams,
            peer_inbound: init.inbound_streams,
            peer_capabilities: init.capabilities(),
            tie_tags: (0, 0),
        }
    }

    /// Answers an INIT without remembering anything (RFC 9260 §5.1 B, §5.2.1, §5.2.2).
    pub(super) fn receive_init(&mut self, now: Nanos, init: &Init<'_>) -> bool {
        if !init.is_valid() || self.over {
            return false;
        }
        if self.state == State::ShutdownAckSent {
            self.pending.shutdown_ack = true;
            return true;
        }
        // While no association exists the peer gets the tag of our own INIT, so that both
        // handshakes of a simultaneous open lead to the same association.
        let (local_tag, local_tsn, tie_tags) = if self.is_connected() {
            (self.random.tag(), self.random.next_u32(), (self.local_tag, self.peer_tag))
        } else {
            (self.local_tag, self.local_tsn, (0, 0))
        };
        let capabilities = init.capabilities();
        let zero_checksum = match self.config.zero_checksum {
            ZeroChecksum::Never => false,
            ZeroChecksum::WhenPeerOffers => capabilities.zero_checksum,
            ZeroChecksum::Offer => true,
        };
        self.accepts_zero_checksum |= zero_checksum;
        let peer = self.peer_of(now, init);
        let cookie = self.jar.seal(&Cookie { local_tag, local_tsn, tie_tags, ..peer });
        let fields = self.init_fields(local_tag, local_tsn, zero_checksum);
        let mut buffer = vec![0; self.mtu];
        let Some(mut packet) = PacketWriter::new(&mut buffer, self.ports(), init.initiate_tag)
        else {
            return false;
        };
        // A report is longer than what it reports. All of them together may not be, so that the
        // answer exceeds its cause by the cookie and our own parameters at most.
        let mut left = init.parameters.len();
        let reports = unrecognized_parameters(init).take_while(|unknown| {
            let rest = left.checked_sub(4 + padded(unknown.whole.len()));
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        packet.put_init(&fields, Some(&cookie), reports);
        let length = packet.finish(false);
        buffer.truncate(length);
        self.reply(buffer);
        true
    }

    /// RFC 9260 §5.1 C.
    pub(super) fn receive_init_ack(&mut self, now: Nanos, init: &Init<'_>) -> bool {
        if self.state != State::CookieWait {
            return true;
        }
        let Some(cookie) = init.cookie().filter(|c| fits_cookie(self.mtu, c)) else { return false };
        if !init.is_valid() {
            return false;
        }
        self.cookie = cookie.to_vec();
        self.take_peer(&self.peer_of(now, init));
        self.state = State::CookieEchoed;
        self.pending.init = false;
        self.pending.cookie_echo = true;
        self.outbound.rtt.clear_backoff();
        self.handshake = Backoff { at: Some(now + self.outbound.rtt.rto()), expirations: 0 };
        true
    }

    /// Adopts what is known about the peer; nothing of it was received yet.
    fn take_peer(&mut self, peer: &Cookie) {
        let capabilities = peer.peer_capabilities;
        self.peer_tag = peer.peer_tag;
        self.interleaving = capabilities.interleaving && self.config.interleaving;
        self.peer_reconfigures = capabilities.reconfig;
        self.sends_zero_checksum =
            capabilities.zero_checksum && self.config.zero_checksum != ZeroChecksum::Never;
        let inbound = peer.peer_outbound.min(self.config.max_inbound_streams.max(1));
        let outbound = peer.peer_inbound.min(self.config.outbound_streams.max(1));
        self.streams = Some((inbound, outbound));
        self.inbound.set_limit(inbound);
        self.tracker = TsnTracker::new(serial::first(peer.peer_tsn));
        self.resets.expect(peer.peer_tsn);
        self.outbound.set_peer(peer.peer_window, capabilities.forward_tsn, self.interleaving);
    }

    /// RFC 9260 §5.1 D and the table of §5.2.4.
    pub(super) fn receive_cookie_echo(&mut self, now: Nanos, tag: u32, bytes: &[u8]) -> bool {
        if self.over {
            return false;
        }
        let Some(cookie) = self.jar.open(bytes).filter(|c| c.local_tag == tag) else {
            return false;
        };
        let current = cookie.local_tag == self.local_tag && cookie.peer_tag == self.peer_tag;
        if let Some(staleness) = cookie.staleness(now)
            && !(current && self.is_connected())
        {
            self.reply_stale_cookie(&cookie, staleness);
            return false;
        }
        if !self.is_connected() {
            // Closed, or a simultaneous open: actions B and D lead to the same.
            if cookie.local_tag != self.local_tag {
                return false;
            }
            if self.state != State::CookieEchoed || !current {
                self.take_peer(&cookie);
            }
            self.establish(now);
            self.pending.cookie_ack = true;
            return true;
        }
        if current {
            self.pending.cookie_ack = true;
            return true;
        }
        if cookie.local_tag == self.local_tag {
            // Action B: the peer answered our INIT and then started anew with another tag.
            self.peer_tag = cookie.peer_tag;
            self.pending.cookie_ack = true;
            return true;
        }
        // Action A; anything else is action C.
        let ties = cookie.tie_tags == (self.local_tag, self.peer_tag);
        if ties && cookie.peer_tag != self.peer_tag {
            self.restart(now, &cookie);
            return true;
        }
        false
    }

    fn reply_stale_cookie(&mut self, cookie: &Cookie, staleness: u32) {
        let mut buffer = vec![0; 64];
        let Some(mut packet) = PacketWriter::new(&mut buffer, self.ports(), cookie.peer_tag) else {
            return;
        };
        packet.put_cause(kind::ERROR, 0, cause::STALE_COOKIE, &staleness.to_be_bytes());
        let length = packet.finish(false);
        buffer.truncate(length);
        self.reply(buffer);
    }

    /// RFC 9260 §5.2.4 action A: the peer lost its state and begins again.
    fn restart(&mut self, now: Nanos, cookie: &Cookie) {
        if self.state == State::ShutdownAckSent {
            self.pending.shutdown_ack = true;
            return;
        }
        self.local_tag = cookie.local_tag;
        self.local_tsn = cookie.local_tsn;
        self.outbound.restart(cookie.local_tsn);
        self.resets = super::Resets::new(cookie.local_tsn);
        for stream in self.inbound.ids() {
            self.inbound.reset(stream);
        }
        self.reassembly.clear();
        self.note_advertised(self.receive_limit);
        self.take_peer(cookie);
        self.ack = super::AckDue::No;
        self.errors = 0;
        self.ending = Backoff::default();
        self.state = State::Established;
        self.pending = super::Pending { cookie_ack: true, ..Default::default() };
        self.start_heartbeat(now);
        self.start_path_mtu(now);
        self.events.push_back(Event::Restarted);
    }

    /// RFC 9260 §5.1 E.
    pub(super) fn receive_cookie_ack(&mut self, now: Nanos) {
        if self.state == State::CookieEchoed {
            self.establish(now);
        }
    }

    /// Enters ESTABLISHED for the first time.
    pub(super) fn establish(&mut self, now: Nanos) {
        self.state = State::Established;
        self.handshake = Backoff::default();
        self.pending.init = false;
        self.pending.cookie_echo = false;
        self.cookie = Vec::new();
        self.stale_cookies = 0;
        self.outbound.rtt.clear_backoff();
        self.errors = 0;
        self.start_heartbeat(now);
        self.start_path_mtu(now);
        let (inbound_streams, outbound_streams) = self.streams.unwrap_or_default();
        self.events.push_back(Event::Connected { inbound_streams, outbound_streams });
    }
}

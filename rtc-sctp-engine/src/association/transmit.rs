//! Writing packets.

use super::{AckDue, Association};
use crate::State;
use crate::clock::Nanos;
use crate::wire::{PacketWriter, kind};

/// Parameter type of the heartbeat contents (RFC 9260 §3.3.5).
pub(super) const HEARTBEAT_INFO: [u8; 4] = [0, 1, 0, 12];

impl Association {
    /// Writes the next packet into `buffer`.
    pub(super) fn write_packet(&mut self, now: Nanos, buffer: &mut [u8]) -> Option<usize> {
        if let Some(reply) = self.pending.replies.pop_front() {
            buffer.get_mut(..reply.len())?.copy_from_slice(&reply);
            return Some(reply.len());
        }
        if self.over {
            return self.write_last(buffer);
        }
        match self.state {
            State::Closed => None,
            State::CookieWait => {
                std::mem::take(&mut self.pending.init).then(|| self.write_init(buffer))?
            }
            State::CookieEchoed => {
                if !std::mem::take(&mut self.pending.cookie_echo) {
                    return None;
                }
                let mut packet = PacketWriter::new(buffer, self.ports(), self.peer_tag)?;
                packet.put(kind::COOKIE_ECHO, 0, &[&self.cookie]);
                Some(packet.finish(false))
            }
            _ => {
                let limit = buffer.len().min(self.path_mtu.current());
                let written = self.write_established(now, buffer.get_mut(..limit)?);
                // A probe comes last, so that it shares no batch with packets of other sizes.
                written.or_else(|| self.write_path_probe(now, buffer))
            }
        }
    }

    /// ABORT or SHUTDOWN-COMPLETE, the packets after the end.
    fn write_last(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut packet = PacketWriter::new(buffer, self.ports(), self.peer_tag)?;
        if let Some((cause, value)) = self.pending.abort.take() {
            packet.put_cause(kind::ABORT, 0, cause, &value);
        } else if std::mem::take(&mut self.pending.shutdown_complete) {
            packet.put(kind::SHUTDOWN_COMPLETE, 0, &[]);
        } else {
            return None;
        }
        Some(packet.finish(self.sends_zero_checksum))
    }

    fn write_established(&mut self, now: Nanos, buffer: &mut [u8]) -> Option<usize> {
        let mut packet = PacketWriter::new(buffer, self.ports(), self.peer_tag)?;
        let size = packet.set_limit(self.mtu);
        if std::mem::take(&mut self.pending.cookie_ack) {
            packet.put(kind::COOKIE_ACK, 0, &[]);
        }
        let sends_data = matches!(
            self.state,
            State::Established | State::ShutdownPending | State::ShutdownReceived
        );
        self.write_sack(now, sends_data, &mut packet);
        self.write_control(now, &mut packet);
        if sends_data {
            self.outbound.fill_forward(now, &mut packet);
            // What was lost goes in packets that the path carries for certain.
            if !self.outbound.has_lost() {
                packet.set_limit(size);
            }
            self.outbound.fill(now, &mut packet);
        }
        if packet.is_empty() {
            return None;
        }
        Some(packet.finish(self.sends_zero_checksum))
    }

    /// A SACK when one is due, or when one is held back and DATA goes out anyway.
    fn write_sack(&mut self, now: Nanos, sends_data: bool, packet: &mut PacketWriter<'_>) {
        let piggyback = || sends_data && self.outbound.is_ready(now);
        let due = match self.ack {
            AckDue::No => false,
            AckDue::Now => true,
            AckDue::At(_) => piggyback(),
        };
        if !due {
            return;
        }
        self.gaps.clear();
        if self.tracker.has_gap() {
            self.tracker.gaps(packet.remaining() / 4, &mut self.gaps);
        }
        let duplicates =
            if self.tracker.has_duplicates() { self.tracker.take_duplicates() } else { Vec::new() };
        let window = self.window();
        let advertised = u32::try_from(window).unwrap_or(u32::MAX);
        let cumulative = self.tracker.cumulative() as u32;
        if packet.put_sack(cumulative, advertised, &self.gaps, &duplicates) {
            self.note_advertised(window);
            self.ack = AckDue::No;
            self.unacked_packets = 0;
        }
    }

    fn write_control(&mut self, now: Nanos, packet: &mut PacketWriter<'_>) {
        if self.resets.is_due() {
            self.write_resets(packet);
        }
        while let Some(info) = self.pending.echoes.front() {
            // One that fits no packet is dropped.
            if !packet.put(kind::HEARTBEAT_ACK, 0, &[info]) && !packet.is_empty() {
                break;
            }
            self.pending.echoes.pop_front();
        }
        if let Some(nonce) = self.take_heartbeat(now) {
            packet.put(kind::HEARTBEAT, 0, &[&HEARTBEAT_INFO, &nonce]);
        }
        while let Some((cause, value)) = self.pending.errors.front() {
            if !packet.put_cause(kind::ERROR, 0, *cause, value) && !packet.is_empty() {
                break;
            }
            self.pending.errors.pop_front();
        }
        if self.pending.shutdown {
            let cumulative = (self.tracker.cumulative() as u32).to_be_bytes();
            self.pending.shutdown = !packet.put(kind::SHUTDOWN, 0, &[&cumulative]);
        }
        if self.pending.shutdown_ack {
            self.pending.shutdown_ack = !packet.put(kind::SHUTDOWN_ACK, 0, &[]);
        }
    }
}

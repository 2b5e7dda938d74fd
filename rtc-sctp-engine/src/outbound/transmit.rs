//! Filling packets with DATA.

use super::Outbound;
use super::outstanding::OutChunk;
use crate::clock::Nanos;
use crate::serial::Tsn;
use crate::wire::{DATA_HEADER, Data, I_DATA_HEADER, PacketWriter};

impl Outbound {
    fn header(&self) -> usize {
        if self.interleaving { I_DATA_HEADER } else { DATA_HEADER }
    }

    /// Whether there may be DATA to send, were it for the queues alone.
    pub(crate) fn has_data(&self) -> bool {
        self.outstanding.has_lost() || self.queue.has_waiting()
    }

    /// Whether chunks wait to be sent again.
    pub(crate) fn has_lost(&self) -> bool {
        self.outstanding.has_lost()
    }

    /// Whether DATA is likely to leave now, so that a SACK held back may go with it.
    pub(crate) fn is_ready(&self, now: Nanos) -> bool {
        let open = self.outstanding.in_flight() < self.windows().cwnd
            && self.paced_until.is_none_or(|at| at <= now);
        let sendable = self.outstanding.has_lost()
            || (self.queue.has_waiting() && self.peer_window_left() >= self.segment);
        sendable && (open || self.credit)
    }

    /// Appends as much DATA to the packet as fits and the windows allow. Returns true when the
    /// packet has some.
    pub(crate) fn fill(&mut self, now: Nanos, packet: &mut PacketWriter<'_>) -> bool {
        if !self.has_data() || !self.may_send(now) {
            return false;
        }
        let before = self.outstanding.in_flight();
        let first_new = self.outstanding.next_tsn();
        let mut chunks = 0;
        while packet.remaining() > self.header() {
            let again = match self.outstanding.next_lost() {
                Some((tsn, chunk)) => self.send_again(now, packet, tsn, &chunk),
                None => self.send_new(now, packet),
            };
            if !again {
                break;
            }
            chunks += 1;
        }
        if chunks == 0 {
            return false;
        }
        if packet.length() > self.mtu {
            self.outstanding.mark_large(first_new);
        }
        self.credit = false;
        self.immediate = false;
        self.last_sent = now;
        self.pacer.sent(self.outstanding.in_flight().saturating_sub(before));
        if self.outstanding.in_flight() >= self.windows().cwnd {
            self.limited_below = self.outstanding.next_tsn();
        }
        self.rearm(now, false);
        true
    }

    /// Congestion window and pacing.
    fn may_send(&mut self, now: Nanos) -> bool {
        if self.credit {
            return true;
        }
        self.paced_until = None;
        let in_flight = self.outstanding.in_flight();
        if in_flight == 0 && self.outstanding.is_empty() {
            self.note_idle(now);
        }
        if in_flight >= self.windows().cwnd {
            self.limited_below = self.outstanding.next_tsn();
            return false;
        }
        let departure = self.pacer.next_departure(now);
        if departure > now {
            self.paced_until = Some(departure);
            self.limited_below = self.outstanding.next_tsn();
            return false;
        }
        true
    }

    fn note_idle(&mut self, now: Nanos) {
        let idle = now.saturating_sub(self.last_sent);
        let timeouts = idle / self.rtt.rto().max(1);
        if self.last_sent > 0 && timeouts > 0 {
            self.controller.on_idle(timeouts as u32);
            self.last_sent = now;
        }
    }

    fn send_again(
        &mut self,
        now: Nanos,
        packet: &mut PacketWriter<'_>,
        tsn: Tsn,
        chunk: &OutChunk,
    ) -> bool {
        let message = chunk.fragment.message;
        // The lifetime may have ended while the chunk waited; the count was checked when it was
        // found lost.
        let expired = self.queue.message(message).is_some_and(|m| m.is_spent(now, 0));
        if expired && self.peer_forwards {
            self.abandon(tsn, message);
            return self.outstanding.has_lost() || self.queue.has_waiting();
        }
        if !self.write(packet, tsn, chunk) {
            return false;
        }
        self.outstanding.mark_resent(tsn, now);
        self.counters.retransmitted += 1;
        if let Some(undo) = &mut self.undo {
            undo.unproven += 1;
            undo.retransmitted = true;
        }
        true
    }

    fn send_new(&mut self, now: Nanos, packet: &mut PacketWriter<'_>) -> bool {
        let room = packet.remaining() - self.header();
        let in_flight = self.outstanding.in_flight();
        if self.peer_window == 0 && !(self.credit && in_flight == 0) {
            self.rearm(now, false);
            return false;
        }
        // One chunk may always be in flight, whatever the window (RFC 9260 §6.1 rule A).
        let allowed = self.peer_window_left();
        if in_flight > 0 && allowed < room.min(self.queue.waiting()).min(self.segment) {
            return false;
        }
        if !self.outstanding.has_room() {
            return false;
        }
        let Some(fragment) = self.queue.cut(now, room, self.segment, allowed) else {
            return false;
        };
        let tsn = self.outstanding.push(fragment, now);
        if self.peer_window == 0 {
            self.window_probe = Some(tsn);
        }
        let Some(chunk) = self.outstanding.get(tsn).copied() else { return false };
        self.write(packet, tsn, &chunk)
    }

    #[inline]
    fn write(&mut self, packet: &mut PacketWriter<'_>, tsn: Tsn, chunk: &OutChunk) -> bool {
        let fragment = &chunk.fragment;
        let Some(message) = self.queue.message(fragment.message) else { return false };
        let start = fragment.offset as usize;
        let end = start + usize::from(fragment.length);
        let Some(payload) = message.data.get(start..end) else { return false };
        let written = packet.put_data(&Data {
            interleaved: self.interleaving,
            tsn: tsn as u32,
            stream: message.stream,
            message: message.sequence,
            fragment: fragment.number,
            ppid: message.ppid,
            beginning: fragment.beginning,
            ending: fragment.ending,
            unordered: message.unordered,
            immediate: self.immediate,
            payload,
        });
        if written {
            self.counters.bytes_sent += payload.len() as u64;
        }
        written
    }

    /// Appends a FORWARD-TSN when one is due. Returns true when the packet has one.
    pub(crate) fn fill_forward(&mut self, now: Nanos, packet: &mut PacketWriter<'_>) -> bool {
        if !self.forward_due || self.advanced < self.outstanding.base() {
            return false;
        }
        let entry = if self.interleaving { 8 } else { 4 };
        let limit = packet.remaining().saturating_sub(8) / entry;
        let (cumulative, skips) = self.skipped_messages(limit);
        let written = if self.interleaving {
            packet.put_i_forward_tsn(cumulative as u32, &skips)
        } else {
            let skips: Vec<_> = skips.iter().map(|(id, _, n)| (*id, *n as u16)).collect();
            packet.put_forward_tsn(cumulative as u32, &skips)
        };
        if written {
            self.forward_due = false;
            if self.retransmit_at.is_none() {
                self.retransmit_at = Some(now + self.rtt.rto());
            }
        }
        written
    }

    /// The newest message given up per stream, among chunks up to the advanced peer ack point;
    /// stops early when there are more than `limit` streams.
    fn skipped_messages(&self, limit: usize) -> (Tsn, Vec<(u16, bool, u32)>) {
        let mut skips: Vec<(u16, bool, u32)> = Vec::new();
        let mut cumulative = self.outstanding.base() - 1;
        for (tsn, chunk) in self.outstanding.iter() {
            if tsn > self.advanced {
                break;
            }
            let message = self.queue.message(chunk.fragment.message);
            if let Some(m) = message.filter(|m| m.abandoned && (self.interleaving || !m.unordered))
            {
                let known = skips.iter().position(|s| (s.0, s.1) == (m.stream, m.unordered));
                match known {
                    Some(at) => skips[at].2 = m.sequence,
                    None if skips.len() == limit => break,
                    None => skips.push((m.stream, m.unordered, m.sequence)),
                }
            }
            cumulative = tsn;
        }
        (cumulative, skips)
    }
}

//! DATA, SACK and FORWARD-TSN.

use super::{AckDue, Association};
use crate::clock::{Nanos, nanos};
use crate::inbound::{Arrival, OVERHEAD};
use crate::serial;
use crate::wire::{Data, ForwardTsn, Sack, cause};
use crate::{Event, State};

/// Packets with DATA that one SACK may answer (RFC 9260 §6.2).
const PACKETS_PER_SACK: u32 = 2;

impl Association {
    /// Takes a DATA or I-DATA chunk; true when it counts toward the next SACK.
    #[inline]
    pub(super) fn receive_data(&mut self, data: &Data<'_>) -> bool {
        let receiving =
            matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownSent);
        if !receiving {
            return false;
        }
        if data.interleaved != self.interleaving {
            self.abort_with(cause::PROTOCOL_VIOLATION, b"wrong kind of DATA chunk");
            return false;
        }
        if data.payload.is_empty() {
            self.abort_with(cause::NO_USER_DATA, &data.tsn.to_be_bytes());
            return false;
        }
        let tsn = serial::unwrap_near(self.tracker.cumulative(), data.tsn);
        let arrival = self.tracker.classify(tsn);
        match arrival {
            Arrival::Duplicate => {
                self.tracker.record_duplicate(tsn);
                self.counters.duplicates += 1;
                self.ack = AckDue::Now;
                return true;
            }
            Arrival::TooFar => {
                self.ack = AckDue::Now;
                return true;
            }
            Arrival::Next if !self.tracker.has_gap() => {}
            Arrival::Next | Arrival::FillsGap | Arrival::OpensGap => self.ack = AckDue::Now,
        }
        if !self.has_room(arrival, data.payload.len()) {
            self.ack = AckDue::Now;
            return true;
        }
        self.tracker.record(tsn);
        if data.immediate || self.state == State::ShutdownSent {
            self.ack = AckDue::Now;
        }
        self.counters.bytes_received += data.payload.len() as u64;
        if data.stream >= self.inbound.limit() {
            let [s0, s1] = data.stream.to_be_bytes();
            self.report_error(cause::INVALID_STREAM, &[s0, s1, 0, 0]);
            return true;
        }
        if let Some(complete) = self.reassembly.insert(tsn, data) {
            self.inbound.deliver(complete, self.interleaving);
            self.report_readable();
        }
        self.finish_deferred_resets();
        true
    }

    /// Whether a new chunk may be kept. Beyond the window two kinds are, up to twice the window:
    /// what fills a gap, because that is what frees the rest, and what the peer was told there is
    /// room for, because it cannot know what its messages are charged for besides their payload.
    fn has_room(&self, arrival: Arrival, size: usize) -> bool {
        let used = self.receive_used();
        let fills_gap = match arrival {
            Arrival::Next => self.tracker.has_gap(),
            arrival => arrival == Arrival::FillsGap,
        };
        let was_promised = self.counters.bytes_received < self.promised;
        let most = self.receive_limit.saturating_mul(2);
        used < self.receive_limit
            || ((fills_gap || was_promised) && used.saturating_add(size + OVERHEAD) <= most)
    }

    /// Notes that the peer was told of so much room.
    pub(super) fn note_advertised(&mut self, window: usize) {
        self.advertised = window;
        self.promised = self.promised.max(self.counters.bytes_received + window as u64);
    }

    pub(super) fn receive_used(&self) -> usize {
        self.reassembly.used() + self.inbound.used()
    }

    pub(super) fn report_readable(&mut self) {
        while let Some(stream) = self.inbound.take_newly_readable() {
            self.events.push_back(Event::StreamReadable(stream));
        }
    }

    /// RFC 9260 §6.2: every second packet at once, a single one after a delay.
    pub(super) fn note_data_packet(&mut self, now: Nanos) {
        self.unacked_packets += 1;
        if self.state == State::ShutdownSent {
            self.pending.shutdown = true;
        }
        if self.ack == AckDue::Now {
            return;
        }
        let delay = nanos(self.config.delayed_sack);
        if self.unacked_packets >= PACKETS_PER_SACK || delay == 0 {
            self.ack = AckDue::Now;
        } else if self.ack == AckDue::No {
            self.ack = AckDue::At(now + delay);
        }
    }

    /// The receive window to advertise. Less than a packet and a half is called nothing, so that
    /// the peer does not send slivers (RFC 9260 §6.1, receiver side of silly window avoidance).
    pub(super) fn window(&self) -> usize {
        let left = self.receive_limit.saturating_sub(self.receive_used());
        if left < self.mtu + self.mtu / 2 { 0 } else { left }
    }

    /// After a read: tells the peer at once when a window that was nearly closed opens.
    pub(super) fn note_window_opened(&mut self) {
        let receiving = matches!(self.state, State::Established | State::ShutdownPending);
        let nearly_closed = self.advertised < self.receive_limit / 4;
        let step = (self.receive_limit / 4).max(2 * self.mtu).min(self.receive_limit / 2);
        if receiving && nearly_closed && self.window() >= self.advertised + step {
            self.ack = AckDue::Now;
        }
    }

    pub(super) fn receive_sack(&mut self, now: Nanos, sack: &Sack<'_>) {
        if !self.is_connected() {
            return;
        }
        let acknowledged = self.outbound.handle_sack(now, sack);
        if acknowledged.alive {
            self.errors = 0;
            self.note_alive(now);
        }
        self.leave_black_hole(now);
        self.continue_ending(now);
        self.request_resets(now);
    }

    /// RFC 3758 §3.6, RFC 8260 §2.3.1.
    pub(super) fn receive_forward_tsn(&mut self, forward: &ForwardTsn<'_>) {
        if !self.is_connected() || forward.interleaved != self.interleaving {
            return;
        }
        let target = serial::unwrap_near(self.tracker.cumulative(), forward.new_cumulative);
        self.ack = AckDue::Now;
        // Further ahead than a peer can have sent without acknowledgement: not believed.
        if target <= self.tracker.cumulative()
            || target - self.tracker.cumulative() >= serial::SerialSet::SPAN
        {
            return;
        }
        self.tracker.skip_to(target);
        if !forward.interleaved {
            self.reassembly.drop_up_to(target);
        }
        for skip in forward.skips() {
            if forward.interleaved {
                self.reassembly.drop_messages(skip.stream, skip.unordered, skip.message);
            }
            if !skip.unordered {
                self.inbound.skip_past(skip.stream, skip.message, self.interleaving);
            }
        }
        self.report_readable();
        self.finish_deferred_resets();
    }
}

//! Retransmission, reordering and probe timers (RFC 9260 §6.3, RFC 8985 §7).

use super::Outbound;
use super::outstanding::ChunkState;
use crate::clock::{MILLISECOND, Nanos, SECOND};
use crate::congestion::LossSample;
use crate::serial::Tsn;

/// How long a peer may hold back the acknowledgement of a single packet without a tail loss probe
/// being sent. RFC 9260 §6.2 allows it 500 ms; implementations wait 20 to 200 ms.
const PEER_ACK_DELAY: Nanos = 100 * MILLISECOND;
/// Longest time between probes into a closed window: a lost window update costs no more.
const MAX_WINDOW_PROBE: Nanos = 2 * SECOND;
/// Least time before a tail loss probe.
const MIN_PROBE: Nanos = 10 * MILLISECOND;

/// What a timer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Nothing,
    /// The retransmission timer expired while the peer's window was open: counts as an error.
    Timeout,
}

impl Outbound {
    pub(super) fn stop_timers(&mut self) {
        self.retransmit_at = None;
        self.reorder_at = None;
        self.probe_at = None;
        self.paced_until = None;
    }

    /// When the sending half wants to be called.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        [self.retransmit_at, self.reorder_at, self.probe_at, self.paced_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether something must be acknowledged or told before the association can rest.
    fn needs_timer(&self) -> bool {
        !self.outstanding.is_empty() || (self.queue.has_waiting() && self.peer_window == 0)
    }

    /// Sets the timers after a SACK (`progress`) or a transmission (not `progress`).
    pub(super) fn rearm(&mut self, now: Nanos, progress: bool) {
        if !self.needs_timer() {
            self.retransmit_at = None;
            self.probe_at = None;
            return;
        }
        if progress || self.retransmit_at.is_none() {
            self.retransmit_at = Some(now + self.rtt.rto());
        }
        let tail = self.outstanding.in_flight() > 0
            && self.outstanding.acked_count() == 0
            && !self.outstanding.has_lost()
            && !self.probed
            && self.rtt.srtt() > 0
            && self.peer_window > 0;
        self.probe_at = tail.then(|| {
            let single = self.outstanding.in_flight() <= self.segment;
            let wait = 2 * self.rtt.srtt() + if single { PEER_ACK_DELAY } else { 0 };
            now + wait.max(MIN_PROBE)
        });
        if self.probe_at >= self.retransmit_at {
            self.probe_at = None;
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Nanos) -> Expiry {
        if self.paced_until.is_some_and(|at| at <= now) {
            self.paced_until = None;
        }
        if self.reorder_at.is_some_and(|at| at <= now) {
            self.detect_losses(now);
            self.advance_peer_ack_point();
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe_tail(now);
        }
        if self.retransmit_at.is_some_and(|at| at <= now) {
            return self.expire_retransmission(now);
        }
        Expiry::Nothing
    }

    /// RFC 8985 §7.3: new data if there is any, else the last chunk again.
    fn probe_tail(&mut self, now: Nanos) {
        self.probe_at = None;
        self.probed = true;
        self.credit = true;
        self.immediate = true;
        let new_data = self.queue.has_waiting() && self.peer_window_left() >= self.segment;
        if !new_data
            && let Some(tsn) = self.outstanding.last_in_flight()
            && self.may_repeat(now, tsn)
        {
            self.outstanding.mark_lost(tsn);
        }
        self.retransmit_at = Some(now + self.rtt.rto());
    }

    /// Whether sending the chunk again stays within the limits of its message.
    fn may_repeat(&self, now: Nanos, tsn: Tsn) -> bool {
        let Some(chunk) = self.outstanding.get(tsn) else { return false };
        let message = self.queue.message(chunk.fragment.message);
        message.is_some_and(|m| !m.is_spent(now, chunk.transmissions))
    }

    fn expire_retransmission(&mut self, now: Nanos) -> Expiry {
        self.probe_at = None;
        self.rtt.back_off();
        let closed = self.peer_window == 0;
        let wait = if closed { self.rtt.rto().min(MAX_WINDOW_PROBE) } else { self.rtt.rto() };
        self.retransmit_at = Some(now + wait);
        self.credit = true;
        self.immediate = true;
        let base = self.outstanding.base();
        if self.advanced >= base {
            self.forward_due = true;
        }
        if self.outstanding.in_flight() == 0 && !self.outstanding.has_lost() {
            // A probe into a closed window, or a FORWARD-TSN again.
            return if closed { Expiry::Nothing } else { Expiry::Timeout };
        }
        if !closed {
            self.counters.timeouts += 1;
            let before = self.controller.windows();
            self.controller.on_timeout(now);
            self.start_undo(before);
        }
        self.mark_timed_out(now);
        self.large.timed_out();
        self.pacer.set_rate(self.windows().cwnd, self.in_slow_start(), self.rtt.srtt());
        if closed { Expiry::Nothing } else { Expiry::Timeout }
    }

    /// RFC 8985 §6.3: the first outstanding chunk is lost, and all that are older than RACK waits.
    fn mark_timed_out(&mut self, now: Nanos) {
        let base = self.outstanding.base();
        if self.outstanding.get(base).is_some_and(|c| c.state == ChunkState::Acked) {
            self.outstanding.renege();
        }
        let patience = self.rack.patience(self.rtt.min(), self.rtt.srtt());
        let mut loss = LossSample { now, lost: 0, sent_at: 0, min_rtt: self.rtt.min() };
        let mut first = true;
        while let Some(sent) = self.outstanding.oldest_transmission() {
            if !first && sent.sent_at + patience > now {
                break;
            }
            first = false;
            self.outstanding.pop_transmission();
            self.lose(now, sent.tsn, &mut loss);
        }
        self.advance_peer_ack_point();
    }
}

//! What a SACK does (RFC 9260 §6.2.1, RFC 8985, RFC 3758 §3.5).

use super::outstanding::{ChunkState, OutChunk};
use super::{Outbound, Undo};
use crate::clock::Nanos;
use crate::congestion::{AckSample, LossSample};
use crate::serial::{self, Tsn};
use crate::wire::Sack;

/// What came of a SACK.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acknowledged {
    /// Something was acknowledged for the first time, or the peer holds its window closed.
    pub(crate) alive: bool,
}

/// What the chunks acknowledged by one SACK have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bytes: usize,
    chunks: usize,
    newest: Nanos,
    newest_resent: bool,
    highest: Tsn,
}

impl Outbound {
    pub(crate) fn handle_sack(&mut self, now: Nanos, sack: &Sack<'_>) -> Acknowledged {
        let known = self.outstanding.base() - 1;
        let cumulative = serial::unwrap_near(known, sack.cumulative);
        // An old SACK overtaken by a newer one, or one for what was never sent.
        if cumulative < known || cumulative >= self.outstanding.next_tsn() {
            return Acknowledged::default();
        }
        let mut progress = Progress::default();
        self.take_cumulative(now, cumulative, &mut progress);
        self.take_gaps(now, cumulative, sack, &mut progress);
        let advanced = cumulative > known;
        self.take_duplicates(sack);
        self.take_window(sack.window as usize);
        if progress.chunks > 0 {
            self.take_progress(now, &progress);
        }
        self.detect_losses(now);
        self.end_undo();
        self.advance_peer_ack_point();
        self.pacer.set_rate(self.windows().cwnd, self.in_slow_start(), self.rtt.srtt());
        self.rearm(now, advanced || progress.chunks > 0);
        let alive = progress.chunks > 0 || advanced || self.peer_window == 0;
        Acknowledged { alive }
    }

    /// The cumulative acknowledgement of a SHUTDOWN chunk (RFC 9260 §9.2); false when it is for
    /// what was never sent.
    pub(crate) fn handle_cumulative(&mut self, now: Nanos, cumulative: u32) -> bool {
        let known = self.outstanding.base() - 1;
        let cumulative = serial::unwrap_near(known, cumulative);
        if cumulative >= self.outstanding.next_tsn() {
            return false;
        }
        let mut progress = Progress::default();
        self.take_cumulative(now, cumulative, &mut progress);
        self.advance_peer_ack_point();
        self.rearm(now, progress.chunks > 0);
        true
    }

    fn take_cumulative(&mut self, now: Nanos, cumulative: Tsn, progress: &mut Progress) {
        while let Some((tsn, chunk)) = self.outstanding.pop_up_to(cumulative) {
            if matches!(chunk.state, ChunkState::InFlight | ChunkState::Lost) {
                self.acknowledge_chunk(now, tsn, &chunk, progress);
            }
            self.queue.retire(chunk.fragment.message);
        }
    }

    fn take_gaps(&mut self, now: Nanos, cumulative: Tsn, sack: &Sack<'_>, progress: &mut Progress) {
        let end = self.outstanding.next_tsn();
        let mut from = cumulative + 1;
        for (first, last) in sack.gaps() {
            // Blocks come in order; what a broken peer sends otherwise is not looked at twice.
            let start = (cumulative + u64::from(first)).max(from);
            let last = (cumulative + u64::from(last)).min(end - 1);
            let mut at = start;
            while at <= last
                && let Some(tsn) = self.outstanding.next_unacked(at, last)
            {
                if let Some(chunk) = self.outstanding.mark_acked(tsn)
                    && chunk.state != ChunkState::Abandoned
                {
                    self.acknowledge_chunk(now, tsn, &chunk, progress);
                }
                at = tsn + 1;
            }
            from = from.max(last + 1);
        }
    }

    #[inline]
    fn acknowledge_chunk(
        &mut self,
        now: Nanos,
        tsn: Tsn,
        chunk: &OutChunk,
        progress: &mut Progress,
    ) {
        let length = usize::from(chunk.fragment.length);
        progress.chunks += 1;
        progress.bytes += length;
        progress.highest = progress.highest.max(tsn);
        if chunk.sent_at >= progress.newest {
            progress.newest = chunk.sent_at;
            progress.newest_resent = chunk.transmissions > 1;
        }
        self.rack.acknowledged(now, tsn, chunk, self.rtt.min());
        self.large.acknowledged(chunk);
        if !chunk.counted {
            self.queue.acknowledge(chunk.fragment.message, length);
        }
    }

    /// Duplicates tell that retransmissions were not needed.
    fn take_duplicates(&mut self, sack: &Sack<'_>) {
        for _ in sack.duplicates() {
            if self.counters.spurious >= self.counters.retransmitted {
                break;
            }
            self.counters.spurious += 1;
            self.rack.spurious(self.outstanding.next_tsn());
            if let Some(undo) = &mut self.undo {
                undo.unproven = undo.unproven.saturating_sub(1);
                if undo.unproven == 0 && undo.retransmitted {
                    self.controller.undo(undo.before);
                    self.undo = None;
                }
            }
        }
    }

    fn take_window(&mut self, window: usize) {
        if self.peer_window == 0
            && window > 0
            && let Some(tsn) = self.window_probe.take()
        {
            // The probe into the closed window was dropped: no need to wait for its timer.
            self.outstanding.mark_lost(tsn);
            self.rtt.clear_backoff();
        }
        self.peer_window = window;
        self.queue.note_window();
    }

    fn take_progress(&mut self, now: Nanos, progress: &Progress) {
        let ago = now.saturating_sub(progress.newest);
        let rtt = (!progress.newest_resent).then_some(ago);
        match rtt {
            Some(rtt) => self.rtt.sample(now, rtt),
            None => self.rtt.at_least(ago),
        }
        self.probed = false;
        self.rack.end_of_acknowledgement(self.outstanding.next_tsn());
        let sample = AckSample {
            now,
            acked: progress.bytes,
            sent_at: progress.newest,
            highest_acked: progress.highest,
            next_tsn: self.outstanding.next_tsn(),
            window_limited: progress.highest < self.limited_below,
            rtt,
            srtt: self.rtt.srtt(),
            min_rtt: self.rtt.min(),
        };
        self.controller.on_ack(&sample);
    }

    /// Marks as lost what RACK says is, and sets the reordering timer for what may become so.
    pub(super) fn detect_losses(&mut self, now: Nanos) {
        let (min_rtt, srtt) = (self.rtt.min(), self.rtt.srtt());
        let window = self.rack.window(self.outstanding.acked_count(), min_rtt, srtt);
        let mut loss = LossSample { now, lost: 0, sent_at: 0, min_rtt };
        self.reorder_at = None;
        while let Some(sent) = self.outstanding.oldest_transmission() {
            let Some(deadline) = self.rack.deadline(&sent, window) else { break };
            if deadline > now {
                self.reorder_at = Some(deadline);
                break;
            }
            self.outstanding.pop_transmission();
            self.lose(now, sent.tsn, &mut loss);
        }
        if loss.sent_at > 0 {
            self.react_to_loss(&loss);
        }
    }

    /// Marks one chunk as lost, or gives its message up when its limit is reached.
    pub(super) fn lose(&mut self, now: Nanos, tsn: Tsn, loss: &mut LossSample) {
        let Some(chunk) = self.outstanding.get(tsn).copied() else { return };
        loss.lost += usize::from(chunk.fragment.length);
        loss.sent_at = loss.sent_at.max(chunk.sent_at);
        self.large.lost(&chunk);
        self.outstanding.mark_lost(tsn);
        let message = chunk.fragment.message;
        let spent =
            self.queue.message(message).is_some_and(|m| m.is_spent(now, chunk.transmissions));
        if spent && self.peer_forwards {
            self.abandon(tsn, message);
        }
    }

    /// Gives a message up, of which `tsn` is a fragment.
    pub(super) fn abandon(&mut self, tsn: Tsn, message: u32) {
        if self.queue.abandon(message)
            && let Some(fragment) = self.queue.placeholder(message)
        {
            self.outstanding.push_abandoned(fragment);
        }
        self.outstanding.mark_abandoned(tsn, self.interleaving);
        self.advance_peer_ack_point();
    }

    fn react_to_loss(&mut self, loss: &LossSample) {
        let before = self.controller.windows();
        if self.controller.on_loss(loss) {
            // The first retransmission is not held back by the smaller window (RFC 9260 §7.2.4).
            self.credit = true;
            self.start_undo(before);
        }
    }

    pub(super) fn start_undo(&mut self, before: crate::congestion::Windows) {
        let end = self.outstanding.next_tsn();
        if self.undo.is_none() {
            self.undo = Some(Undo { before, unproven: 0, retransmitted: false, end });
        }
    }

    fn end_undo(&mut self) {
        if self.undo.is_some_and(|undo| self.outstanding.base() > undo.end) {
            self.undo = None;
        }
    }

    /// RFC 3758 §3.5 (C1..C3): moves past chunks given up; gap-acknowledged ones between are
    /// passed along.
    pub(super) fn advance_peer_ack_point(&mut self) {
        let base = self.outstanding.base();
        self.advanced = self.advanced.max(base - 1);
        let mut at = self.advanced + 1;
        let mut moved = false;
        while let Some(chunk) = self.outstanding.get(at) {
            match chunk.state {
                ChunkState::Abandoned => {
                    self.advanced = at;
                    moved = true;
                }
                ChunkState::Acked => {}
                ChunkState::InFlight | ChunkState::Lost => break,
            }
            at += 1;
        }
        if moved {
            self.forward_due = true;
        } else if self.advanced < base {
            self.forward_due = false;
        }
    }
}

//! The algorithm of RFC 9260 §7.2.

use super::{AckSample, LossSample, Windows};
use crate::clock::Nanos;

#[derive(Clone, Debug)]
pub(crate) struct Reno {
    segment: usize,
    windows: Windows,
    partial_bytes_acked: usize,
    /// Losses of what was sent up to this time were reacted to.
    reacted_at: Nanos,
}

impl Reno {
    pub(super) fn new(segment: usize, windows: Windows) -> Self {
        Self { segment, windows, partial_bytes_acked: 0, reacted_at: 0 }
    }

    pub(super) fn windows(&self) -> Windows {
        self.windows
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        if !sample.window_limited || sample.sent_at <= self.reacted_at {
            return;
        }
        let Windows { cwnd, ssthresh } = &mut self.windows;
        if *cwnd < *ssthresh {
            // One acknowledgement may stand for a batch of packets, so growth counts its bytes
            // instead of at most one packet; pacing spreads the burst.
            *cwnd = cwnd.saturating_add(sample.acked);
            return;
        }
        self.partial_bytes_acked += sample.acked;
        if self.partial_bytes_acked >= *cwnd {
            self.partial_bytes_acked -= *cwnd;
            *cwnd += self.segment;
        }
    }

    pub(super) fn on_loss(&mut self, sample: &LossSample) -> bool {
        if sample.sent_at <= self.reacted_at {
            return false;
        }
        self.reacted_at = sample.now;
        self.windows.ssthresh = self.halved();
        self.windows.cwnd = self.windows.ssthresh;
        self.partial_bytes_acked = 0;
        true
    }

    fn halved(&self) -> usize {
        (self.windows.cwnd / 2).max(4 * self.segment)
    }

    pub(super) fn on_timeout(&mut self, now: Nanos) {
        self.reacted_at = now;
        self.windows.ssthresh = self.halved();
        self.windows.cwnd = self.segment;
        self.partial_bytes_acked = 0;
    }

    pub(super) fn on_idle(&mut self, timeouts: u32) {
        let floor = (4 * self.segment).min(self.windows.cwnd);
        self.windows.cwnd = (self.windows.cwnd >> timeouts.min(16)).max(floor);
    }

    pub(super) fn undo(&mut self, before: Windows) {
        self.windows.cwnd = self.windows.cwnd.max(before.cwnd);
        self.windows.ssthresh = self.windows.ssthresh.max(before.ssthresh);
    }
}

//! CUBIC (RFC 9438), and the adaptive controller, which differs from it in its reaction to loss.
//!
//! On a drop-tail bottleneck loss comes with a full queue, so the round-trip time is well above its
//! minimum; random loss comes at any delay. The adaptive controller cuts the window by more than
//! what drains the queue that the delay shows, at most to half like Reno, and not at all when there
//! is no queue. A path that loses more than a ceiling gets CUBIC's full cut.
//!
//! While there is a queue, the bottleneck is full and shared: the adaptive controller then grows
//! like Reno. CUBIC's faster growth is kept for paths with room left, and what a slight delay cost,
//! which need not have been that of a queue, is regained soon.

use super::hystart::Rounds;
use super::loss_rate::LossRate;
use super::{AckSample, LossSample, Windows};
use crate::clock::Nanos;

/// Multiplicative decrease (RFC 9438 §4.6).
const BETA: f64 = 0.7;
/// Growth constant, packets per second cubed (RFC 9438 §5.1).
const C: f64 = 0.4;
/// Packets per round trip that keep the Reno-friendly region as fast as Reno (RFC 9438 §4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// Least multiplicative decrease of the adaptive controller, that of Reno.
const ADAPTIVE_BETA: f64 = 0.5;
/// How much more is cut than what drains the queue. A flow that only drains a short queue would
/// take the share of others who halve their windows; random loss finds hardly any queue, so the
/// exponent costs nothing there.
const DRAIN_EXPONENT: i32 = 3;
/// A cut by less than this is not made: the delay shows no queue.
const NO_QUEUE: f64 = 0.98;
/// A cut to more than this may be due to a busy host instead of a queue.
const MILD: f64 = 0.7;
/// Growth per byte acknowledged back to where such cuts began: an eighth of the window each round
/// trip.
const REGAIN: f64 = 0.125;
/// Share of packets lost, in percent, above which loss counts as congestion whatever the delay says.
const CEILING_PERCENT: usize = 10;
/// Share of packets lost, in percent, above which the growth starts over after such cuts too.
const NOTICED_PERCENT: usize = 2;
/// Share of the smallest in the recent round-trip time below which the bottleneck counts as full.
const FULL: f64 = 0.9;

#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    segment: usize,
    windows: Windows,
    adaptive: bool,
    reacted_at: Nanos,
    rounds: Rounds,
    loss_rate: LossRate,
    /// Start of the current stretch of congestion avoidance; 0 when none has begun.
    epoch: Nanos,
    /// Window before the last reduction, packets.
    w_max: f64,
    /// Window Reno would have by now, packets.
    w_reno: f64,
    /// Seconds from the epoch until the window is back at `w_max`.
    k: f64,
    /// Fractions of a byte not added to the window yet.
    remainder: f64,
    /// What to regain after cuts that a little delay caused, packets; 0 when there were none.
    doubted: f64,
    /// Slow start ended by a delay that may have been that of a busy host, and nothing has shown
    /// since that it was not.
    left_early: bool,
}

impl Cubic {
    pub(super) fn new(segment: usize, windows: Windows, adaptive: bool) -> Self {
        Self {
            segment,
            windows,
            adaptive,
            reacted_at: 0,
            rounds: Rounds::new(),
            loss_rate: LossRate::default(),
            epoch: 0,
            w_max: 0.0,
            w_reno: 0.0,
            k: 0.0,
            remainder: 0.0,
            doubted: 0.0,
            left_early: false,
        }
    }

    pub(super) fn windows(&self) -> Windows {
        self.windows
    }

    fn packets(&self) -> f64 {
        self.windows.cwnd as f64 / self.segment as f64
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        self.loss_rate.delivered(sample.acked, self.segment);
        let new_round = self.rounds.sample(sample);
        let slow_start = self.windows.cwnd < self.windows.ssthresh;
        if slow_start && self.rounds.delay_grows() {
            self.windows.ssthresh = self.windows.cwnd;
            self.left_early = self.adaptive;
            return;
        }
        if self.left_early && new_round && self.queue_free_share(sample.min_rtt) > NO_QUEUE {
            self.windows.ssthresh = usize::MAX;
            self.left_early = false;
        }
        if !sample.window_limited || sample.sent_at <= self.reacted_at {
            return;
        }
        if slow_start {
            self.windows.cwnd = self.windows.cwnd.saturating_add(sample.acked);
        } else {
            self.avoid_congestion(sample);
        }
    }

    fn avoid_congestion(&mut self, sample: &AckSample) {
        let cwnd = self.packets();
        let acked = sample.acked as f64 / self.segment as f64;
        if self.adaptive {
            let share = self.queue_free_share(sample.min_rtt);
            if share < FULL {
                self.epoch = 0;
                self.grow(acked / cwnd);
                return;
            }
            if cwnd < self.doubted {
                self.grow(acked * REGAIN);
                return;
            }
        }
        if self.epoch == 0 {
            self.epoch = sample.now;
            self.w_reno = cwnd;
            self.w_max = self.w_max.max(cwnd);
            self.k = ((self.w_max - cwnd) / C).cbrt();
        }
        let elapsed = (sample.now - self.epoch + sample.srtt) as f64 / 1e9;
        let w_cubic = C * (elapsed - self.k).powi(3) + self.w_max;
        let target = w_cubic.clamp(cwnd, 1.5 * cwnd);
        let alpha = if self.w_reno >= self.w_max { 1.0 } else { ALPHA };
        self.w_reno += alpha * acked / cwnd;
        let grown = if self.w_reno > w_cubic {
            self.w_reno.max(cwnd)
        } else {
            cwnd + (target - cwnd) * acked / cwnd
        };
        self.grow(grown - cwnd);
    }

    /// Adds packets to the window, in fractions.
    fn grow(&mut self, packets: f64) {
        self.remainder += packets * self.segment as f64;
        let whole = self.remainder.max(0.0).floor();
        self.remainder -= whole;
        self.windows.cwnd += whole as usize;
    }

    pub(super) fn on_loss(&mut self, sample: &LossSample) -> bool {
        self.loss_rate.lost(sample.lost);
        if sample.sent_at <= self.reacted_at {
            return false;
        }
        let factor = if self.adaptive { self.adaptive_factor(sample) } else { BETA };
        let mild = self.adaptive && factor > MILD;
        let slow_start = self.windows.cwnd < self.windows.ssthresh;
        // A window that chance ended the growth of early would take minutes to fill a long path.
        if factor > NO_QUEUE || (mild && slow_start) {
            return false;
        }
        self.reacted_at = sample.now;
        self.doubted = match factor < MILD {
            true => 0.0,
            // What would be in flight without the delay, were it that of a queue.
            false => self.doubted.max(self.packets()) * self.queue_free_share(sample.min_rtt),
        };
        // Of such a cut the curve takes no notice while little is lost: a queue so short that it hardly
        // shows in the delay would be lost at by a window that is too large.
        self.left_early &= mild;
        if !mild || self.loss_rate.exceeds(NOTICED_PERCENT, self.segment) {
            self.remember_maximum();
        }
        self.windows.cwnd = ((self.windows.cwnd as f64 * factor) as usize).max(4 * self.segment);
        self.windows.ssthresh = self.windows.cwnd;
        true
    }

    /// The smallest round-trip time as a share of the recent one: 1 without a queue, one half with
    /// a queue as long as the path.
    fn queue_free_share(&self, min_rtt: Nanos) -> f64 {
        self.rounds.recent_minimum().map_or(1.0, |recent| min_rtt as f64 / recent as f64)
    }

    /// What to multiply the window by, between `ADAPTIVE_BETA` and 1.
    fn adaptive_factor(&mut self, sample: &LossSample) -> f64 {
        if self.loss_rate.exceeds(CEILING_PERCENT, self.segment) {
            self.loss_rate.reset();
            return BETA;
        }
        self.queue_free_share(sample.min_rtt).powi(DRAIN_EXPONENT).max(ADAPTIVE_BETA)
    }

    /// RFC 9438 §4.7: releases bandwidth faster when the maximum falls.
    fn remember_maximum(&mut self) {
        let cwnd = self.packets();
        self.w_max = if cwnd < self.w_max { cwnd * (1.0 + BETA) / 2.0 } else { cwnd };
        self.epoch = 0;
    }

    pub(super) fn on_timeout(&mut self, now: Nanos) {
        self.reacted_at = now;
        self.doubted = 0.0;
        self.left_early = false;
        self.remember_maximum();
        self.windows.ssthresh = ((self.windows.cwnd as f64 * BETA) as usize).max(4 * self.segment);
        self.windows.cwnd = self.segment;
    }

    pub(super) fn on_idle(&mut self, _timeouts: u32) {
        // Pacing keeps a window that was not used lately from leaving as one burst; only the
        // growth curve must not have gone on meanwhile.
        self.epoch = 0;
    }

    pub(super) fn undo(&mut self, before: Windows) {
        self.windows.cwnd = self.windows.cwnd.max(before.cwnd);
        self.windows.ssthresh = self.windows.ssthresh.max(before.ssthresh);
        self.epoch = 0;
    }
}

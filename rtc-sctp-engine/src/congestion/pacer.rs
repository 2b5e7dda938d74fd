//! Spreading packets over the round trip.

use crate::clock::{MILLISECOND, Nanos, SECOND};

/// Round trips shorter than this are not paced: acknowledgements come faster than timers fire.
const MIN_PACED_RTT: Nanos = 2 * MILLISECOND;
/// How long a timer may fire late without slowing the sender.
const TIMER_SLACK: Nanos = 2 * MILLISECOND;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// Smallest depth of the bucket in bytes; 0 turns pacing off.
    burst: usize,
    tokens: f64,
    filled_at: Nanos,
    /// Bytes per nanosecond; 0 when not pacing.
    rate: f64,
}

impl Pacer {
    pub(crate) fn new(burst: usize) -> Self {
        Self { burst, tokens: burst as f64, filled_at: 0, rate: 0.0 }
    }

    /// Sets the rate from the window and the round-trip time: twice the window per round trip in
    /// slow start, 1.25 times later, so that the window and not the pacer limits throughput.
    pub(crate) fn set_rate(&mut self, cwnd: usize, slow_start: bool, srtt: Nanos) {
        let gain = if slow_start { 2.0 } else { 1.25 };
        self.rate = if self.burst == 0 || srtt < MIN_PACED_RTT {
            0.0
        } else {
            gain * cwnd as f64 / srtt as f64
        };
    }

    /// When the next packet may leave; `now` or earlier means at once.
    pub(crate) fn next_departure(&mut self, now: Nanos) -> Nanos {
        if self.rate == 0.0 {
            return now;
        }
        let depth = (self.rate * TIMER_SLACK as f64).max(self.burst as f64);
        let elapsed = now.saturating_sub(self.filled_at).min(SECOND);
        self.tokens = (self.tokens + elapsed as f64 * self.rate).min(depth);
        self.filled_at = now;
        if self.tokens >= 0.0 {
            return now;
        }
        // Waits for a few packets at a time rather than for each.
        let wanted = (depth / 4.0) - self.tokens;
        now + (wanted / self.rate) as Nanos + 1
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        if self.rate > 0.0 {
            self.tokens -= bytes as f64;
        }
    }
}

//! Round-trip time and the retransmission time-out (RFC 9260 §6.3).

use std::time::Duration;

use crate::Config;
use crate::clock::{MILLISECOND, Nanos, SECOND, nanos};

/// The smallest round-trip time is forgotten after one to two of these.
const MIN_RTT_AGE: Nanos = 15 * SECOND;

/// No setting makes the time-out shorter: a timer at zero would never let go.
const MIN_RTO: Nanos = MILLISECOND;

/// Round-trip time estimates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    srtt: Nanos,
    variance: Nanos,
    backoff: u32,
    rto_initial: Nanos,
    rto_min: Nanos,
    rto_max: Nanos,
    /// Minima of the current and of the previous period.
    minima: [Nanos; 2],
    period_start: Nanos,
}

impl RttEstimator {
    pub(crate) fn new(config: &Config) -> Self {
        let rto_max = nanos(config.rto_max).max(MIN_RTO);
        Self {
            srtt: 0,
            variance: 0,
            backoff: 0,
            rto_initial: nanos(config.rto_initial).clamp(MIN_RTO, rto_max),
            rto_min: nanos(config.rto_min).min(rto_max),
            rto_max,
            minima: [Nanos::MAX; 2],
            period_start: 0,
        }
    }

    pub(crate) fn sample(&mut self, now: Nanos, rtt: Nanos) {
        let rtt = rtt.max(1_000);
        if now.saturating_sub(self.period_start) > MIN_RTT_AGE {
            self.minima = [Nanos::MAX, self.minima[0]];
            self.period_start = now;
        }
        self.minima[0] = self.minima[0].min(rtt);
        if self.srtt == 0 {
            self.srtt = rtt;
            self.variance = rtt / 2;
        } else {
            self.variance = (3 * self.variance + self.srtt.abs_diff(rtt)) / 4;
            self.srtt = (7 * self.srtt + rtt) / 8;
        }
        self.backoff = 0;
    }

    /// Takes an acknowledgement of something sent again, the last time `ago`. It may answer an
    /// earlier transmission, so it is no sample (RFC 9260 §6.3.1 C5); but the round trip is at least
    /// that long. When that alone exceeds the time-out, a path has become slow: the back-off stays,
    /// or nothing would be acknowledged before it is sent again.
    pub(crate) fn at_least(&mut self, ago: Nanos) {
        if self.srtt > 0 && ago > self.base() {
            self.variance = (3 * self.variance + self.srtt.abs_diff(ago)) / 4;
            self.srtt = (7 * self.srtt + ago) / 8;
        } else {
            self.backoff = 0;
        }
    }

    /// Zero before the first sample.
    pub(crate) fn srtt(&self) -> Nanos {
        self.srtt
    }

    /// Zero before the first sample.
    pub(crate) fn min(&self) -> Nanos {
        let min = self.minima[0].min(self.minima[1]);
        if min == Nanos::MAX { 0 } else { min }
    }

    pub(crate) fn rto(&self) -> Nanos {
        self.base().saturating_mul(1 << self.backoff.min(16)).min(self.rto_max)
    }

    /// The time-out without back-off.
    fn base(&self) -> Nanos {
        let base = if self.srtt == 0 {
            self.rto_initial
        } else {
            (self.srtt + 4 * self.variance).max(self.rto_min)
        };
        base.max(MIN_RTO)
    }

    /// Doubles the time-out until the next sample.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// Ends a back-off without a sample, once data was acknowledged.
    pub(crate) fn clear_backoff(&mut self) {
        self.backoff = 0;
    }
}

/// Nanoseconds as a duration.
pub(crate) fn duration(nanos: Nanos) -> Duration {
    Duration::from_nanos(nanos)
}

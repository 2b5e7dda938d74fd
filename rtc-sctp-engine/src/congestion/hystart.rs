//! Leaving slow start when the delay grows (HyStart++, RFC 9406, without its second phase).

use super::AckSample;
use crate::clock::{MILLISECOND, Nanos};
use crate::serial::Tsn;

/// Samples a round needs before its minimum counts.
const MIN_SAMPLES: u32 = 8;
/// Samples after which the minimum of a round stands for itself. A host that is busy for some
/// milliseconds delays dozens of packets in a row, which must not look like a queue.
const SETTLED_SAMPLES: u32 = 64;

/// The smallest round-trip time of this round and of the last, a round being the time until what
/// is outstanding at its start is acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    end: Tsn,
    samples: u32,
    minimum: Nanos,
    last_minimum: Nanos,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self { end: 0, samples: 0, minimum: Nanos::MAX, last_minimum: Nanos::MAX }
    }

    /// Takes a sample; returns true at the start of a round.
    pub(super) fn sample(&mut self, sample: &AckSample) -> bool {
        let new = sample.highest_acked >= self.end;
        if new {
            if self.samples > 0 {
                self.last_minimum = self.minimum;
            }
            self.end = sample.next_tsn;
            self.samples = 0;
            self.minimum = Nanos::MAX;
        }
        if let Some(rtt) = sample.rtt {
            self.minimum = self.minimum.min(rtt);
            self.samples += 1;
        }
        new
    }

    /// Whether the delay grew from the last round to this one as a filling queue makes it grow.
    pub(super) fn delay_grows(&self) -> bool {
        if self.samples < MIN_SAMPLES || self.last_minimum == Nanos::MAX {
            return false;
        }
        let threshold = (self.last_minimum / 8).clamp(4 * MILLISECOND, 16 * MILLISECOND);
        self.minimum >= self.last_minimum + threshold
    }

    /// The smallest round-trip time lately, over many packets or a whole round; `None` before any.
    pub(super) fn recent_minimum(&self) -> Option<Nanos> {
        let recent = if self.samples >= SETTLED_SAMPLES || self.last_minimum == Nanos::MAX {
            self.minimum
        } else {
            self.last_minimum.min(self.minimum)
        };
        (recent != Nanos::MAX).then_some(recent)
    }
}

//! Time inside the engine: nanoseconds since the first call that carried a time.

use std::time::{Duration, Instant};

/// Nanoseconds since the epoch of the association.
pub(crate) type Nanos = u64;

pub(crate) const MILLISECOND: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// Converts between the caller's instants and [`Nanos`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    epoch: Option<Instant>,
}

impl Clock {
    /// `now` in nanoseconds; the first call sets the epoch. Starts above zero, so that zero can
    /// stand for "never".
    pub(crate) fn read(&mut self, now: Instant) -> Nanos {
        let epoch = *self.epoch.get_or_insert(now);
        nanos(now.saturating_duration_since(epoch)).saturating_add(SECOND)
    }

    /// The instant of a time that `read` returned or that was computed from one.
    pub(crate) fn instant(&self, at: Nanos) -> Option<Instant> {
        self.epoch?.checked_add(Duration::from_nanos(at.saturating_sub(SECOND)))
    }
}

/// Longest duration worked with, nine years: a few of them can be added up.
const MAX: Nanos = u64::MAX / 64;

/// A duration in nanoseconds, at most [`MAX`].
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(MAX).min(MAX)
}

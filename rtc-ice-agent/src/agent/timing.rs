//! When requests are sent again, and how many new ones may be sent.

use std::time::{Duration, Instant};

/// First retransmission timeout of a request (RFC 8445 §14.3).
pub(crate) const INITIAL_RTO: Duration = Duration::from_millis(500);
/// Time between new checks (Ta, RFC 8445 §14.2).
pub(crate) const PACING: Duration = Duration::from_millis(50);
/// How long an answer to the last transmission is awaited: 16 times [`INITIAL_RTO`]
/// (Rm, RFC 8489 §6.2.1).
const LAST_WAIT: Duration = Duration::from_secs(8);

/// Retransmission of one request (RFC 8489 §6.2.1).
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    transmissions_left: u8,
    rto: Duration,
    next: Instant,
    deadline: Instant,
}

/// What a [`Backoff`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Transmission,
    Failure,
}

impl Backoff {
    /// A request that is due at once and is transmitted at most `transmissions` times, at first
    /// after `rto`. However long that is, it fails when it would have failed with
    /// [`INITIAL_RTO`]; one that is transmitted once is waited for as long as a check.
    pub(crate) fn new(now: Instant, transmissions: u8, rto: Duration) -> Self {
        let waits = match transmissions {
            0 | 1 => 63,
            more => (1_u32 << (more - 1)) - 1,
        };
        let deadline = now + INITIAL_RTO * waits + LAST_WAIT;
        Self { transmissions_left: transmissions, rto, next: now, deadline }
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        if now >= self.deadline {
            return Due::Failure;
        }
        if now < self.next || self.transmissions_left == 0 {
            return Due::Nothing;
        }
        self.transmissions_left -= 1;
        self.next = now + self.rto;
        self.rto *= 2;
        Due::Transmission
    }

    /// Makes a transmission due at `at` if none is before, for there is reason to think that the
    /// last one was lost.
    pub(crate) fn hasten(&mut self, at: Instant) {
        self.next = self.next.min(at);
    }

    /// Whether there are no more transmissions.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.transmissions_left == 0
    }

    pub(crate) fn next(&self) -> Instant {
        if self.transmissions_left == 0 { self.deadline } else { self.next.min(self.deadline) }
    }
}

/// A token bucket: bursts of `capacity`, then one per `interval`.
#[derive(Debug)]
pub(crate) struct Pacer {
    capacity: u32,
    interval: Duration,
    /// When the bucket is full again.
    full_at: Option<Instant>,
}

impl Pacer {
    pub(crate) fn new(capacity: u32, interval: Duration) -> Self {
        Self { capacity, interval, full_at: None }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.available_at(now) > now {
            return false;
        }
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(full_at + self.interval);
        true
    }

    /// When there is a token, not before `now`.
    pub(crate) fn available_at(&self, now: Instant) -> Instant {
        let reserve = self.interval * self.capacity.saturating_sub(1);
        self.full_at.and_then(|at| at.checked_sub(reserve)).map_or(now, |at| at.max(now))
    }
}

//! One candidate pair and the requests that are under way on it.

use std::time::{Duration, Instant};

use rtc_core::backend::IceRole;

use super::timing::Backoff;
use crate::stun::TransactionId;

/// How long the peer's consent lasts (RFC 7675 §5.1).
pub(crate) const CONSENT_LIFETIME: Duration = Duration::from_secs(30);
/// How many unanswered consent checks fit into [`CONSENT_LIFETIME`].
const CONSENT_CHECKS: usize = 8;

/// RFC 8445 §6.1.2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairState {
    /// No check is needed any more.
    Frozen,
    /// To be checked.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// Checks were not answered, or refused.
    Failed,
}

#[derive(Debug)]
pub(crate) struct Pair {
    /// Index of the base.
    pub(crate) base: usize,
    /// Index of the remote candidate.
    pub(crate) remote: usize,
    pub(crate) priority: u64,
    pub(crate) state: PairState,
    /// To be checked before others (RFC 8445 §6.1.4.1).
    pub(crate) triggered: bool,
    /// An authenticated request came over it.
    pub(crate) heard: bool,
    /// The system could not send the last check.
    pub(crate) unreachable: bool,
    /// The peer has nominated it, which counts once our own check has succeeded.
    pub(crate) nomination_received: bool,
    pub(crate) nominated: bool,
    /// Index of the local candidate that the peer sees.
    pub(crate) local: Option<usize>,
    pub(crate) check: Option<OngoingCheck>,
    /// Present while consent is kept fresh.
    pub(crate) consent: Option<Consent>,
}

impl Pair {
    pub(crate) fn new(base: usize, remote: usize, priority: u64) -> Self {
        Self {
            base,
            remote,
            priority,
            state: PairState::Waiting,
            triggered: false,
            heard: false,
            unreachable: false,
            nomination_received: false,
            nominated: false,
            local: None,
            check: None,
            consent: None,
        }
    }

    /// Whether data can be sent over it.
    pub(crate) fn is_usable(&self) -> bool {
        self.state == PairState::Succeeded && self.consent.is_some()
    }

    /// Whether its check may still succeed.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, PairState::Waiting | PairState::InProgress) && !self.unreachable
    }

    /// Whether the request with this id was sent over it and an answer is awaited.
    pub(crate) fn awaits(&self, id: TransactionId) -> bool {
        self.check.as_ref().is_some_and(|check| check.id == id)
            || self.consent.as_ref().is_some_and(|consent| consent.awaits(id))
    }

    /// Ends all requests.
    pub(crate) fn stop(&mut self, state: PairState) {
        self.state = state;
        self.triggered = false;
        self.check = None;
        self.consent = None;
    }
}

/// A check that is not yet answered.
#[derive(Debug)]
pub(crate) struct OngoingCheck {
    pub(crate) id: TransactionId,
    pub(crate) backoff: Backoff,
    /// The role that its last transmission claimed.
    pub(crate) role: IceRole,
    /// Carries USE-CANDIDATE.
    pub(crate) nominates: bool,
    pub(crate) last_sent: Option<Instant>,
}

/// Consent freshness (RFC 7675).
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) expires: Instant,
    pub(crate) next_check: Instant,
    outstanding: [Option<TransactionId>; CONSENT_CHECKS],
    cursor: usize,
}

impl Consent {
    pub(crate) fn new(now: Instant, next_check: Instant) -> Self {
        Self {
            expires: now + CONSENT_LIFETIME,
            next_check,
            outstanding: [None; CONSENT_CHECKS],
            cursor: 0,
        }
    }

    pub(crate) fn sent(&mut self, id: TransactionId, next_check: Instant) {
        if let Some(slot) = self.outstanding.get_mut(self.cursor) {
            *slot = Some(id);
        }
        self.cursor = (self.cursor + 1) % CONSENT_CHECKS;
        self.next_check = next_check;
    }

    pub(crate) fn renew(&mut self, now: Instant) {
        self.expires = now + CONSENT_LIFETIME;
        self.outstanding = [None; CONSENT_CHECKS];
    }

    pub(crate) fn awaits(&self, id: TransactionId) -> bool {
        self.outstanding.contains(&Some(id))
    }
}

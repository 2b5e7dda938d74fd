//! Consent freshness (RFC 7675), which also keeps NAT bindings alive.

use std::time::{Duration, Instant};

use rand::Rng;

use super::Agent;
use super::pair::{Consent, Pair, PairState};

/// Shortest and longest time between consent checks, in milliseconds (RFC 7675 §5.1).
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 4_000..=6_000;

impl Agent {
    /// Notes that the peer answered on a pair.
    pub(super) fn grant_consent(&mut self, now: Instant, index: usize) {
        let next_check = self.next_consent_check(now);
        let Some(pair) = self.pairs.get_mut(index) else { return };
        match &mut pair.consent {
            Some(consent) => consent.renew(now),
            None => pair.consent = Some(Consent::new(now, next_check)),
        }
    }

    pub(super) fn next_consent_check(&mut self, now: Instant) -> Instant {
        now + Duration::from_millis(self.rng.random_range(INTERVAL_MS))
    }

    pub(super) fn advance_consent(&mut self, now: Instant) {
        self.drop_needless_consents();
        for index in 0..self.pairs.len() {
            let next_check = self.next_consent_check(now);
            let id = self.transaction_id();
            let Some(pair) = self.pairs.get_mut(index) else { return };
            let Some(consent) = &mut pair.consent else { continue };
            if consent.expires <= now {
                pair.stop(PairState::Failed);
                pair.nominated = false;
                continue;
            }
            let due = consent.next_check <= now;
            if due {
                consent.sent(id, next_check);
            }
            let wake_at = consent.next_check.min(consent.expires);
            if due {
                self.send_request(index, id, false);
            }
            self.wake_at(wake_at);
        }
    }

    /// Once there is a nominated pair, only it and others that the peer may use are kept fresh.
    fn drop_needless_consents(&mut self) {
        if !self.pairs.iter().any(|pair| pair.nominated) {
            return;
        }
        let needless = |pair: &&mut Pair| !pair.nominated && pair.check.is_none();
        for pair in self.pairs.iter_mut().filter(needless) {
            pair.consent = None;
        }
    }
}

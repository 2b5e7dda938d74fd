//! Choosing the pair: regular nomination (RFC 8445 §8.1.1), as soon as nothing better can come.

use std::time::{Duration, Instant};

use rtc_core::backend::IceRole;
use rtc_core::candidate::CandidateKind;
use rtc_core::state::IceState;

use super::pair::{Pair, PairState};
use super::{Agent, AgentEvent};

/// How long after the first success a better pair is waited for.
const NOMINATION_TIMEOUT: Duration = Duration::from_secs(2);

impl Agent {
    /// Nominates, if that is our part, and stops checks that nomination makes needless.
    pub(super) fn advance_nomination(&mut self, now: Instant) {
        if self.pairs.iter().any(|pair| pair.nominated) {
            self.freeze_others();
            return;
        }
        let Some(best) = self.best_usable() else { return };
        let nominating =
            self.pairs.iter().any(|pair| pair.check.as_ref().is_some_and(|c| c.nominates));
        if self.role == IceRole::Controlled || nominating {
            return;
        }
        let at = *self.nominate_at.get_or_insert(now + NOMINATION_TIMEOUT);
        if now >= at || self.is_settled(best) {
            self.start_check(now, best, true);
        } else {
            self.wake_at(at);
        }
    }

    /// Whether no better pair than this one is in sight.
    fn is_settled(&self, best: usize) -> bool {
        let Some(pair) = self.pairs.get(best) else { return false };
        let better = |other: &Pair| other.is_pending() && other.priority > pair.priority;
        if self.pairs.iter().any(better) {
            return false;
        }
        let kind = self.remote_candidates.get(pair.remote).map(|remote| &remote.candidate.kind);
        let relayed = kind == Some(&CandidateKind::Relayed) || self.relay_of(pair.base).is_some();
        !relayed || (self.end_of_remote_candidates && self.gathering.is_done())
    }

    fn best_usable(&self) -> Option<usize> {
        let usable = self.pairs.iter().enumerate().filter(|(_, pair)| pair.is_usable());
        usable.max_by_key(|(_, pair)| (pair.nominated, pair.priority)).map(|(index, _)| index)
    }

    fn freeze_others(&mut self) {
        for pair in &mut self.pairs {
            let answers_peer = pair.heard && self.role == IceRole::Controlled;
            if !pair.nominated && pair.is_pending() && !answers_peer {
                pair.stop(PairState::Frozen);
            }
        }
    }

    /// Uses the best pair, and reports what that means for the state.
    pub(super) fn advance_selection(&mut self, now: Instant) {
        let best = self.best_usable();
        if best.is_none() && self.selected.is_some() {
            self.fail(now);
            return;
        }
        let changed = best != self.selected;
        if changed {
            self.selected = best;
            self.events.push_back(AgentEvent::SelectedPair);
        }
        let Some(pair) = best.and_then(|index| self.pairs.get(index)) else { return };
        let nominated = pair.nominated;
        if self.state == IceState::Checking {
            self.set_state(IceState::Connected);
        }
        if nominated && (changed || self.state != IceState::Completed) {
            self.bind_selected(now);
            self.set_state(IceState::Completed);
        }
    }
}

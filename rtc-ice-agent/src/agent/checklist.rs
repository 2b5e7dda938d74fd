//! Sending checks: triggered ones first, then the best waiting pair, paced (RFC 8445 §6.1.4).

use std::time::{Duration, Instant};

use rtc_core::candidate::Candidate;

use super::candidates::{self, Base};
use super::pair::{OngoingCheck, Pair, PairState};
use super::timing::{Backoff, Due, INITIAL_RTO, PACING};
use super::{Agent, Carrier};
use crate::stun::{Check, TransactionId};
use rtc_core::candidate::CandidateKind;

/// Transmissions of a check.
const CHECK_TRANSMISSIONS: u8 = 7;
/// A check whose last transmission is younger than this is not sent again because the peer was
/// heard: it is most likely still on its way.
const TRIGGER_HOLDOFF: Duration = Duration::from_millis(20);

impl Agent {
    pub(super) fn advance_checks(&mut self, now: Instant) {
        if self.remote.is_none() {
            return;
        }
        self.retransmit_checks(now);
        self.start_triggered_checks(now);
        self.start_ordinary_checks(now);
    }

    fn retransmit_checks(&mut self, now: Instant) {
        for index in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get_mut(index) else { return };
            let Some(check) = &mut pair.check else { continue };
            match check.backoff.poll(now) {
                Due::Nothing => {}
                Due::Transmission => self.send_check(now, index),
                Due::Failure => {
                    pair.check = None;
                    pair.consent = None;
                    pair.state = PairState::Failed;
                }
            }
            let next = self.pairs.get(index).and_then(|pair| pair.check.as_ref());
            if let Some(at) = next.map(|check| check.backoff.next()) {
                self.wake_at(at);
            }
        }
    }

    fn start_triggered_checks(&mut self, now: Instant) {
        for index in 0..self.pairs.len() {
            if !self.pairs.get(index).is_some_and(|pair| pair.triggered) {
                continue;
            }
            if !self.triggered_pacer.take(now) {
                self.wake_at(self.triggered_pacer.available_at(now));
                return;
            }
            self.start_check(now, index, false);
        }
    }

    fn start_ordinary_checks(&mut self, now: Instant) {
        while let Some(index) = self.best_waiting() {
            if !self.check_pacer.take(now) {
                self.wake_at(self.check_pacer.available_at(now));
                return;
            }
            self.start_check(now, index, false);
        }
    }

    fn best_waiting(&self) -> Option<usize> {
        let waiting = |pair: &Pair| pair.state == PairState::Waiting && !pair.triggered;
        let candidates = self.pairs.iter().enumerate().filter(|(_, pair)| waiting(pair));
        candidates.max_by_key(|(_, pair)| pair.priority).map(|(index, _)| index)
    }

    /// Starts a check on a pair, in place of one that is under way.
    pub(super) fn start_check(&mut self, now: Instant, index: usize, nominates: bool) {
        // RFC 8445 §14.3: with many pairs under way, each is sent more rarely.
        let active = self.pairs.iter().filter(|pair| pair.is_pending()).count();
        let active = u32::try_from(active).unwrap_or(u32::MAX);
        let rto = INITIAL_RTO.max(PACING.saturating_mul(active));
        let id = self.transaction_id();
        let base = self.pairs.get(index).and_then(|pair| self.bases.get(pair.base));
        // A connection sends again by itself (RFC 6544 §7.1).
        let transmissions = match base.map(Base::carrier) {
            Some(Carrier::Tcp) => 1,
            _ => CHECK_TRANSMISSIONS,
        };
        let mut backoff = Backoff::new(now, transmissions, rto);
        backoff.poll(now);
        self.wake_at(backoff.next());
        let role = self.role;
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.triggered = false;
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
        }
        pair.check = Some(OngoingCheck { id, backoff, role, nominates, last_sent: None });
        self.send_check(now, index);
    }

    fn send_check(&mut self, now: Instant, index: usize) {
        let role = self.role;
        let Some(pair) = self.pairs.get_mut(index) else { return };
        let Some(check) = &mut pair.check else { return };
        check.last_sent = Some(now);
        check.role = role;
        let (id, nominates) = (check.id, check.nominates);
        self.send_request(index, id, nominates);
    }

    /// Sends a Binding request with our present role over a pair.
    pub(super) fn send_request(&mut self, index: usize, id: TransactionId, nominates: bool) {
        let Some(remote) = &self.remote else { return };
        let Some(pair) = self.pairs.get(index) else { return };
        let Some(destination) = self.remote_candidates.get(pair.remote) else { return };
        let check = Check {
            id,
            username: (&remote.parameters.ufrag, &self.local.ufrag),
            priority: self.reflexive_priority(pair.base),
            role: self.role,
            tie_breaker: self.tie_breaker,
            use_candidate: nominates,
        };
        let (base, address, contents) = (pair.base, destination.address, check.encode(&remote.key));
        self.transmit(base, address, contents);
    }

    /// Checks a pair because the peer was heard on it (RFC 8445 §7.3.1.4).
    pub(super) fn trigger_check(&mut self, now: Instant, index: usize) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.unreachable = false;
        match (pair.state, &mut pair.check) {
            (PairState::Succeeded, _) => {}
            (PairState::InProgress, Some(check)) if !check.backoff.is_exhausted() => {
                let at = check.last_sent.map_or(now, |sent| (sent + TRIGGER_HOLDOFF).max(now));
                check.backoff.hasten(at);
            }
            _ => {
                pair.state = PairState::Waiting;
                pair.triggered = true;
            }
        }
    }

    /// Learns that the system could not send a datagram of ours. What it was for is not waited
    /// for, though a check is tried again.
    pub fn handle_send_failure(
        &mut self,
        now: Instant,
        local: std::net::SocketAddr,
        remote: std::net::SocketAddr,
    ) {
        self.server_unreachable(local, remote);
        self.relay_unreachable(local, remote);
        for pair in &mut self.pairs {
            let base = self.bases.get(pair.base).filter(|base| base.carrier() == Carrier::Udp);
            let base = base.map(|base| base.address);
            let address = self.remote_candidates.get(pair.remote).map(|remote| remote.address);
            if base == Some(local) && address == Some(remote) {
                pair.unreachable = true;
            }
        }
        self.advance(now);
    }

    /// Our candidate as the peer sees it on a pair.
    pub(super) fn local_candidate_of(&self, pair: &Pair) -> Option<Candidate> {
        let known = pair.local.and_then(|index| self.local_candidates.get(index));
        let own = || self.local_candidates.iter().find(|local| local.base == pair.base);
        if let Some(local) = known.or_else(own) {
            return Some(local.candidate.clone());
        }
        let base = self.bases.get(pair.base)?;
        let kind = CandidateKind::PeerReflexive;
        let priority = self.reflexive_priority(pair.base);
        let transport = base.transport.clone();
        Some(candidates::candidate(kind, transport, base.address, "0".to_owned(), priority))
    }
}

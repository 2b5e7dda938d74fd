//! ICE restart (RFC 8445 §9): new credentials and new checks, while data goes on over the old path.

use std::net::SocketAddr;
use std::time::Instant;

use rtc_core::backend::IceParameters;
use rtc_core::candidate::{Candidate, CandidateKind};
use rtc_core::error::{Error, Result};
use rtc_core::state::IceState;

use super::candidates::Base;
use super::gathering::Gathering;
use super::pair::Consent;
use super::{Agent, AgentEvent, Carrier, Remote, SelectedPair};
use crate::credentials;
use crate::stun::{self, Binding, Check, Class, Key};

/// The path that was in use at the restart. It carries data until the new checks have found one,
/// and is answered on until the peer's consent for it ends.
#[derive(Debug)]
pub(super) struct Previous {
    local: IceParameters,
    local_key: Key,
    remote: Remote,
    base: usize,
    address: SocketAddr,
    candidates: (Candidate, Candidate),
    consent: Consent,
}

impl Agent {
    /// Begins anew with fresh credentials, which are returned. Candidates that are still good are
    /// announced again; servers have to be added again, up to [`Agent::end_of_servers`]. The
    /// peer's new credentials are to follow.
    pub fn restart(&mut self, now: Instant) -> Result<IceParameters> {
        let fresh = self.fresh_parameters();
        self.restart_with(now, fresh)
    }

    /// Credentials for a restart.
    pub(crate) fn fresh_parameters(&mut self) -> IceParameters {
        credentials::generate(&mut self.rng)
    }

    /// The same as [`Self::restart`], with these credentials.
    pub(crate) fn restart_with(
        &mut self,
        now: Instant,
        local: IceParameters,
    ) -> Result<IceParameters> {
        if matches!(self.state, IceState::New | IceState::Closed) {
            return Err(Error::failure("restart ICE: it has not begun or has ended"));
        }
        let key = Key::new(&local.pwd);
        let old_local = std::mem::replace(&mut self.local, local);
        let old_key = std::mem::replace(&mut self.local_key, key);
        let old_remote = self.remote.take();
        if let Some(previous) = self.path_to_keep(old_local, old_key, old_remote) {
            self.previous = Some(previous);
        }
        self.tie_breaker = rand::Rng::random(&mut self.rng);
        self.pairs.clear();
        self.remote_candidates.clear();
        self.end_of_remote_candidates = false;
        self.selected = None;
        self.nominate_at = None;
        self.patience_until = None;
        self.release_relays_at = None;
        let mut lasting = std::mem::take(&mut self.local_candidates);
        lasting.retain(|local| match local.candidate.kind {
            CandidateKind::Host => true,
            CandidateKind::Relayed => self.bases.get(local.base).is_some_and(|b| self.is_live(b)),
            _ => false,
        });
        self.local_candidates = lasting;
        self.gathering = Gathering::begun(now);
        self.announce_all();
        self.set_state(IceState::Checking);
        self.advance(now);
        Ok(self.local.clone())
    }

    /// The user name fragment from before the last restart, as long as checks that use it are
    /// answered.
    pub(crate) fn previous_ufrag(&self) -> Option<&str> {
        self.previous.as_ref().map(|previous| previous.local.ufrag.as_str())
    }

    /// The path in use, with what is needed to go on using it.
    fn path_to_keep(
        &mut self,
        local: IceParameters,
        local_key: Key,
        remote: Option<Remote>,
    ) -> Option<Previous> {
        let SelectedPair { address, local: ours, remote: theirs, .. } = self.current_pair()?;
        let pair = self.selected.and_then(|index| self.pairs.get_mut(index))?;
        let (base, consent) = (pair.base, pair.consent.take()?);
        let candidates = (ours, theirs);
        Some(Previous { local, local_key, remote: remote?, base, address, candidates, consent })
    }

    /// The old path, as long as it is the one in use.
    pub(super) fn previous_pair(&self) -> Option<SelectedPair> {
        let previous = self.previous.as_ref()?;
        let (local, remote) = previous.candidates.clone();
        self.describe(previous.base, previous.address, local, remote)
    }

    pub(super) fn is_previous(&self, carrier: Carrier, address: SocketAddr) -> bool {
        let by = |base: usize| self.bases.get(base).map(Base::carrier);
        let same = |p: &Previous| p.address == address && by(p.base) == Some(carrier);
        self.previous.as_ref().is_some_and(same)
    }

    /// Keeps consent for the old path while it is in use; later lets it run out.
    pub(super) fn advance_previous(&mut self, now: Instant) {
        let id = self.transaction_id();
        let next_check = self.next_consent_check(now);
        let in_use = self.selected.is_none();
        let Some(previous) = &mut self.previous else { return };
        if previous.consent.expires <= now {
            self.previous = None;
            if in_use {
                self.events.push_back(AgentEvent::SelectedPair);
            }
            return;
        }
        let due = in_use && previous.consent.next_check <= now;
        if due {
            previous.consent.sent(id, next_check);
        }
        let expires = previous.consent.expires;
        let wake_at = if in_use { previous.consent.next_check.min(expires) } else { expires };
        if due {
            self.check_previous(id);
        }
        self.wake_at(wake_at);
    }

    fn check_previous(&mut self, id: stun::TransactionId) {
        let Some(previous) = &self.previous else { return };
        let check = Check {
            id,
            username: (&previous.remote.parameters.ufrag, &previous.local.ufrag),
            priority: self.reflexive_priority(previous.base),
            role: self.role,
            tie_breaker: self.tie_breaker,
            use_candidate: false,
        };
        let contents = check.encode(&previous.remote.key);
        let (base, address) = (previous.base, previous.address);
        self.transmit(base, address, contents);
    }

    /// Answers a check with the old credentials; false if the request is none.
    pub(super) fn answer_previous(
        &mut self,
        (carrier, local): (Carrier, SocketAddr),
        source: SocketAddr,
        request: &Binding<'_>,
    ) -> bool {
        let Some(previous) = &self.previous else { return false };
        let names = request.username();
        let expected = (&previous.local.ufrag, &previous.remote.parameters.ufrag);
        let known = self.known_base(carrier, local);
        let Some(base) = known.filter(|_| {
            names.as_ref().map(|(ours, theirs)| (ours, theirs)) == Some(expected)
                && request.verify(&previous.local_key)
        }) else {
            return false;
        };
        let answer = stun::success(request.transaction_id(), source, &previous.local_key);
        self.transmit(base, source, answer);
        true
    }

    /// Takes the answer to a consent check on the old path; false if it is none.
    pub(super) fn renew_previous(
        &mut self,
        now: Instant,
        source: SocketAddr,
        answer: &Binding<'_>,
    ) -> bool {
        let Some(previous) = &mut self.previous else { return false };
        let genuine = previous.consent.awaits(answer.transaction_id())
            && previous.address == source
            && answer.class() == Class::Success
            && answer.verify(&previous.remote.key);
        if genuine {
            previous.consent.renew(now);
            self.advance(now);
        }
        genuine
    }
}

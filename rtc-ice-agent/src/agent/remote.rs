//! The peer's candidates, and the pairs that they make with our bases (RFC 8445 §6.1.2).

use std::net::SocketAddr;
use std::time::Instant;

use rtc_core::backend::IceRole;
use rtc_core::candidate::{Candidate, CandidateKind, Transport};

use super::candidates::{self, RemoteCandidate};
use super::pair::{Pair, PairState};
use super::{Agent, Carrier, IceState};

/// Candidates of the peer at most, with peer-reflexive ones.
const MAX_REMOTE_CANDIDATES: usize = 256;
/// Pairs at most (RFC 8445 §6.1.2.5 asks for a limit).
const MAX_PAIRS: usize = 512;

impl Agent {
    /// Adds a candidate of the peer, whose host was found to be at `address`. One that cannot be
    /// used is ignored.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: &Candidate,
        address: SocketAddr,
    ) {
        let address = candidates::canonical(address);
        let usable = candidate.component == 1
            && matches!(candidate.transport, Transport::Udp | Transport::TcpPassive)
            && !matches!(candidate.kind, CandidateKind::Other(_))
            && candidates::is_checkable(address)
            && self.known_base(candidates::carrier_of(&candidate.transport), address).is_none();
        if !usable || matches!(self.state, IceState::Failed | IceState::Closed) {
            return;
        }
        if self.insert_remote(candidate.clone(), address).is_some() {
            self.advance(now);
        }
    }

    /// Says that the peer has no further candidates.
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.end_of_remote_candidates = true;
        self.advance(now);
    }

    /// Remembers a remote candidate and pairs it; what is known of its address stays. `None` when
    /// there are too many.
    fn insert_remote(&mut self, candidate: Candidate, address: SocketAddr) -> Option<usize> {
        if let Some(index) = self.remote_at(candidates::carrier_of(&candidate.transport), address) {
            let known = self.remote_candidates.get_mut(index)?;
            let signalled = known.candidate.kind == CandidateKind::PeerReflexive
                && candidate.kind != CandidateKind::PeerReflexive;
            if signalled || candidate.priority > known.candidate.priority {
                known.candidate = candidate;
                self.update_priorities();
            }
            return Some(index);
        }
        if self.remote_candidates.len() >= MAX_REMOTE_CANDIDATES {
            return None;
        }
        self.remote_candidates.push(RemoteCandidate { candidate, address });
        let index = self.remote_candidates.len() - 1;
        for base in 0..self.bases.len() {
            if !self.is_passive(base) {
                self.add_pair(base, index);
            }
        }
        Some(index)
    }

    /// The peer-reflexive candidate at `address`, new if there is none of any kind
    /// (RFC 8445 §7.3.1.3).
    pub(super) fn peer_reflexive(
        &mut self,
        base: usize,
        address: SocketAddr,
        priority: u32,
    ) -> Option<usize> {
        let transport = match self.bases.get(base)?.transport {
            Transport::TcpActive => Transport::TcpPassive,
            Transport::TcpPassive => Transport::TcpActive,
            _ => Transport::Udp,
        };
        if let Some(index) = self.remote_at(candidates::carrier_of(&transport), address) {
            return Some(index);
        }
        let foundation = format!("prflx{}", self.remote_candidates.len());
        let kind = CandidateKind::PeerReflexive;
        let candidate = candidates::candidate(kind, transport, address, foundation, priority);
        self.insert_remote(candidate, address)
    }

    fn remote_at(&self, carrier: Carrier, address: SocketAddr) -> Option<usize> {
        let there = |r: &RemoteCandidate| r.address == address && r.carrier() == carrier;
        self.remote_candidates.iter().position(there)
    }

    /// Whether connections to a base are waited for, so that it cannot check by itself.
    fn is_passive(&self, base: usize) -> bool {
        self.bases.get(base).is_some_and(|base| base.transport == Transport::TcpPassive)
    }

    /// Pairs every base with every remote candidate.
    pub(super) fn pair_all(&mut self) {
        for base in 0..self.bases.len() {
            if self.is_passive(base) {
                continue;
            }
            for remote in 0..self.remote_candidates.len() {
                self.add_pair(base, remote);
            }
        }
    }

    /// The pair of a base and a remote candidate, new if need be; `None` when they do not match or
    /// there are too many pairs of higher priority.
    pub(super) fn add_pair(&mut self, base: usize, remote: usize) -> Option<usize> {
        let known = |pair: &Pair| pair.base == base && pair.remote == remote;
        if let Some(index) = self.pairs.iter().position(known) {
            return Some(index);
        }
        let local = self.bases.get(base).filter(|base| self.is_live(base))?;
        let theirs = self.remote_candidates.get(remote)?;
        // RFC 6544 §6.2.
        let suited = matches!(
            (&local.transport, &theirs.candidate.transport),
            (Transport::Udp, Transport::Udp)
                | (Transport::TcpActive, Transport::TcpPassive)
                | (Transport::TcpPassive, Transport::TcpActive)
        );
        if !suited || local.address.is_ipv4() != theirs.address.is_ipv4() {
            return None;
        }
        let mut pair = Pair::new(base, remote, self.priority_of(base, remote));
        if self.pairs.iter().any(|pair| pair.nominated) {
            pair.state = PairState::Frozen;
        }
        if self.pairs.len() < MAX_PAIRS {
            self.pairs.push(pair);
            return Some(self.pairs.len() - 1);
        }
        let replaceable = |p: &Pair| p.state == PairState::Waiting || p.state == PairState::Failed;
        let lowest = self.pairs.iter_mut().enumerate().filter(|(_, pair)| replaceable(pair));
        let (index, slot) = lowest.min_by_key(|(_, pair)| pair.priority)?;
        if slot.priority >= pair.priority {
            return None;
        }
        *slot = pair;
        Some(index)
    }

    fn priority_of(&self, base: usize, remote: usize) -> u64 {
        let local = self.host_priority(base);
        let remote = self.remote_candidates.get(remote).map_or(0, |r| r.candidate.priority);
        match self.role {
            IceRole::Controlling => candidates::pair_priority(local, remote),
            IceRole::Controlled => candidates::pair_priority(remote, local),
        }
    }

    /// Priority of the candidate that a base has of its own.
    fn host_priority(&self, base: usize) -> u32 {
        let own = self
            .local_candidates
            .iter()
            .find(|local| local.base == base && local.candidate.kind == CandidateKind::Host);
        own.map_or_else(|| self.reflexive_priority(base), |local| local.candidate.priority)
    }

    /// The PRIORITY of checks sent from a base: that of a peer-reflexive candidate
    /// (RFC 8445 §7.1.1).
    pub(super) fn reflexive_priority(&self, base: usize) -> u32 {
        let Some(base) = self.bases.get(base) else { return 0 };
        candidates::priority(&CandidateKind::PeerReflexive, &base.transport, base.local_preference)
    }

    fn update_priorities(&mut self) {
        for index in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get(index) else { return };
            let priority = self.priority_of(pair.base, pair.remote);
            if let Some(pair) = self.pairs.get_mut(index) {
                pair.priority = priority;
            }
        }
    }

    /// Changes our role (RFC 8445 §7.3.1.1). A nomination of our own that is not yet confirmed is
    /// dropped.
    pub(super) fn set_role(&mut self, role: IceRole) {
        if self.role == role {
            return;
        }
        self.role = role;
        self.nominate_at = None;
        for pair in &mut self.pairs {
            if pair.check.as_ref().is_some_and(|check| check.nominates) {
                pair.check = None;
            }
        }
        self.update_priorities();
    }
}

//! Received datagrams: answering checks (RFC 8445 §7.3), taking answers to ours (§7.2.5), telling
//! data from noise.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rtc_core::backend::IceRole;
use rtc_core::candidate::{CandidateKind, Transport};
use rtc_core::state::IceState;

use super::pair::{Pair, PairState};
use super::{Agent, Carrier, Received, candidates};
use crate::stun::{self, Binding, Class};

/// Bases at most, with those that requests to addresses without a host candidate make.
const MAX_BASES: usize = 24;

impl Agent {
    /// Takes a datagram that arrived at `local` (the address it was sent to, as far as known, and
    /// the port of the socket) from `remote`.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Received {
        self.handle_frame(now, Carrier::Udp, local, remote, datagram)
    }

    /// The same for what another carrier brings: one frame of a connection that was made for a
    /// transmit with these addresses, or that came in at `local`.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Received {
        let (local, remote) = (candidates::canonical(local), candidates::canonical(remote));
        if matches!(self.state, IceState::New | IceState::Failed | IceState::Closed) {
            return Received::Drop;
        }
        let received = match self.handle_relayed(now, carrier, local, remote, datagram) {
            Some(received) => received,
            None if matches!(carrier, Carrier::TurnTcp | Carrier::TurnTls) => Received::Drop,
            None => self.handle_direct(now, carrier, local, remote, datagram),
        };
        self.flush_relays(now);
        received
    }

    /// Takes a datagram that comes from where it seems to come from.
    pub(super) fn handle_direct(
        &mut self,
        now: Instant,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Received {
        if !stun::is_stun(datagram) {
            let accepted = self.accepts_data_by(carrier, remote);
            return if accepted { Received::Data } else { Received::Drop };
        }
        let Some(message) = Binding::decode(datagram) else { return Received::Drop };
        let taken = match message.class() {
            Class::Request => self.handle_request(now, (carrier, local), remote, &message),
            Class::Success | Class::Error => self.handle_answer(now, remote, &message),
            // A keepalive (RFC 8445 §11), which asks for nothing.
            Class::Indication => false,
        };
        if taken { Received::Stun } else { Received::Drop }
    }

    /// Whether data from an address is passed on: the peer has proved that it is there.
    pub fn accepts_data(&self, remote: SocketAddr) -> bool {
        self.accepts_data_by(Carrier::Udp, remote)
    }

    /// The same for what another carrier brings.
    pub(super) fn accepts_data_by(&self, carrier: Carrier, remote: SocketAddr) -> bool {
        if matches!(self.state, IceState::Failed | IceState::Closed) {
            return false;
        }
        let remote = candidates::canonical(remote);
        let proved = |pair: &Pair| pair.heard || pair.state == PairState::Succeeded;
        let is_there = |pair: &Pair| {
            let candidate = self.remote_candidates.get(pair.remote);
            proved(pair) && candidate.is_some_and(|c| c.address == remote && c.carrier() == carrier)
        };
        let selected = self.selected.and_then(|index| self.pairs.get(index));
        self.is_previous(carrier, remote)
            || selected.is_some_and(is_there)
            || self.pairs.iter().any(is_there)
    }

    fn handle_request(
        &mut self,
        now: Instant,
        local: (Carrier, SocketAddr),
        source: SocketAddr,
        request: &Binding<'_>,
    ) -> bool {
        // Whoever cannot prove to know our password gets no answer at all, so that nobody can be
        // flooded through us.
        let Some(base) = self.authenticate(local, source, request) else {
            return self.answer_previous(local, source, request);
        };
        let id = request.transaction_id();
        let unknown = request.unknown_attributes();
        if !unknown.is_empty() {
            self.transmit(base, source, stun::unknown(id, &unknown, &self.local_key));
            return true;
        }
        let (Ok(role), Some(priority)) = (request.role(), request.priority()) else {
            self.transmit(base, source, stun::error(id, stun::BAD_REQUEST, &self.local_key));
            return true;
        };
        if role.is_some_and(|(role, tie_breaker)| !self.settle_roles(role, tie_breaker)) {
            self.transmit(base, source, stun::error(id, stun::ROLE_CONFLICT, &self.local_key));
            return true;
        }
        self.transmit(base, source, stun::success(id, source, &self.local_key));
        let remote = self.peer_reflexive(base, source, priority);
        if let Some(index) = remote.and_then(|remote| self.add_pair(base, remote)) {
            self.hear(now, index, request.use_candidate());
        }
        self.advance(now);
        true
    }

    /// Finds the base that a request of the peer arrived at; `None` unless the request is the
    /// peer's.
    fn authenticate(
        &mut self,
        local: (Carrier, SocketAddr),
        source: SocketAddr,
        request: &Binding<'_>,
    ) -> Option<usize> {
        let (ours, theirs) = request.username()?;
        let known = self.remote.as_ref().map(|remote| &remote.parameters.ufrag);
        let names_match = ours == self.local.ufrag && known.is_none_or(|ufrag| *ufrag == theirs);
        if !names_match || !candidates::is_checkable(source) || !request.verify(&self.local_key) {
            return None;
        }
        self.base_at(local)
    }

    /// The base with this address, new if a socket for all addresses received on one that had no
    /// host candidate.
    fn base_at(&mut self, (carrier, local): (Carrier, SocketAddr)) -> Option<usize> {
        if let Some(index) = self.known_base(carrier, local) {
            return Some(index);
        }
        if carrier != Carrier::Udp {
            return None;
        }
        let same_socket = |address: SocketAddr| {
            address.is_ipv4() == local.is_ipv4() && address.port() == local.port()
        };
        let sibling = self.bases.iter().position(|b| {
            b.relay.is_none() && b.carrier() == Carrier::Udp && same_socket(b.address)
        })?;
        let unknown = |ip: IpAddr| ip.is_unspecified() || ip.is_multicast();
        if unknown(local.ip()) || self.bases.len() >= MAX_BASES {
            return Some(sibling);
        }
        Some(self.add_base(Transport::Udp, local))
    }

    /// Resolves a role conflict; false when the peer is to change its role
    /// (RFC 8445 §7.3.1.1).
    fn settle_roles(&mut self, theirs: IceRole, tie_breaker: u64) -> bool {
        let we_win = self.tie_breaker >= tie_breaker;
        match (self.role, theirs) {
            (IceRole::Controlling, IceRole::Controlling) if we_win => false,
            (IceRole::Controlling, IceRole::Controlling) => {
                self.set_role(IceRole::Controlled);
                true
            }
            (IceRole::Controlled, IceRole::Controlled) if we_win => {
                self.set_role(IceRole::Controlling);
                true
            }
            (IceRole::Controlled, IceRole::Controlled) => false,
            _ => true,
        }
    }

    /// Notes that the peer checks a pair: checks it too, and takes a nomination.
    fn hear(&mut self, now: Instant, index: usize, use_candidate: bool) {
        let controlled = self.role == IceRole::Controlled;
        let settled = !controlled && self.pairs.iter().any(|pair| pair.nominated);
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.heard = true;
        if use_candidate && controlled {
            pair.nomination_received = true;
            pair.nominated |= pair.is_usable();
        }
        if pair.is_usable() || settled {
            return;
        }
        if pair.state == PairState::Succeeded {
            // Its consent was given up in favour of another pair; it has to be proved again.
            pair.state = PairState::Failed;
        }
        self.trigger_check(now, index);
    }

    fn handle_answer(&mut self, now: Instant, source: SocketAddr, answer: &Binding<'_>) -> bool {
        let id = answer.transaction_id();
        let Some(index) = self.pairs.iter().position(|pair| pair.awaits(id)) else {
            return self.renew_previous(now, source, answer)
                || self.handle_server_answer(now, source, answer);
        };
        let Some(remote) = &self.remote else { return false };
        if !answer.verify(&remote.key) {
            return false;
        }
        let expected = self.pairs.get(index).and_then(|p| self.remote_candidates.get(p.remote));
        let symmetric = expected.is_some_and(|remote| remote.address == source);
        match answer.class() {
            Class::Success if symmetric => self.check_succeeded(now, index, answer),
            Class::Success => self.check_refused(index),
            _ if answer.error_code() == Some(stun::ROLE_CONFLICT) => self.role_refused(index),
            _ => self.check_refused(index),
        }
        self.advance(now);
        true
    }

    fn check_succeeded(&mut self, now: Instant, index: usize, answer: &Binding<'_>) {
        let mapped = answer.mapped_address().map(candidates::canonical);
        let base = self.pairs.get(index).map(|pair| pair.base);
        // RFC 8445 §7.2.5.3.1: an address that is new to us is a peer-reflexive candidate.
        let local = mapped
            .filter(|mapped| candidates::is_checkable(*mapped))
            .zip(base)
            .and_then(|(mapped, base)| self.add_local(CandidateKind::PeerReflexive, mapped, base));
        self.grant_consent(now, index);
        let role = self.role;
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.local = local.or(pair.local);
        pair.unreachable = false;
        pair.state = PairState::Succeeded;
        let answered = pair.check.take_if(|check| check.id == answer.transaction_id());
        let nominated_by_us =
            answered.is_some_and(|c| c.nominates && c.role == IceRole::Controlling);
        pair.nominated |= match role {
            IceRole::Controlling => nominated_by_us,
            IceRole::Controlled => pair.nomination_received,
        };
    }

    fn check_refused(&mut self, index: usize) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        // Refused consent checks are merely not answered; consent then expires.
        if pair.check.is_some() {
            pair.stop(PairState::Failed);
        }
    }

    /// The peer insists on the role that our check claimed (RFC 8445 §7.2.5.1).
    fn role_refused(&mut self, index: usize) {
        let Some(check) = self.pairs.get_mut(index).and_then(|pair| pair.check.take()) else {
            return;
        };
        if check.role == self.role {
            self.set_role(match self.role {
                IceRole::Controlling => IceRole::Controlled,
                IceRole::Controlled => IceRole::Controlling,
            });
            self.tie_breaker = rand::Rng::random(&mut self.rng);
        }
        let Some(pair) = self.pairs.get_mut(index) else { return };
        if pair.state != PairState::Succeeded {
            pair.state = PairState::Waiting;
            pair.triggered = true;
        }
    }
}

//! Gathering: host candidates at once, server-reflexive ones as STUN servers answer
//! (RFC 8445 §5.1.1).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtc_core::candidate::{CandidateKind, Transport};
use rtc_core::state::IceState;

use super::candidates::{self, Base, LocalCandidate};
use super::timing::{Backoff, Due, INITIAL_RTO};
use super::{Agent, AgentEvent, Carrier};
use crate::relay::Relay;
use crate::stun::{self, Binding, Class, TransactionId};

/// Host candidates that are announced at most.
const MAX_HOSTS: usize = 16;
/// Local candidates at most, with reflexive ones.
const MAX_LOCAL_CANDIDATES: usize = 48;
/// Transmissions of a request to a STUN server.
const SERVER_TRANSMISSIONS: u8 = 6;
/// When gathering ends whatever is still missing: the time in which a request to a STUN server
/// fails.
const GATHERING_TIMEOUT: Duration = Duration::from_millis(23_500);
/// How often the bindings to STUN servers are refreshed while there is no nominated pair.
const SERVER_KEEPALIVE: Duration = Duration::from_secs(15);
/// Requests to STUN servers at most: servers times addresses times bases.
const MAX_SERVER_REQUESTS: usize = 32;

/// How far gathering has got.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    deadline: Option<Instant>,
    /// No further server will be added.
    servers_complete: bool,
    requests: Vec<ServerRequest>,
    done: bool,
}

impl Gathering {
    pub(super) fn begun(now: Instant) -> Self {
        Self { deadline: Some(now + GATHERING_TIMEOUT), ..Self::default() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

/// A Binding request to a STUN server from one base.
#[derive(Debug)]
struct ServerRequest {
    base: usize,
    server: SocketAddr,
    id: TransactionId,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Asking(Backoff),
    /// Answered; asked again at this time to keep the binding in NATs alive.
    Answered(Instant),
    Failed,
}

impl Agent {
    /// Starts gathering: `hosts` are the host addresses that were found, in the order of the
    /// interfaces; `sockets` the addresses that the sockets are bound to, which serve where a
    /// family has no host address. The state becomes checking. Servers may follow until
    /// [`Self::end_of_servers`].
    pub fn gather(&mut self, now: Instant, hosts: &[SocketAddr], sockets: &[SocketAddr]) {
        if self.state != IceState::New {
            return;
        }
        self.gathering = Gathering::begun(now);
        self.sockets = sockets.to_vec();
        self.has_ipv4 = hosts.iter().any(|host| candidates::canonical(*host).is_ipv4());
        self.has_ipv6 = hosts.iter().any(|host| candidates::canonical(*host).is_ipv6());
        if !self.relay_only {
            for host in hosts.iter().take(MAX_HOSTS) {
                self.add_host(Transport::Udp, candidates::canonical(*host));
            }
            for (transport, host) in std::mem::take(&mut self.tcp_hosts) {
                self.add_host(transport, candidates::canonical(host));
            }
            for socket in sockets {
                let serves = |b: &Base| {
                    b.carrier() == Carrier::Udp && b.address.is_ipv4() == socket.is_ipv4()
                };
                if !self.bases.iter().any(serves) {
                    self.add_base(Transport::Udp, *socket);
                }
            }
            self.announce_all();
            self.pair_all();
        }
        self.set_state(IceState::Checking);
        self.advance(now);
    }

    /// Adds an address of a STUN server.
    pub fn add_stun_server(&mut self, now: Instant, server: SocketAddr) {
        let server = candidates::canonical(server);
        if self.gathering.done || !candidates::is_checkable(server) {
            return;
        }
        for base in 0..self.bases.len() {
            let suits = |b: &Base| {
                b.relay.is_none()
                    && b.carrier() == Carrier::Udp
                    && b.address.is_ipv4() == server.is_ipv4()
            };
            let suited = self.bases.get(base).is_some_and(suits);
            if suited && self.gathering.requests.len() < MAX_SERVER_REQUESTS {
                let id = self.transaction_id();
                let backoff = Backoff::new(now, SERVER_TRANSMISSIONS, INITIAL_RTO);
                let progress = Progress::Asking(backoff);
                self.gathering.requests.push(ServerRequest { base, server, id, progress });
            }
        }
        self.advance(now);
    }

    /// Says that every server has been added.
    pub fn end_of_servers(&mut self, now: Instant) {
        self.gathering.servers_complete = true;
        self.advance(now);
    }

    fn add_host(&mut self, transport: Transport, address: SocketAddr) {
        let same = |base: &Base| base.address == address && base.transport == transport;
        if self.bases.iter().any(same) {
            return;
        }
        let base = self.add_base(transport, address);
        self.add_local(CandidateKind::Host, address, base);
    }

    /// The base with this address.
    pub(super) fn known_base(&self, carrier: Carrier, address: SocketAddr) -> Option<usize> {
        let there = |base: &Base| base.address == address && base.carrier() == carrier;
        self.bases.iter().position(there)
    }

    pub(super) fn add_base(&mut self, transport: Transport, address: SocketAddr) -> usize {
        let local_preference = candidates::local_preference(address.ip(), self.bases.len());
        self.bases.push(Base { address, local_preference, relay: None, transport });
        self.bases.len() - 1
    }

    /// Adds a local candidate and returns its index, or that of the one with the same address and
    /// base.
    pub(super) fn add_local(
        &mut self,
        kind: CandidateKind,
        address: SocketAddr,
        base: usize,
    ) -> Option<usize> {
        let same = |known: &LocalCandidate| known.address == address && known.base == base;
        if let Some(known) = self.local_candidates.iter().position(same) {
            return Some(known);
        }
        let index = self.local_candidates.len();
        if index >= MAX_LOCAL_CANDIDATES {
            return None;
        }
        let transport = self.bases.get(base)?.transport.clone();
        let preference = candidates::local_preference(address.ip(), index);
        let priority = candidates::priority(&kind, &transport, preference);
        let foundation = (index + 1).to_string();
        let candidate = candidates::candidate(kind, transport, address, foundation, priority);
        self.local_candidates.push(LocalCandidate { candidate, address, base });
        Some(index)
    }

    /// Reports all local candidates, the best first.
    pub(super) fn announce_all(&mut self) {
        let mut all: Vec<_> =
            self.local_candidates.iter().map(|local| local.candidate.clone()).collect();
        all.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        self.events.extend(all.into_iter().map(AgentEvent::Candidate));
    }

    pub(super) fn advance_gathering(&mut self, now: Instant) {
        self.ask_servers(now);
        if self.gathering.done {
            return;
        }
        let asking = self
            .gathering
            .requests
            .iter()
            .any(|request| matches!(request.progress, Progress::Asking(_)))
            || self.relays.iter().any(Relay::is_asking);
        let late = self.gathering.deadline.is_some_and(|at| at <= now);
        if late || (self.gathering.servers_complete && !asking) {
            self.gathering.done = true;
            self.relays.iter_mut().filter(|relay| relay.is_asking()).for_each(Relay::end);
            self.events.push_back(AgentEvent::GatheringDone);
        } else if let Some(deadline) = self.gathering.deadline {
            self.wake_at(deadline);
        }
    }

    fn ask_servers(&mut self, now: Instant) {
        let settled = self.pairs.iter().any(|pair| pair.nominated);
        for index in 0..self.gathering.requests.len() {
            let fresh_id = self.transaction_id();
            let Some(request) = self.gathering.requests.get_mut(index) else { return };
            let send = match &mut request.progress {
                Progress::Asking(backoff) => match backoff.poll(now) {
                    Due::Nothing => false,
                    Due::Transmission => true,
                    Due::Failure => {
                        request.progress = Progress::Failed;
                        false
                    }
                },
                Progress::Answered(refresh) if *refresh <= now && !settled => {
                    *refresh = now + SERVER_KEEPALIVE;
                    request.id = fresh_id;
                    true
                }
                Progress::Answered(_) | Progress::Failed => false,
            };
            let next = match &request.progress {
                Progress::Asking(backoff) => Some(backoff.next()),
                Progress::Answered(refresh) if !settled => Some(*refresh),
                Progress::Answered(_) | Progress::Failed => None,
            };
            let (base, server, id) = (request.base, request.server, request.id);
            if let Some(at) = next {
                self.wake_at(at);
            }
            if send {
                self.transmit(base, server, stun::server_request(id));
            }
        }
    }

    /// Takes the answer of a STUN server; false if it is not the answer to a request of ours.
    pub(super) fn handle_server_answer(
        &mut self,
        now: Instant,
        source: SocketAddr,
        message: &Binding<'_>,
    ) -> bool {
        let id = message.transaction_id();
        let asked = |r: &&mut ServerRequest| r.id == id && r.server == source;
        let Some(request) = self.gathering.requests.iter_mut().find(asked) else { return false };
        let base = request.base;
        let mapped = match message.class() {
            Class::Success => message.mapped_address().map(candidates::canonical),
            _ => None,
        };
        match (&request.progress, mapped) {
            (Progress::Asking(_), Some(mapped)) => {
                request.progress = Progress::Answered(now + SERVER_KEEPALIVE);
                self.add_server_reflexive(mapped, base);
            }
            (Progress::Asking(_), None) => request.progress = Progress::Failed,
            (Progress::Answered(_) | Progress::Failed, _) => {}
        }
        self.advance(now);
        true
    }

    /// Announces a server-reflexive candidate unless one with the same address has been
    /// (RFC 8445 §5.1.3).
    fn add_server_reflexive(&mut self, mapped: SocketAddr, base: usize) {
        if self.gathering.done || !candidates::is_checkable(mapped) {
            return;
        }
        if self.local_candidates.iter().any(|known| known.address == mapped) {
            return;
        }
        let added = self.add_local(CandidateKind::ServerReflexive, mapped, base);
        self.announce(added);
    }

    /// Reports a local candidate.
    pub(super) fn announce(&mut self, index: Option<usize>) {
        if let Some(local) = index.and_then(|index| self.local_candidates.get(index)) {
            self.events.push_back(AgentEvent::Candidate(local.candidate.clone()));
        }
    }

    /// Gives up a request to a server that the system cannot send to.
    pub(super) fn server_unreachable(&mut self, local: SocketAddr, server: SocketAddr) {
        let Some(base) = self.known_base(Carrier::Udp, local) else { return };
        for request in &mut self.gathering.requests {
            let asking = matches!(request.progress, Progress::Asking(_));
            if asking && request.base == base && request.server == server {
                request.progress = Progress::Failed;
            }
        }
    }
}

//! Two agents, their NATs and a STUN server on a network with virtual time, seeded loss and delay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtc_core::backend::{IceParameters, IceRole};
use rtc_core::candidate::Candidate;
use rtc_core::state::IceState;
use stun_types::attribute::{ErrorCode, MessageIntegrity};
use stun_types::message::{Message, MessageWriteVec};
use stun_types::prelude::{MessageWrite, MessageWriteExt};
use turn_server_proto::api::{SocketAllocateError, Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::attribute::{AdditionalAddressFamily, RequestedAddressFamily};
use turn_server_proto::types::message::ALLOCATE;
use turn_server_proto::types::{AddressFamily, Instant as TurnInstant, TransportType};

use crate::agent::{Agent, AgentConfig, AgentEvent, Carrier, Received};
use crate::stun;

pub(super) const STUN_SERVER: &str = "198.51.100.3:3478";
pub(super) const TURN_SERVER: &str = "198.51.100.9:3478";
/// The address of the TURN server's relays for IPv6.
const TURN_IPV6: &str = "2001:db8:ffff::9";
const TURN_USER: &str = "user";
const TURN_PASSWORD: &str = "password";

/// How a NAT maps and filters (RFC 4787 §4.1, §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NatKind {
    /// One outside port for all destinations; only those sent to may answer.
    PortRestricted,
    /// Another outside port for each destination.
    Symmetric,
}

#[derive(Debug)]
struct Nat {
    kind: NatKind,
    outside: SocketAddr,
    /// Inside and destination to outside.
    mappings: Vec<(SocketAddr, SocketAddr, SocketAddr)>,
}

impl Nat {
    fn out(&mut self, inside: SocketAddr, destination: SocketAddr) -> SocketAddr {
        let known = |(i, d, _): &&(SocketAddr, SocketAddr, SocketAddr)| {
            *i == inside && (*d == destination || self.kind == NatKind::PortRestricted)
        };
        let outside = match self.mappings.iter().find(known) {
            Some((_, _, outside)) => *outside,
            None => {
                let port = self.outside.port() + u16::try_from(self.mappings.len()).unwrap();
                SocketAddr::new(self.outside.ip(), port)
            }
        };
        if !self.mappings.contains(&(inside, destination, outside)) {
            self.mappings.push((inside, destination, outside));
        }
        outside
    }

    fn into(&self, source: SocketAddr, outside: SocketAddr) -> Option<SocketAddr> {
        let allowed =
            |(_, d, o): &&(SocketAddr, SocketAddr, SocketAddr)| *d == source && *o == outside;
        self.mappings.iter().find(allowed).map(|(inside, _, _)| *inside)
    }
}

/// One side.
pub(super) struct Node {
    pub(super) agent: Agent,
    hosts: Vec<SocketAddr>,
    nat: Option<Nat>,
    /// With the time since the start.
    pub(super) events: Vec<(Duration, AgentEvent)>,
    pub(super) data: Vec<Vec<u8>>,
    /// Datagrams sent.
    pub(super) sent: usize,
}

impl Node {
    pub(super) fn new(role: IceRole, seed: u8, hosts: &[&str]) -> Self {
        let config = AgentConfig { role, relay_only: false, seed: [seed; 32] };
        Self {
            agent: Agent::new(config),
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            nat: None,
            events: Vec::new(),
            data: Vec::new(),
            sent: 0,
        }
    }

    pub(super) fn behind(mut self, kind: NatKind, outside: &str) -> Self {
        let outside = outside.parse().unwrap();
        self.nat = Some(Nat { kind, outside, mappings: Vec::new() });
        self
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(_, event): &(Duration, AgentEvent)| match event {
            AgentEvent::Candidate(candidate) => Some(candidate.clone()),
            _ => None,
        };
        self.events.iter().filter_map(candidate).collect()
    }

    /// When the state was reported, since the start.
    pub(super) fn reached(&self, state: IceState) -> Option<Duration> {
        let wanted = AgentEvent::State(state);
        self.events.iter().find(|(_, event)| *event == wanted).map(|(at, _)| *at)
    }

    pub(super) fn states(&self) -> Vec<IceState> {
        let state = |(_, event): &(Duration, AgentEvent)| match event {
            AgentEvent::State(state) => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    pub(super) fn parameters(&self) -> IceParameters {
        self.agent.local_parameters().clone()
    }
}

/// Sides of a [`Net`].
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

pub(super) struct Net {
    start: Instant,
    pub(super) now: Instant,
    rng: StdRng,
    /// Share of datagrams that are lost, 0 to 1.
    pub(super) loss: f64,
    pub(super) delay: Duration,
    /// Nothing arrives at these addresses any more.
    pub(super) dead: Vec<SocketAddr>,
    in_flight: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sequence: u64,
    turn: TurnServer,
    /// Families that the TURN server gives addresses of.
    pub(super) grants: Vec<AddressFamily>,
    /// The error with which the TURN server answers whoever wants addresses of both families.
    pub(super) refuses_both_by: Option<u16>,
    /// Relayed addresses that the TURN server has given out.
    pub(super) relayed: Vec<SocketAddr>,
    watch: Option<SocketAddr>,
    /// What came from the watched address.
    pub(super) watched: Vec<Vec<u8>>,
    pub(super) nodes: [Node; 2],
}

impl Net {
    pub(super) fn new(seed: u64, a: Node, b: Node) -> Self {
        let start = Instant::now();
        let server = TURN_SERVER.parse().unwrap();
        let mut turn = TurnServer::new(TransportType::Udp, server, "realm".to_owned());
        turn.add_user(TURN_USER.to_owned(), TURN_PASSWORD.to_owned());
        Self {
            turn,
            grants: vec![AddressFamily::IPV4],
            refuses_both_by: None,
            relayed: Vec::new(),
            watch: None,
            watched: Vec::new(),
            start,
            now: start,
            rng: StdRng::seed_from_u64(seed),
            loss: 0.0,
            delay: Duration::from_millis(10),
            dead: Vec::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            nodes: [a, b],
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Gathers with or without the STUN server.
    pub(super) fn gather(&mut self, side: usize, with_server: bool) {
        let now = self.now;
        let node = &mut self.nodes[side];
        let hosts = node.hosts.clone();
        node.agent.gather(now, &hosts, &[]);
        if with_server {
            node.agent.add_stun_server(now, STUN_SERVER.parse().unwrap());
        }
        node.agent.end_of_servers(now);
        self.flush();
    }

    /// Gathers with the TURN server, with this password.
    pub(super) fn gather_relayed(&mut self, side: usize, password: &str) {
        let now = self.now;
        let node = &mut self.nodes[side];
        let hosts = node.hosts.clone();
        node.agent.gather(now, &hosts, &hosts);
        let server = TURN_SERVER.parse().unwrap();
        node.agent.add_turn_server(now, Carrier::Udp, server, TURN_USER, password);
        node.agent.end_of_servers(now);
        self.flush();
    }

    /// Gives `side` what it needs to know of the other side at present.
    pub(super) fn signal_to(&mut self, side: usize) {
        self.give_parameters(side);
        for candidate in self.nodes[1 - side].candidates() {
            self.give_candidate(side, &candidate);
        }
    }

    pub(super) fn give_parameters(&mut self, side: usize) {
        let remote = self.nodes[1 - side].parameters();
        self.nodes[side].agent.set_remote_parameters(self.now, &remote).unwrap();
        self.flush();
    }

    pub(super) fn give_candidate(&mut self, side: usize, candidate: &Candidate) {
        let address = SocketAddr::new(candidate.host.parse().unwrap(), candidate.port);
        self.nodes[side].agent.add_remote_candidate(self.now, candidate, address);
        self.flush();
    }

    /// Gathers on both sides and tells both everything.
    pub(super) fn connect(&mut self) {
        self.gather(A, false);
        self.gather(B, false);
        self.signal_to(B);
        self.signal_to(A);
    }

    pub(super) fn send_data(&mut self, side: usize, data: &[u8]) {
        let agent = &mut self.nodes[side].agent;
        let pair = agent.selected_pair().expect("a pair is selected");
        let Some((local, server)) = pair.relay else {
            self.carry(side, pair.base, pair.address, data.to_vec());
            return;
        };
        let mut wrapped = Vec::new();
        assert!(agent.wrap(self.now, pair.base, pair.address, data, &mut wrapped));
        self.carry(side, local, server, wrapped);
    }

    /// Keeps what comes from an address.
    pub(super) fn watch(&mut self, address: &str) {
        self.watch = Some(address.parse().unwrap());
    }

    /// Puts a datagram of an attacker on the network.
    pub(super) fn inject(&mut self, from: &str, to: SocketAddr, datagram: Vec<u8>) {
        self.put(from.parse().unwrap(), to, datagram);
    }

    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.flush();
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, at most for `limit`; true if it was reached.
    pub(super) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    pub(super) fn run_until_both(&mut self, limit: Duration, state: IceState) -> bool {
        self.run_until(limit, |net| net.nodes.iter().all(|node| node.agent.state() == state))
    }

    /// Does the next thing if it happens before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
        let timeout = self.nodes.iter().filter_map(|node| node.agent.poll_timeout()).min();
        let Some(next) = arrival.into_iter().chain(timeout).min().filter(|at| *at <= end) else {
            return false;
        };
        assert!(next >= self.now || timeout.is_some_and(|at| at <= self.now), "time runs forward");
        self.now = self.now.max(next);
        while let Some(entry) = self.in_flight.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (from, to, datagram) = entry.remove();
            self.arrive(from, to, &datagram);
        }
        for node in &mut self.nodes {
            node.agent.handle_timeout(self.now);
            let next = node.agent.poll_timeout();
            assert!(next.is_none_or(|at| at > self.now), "a timeout is not asked for again");
        }
        self.flush();
        true
    }

    fn flush(&mut self) {
        for side in [A, B] {
            while let Some(transmit) = self.nodes[side].agent.poll_transmit() {
                self.carry(side, transmit.local, transmit.remote, transmit.contents);
            }
            let elapsed = self.elapsed();
            let node = &mut self.nodes[side];
            while let Some(event) = node.agent.poll_event() {
                node.events.push((elapsed, event));
            }
        }
    }

    fn carry(&mut self, side: usize, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let node = &mut self.nodes[side];
        node.sent += 1;
        let from = node.nat.as_mut().map_or(from, |nat| nat.out(from, to));
        self.put(from, to, datagram);
    }

    fn put(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        if self.dead.contains(&to) || self.dead.contains(&from) {
            return;
        }
        if self.loss > 0.0 && self.rng.random_bool(self.loss) {
            return;
        }
        if self.watch == Some(from) {
            self.watched.push(datagram.clone());
        }
        self.sequence += 1;
        self.in_flight.insert((self.now + self.delay, self.sequence), (from, to, datagram));
    }

    /// Gives a datagram to the TURN server, and carries what it sends.
    fn arrive_at_turn(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let elapsed = self.elapsed() + Duration::from_secs(1000);
        let now = TurnInstant::from_nanos(i64::try_from(elapsed.as_nanos()).unwrap());
        if let Some(refusal) = self.refusal_of_both(datagram) {
            self.put(to, from, refusal);
            return;
        }
        let received = Transmit::new(datagram.to_vec(), TransportType::Udp, from, to);
        if let Some(answer) = self.turn.recv(received, now) {
            let answer = answer.build();
            self.put(answer.from, answer.to, answer.data);
        }
        let mut asked = Vec::new();
        while let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = self.turn.poll(now)
        {
            let granted = self.grant(to, family);
            asked.push((
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
                granted,
            ));
        }
        // The server forgets a client whose last answer is a refusal.
        asked.sort_by_key(|(.., granted)| granted.is_ok());
        for (transport, listen, client, allocation, family, granted) in asked {
            self.turn.allocated_socket(transport, listen, client, allocation, family, granted, now);
        }
        while let Some(transmit) = self.turn.poll_transmit(now) {
            self.put(transmit.from, transmit.to, transmit.data);
        }
    }

    /// The relayed address of the TURN server at `listen` for its next client.
    fn grant(
        &mut self,
        listen: SocketAddr,
        family: AddressFamily,
    ) -> Result<SocketAddr, SocketAllocateError> {
        if !self.grants.contains(&family) {
            return Err(SocketAllocateError::AddressFamilyNotSupported);
        }
        let ip = match family {
            AddressFamily::IPV6 => TURN_IPV6.parse().unwrap(),
            _ => listen.ip(),
        };
        let port = 49_152 + u16::try_from(self.relayed.len()).unwrap();
        self.relayed.push(SocketAddr::new(ip, port));
        Ok(SocketAddr::new(ip, port))
    }

    /// What a server says that has no patience with requests for both families. Of those for IPv4
    /// alone it refuses the same that [`TurnServer`] would, which takes none from the same client
    /// afterwards that bring no credentials.
    fn refusal_of_both(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let code = self.refuses_both_by?;
        let request = Message::from_bytes(datagram).ok().filter(|r| r.has_method(ALLOCATE))?;
        request.attribute::<MessageIntegrity>().ok()?;
        let code = if request.attribute::<AdditionalAddressFamily>().is_ok() {
            code
        } else if request.attribute::<RequestedAddressFamily>().is_err() {
            Some(440).filter(|_| !self.grants.contains(&AddressFamily::IPV4))?
        } else {
            return None;
        };
        let mut answer = Message::builder_error(&request, MessageWriteVec::new());
        answer.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
        Some(answer.finish())
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if to == TURN_SERVER.parse().unwrap() || self.relayed.contains(&to) {
            self.arrive_at_turn(from, to, datagram);
            return;
        }
        if to == STUN_SERVER.parse().unwrap() {
            let request = stun::Binding::decode(datagram).expect("a request to the server");
            let answer = stun::server_answer(request.transaction_id(), from);
            self.put(to, from, answer);
            return;
        }
        for node in &mut self.nodes {
            let inside = match &node.nat {
                Some(nat) => nat.into(from, to),
                None => node.hosts.contains(&to).then_some(to),
            };
            let Some(local) = inside else { continue };
            match node.agent.handle_datagram(self.now, local, from, datagram) {
                Received::Data => node.data.push(datagram.to_vec()),
                Received::Relayed(part) => node.data.push(datagram[part].to_vec()),
                Received::Stun | Received::Drop => {}
            }
        }
        self.flush();
    }
}

//! The ICE agent as a pure state machine: datagrams, calls and time in; datagrams, events and the
//! time of the next call out. It has no sockets and no clock, and its random numbers come from a
//! seed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtc_core::backend::{IceCredentials, IceParameters, IceRole};
use rtc_core::candidate::{Candidate, Transport};
use rtc_core::error::{Error, Result};
use rtc_core::state::IceState;

mod candidates;
mod checklist;
mod consent;
mod gathering;
mod inbound;
mod nomination;
mod pair;
mod relaying;
mod remote;
mod restart;
mod streams;
mod timing;

use candidates::{Base, LocalCandidate, RemoteCandidate};
use gathering::Gathering;
use pair::Pair;
pub(crate) use relaying::MAX_RELAYS;
use restart::Previous;
use timing::{PACING, Pacer};

use crate::credentials;
use crate::relay::Relay;
use crate::stun::{Key, TransactionId};

/// How long to wait for a pair to succeed once both sides can check (RFC 8863): the time that one
/// check needs to fail.
const PATIENCE: Duration = Duration::from_millis(39_500);
/// Checks that may be sent at once before [`PACING`] applies.
const CHECK_BURST: u32 = 5;
/// Triggered checks that may be sent at once, and the time between further ones.
const TRIGGERED_BURST: u32 = 20;
const TRIGGERED_PACING: Duration = Duration::from_millis(10);

/// What an [`Agent`] needs to know at its start.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Our role unless a conflict changes it.
    pub role: IceRole,
    /// Use relayed candidates only.
    pub relay_only: bool,
    /// Where credentials, transaction ids and jitter come from; to be kept secret.
    pub seed: [u8; 32],
}

/// What a received datagram was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// STUN; the agent has dealt with it.
    Stun,
    /// Data from a validated address, for the user of the path.
    Data,
    /// The same, wrapped by a TURN server: it is this part of the datagram.
    Relayed(std::ops::Range<usize>),
    /// Neither: to be dropped.
    Drop,
}

/// What carries a datagram to where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// UDP.
    Udp,
    /// A TCP connection between the peers, framed as RFC 4571 says (RFC 6544).
    Tcp,
    /// A TCP connection to a TURN server.
    TurnTcp,
    /// A TLS connection to a TURN server.
    TurnTls,
}

/// A datagram that the agent wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTransmit {
    /// What to send it by. Anything but UDP needs a connection between `local` and `remote`, made
    /// when there is none.
    pub carrier: Carrier,
    /// The base to send from; an unspecified IP leaves the choice to the system. Where we connect,
    /// its port says nothing of that of the connection.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// The datagram.
    pub contents: Vec<u8>,
}

/// What happened to an [`Agent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEvent {
    /// The state changed.
    State(IceState),
    /// A local candidate was found.
    Candidate(Candidate),
    /// Every local candidate has been announced.
    GatheringDone,
    /// The pair in use changed.
    SelectedPair,
}

/// The pair in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedPair {
    /// What data is sent by.
    pub carrier: Carrier,
    /// The base to send from.
    pub base: SocketAddr,
    /// Where to send to.
    pub address: SocketAddr,
    /// Our address and the server's when the pair is relayed by us, in which case data goes
    /// through [`Agent::wrap`].
    pub relay: Option<(SocketAddr, SocketAddr)>,
    /// Our candidate.
    pub local: Candidate,
    /// The peer's candidate.
    pub remote: Candidate,
}

/// The peer's credentials.
#[derive(Debug)]
struct Remote {
    parameters: IceParameters,
    key: Key,
}

/// One ICE agent with one component.
#[derive(Debug)]
pub struct Agent {
    relay_only: bool,
    role: IceRole,
    tie_breaker: u64,
    rng: StdRng,
    state: IceState,
    local: IceParameters,
    local_key: Key,
    remote: Option<Remote>,
    /// The path from before a restart.
    previous: Option<Previous>,
    /// What the sockets are bound to.
    sockets: Vec<SocketAddr>,
    /// One of the host addresses is of IPv4.
    has_ipv4: bool,
    /// One of the host addresses is of IPv6.
    has_ipv6: bool,
    /// Addresses of candidates over TCP, until gathering begins.
    tcp_hosts: Vec<(Transport, SocketAddr)>,
    relays: Vec<Relay>,
    /// Datagrams to go through a relay: which one, to which peer.
    relay_queue: Vec<(usize, SocketAddr, Vec<u8>)>,
    /// When relays that are not in use are given back.
    release_relays_at: Option<Instant>,
    bases: Vec<Base>,
    local_candidates: Vec<LocalCandidate>,
    remote_candidates: Vec<RemoteCandidate>,
    end_of_remote_candidates: bool,
    gathering: Gathering,
    pairs: Vec<Pair>,
    /// Index of the pair in use.
    selected: Option<usize>,
    /// When the pair in use is nominated even though a better one may still succeed.
    nominate_at: Option<Instant>,
    /// When patience with checks that do not succeed ends.
    patience_until: Option<Instant>,
    check_pacer: Pacer,
    triggered_pacer: Pacer,
    next_timeout: Option<Instant>,
    transmits: VecDeque<AgentTransmit>,
    events: VecDeque<AgentEvent>,
}

impl Agent {
    /// An agent with fresh credentials.
    pub fn new(config: AgentConfig) -> Self {
        let mut rng = StdRng::from_seed(config.seed);
        let local = credentials::generate(&mut rng);
        Self {
            relay_only: config.relay_only,
            role: config.role,
            tie_breaker: rng.random(),
            rng,
            state: IceState::New,
            local_key: Key::new(&local.pwd),
            local,
            remote: None,
            previous: None,
            sockets: Vec::new(),
            has_ipv4: false,
            has_ipv6: false,
            tcp_hosts: Vec::new(),
            relays: Vec::new(),
            relay_queue: Vec::new(),
            release_relays_at: None,
            bases: Vec::new(),
            local_candidates: Vec::new(),
            remote_candidates: Vec::new(),
            end_of_remote_candidates: false,
            gathering: Gathering::default(),
            pairs: Vec::new(),
            selected: None,
            nominate_at: None,
            patience_until: None,
            check_pacer: Pacer::new(CHECK_BURST, PACING),
            triggered_pacer: Pacer::new(TRIGGERED_BURST, TRIGGERED_PACING),
            next_timeout: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Our credentials.
    pub fn local_parameters(&self) -> &IceParameters {
        &self.local
    }

    /// Replaces our credentials, which is of use only before the peer is told of them.
    pub fn set_local_credentials(&mut self, credentials: &IceCredentials) {
        self.local.ufrag = credentials.ufrag().to_owned();
        self.local.pwd = credentials.pwd().to_owned();
        self.local_key = Key::new(&self.local.pwd);
    }

    /// Our role at present.
    pub fn role(&self) -> IceRole {
        self.role
    }

    /// The state at present.
    pub fn state(&self) -> IceState {
        self.state
    }

    /// Sets the peer's credentials and starts checks. Equal ones have no effect; different ones
    /// are [`rtc_core::ErrorKind::InvalidArgument`] without a [`Self::restart`] of our own.
    pub fn set_remote_parameters(&mut self, now: Instant, remote: &IceParameters) -> Result<()> {
        credentials::validate(remote)?;
        if let Some(known) = &self.remote {
            let same = known.parameters.ufrag == remote.ufrag && known.parameters.pwd == remote.pwd;
            return if same {
                Ok(())
            } else {
                Err(Error::invalid("set remote ICE credentials: they change without a restart"))
            };
        }
        if remote.lite {
            // RFC 8445 §6.1.1: the full agent controls.
            self.set_role(IceRole::Controlling);
        }
        self.remote = Some(Remote { key: Key::new(&remote.pwd), parameters: remote.clone() });
        self.advance(now);
        Ok(())
    }

    /// The pair in use.
    pub fn selected_pair(&self) -> Option<SelectedPair> {
        self.current_pair().or_else(|| self.previous_pair())
    }

    /// The pair in use, if the present checks have found it.
    fn current_pair(&self) -> Option<SelectedPair> {
        let pair = self.pairs.get(self.selected?)?;
        let remote = self.remote_candidates.get(pair.remote)?;
        let local = self.local_candidate_of(pair)?;
        self.describe(pair.base, remote.address, local, remote.candidate.clone())
    }

    fn describe(
        &self,
        base: usize,
        address: SocketAddr,
        local: Candidate,
        remote: Candidate,
    ) -> Option<SelectedPair> {
        let base = self.bases.get(base)?;
        let relay = base.relay.and_then(|index| self.relays.get(index));
        let carrier = relay.map_or(base.carrier(), |relay| relay.carrier);
        let relay = relay.map(|relay| (relay.local, relay.server));
        Some(SelectedPair { carrier, base: base.address, address, relay, local, remote })
    }

    /// Passes time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout.is_some_and(|at| at <= now) {
            self.advance(now);
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<AgentTransmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout
    }

    /// Does everything that is due and works out when something will be next.
    fn advance(&mut self, now: Instant) {
        self.next_timeout = None;
        if matches!(self.state, IceState::New | IceState::Failed | IceState::Closed) {
            return;
        }
        self.advance_relays(now);
        self.advance_gathering(now);
        self.advance_checks(now);
        self.advance_consent(now);
        self.advance_previous(now);
        self.advance_nomination(now);
        self.advance_selection(now);
        self.advance_patience(now);
        self.flush_relays(now);
    }

    /// Asks for another [`Self::advance`] at `at`.
    fn wake_at(&mut self, at: Instant) {
        self.next_timeout = Some(self.next_timeout.map_or(at, |next| next.min(at)));
    }

    fn set_state(&mut self, state: IceState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(AgentEvent::State(state));
        }
    }

    fn fail(&mut self, now: Instant) {
        self.previous = None;
        self.release_relays(now);
        self.pairs.iter_mut().for_each(|pair| pair.stop(pair::PairState::Failed));
        self.selected = None;
        self.next_timeout = None;
        self.set_state(IceState::Failed);
    }

    /// Ends in failure once patience is over and nothing is left to try (RFC 8863).
    fn advance_patience(&mut self, now: Instant) {
        if self.state != IceState::Checking || self.remote.is_none() || !self.gathering.is_done() {
            return;
        }
        let until = *self.patience_until.get_or_insert(now + PATIENCE);
        if now < until {
            self.wake_at(until);
        } else if !self.pairs.iter().any(Pair::is_pending) {
            self.fail(now);
        }
    }

    fn transaction_id(&mut self) -> TransactionId {
        self.rng.random::<u128>().into()
    }

    fn transmit(&mut self, base: usize, remote: SocketAddr, contents: Option<Vec<u8>>) {
        let (Some(base), Some(contents)) = (self.bases.get(base), contents) else { return };
        match base.relay {
            Some(relay) => self.relay_queue.push((relay, remote, contents)),
            None => {
                let (carrier, local) = (base.carrier(), base.address);
                self.transmits.push_back(AgentTransmit { carrier, local, remote, contents });
            }
        }
    }
}

#[cfg(test)]
mod tests;

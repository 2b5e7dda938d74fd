//! One allocation on a TURN server (RFC 8656), over the `turn-client-proto` state machine:
//! it authenticates, refreshes, installs permissions and binds channels. It has a relayed address
//! of each family that was asked for and that the server grants.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use stun_types::attribute::ErrorCode;
use stun_types::message::{Message, TransactionId};
use turn_client_proto::api::{
    Transmit, TransmitBuild, TurnClientApi, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild;
use turn_client_proto::types::{
    AddressFamily, Instant as TurnInstant, TransportType, TurnCredentials,
};
use turn_client_proto::udp::TurnClientUdp;

use crate::agent::Carrier;

/// Transmissions of a request, as for STUN servers: it fails after 23.5 s.
const TRANSMISSIONS: u32 = 6;
const INITIAL_RTO: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(8);
/// How long the answer to a request over TCP is waited for: as long as over UDP.
const WAIT_OVER_TCP: Duration = Duration::from_millis(23_500);
/// Datagrams kept while the permission to send them is asked for.
const MAX_WAITING: usize = 32;
/// Peer addresses that permissions are asked for.
const MAX_PERMISSIONS: usize = 256;
/// RFC 8489 §14.3; the password has no limit.
const MAX_USERNAME: usize = 508;
/// Polls in a row, after which it is somebody else's turn.
const MAX_POLLS: usize = 16;
/// Where the state machine's clock starts: it cannot tell times before its zero.
const EPOCH: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Relay {
    client: TurnClientUdp,
    /// What `client` was made of.
    config: TurnConfig,
    asks_for: Families,
    epoch: Instant,
    pub(crate) carrier: Carrier,
    /// Our address towards the server.
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
    state: State,
    /// Addresses that are not yet told.
    granted: Vec<SocketAddr>,
    /// Whether the peers that have channels are those reached by IPv4.
    channels_for_ipv4: Option<bool>,
    permissions: usize,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    transmits: VecDeque<Vec<u8>>,
    /// Transaction id of the last request.
    last_request: Option<TransactionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Allocated,
    Ended,
}

/// The families of the relayed addresses that a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    /// IPv4, and IPv6 besides (ADDITIONAL-ADDRESS-FAMILY, RFC 8656 §18.10). A server that knows
    /// nothing of the latter ignores it.
    Both,
    /// IPv4. The next that is asked for is IPv6, if `then_ipv6`.
    Ipv4 { then_ipv6: bool },
    /// IPv6 (REQUESTED-ADDRESS-FAMILY, RFC 8656 §18.6).
    Ipv6,
}

impl Families {
    /// IPv4, and perhaps IPv6.
    pub(crate) fn with_ipv6(ipv6: bool) -> Self {
        if ipv6 { Self::Both } else { Self::Ipv4 { then_ipv6: false } }
    }

    /// What to ask for when the server answers with this error (RFC 8656 §7.2, §19): a server that
    /// supports one family only need not say which, and one that stumbles over the second may
    /// still do what it always did.
    fn after(self, error: u16) -> Option<Self> {
        let of_family = matches!(
            error,
            ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED | ErrorCode::INSUFFICIENT_CAPACITY
        );
        match self {
            _ if matches!(error, ErrorCode::UNAUTHORIZED | ErrorCode::STALE_NONCE) => None,
            Self::Both => Some(Self::Ipv4 { then_ipv6: true }),
            Self::Ipv4 { then_ipv6: true } if of_family => Some(Self::Ipv6),
            Self::Ipv4 { .. } | Self::Ipv6 => None,
        }
    }

    fn set_in(self, config: &mut TurnConfig) {
        match self {
            Self::Both => config.add_address_family(AddressFamily::IPV6),
            Self::Ipv4 { .. } => config.set_address_family(AddressFamily::IPV4),
            Self::Ipv6 => config.set_address_family(AddressFamily::IPV6),
        }
    }
}

/// What a datagram from the server was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromServer {
    /// Nothing for this allocation.
    Ignored,
    Handled,
    /// A datagram of a peer: where it is in the one of the server.
    Data {
        peer: SocketAddr,
        range: Range<usize>,
    },
}

impl Relay {
    /// Asks for an allocation; `None` when the credentials cannot be sent.
    pub(crate) fn new(
        now: Instant,
        carrier: Carrier,
        local: SocketAddr,
        server: SocketAddr,
        families: Families,
        (username, password): (&str, &str),
    ) -> Option<Self> {
        if username.len() > MAX_USERNAME {
            return None;
        }
        let mut config = TurnConfig::new(TurnCredentials::new(username, password));
        // A connection sends again by itself (RFC 8489 §6.2.2).
        let (transmissions, last_wait) = match carrier {
            Carrier::Udp => (TRANSMISSIONS, LAST_WAIT),
            _ => (1, WAIT_OVER_TCP),
        };
        config.set_request_retransmits(INITIAL_RTO, Duration::MAX, transmissions, last_wait);
        families.set_in(&mut config);
        Some(Self {
            // What comes by a connection is cut into messages before it gets here, which makes it
            // the same as what comes by UDP.
            carrier,
            client: TurnClientUdp::allocate(local, server, config.clone()),
            config,
            asks_for: families,
            epoch: now,
            local,
            server,
            state: State::Asking,
            granted: Vec::new(),
            channels_for_ipv4: None,
            permissions: 0,
            waiting: VecDeque::new(),
            transmits: VecDeque::new(),
            last_request: None,
        })
    }

    /// Whether this is the way by which it is spoken to.
    pub(crate) fn is_at(&self, carrier: Carrier, server: SocketAddr) -> bool {
        self.carrier == carrier && self.server == server
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.state == State::Asking
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The relayed addresses, once.
    pub(crate) fn take_granted(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.granted)
    }

    /// The next datagram for the server.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Passes time; returns when to call again.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..MAX_POLLS {
            if self.state == State::Ended {
                self.collect(now);
                return None;
            }
            let next = self.client.poll(self.turn_time(now));
            self.collect(now);
            match next {
                TurnPollRet::WaitUntil(at) => {
                    let at = self.std_time(at);
                    if at > now {
                        return Some(at);
                    }
                }
                TurnPollRet::Closed => self.state = State::Ended,
                // TCP allocations (RFC 6062) are not asked for.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {}
            }
        }
        Some(now + Duration::from_millis(1))
    }

    /// Takes what the state machine wants sent and told.
    fn collect(&mut self, now: Instant) {
        let turn_now = self.turn_time(now);
        while let Some(transmit) = self.client.poll_transmit(turn_now) {
            let request = Message::from_bytes(&transmit.data).ok();
            self.last_request = request.map(|r| r.transaction_id()).or(self.last_request);
            self.transmits.push_back(transmit.data.to_vec());
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                TurnEvent::AllocationCreated(TransportType::Udp, relayed)
                    if self.state != State::Ended =>
                {
                    self.state = State::Allocated;
                    self.granted.push(relayed);
                }
                // The other family may have been granted.
                TurnEvent::AllocationCreateFailed(_) if self.state == State::Asking => self.end(),
                TurnEvent::PermissionCreated(_, ip) => self.send_waiting(now, ip),
                TurnEvent::PermissionCreateFailed(_, ip) => {
                    self.waiting.retain(|(peer, _)| peer.ip() != ip);
                }
                _ => {}
            }
        }
    }

    /// Takes a datagram of the server.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) -> FromServer {
        if let Some(families) = self.error_in(datagram).and_then(|e| self.asks_for.after(e)) {
            self.ask_for(families);
            return FromServer::Handled;
        }
        let transmit = Transmit::new(datagram, TransportType::Udp, self.server, self.local);
        match self.client.recv(transmit, self.turn_time(now)) {
            TurnRecvRet::Ignored(_) if self.is_refusal(datagram) => {
                self.end();
                FromServer::Handled
            }
            TurnRecvRet::Ignored(_) => FromServer::Ignored,
            TurnRecvRet::Handled | TurnRecvRet::PeerIcmp { .. } => FromServer::Handled,
            TurnRecvRet::PeerData(data) => match range_in(datagram, data.data()) {
                Some(range) => FromServer::Data { peer: data.peer, range },
                None => FromServer::Handled,
            },
        }
    }

    /// Whether the server will not have our credentials. Its answer cannot be authenticated, for
    /// which reason the state machine asks on and on.
    fn is_refusal(&self, datagram: &[u8]) -> bool {
        self.error_in(datagram) == Some(ErrorCode::UNAUTHORIZED)
    }

    /// The error that the last request for an allocation is answered with.
    fn error_in(&self, datagram: &[u8]) -> Option<u16> {
        if !self.is_asking() {
            return None;
        }
        let answer = Message::from_bytes(datagram).ok()?;
        let expected = Some(answer.transaction_id()) == self.last_request;
        let error = answer.attribute::<ErrorCode>().ok().filter(|_| expected)?;
        Some(error.code())
    }

    /// Asks anew, for an allocation of other families.
    fn ask_for(&mut self, families: Families) {
        families.set_in(&mut self.config);
        self.asks_for = families;
        self.client = TurnClientUdp::allocate(self.local, self.server, self.config.clone());
    }

    /// Sends a datagram to a peer, once the server permits it.
    pub(crate) fn send(&mut self, now: Instant, peer: SocketAddr, datagram: Vec<u8>) {
        let mut wrapped = Vec::new();
        if self.wrap(now, peer, &datagram, &mut wrapped) {
            self.transmits.push_back(wrapped);
            return;
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((peer, datagram));
        let turn_now = self.turn_time(now);
        // An error says that it is asked for already, or that there is no allocation any more.
        if self.permissions < MAX_PERMISSIONS
            && self.client.create_permission(TransportType::Udp, peer.ip(), turn_now).is_ok()
        {
            self.permissions += 1;
        }
    }

    fn send_waiting(&mut self, now: Instant, ip: IpAddr) {
        let mut wrapped = Vec::new();
        for (peer, datagram) in std::mem::take(&mut self.waiting) {
            if peer.ip() != ip {
                self.waiting.push_back((peer, datagram));
            } else if self.wrap(now, peer, &datagram, &mut wrapped) {
                self.transmits.push_back(std::mem::take(&mut wrapped));
            }
        }
    }

    /// Appends to `out` what has to be sent to the server for the peer to receive a datagram;
    /// false when there is no permission for the peer.
    pub(crate) fn wrap(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let turn_now = self.turn_time(now);
        match self.client.send_to(TransportType::Udp, peer, datagram, turn_now) {
            Ok(Some(TransmitBuild { data, .. })) => {
                let start = out.len();
                out.resize(start + data.len(), 0);
                if let Some(room) = out.get_mut(start..) {
                    data.write_into(room);
                }
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Asks for the short framing towards a peer (RFC 8656 §12). Only peers of the family of the
    /// first get it, for the state machine numbers the channels of each family from the start, and
    /// the server has one numbering for both.
    pub(crate) fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        if *self.channels_for_ipv4.get_or_insert(peer.is_ipv4()) != peer.is_ipv4() {
            return;
        }
        let turn_now = self.turn_time(now);
        // Without a channel the longer framing serves.
        let _ = self.client.bind_channel(TransportType::Udp, peer, turn_now);
    }

    /// Gives the allocation back.
    pub(crate) fn release(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        // Without an allocation there is nothing to give back.
        let _ = self.client.delete(self.turn_time(now));
        self.state = State::Ended;
        self.collect(now);
    }

    /// Gives up, for the server cannot be reached.
    pub(crate) fn end(&mut self) {
        self.client.protocol_error();
        self.state = State::Ended;
        self.waiting.clear();
    }

    fn turn_time(&self, now: Instant) -> TurnInstant {
        let elapsed = now.saturating_duration_since(self.epoch) + EPOCH;
        TurnInstant::from_nanos(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
    }

    fn std_time(&self, at: TurnInstant) -> Instant {
        let elapsed = at.saturating_duration_since(TurnInstant::from_nanos(0));
        self.epoch + elapsed.saturating_sub(EPOCH)
    }
}

/// Where `part` lies in `whole`, if it is a part of it.
fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

//! Relayed candidates: bases that live on a TURN server (RFC 8445 §5.1.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rtc_core::candidate::{CandidateKind, Transport};
use rtc_core::state::IceState;

use super::candidates::{self, Base};
use super::{Agent, AgentTransmit, Carrier, Received};
use crate::relay::{Families, FromServer, Relay};

/// Servers with an allocation at most: more would rarely connect what four do not, while each
/// costs candidates, which the peer has to check, and refreshes. An allocation may have an address
/// of each family.
pub(crate) const MAX_RELAYS: usize = 4;
/// How long after completion relays that are not in use are kept (RFC 8445 §8.3 asks for 3 s).
const RELEASE_DELAY: Duration = Duration::from_secs(5);

impl Agent {
    /// Which of a TURN server's addresses is to be given to [`Self::add_turn_server`]: one of a
    /// family that we have an address of, and of IPv4 rather than IPv6.
    pub(crate) fn turn_address(&self, found: &[SocketAddr]) -> Option<SocketAddr> {
        let is_far = |address: &SocketAddr| match address.ip().to_canonical() {
            IpAddr::V4(_) => !self.has_ipv4,
            IpAddr::V6(_) => !self.has_ipv6,
        };
        found.iter().copied().min_by_key(|address| (is_far(address), address.is_ipv6()))
    }

    /// Adds an address of a TURN server, and what carries datagrams to it. The server is asked for a
    /// relayed IPv4 address, and for an IPv6 address too where we have one or the server does.
    pub fn add_turn_server(
        &mut self,
        now: Instant,
        carrier: Carrier,
        server: SocketAddr,
        username: &str,
        password: &str,
    ) {
        let server = candidates::canonical(server);
        let socket = match carrier {
            Carrier::Udp => {
                self.sockets.iter().find(|socket| socket.is_ipv4() == server.is_ipv4()).copied()
            }
            Carrier::Tcp => None,
            // The address of the connection is not known yet, and does not matter.
            Carrier::TurnTcp | Carrier::TurnTls => Some(unspecified(server)),
        };
        let lasting = self.relays.iter().filter(|relay| !relay.is_ended());
        if self.gathering.is_done()
            || lasting.clone().count() >= MAX_RELAYS
            || lasting.clone().any(|relay| relay.is_at(carrier, server))
            || !candidates::is_checkable(server)
        {
            return;
        }
        let families = Families::with_ipv6(self.has_ipv6 || server.is_ipv6());
        let credentials = (username, password);
        if let Some(relay) =
            socket.and_then(|local| Relay::new(now, carrier, local, server, families, credentials))
        {
            self.relays.push(relay);
            self.advance(now);
        }
    }

    /// Gives allocations back, as far as one datagram each does, and ends.
    pub fn close(&mut self, now: Instant) {
        self.release_relays(now);
        self.selected = None;
        self.next_timeout = None;
        self.state = IceState::Closed;
    }

    /// Appends to `out` what has to be sent to the TURN server of a relayed pair for the peer to
    /// receive a datagram. False when it is to be dropped.
    pub fn wrap(
        &mut self,
        now: Instant,
        base: SocketAddr,
        peer: SocketAddr,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let of_relay = |known: &&Base| known.address == base && known.relay.is_some();
        let relay = self.bases.iter().find(of_relay).and_then(|base| base.relay);
        relay
            .and_then(|index| self.relays.get_mut(index))
            .is_some_and(|relay| relay.wrap(now, peer, datagram, out))
    }

    /// Whether datagrams from an address may be a TURN server's, to be given to
    /// [`Agent::handle_datagram`] even though they are no STUN.
    pub fn is_turn_server(&self, address: SocketAddr) -> bool {
        !self.relays.is_empty()
            && self
                .relays
                .iter()
                .any(|relay| relay.is_at(Carrier::Udp, candidates::canonical(address)))
    }

    /// Whether checks can be sent from a base.
    pub(super) fn is_live(&self, base: &Base) -> bool {
        let relay = base.relay.and_then(|index| self.relays.get(index));
        relay.is_none_or(|relay| !relay.is_ended())
    }

    /// The relay that a base lives on.
    pub(super) fn relay_of(&self, base: usize) -> Option<usize> {
        self.bases.get(base)?.relay
    }

    /// Takes what a TURN server sends; `None` when it is nothing of TURN.
    pub(super) fn handle_relayed(
        &mut self,
        now: Instant,
        carrier: Carrier,
        local: SocketAddr,
        server: SocketAddr,
        datagram: &[u8],
    ) -> Option<Received> {
        let from =
            |relay: &Relay| relay.is_at(carrier, server) && relay.local.port() == local.port();
        // After a restart, an ended relay may have a successor on the same server.
        let index = self.relays.iter().rposition(from)?;
        match self.relays.get_mut(index)?.receive(now, datagram) {
            FromServer::Ignored => None,
            FromServer::Handled => {
                self.advance(now);
                Some(Received::Stun)
            }
            FromServer::Data { peer, range } => {
                let peer = candidates::canonical(peer);
                let takes = |base: &&Base| {
                    base.relay == Some(index) && base.address.is_ipv4() == peer.is_ipv4()
                };
                let Some(relayed) = self.bases.iter().find(takes).map(|base| base.address) else {
                    return Some(Received::Drop);
                };
                let inner = datagram.get(range.clone())?;
                Some(match self.handle_direct(now, Carrier::Udp, relayed, peer, inner) {
                    Received::Data => Received::Relayed(range),
                    other => other,
                })
            }
        }
    }

    /// Passes time to the relays and announces those that were allocated.
    pub(super) fn advance_relays(&mut self, now: Instant) {
        self.release_idle_relays(now);
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else { return };
            relay.poll(now);
            let granted = relay.take_granted();
            if granted.is_empty() {
                continue;
            }
            let usable: Vec<_> = granted
                .into_iter()
                .map(candidates::canonical)
                .filter(|address| candidates::is_checkable(*address))
                .collect();
            if self.gathering.is_done() || usable.is_empty() {
                relay.release(now);
                continue;
            }
            usable.into_iter().for_each(|address| self.add_relayed(index, address));
            self.pair_all();
        }
    }

    fn add_relayed(&mut self, relay: usize, address: SocketAddr) {
        let base = self.add_base(Transport::Udp, address);
        if let Some(base) = self.bases.get_mut(base) {
            base.relay = Some(relay);
        }
        let added = self.add_local(CandidateKind::Relayed, address, base);
        self.announce(added);
    }

    /// Sends what goes through relays, and what they have to send of their own.
    pub(super) fn flush_relays(&mut self, now: Instant) {
        for (index, peer, datagram) in std::mem::take(&mut self.relay_queue) {
            if let Some(relay) = self.relays.get_mut(index) {
                relay.send(now, peer, datagram);
            }
        }
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else { return };
            let wake_at = relay.poll(now);
            let (carrier, local, remote) = (relay.carrier, relay.local, relay.server);
            while let Some(contents) = relay.poll_transmit() {
                self.transmits.push_back(AgentTransmit { carrier, local, remote, contents });
            }
            if let Some(at) = wake_at {
                self.wake_at(at);
            }
        }
    }

    /// Shortens the framing of data over the pair in use.
    pub(super) fn bind_selected(&mut self, now: Instant) {
        let Some(pair) = self.selected.and_then(|index| self.pairs.get(index)) else { return };
        let peer = self.remote_candidates.get(pair.remote).map(|remote| remote.address);
        let relay = self.relay_of(pair.base).and_then(|index| self.relays.get_mut(index));
        if let (Some(relay), Some(peer)) = (relay, peer) {
            relay.bind_channel(now, peer);
        }
    }

    fn release_idle_relays(&mut self, now: Instant) {
        if self.relays.is_empty() || self.state != IceState::Completed {
            return;
        }
        let at = *self.release_relays_at.get_or_insert(now + RELEASE_DELAY);
        if now < at {
            self.wake_at(at);
            return;
        }
        let nominated = self.pairs.iter().filter(|pair| pair.nominated);
        let used: Vec<_> = nominated.filter_map(|pair| self.relay_of(pair.base)).collect();
        let idle = self.relays.iter_mut().enumerate().filter(|(index, _)| !used.contains(index));
        idle.for_each(|(_, relay)| relay.release(now));
    }

    pub(super) fn release_relays(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|relay| relay.release(now));
        self.flush_relays(now);
    }

    pub(super) fn relay_unreachable(&mut self, local: SocketAddr, server: SocketAddr) {
        let lost = |relay: &&mut Relay| relay.local == local && relay.is_at(Carrier::Udp, server);
        self.relays.iter_mut().filter(lost).filter(|r| r.is_asking()).for_each(Relay::end);
    }
}

/// The address that stands for whichever the system chooses to reach another one.
fn unspecified(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

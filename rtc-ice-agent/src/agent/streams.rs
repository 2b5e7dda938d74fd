//! Connections: candidates over TCP (RFC 6544), which connections are needed, and what their end
//! means. Who drives the agent makes and closes them.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rtc_core::candidate::Transport;
use rtc_core::state::IceState;

use super::pair::{Pair, PairState};
use super::{Agent, Carrier, candidates};
use crate::relay::Relay;

/// The port of candidates that connect (RFC 6544 §4.5).
const DISCARD_PORT: u16 = 9;
/// Addresses that are connected from, and listened at, at most.
const MAX_TCP_HOSTS: usize = 8;

impl Agent {
    /// Gives the agent the addresses that it can connect from, and those where connections to it
    /// are accepted, before [`Self::gather`].
    pub fn add_tcp_hosts(&mut self, connecting: &[IpAddr], listening: &[SocketAddr]) {
        let active = connecting.iter().take(MAX_TCP_HOSTS);
        let active = active.map(|ip| (Transport::TcpActive, (*ip, DISCARD_PORT).into()));
        let passive = listening.iter().take(MAX_TCP_HOSTS);
        let passive = passive.map(|address| (Transport::TcpPassive, *address));
        self.tcp_hosts.extend(active.chain(passive));
    }

    /// Whether a connection that was made for a transmit with these addresses, or that came in,
    /// still serves.
    pub fn needs_connection(
        &self,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        if matches!(self.state, IceState::Closed | IceState::Failed) {
            return false;
        }
        let (local, remote) = (candidates::canonical(local), candidates::canonical(remote));
        match carrier {
            Carrier::Udp => false,
            Carrier::TurnTcp | Carrier::TurnTls => {
                self.relays.iter().any(|relay| relay.is_at(carrier, remote) && !relay.is_ended())
            }
            Carrier::Tcp => {
                let serves = |pair: &Pair| pair.check.is_some() || pair.consent.is_some();
                let mut pairs = self.pairs.iter().filter(|pair| serves(pair));
                pairs.any(|pair| self.is_over(pair, local, remote))
                    || self.is_previous(Carrier::Tcp, remote)
            }
        }
    }

    /// Learns that a connection has ended or could not be made.
    pub fn handle_connection_end(
        &mut self,
        now: Instant,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let (local, remote) = (candidates::canonical(local), candidates::canonical(remote));
        if carrier != Carrier::Tcp {
            self.relays.iter_mut().filter(|r| r.is_at(carrier, remote)).for_each(Relay::end);
        }
        for index in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get(index) else { return };
            let lost = match carrier {
                Carrier::Tcp => self.is_over(pair, local, remote),
                _ => self.bases.get(pair.base).is_some_and(|base| !self.is_live(base)),
            };
            if lost && let Some(pair) = self.pairs.get_mut(index) {
                pair.stop(PairState::Failed);
                pair.nominated = false;
                pair.heard = false;
            }
        }
        self.advance(now);
    }

    /// Whether a pair sends by the connection between these addresses.
    fn is_over(&self, pair: &Pair, local: SocketAddr, remote: SocketAddr) -> bool {
        let base = self.bases.get(pair.base).filter(|base| base.carrier() == Carrier::Tcp);
        let theirs = self.remote_candidates.get(pair.remote);
        base.is_some_and(|base| base.address == local)
            && theirs.is_some_and(|theirs| theirs.address == remote)
    }
}

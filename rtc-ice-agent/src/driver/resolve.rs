//! Looking up host names of servers and of the peer's candidates, away from the runtime's threads.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use rtc_core::backend::{IceServer, IceServerKind, names};
use rtc_core::candidate::Candidate;

use super::{Core, Shared, mdns, sockets};
use crate::agent::{Carrier, MAX_RELAYS};

/// Addresses of one STUN server that are asked.
const ADDRESSES_PER_SERVER: usize = 2;
/// Servers that are asked.
const MAX_SERVERS: usize = 8;

impl Shared {
    /// Gives the agent its servers, those with a name once it is resolved.
    pub(super) fn resolve_servers(self: &Arc<Self>, servers: &[IceServer]) {
        let usable = |server: &&IceServer| {
            let usable = server.kind != IceServerKind::TurnTls || self.host.tls.is_some();
            if !usable {
                log::warn!("{server:?} is not used: there is nothing to do TLS with");
            }
            usable
        };
        let servers: Vec<_> = servers.iter().filter(usable).collect();
        if servers.len() > MAX_SERVERS {
            log::warn!("of {} STUN and TURN servers only {MAX_SERVERS} are used", servers.len());
        }
        let relaying = servers.iter().take(MAX_SERVERS).filter(|s| s.kind != IceServerKind::Stun);
        let relaying = relaying.count();
        if relaying > MAX_RELAYS {
            log::warn!("of {relaying} TURN servers only {MAX_RELAYS} are used");
        }
        let mut names = Vec::new();
        {
            let mut core = self.core.lock();
            for server in servers.into_iter().take(MAX_SERVERS) {
                match server.host.parse::<IpAddr>() {
                    Ok(ip) => core.add_server(self, server, &[SocketAddr::new(ip, server.port)]),
                    Err(_) => names.push(server.clone()),
                }
            }
            core.unresolved_servers = names.len();
            if names.is_empty() {
                core.agent.end_of_servers(Instant::now());
            }
        }
        for server in names {
            // A slow resolver must not keep a closed connection in memory.
            let shared = Arc::downgrade(self);
            self.host.runtime.spawn_blocking(Box::new(move || {
                let found = addresses_of(&server.host, server.port);
                let Some(shared) = shared.upgrade() else { return };
                {
                    let mut core = shared.core.lock();
                    core.add_server(&shared, &server, &found);
                    core.unresolved_servers = core.unresolved_servers.saturating_sub(1);
                    if core.unresolved_servers == 0 {
                        core.agent.end_of_servers(Instant::now());
                    }
                }
                shared.wake();
            }));
        }
    }

    /// Gives the agent a candidate whose host is a name once it is resolved; ignores it when the
    /// peer has named too many.
    pub(super) fn resolve_candidate(self: &Arc<Self>, candidate: Candidate) {
        let (host, port) = (candidate.host.clone(), candidate.port);
        let shared = Arc::downgrade(self);
        let look_up = move || addresses_of(&host, port);
        self.names.start(&*self.host.runtime, look_up, move |found| {
            if let (Some(shared), Some(address)) = (shared.upgrade(), found.first()) {
                let now = Instant::now();
                shared.core.lock().agent.add_remote_candidate(now, &candidate, *address);
                shared.wake();
            }
        });
    }
}

impl Core {
    /// Gives the agent a server that was found at these addresses.
    fn add_server(&mut self, shared: &Shared, server: &IceServer, found: &[SocketAddr]) {
        let now = Instant::now();
        let carrier = match server.kind {
            IceServerKind::Stun | IceServerKind::TurnUdp => Carrier::Udp,
            IceServerKind::TurnTcp => Carrier::TurnTcp,
            IceServerKind::TurnTls => Carrier::TurnTls,
        };
        if server.kind == IceServerKind::Stun {
            for address in one_per_family(found).into_iter().take(ADDRESSES_PER_SERVER) {
                self.agent.add_stun_server(now, address);
            }
            return;
        }
        // One allocation per server (RFC 8656 §7.1), by whichever family it is spoken to.
        if let Some(address) = self.agent.turn_address(found) {
            if carrier == Carrier::TurnTls {
                shared.connections.lock().name(address, &server.host);
            }
            let (username, password) = (&server.username, &server.password);
            self.agent.add_turn_server(now, carrier, address, username, password);
        }
    }
}

/// Looks a name up, by multicast first where that is what the name asks for: the system's
/// resolver would send it to servers that cannot know it. Blocks.
fn addresses_of(host: &str, port: u16) -> Vec<SocketAddr> {
    if mdns::is_local_name(host) {
        let found = mdns::resolve(host, &sockets::multicast_interfaces());
        if !found.is_empty() {
            return found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        }
    }
    names::system_addresses(host, port)
}

/// The first address of each family, in their order.
fn one_per_family(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut chosen: Vec<SocketAddr> = Vec::new();
    for &address in addresses {
        if !chosen.iter().any(|known| known.is_ipv4() == address.is_ipv4()) {
            chosen.push(address);
        }
    }
    chosen
}

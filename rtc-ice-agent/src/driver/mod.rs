//! Drives an [`Agent`] with sockets, timers and tasks of a runtime.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use parking_lot::Mutex;
use rtc_core::backend::{IceEvent, IceHost, IceParameters, NameLookups};
use rtc_core::error::Result;
use rtc_core::runtime::{UdpSocket, UdpTransmit};
use rtc_core::state::IceState;

mod buffers;
mod connection;
mod connections;
mod gate;
mod mdns;
mod mux;
mod path;
mod resolve;
mod sockets;
mod task;
mod transport;

use connections::Connections;
use gate::Gate;
use mux::Member;
use path::{Outlet, Path, Relayed};

use crate::agent::{Agent, AgentEvent, AgentTransmit, Carrier, SelectedPair};

pub(crate) use transport::Transport;

/// What the transport and its task share.
#[derive(Debug)]
struct Shared {
    host: IceHost,
    gate: Gate,
    core: Mutex<Core>,
    /// The way of data; `None` before a pair is selected and after the end.
    path: Mutex<Option<Arc<Path>>>,
    /// What was full at the last send.
    blocked: Mutex<Option<Outlet>>,
    /// Look-ups of the peer's names.
    names: Arc<NameLookups>,
    /// Locked after `core` where both are.
    connections: Mutex<Connections>,
    /// Wakes the task.
    waker: Mutex<Option<Waker>>,
}

/// The agent and its sockets.
#[derive(Debug)]
struct Core {
    agent: Agent,
    sockets: Arc<[Socket]>,
    /// The shared port knows a user name fragment from before a restart.
    has_old_ufrag: bool,
    /// Servers whose names are being looked up.
    unresolved_servers: usize,
    gathered: bool,
}

/// A bound socket.
#[derive(Clone, Debug)]
struct Socket {
    io: Arc<dyn UdpSocket>,
    address: SocketAddr,
    /// The same, where others use the port too.
    member: Option<Arc<Member>>,
}

/// What the agent wants done, taken while its lock was held, to be done without it.
#[derive(Debug, Default)]
struct Work {
    transmits: Vec<AgentTransmit>,
    events: Vec<IceEvent>,
}

impl Core {
    /// Takes what the agent wants done and keeps the path in step with the pair in use.
    fn take_work(&mut self, shared: &Shared) -> Work {
        if self.has_old_ufrag && self.agent.previous_ufrag().is_none() {
            self.forget_old_ufrags();
        }
        let mut work = Work::default();
        while let Some(transmit) = self.agent.poll_transmit() {
            work.transmits.push(transmit);
        }
        while let Some(event) = self.agent.poll_event() {
            if matches!(event, AgentEvent::SelectedPair | AgentEvent::State(IceState::Failed)) {
                let path = self.selected_path(shared);
                *shared.path.lock() = path;
            }
            work.events.push(match event {
                AgentEvent::State(state) => IceEvent::State(state),
                AgentEvent::Candidate(candidate) => IceEvent::Candidate(candidate),
                AgentEvent::GatheringDone => IceEvent::GatheringDone,
                AgentEvent::SelectedPair => IceEvent::SelectedPair,
            });
        }
        work
    }

    /// Begins anew (RFC 8445 §9). A shared port knows the new user name fragment before the peer can.
    fn restart(&mut self, now: Instant) -> Result<IceParameters> {
        let fresh = self.agent.fresh_parameters();
        let mut members = self.sockets.iter().filter_map(|socket| socket.member.as_ref());
        let begun = members
            .try_for_each(|member| member.add_ufrag(&fresh.ufrag))
            .and_then(|()| self.agent.restart_with(now, fresh));
        self.forget_old_ufrags();
        begun
    }

    /// Has a shared port know only those user name fragments that checks are answered for.
    fn forget_old_ufrags(&mut self) {
        let old = self.agent.previous_ufrag();
        let present = self.agent.local_parameters().ufrag.as_str();
        let in_use: Vec<_> = old.into_iter().chain([present]).collect();
        for member in self.sockets.iter().filter_map(|socket| socket.member.as_ref()) {
            member.retain_ufrags(&in_use);
        }
        self.has_old_ufrag = old.is_some();
    }

    fn selected_path(&self, shared: &Shared) -> Option<Arc<Path>> {
        let SelectedPair { carrier, base, address, relay, .. } = self.agent.selected_pair()?;
        let (local, destination) = relay.unwrap_or((base, address));
        let outlet = match carrier {
            Carrier::Udp => Outlet::Socket(self.socket_of(local)?.io.clone()),
            _ => {
                let connections = shared.connections.lock();
                Outlet::Connection(connections.find(carrier, local, destination)?.clone())
            }
        };
        let relayed = relay.map(|_| Relayed { base, peer: address });
        Some(Arc::new(Path { outlet, source: source_of(local), destination, relayed }))
    }

    /// The socket that a base belongs to.
    fn socket_of(&self, base: SocketAddr) -> Option<&Socket> {
        self.sockets.iter().find(|socket| {
            socket.address.port() == base.port()
                && (socket.address.ip() == base.ip()
                    || (socket.address.ip().is_unspecified()
                        && socket.address.is_ipv4() == base.is_ipv4()))
        })
    }
}

/// The source address to ask the system for.
fn source_of(base: SocketAddr) -> Option<IpAddr> {
    (!base.ip().is_unspecified()).then_some(base.ip())
}

impl Shared {
    /// Makes the task look at the agent.
    fn wake(&self) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Passes time to the agent and takes what it wants done.
    fn work(&self, now: Instant) -> Work {
        let mut core = self.core.lock();
        core.agent.handle_timeout(now);
        core.take_work(self)
    }

    /// Sends the agent's datagrams, and tells it of those that the system cannot send, which may
    /// make more work.
    fn transmit(&self, transmits: Vec<AgentTransmit>) {
        for transmit in transmits {
            if transmit.carrier != Carrier::Udp {
                self.transmit_by_connection(&transmit);
                continue;
            }
            let socket = self.core.lock().socket_of(transmit.local).map(|s| s.io.clone());
            let Some(socket) = socket else { continue };
            if let Err(error) = send(&*socket, &transmit)
                && is_unsendable(&error)
            {
                let now = Instant::now();
                let AgentTransmit { local, remote, .. } = transmit;
                self.core.lock().agent.handle_send_failure(now, local, remote);
            }
        }
    }
}

fn send(socket: &dyn UdpSocket, transmit: &AgentTransmit) -> io::Result<()> {
    let datagram = UdpTransmit {
        destination: transmit.remote,
        ecn: None,
        contents: &transmit.contents,
        segment_size: None,
        src_ip: source_of(transmit.local),
    };
    match socket.try_send(&datagram) {
        Err(error) if path::is_asynchronous(&error) => socket.try_send(&datagram),
        other => other,
    }
}

/// Whether sending the same again would fail in the same way.
fn is_unsendable(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::AddrNotAvailable
            | Kind::InvalidInput
            | Kind::PermissionDenied
    )
}

#[cfg(test)]
mod tests;

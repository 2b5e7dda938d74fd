//! [`IceTransport`] over an agent and its task.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rtc_core::backend::{
    IceConfig, IceCredentials, IceHost, IceParameters, IceServer, IceServerKind, IceTransport,
    Transmit,
};
use rtc_core::candidate::{Candidate, Transport as Protocol};
use rtc_core::error::{Error, Result};

use super::gate::Gate;
use super::path::{Path, Relayed, Sent};
use super::task::Task;
use super::{Core, Shared, Socket, mux, sockets};
use crate::agent::{Agent, AgentConfig};

/// One ICE component on a runtime.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(super) shared: Arc<Shared>,
    config: IceConfig,
}

impl Transport {
    pub(crate) fn open(config: IceConfig, host: IceHost) -> Self {
        let seed = rand::random();
        let agent =
            Agent::new(AgentConfig { role: config.role, relay_only: config.relay_only, seed });
        let core = Core {
            agent,
            sockets: Arc::default(),
            has_old_ufrag: false,
            unresolved_servers: 0,
            gathered: false,
        };
        let shared = Arc::new(Shared {
            host,
            gate: Gate::default(),
            core: Mutex::new(core),
            path: Mutex::new(None),
            blocked: Mutex::new(None),
            connections: Mutex::default(),
            names: Arc::default(),
            waker: Mutex::new(None),
        });
        Self { shared, config }
    }

    fn bind(&self) -> Result<Vec<Socket>> {
        if self.config.udp_mux {
            return mux::join(&self.config, &self.shared.host, &self.local_parameters().ufrag);
        }
        let bound = sockets::bind(self.config.bind_address.as_deref(), self.config.port_range)?;
        let register = |socket: std::net::UdpSocket| {
            let address = socket.local_addr()?;
            Ok(Socket { io: self.shared.host.runtime.udp(socket)?, address, member: None })
        };
        let sockets: std::io::Result<Vec<_>> = bound.into_iter().map(register).collect();
        sockets.map_err(|error| Error::failure("open an ICE socket").caused_by(error))
    }

    /// Accepts connections at the addresses that the sockets are bound to, as far as that can be
    /// done; returns the addresses that they are reached at.
    fn listen(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let runtime = &self.shared.host.runtime;
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for address in bound {
            let listener = sockets::listen(*address, self.config.port_range)
                .and_then(|listener| runtime.tcp_listener(listener));
            match listener.and_then(|io| Ok((io.local_addr()?, io))) {
                Ok((address, io)) => {
                    listeners.push(io);
                    addresses.push(address);
                }
                Err(error) => log::warn!("no ICE candidates over TCP at {address}: {error}"),
            }
        }
        self.shared.connections.lock().listen(listeners);
        sockets::host_addresses(&addresses)
    }

    /// The servers to be asked.
    fn servers(&self) -> Vec<IceServer> {
        // A TURN server knows its clients by their addresses, so that a shared one serves one only.
        let usable = |s: &&IceServer| !self.config.udp_mux || s.kind != IceServerKind::TurnUdp;
        self.config.servers.iter().filter(usable).cloned().collect()
    }

    /// Sends through a TURN server, which makes each datagram longer by the same framing.
    fn send_relayed(&self, path: &Path, relayed: Relayed, batch: Transmit<'_>) -> Sent {
        let now = Instant::now();
        let mut wrapped = Vec::new();
        let mut segment_size = 0;
        {
            let agent = &mut self.shared.core.lock().agent;
            for datagram in batch.contents.chunks(batch.segment_size.max(1)) {
                if !agent.wrap(now, relayed.base, relayed.peer, datagram, &mut wrapped) {
                    return Sent::All;
                }
                if segment_size == 0 {
                    segment_size = wrapped.len();
                }
            }
        }
        path.send(Transmit { contents: &wrapped, segment_size, dscp: batch.dscp })
    }

    fn give_allocations_back(&self) {
        let work = {
            let mut core = self.shared.core.lock();
            core.agent.close(Instant::now());
            core.take_work(&self.shared)
        };
        self.shared.transmit(work.transmits);
    }
}

impl IceTransport for Transport {
    fn local_parameters(&self) -> IceParameters {
        self.shared.core.lock().agent.local_parameters().clone()
    }

    fn set_local_credentials(&self, credentials: &IceCredentials) -> Result<()> {
        let mut core = self.shared.core.lock();
        if core.gathered {
            return Err(Error::failure("set local ICE credentials: gathering has begun"));
        }
        core.agent.set_local_credentials(credentials);
        Ok(())
    }

    fn set_remote_parameters(&self, remote: &IceParameters) -> Result<()> {
        self.shared.core.lock().agent.set_remote_parameters(Instant::now(), remote)?;
        self.shared.wake();
        Ok(())
    }

    fn add_remote_candidate(&self, candidate: &Candidate) -> Result<()> {
        match candidate.transport {
            Protocol::Udp => {}
            Protocol::TcpPassive if self.config.tcp => {}
            _ => return Ok(()),
        }
        match candidate.host.parse::<IpAddr>() {
            Ok(ip) => {
                let address = (ip, candidate.port).into();
                let now = Instant::now();
                self.shared.core.lock().agent.add_remote_candidate(now, candidate, address);
                self.shared.wake();
            }
            Err(_) => self.shared.resolve_candidate(candidate.clone()),
        }
        Ok(())
    }

    fn end_of_remote_candidates(&self) {
        self.shared.core.lock().agent.end_of_remote_candidates(Instant::now());
        self.shared.wake();
    }

    fn gather(&self) -> Result<()> {
        let shared = &self.shared;
        if shared.gate.is_closed() {
            return Err(Error::failure("gather ICE candidates: the transport is closed"));
        }
        if std::mem::replace(&mut shared.core.lock().gathered, true) {
            return Ok(());
        }
        let sockets = self.bind().inspect_err(|_| shared.core.lock().gathered = false)?;
        let bound: Vec<_> = sockets.iter().map(|socket| socket.address).collect();
        let hosts = sockets::host_addresses(&bound);
        let named = bound.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
        shared.connections.lock().connect_from(named.collect());
        {
            let mut core = shared.core.lock();
            core.sockets = sockets.into();
            if self.config.tcp {
                let listening = self.listen(&bound);
                let connecting: Vec<_> = hosts.iter().map(SocketAddr::ip).collect();
                core.agent.add_tcp_hosts(&connecting, &listening);
            }
            core.agent.gather(Instant::now(), &hosts, &bound);
        }
        shared.resolve_servers(&self.servers());
        shared.host.runtime.spawn(Box::pin(Task::new(shared.clone())));
        Ok(())
    }

    fn send(&self, batch: Transmit<'_>) -> usize {
        let segments = batch.contents.len().div_ceil(batch.segment_size.max(1));
        let Some(path) = self.shared.path.lock().clone() else { return segments };
        let sent = match path.relayed {
            Some(relayed) => self.send_relayed(&path, relayed, batch),
            None => path.send(batch),
        };
        match sent {
            Sent::All => segments,
            Sent::Blocked(taken) => {
                *self.shared.blocked.lock() = Some(path.outlet.clone());
                self.shared.wake();
                taken
            }
        }
    }

    fn selected_pair(&self) -> Option<(Candidate, Candidate)> {
        let pair = self.shared.core.lock().agent.selected_pair()?;
        Some((pair.local, pair.remote))
    }

    fn restart(&self) -> Result<IceParameters> {
        let parameters = self.shared.core.lock().restart(Instant::now())?;
        self.shared.resolve_servers(&self.servers());
        self.shared.wake();
        Ok(parameters)
    }

    fn close(&self) {
        if !self.shared.gate.close() {
            return;
        }
        self.give_allocations_back();
        self.shared.close_connections();
        let sockets = std::mem::take(&mut self.shared.core.lock().sockets);
        let path = self.shared.path.lock().take();
        let blocked = self.shared.blocked.lock().take();
        drop((sockets, path, blocked));
        self.shared.wake();
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.close();
    }
}

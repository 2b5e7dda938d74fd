//! The TCP connections of one transport: made when the agent sends by one, accepted from the peer,
//! closed when they serve no more.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rtc_core::backend::{TlsClientConfig, TlsSession};
use rtc_core::runtime::TcpListener;

use super::connection::{Connection, Ended};
use super::task::{Drained, do_work, pass_parts};
use super::{Shared, Work};
use crate::agent::{AgentTransmit, Carrier, Received};
use crate::framing::BadFrame;

/// Connections at most; the peer can make us begin them, and begin them itself.
const MAX_CONNECTIONS: usize = 48;
/// How long a connection may be of no use.
const GRACE: Duration = Duration::from_secs(10);
/// The port in candidates that connect (RFC 6544 §4.5).
const DISCARD_PORT: u16 = 9;
/// Reads per connection and turn, after which others get their turn.
const READS_PER_TURN: usize = 8;
/// The same for connections that are accepted.
const ACCEPTS_PER_TURN: usize = 16;

/// The connections, and what is needed to make more.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: Vec<Arc<Connection>>,
    listeners: Arc<[Box<dyn TcpListener>]>,
    /// TURN servers over TLS by the names that their certificates are to have.
    names: Vec<(SocketAddr, String)>,
    /// Where to connect from, one address per family, unless that is all the same.
    sources: Vec<IpAddr>,
}

impl Connections {
    pub(super) fn listen(&mut self, listeners: Vec<Box<dyn TcpListener>>) {
        self.listeners = listeners.into();
    }

    pub(super) fn connect_from(&mut self, sources: Vec<IpAddr>) {
        self.sources = sources;
    }

    pub(super) fn name(&mut self, server: SocketAddr, name: &str) {
        self.names.push((server, name.to_owned()));
    }

    pub(super) fn find(
        &self,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<&Arc<Connection>> {
        self.all.iter().find(|connection| connection.is(carrier, local, remote))
    }

    fn name_of(&self, server: SocketAddr) -> String {
        let known = self.names.iter().rfind(|(address, _)| *address == server);
        known.map_or_else(|| server.ip().to_string(), |(_, name)| name.clone())
    }
}

impl Shared {
    /// Sends by the connection that it takes, which is made if need be.
    pub(super) fn transmit_by_connection(&self, transmit: &AgentTransmit) {
        let AgentTransmit { carrier, local, remote, contents } = transmit;
        let (carrier, local, remote) = (*carrier, *local, *remote);
        let known = self.connections.lock().find(carrier, local, remote).cloned();
        match known.or_else(|| self.begin_connection(carrier, local, remote)) {
            // One without room loses it, as a network would.
            Some(connection) => drop(connection.send(contents, contents.len())),
            None => {
                let now = Instant::now();
                self.core.lock().agent.handle_connection_end(now, carrier, local, remote);
            }
        }
    }

    fn begin_connection(
        &self,
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<Arc<Connection>> {
        // To a candidate that connects there is no connecting.
        if carrier == Carrier::Tcp && local.port() != DISCARD_PORT || self.gate.is_closed() {
            return None;
        }
        let tls = match carrier {
            Carrier::TurnTls => Some(self.tls_session(remote)?),
            _ => None,
        };
        let mut connections = self.connections.lock();
        if connections.all.len() >= MAX_CONNECTIONS {
            return None;
        }
        let bound = connections.sources.iter().find(|ip| ip.is_ipv4() == remote.is_ipv4());
        let source = match local.ip().is_unspecified() {
            true => bound.copied(),
            false => Some(local.ip()),
        };
        let source = source.map(|ip| SocketAddr::new(ip, 0));
        let connecting = self.host.runtime.tcp_connect(source, remote);
        let connection = Connection::begin(carrier, (local, remote), connecting, tls);
        let connection = Arc::new(connection);
        connections.all.push(connection.clone());
        drop(connections);
        self.wake();
        Some(connection)
    }

    fn tls_session(&self, server: SocketAddr) -> Option<Box<dyn TlsSession>> {
        let name = self.connections.lock().name_of(server);
        let config = TlsClientConfig::default();
        let session = self.host.tls?.client(&name, &config);
        session.inspect_err(|error| log::warn!("TURN server {name}: {error}")).ok()
    }

    /// Closes all connections.
    pub(super) fn close_connections(&self) {
        let connections = std::mem::take(&mut *self.connections.lock());
        connections.all.iter().for_each(|connection| connection.close());
    }
}

/// One turn of everything that connections have to do.
pub(super) fn turn(shared: &Shared, cx: &mut Context<'_>) -> Drained {
    let mut drained = accept(shared, cx);
    let all = shared.connections.lock().all.clone();
    for connection in &all {
        match serve(shared, connection, cx) {
            Ok(Drained::Yes) => {}
            Ok(Drained::Closed) => return Drained::Closed,
            Ok(other) => drained = other,
            Err(Ended) => lose(shared, connection),
        }
        if shared.gate.is_closed() {
            return Drained::Closed;
        }
    }
    close_idle(shared, &all);
    drained
}

fn accept(shared: &Shared, cx: &mut Context<'_>) -> Drained {
    let listeners = shared.connections.lock().listeners.clone();
    let mut drained = Drained::Yes;
    for listener in &*listeners {
        for count in 0.. {
            if count == ACCEPTS_PER_TURN {
                drained = Drained::No;
                break;
            }
            match listener.poll_accept(cx) {
                Poll::Pending => break,
                // It failed on its way; others may follow.
                Poll::Ready(Err(_)) => {}
                Poll::Ready(Ok((io, remote))) => {
                    let Ok(local) = io.local_addr() else { continue };
                    let connection = Connection::accept(local, remote, io);
                    let mut connections = shared.connections.lock();
                    if connections.all.len() < MAX_CONNECTIONS {
                        connections.all.push(Arc::new(connection));
                    }
                }
            }
        }
    }
    drained
}

fn serve(shared: &Shared, connection: &Connection, cx: &mut Context<'_>) -> Result<Drained, Ended> {
    connection.poll_progress(cx)?;
    let mut reader = connection.reader.lock();
    for _ in 0..READS_PER_TURN {
        match connection.poll_read(cx, &mut reader) {
            Poll::Pending => return Ok(Drained::Yes),
            Poll::Ready(read) => read?,
        }
        let mut parts = Vec::new();
        let (result, work) = {
            let mut core = shared.core.lock();
            let agent = &mut core.agent;
            let now = Instant::now();
            let result = loop {
                let range = match reader.next_frame() {
                    Ok(Some(range)) => range,
                    Ok(None) => break Ok(()),
                    Err(BadFrame) => break Err(Ended),
                };
                let frame = reader.buffer().get(range.clone()).unwrap_or_default();
                let (carrier, local, remote) =
                    (connection.carrier, connection.local, connection.remote);
                match agent.handle_frame(now, carrier, local, remote, frame) {
                    Received::Data => parts.push(range),
                    Received::Relayed(part) => {
                        parts.push(range.start + part.start..range.start + part.end);
                    }
                    Received::Stun | Received::Drop => {}
                }
            };
            (result, core.take_work(shared))
        };
        do_work(shared, work);
        pass_parts(shared, reader.buffer(), parts);
        if shared.gate.is_closed() {
            return Ok(Drained::Closed);
        }
        result?;
    }
    Ok(Drained::No)
}

/// Forgets a connection that has ended, and tells the agent.
fn lose(shared: &Shared, connection: &Arc<Connection>) {
    shared.connections.lock().all.retain(|known| !Arc::ptr_eq(known, connection));
    let work: Work = {
        let mut core = shared.core.lock();
        let (local, remote) = (connection.local, connection.remote);
        core.agent.handle_connection_end(Instant::now(), connection.carrier, local, remote);
        core.take_work(shared)
    };
    do_work(shared, work);
}

/// Closes connections that have served, or never began to.
fn close_idle(shared: &Shared, all: &[Arc<Connection>]) {
    if all.is_empty() {
        return;
    }
    let now = Instant::now();
    let idle: Vec<_> = {
        let agent = &shared.core.lock().agent;
        let needed = |c: &Connection| agent.needs_connection(c.carrier, c.local, c.remote);
        let idle = |c: &Arc<Connection>| {
            let waits = c.carrier == Carrier::Tcp && now < c.since + GRACE;
            !needed(c) && !waits && c.is_flushed()
        };
        all.iter().filter(|c| idle(c)).cloned().collect()
    };
    if idle.is_empty() {
        return;
    }
    shared.connections.lock().all.retain(|c| !idle.iter().any(|other| Arc::ptr_eq(c, other)));
    idle.iter().for_each(|connection| connection.close());
}

//! Servers: they accept connections and hand the WebSockets over to the application.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

use super::{ServerConfig, WebSocket};
use crate::backend::tls::TlsServerConfig;
use crate::channel::Channel as _;
use crate::engine::{Activity, Duty, Engine};
use crate::error::{Error, Result};
use crate::runtime::gate::{Gate, Slot};
use crate::runtime::lane::Lane;
use crate::runtime::{TcpListener, TcpStream, Timer};

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 128;

/// How many WebSockets may wait to be handed over before no more are accepted.
const MAX_WAITING: usize = 64;

/// How long to wait after the system could not accept, for want of descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(100);

const CLIENT: Slot = Slot(0);

/// Gets each WebSocket as soon as its connection is accepted, mostly before it is open.
pub type AcceptHandler = Box<dyn Fn(Arc<WebSocket>) + Send + Sync>;

/// A server.
pub struct WebSocketServer {
    me: Weak<WebSocketServer>,
    engine: Arc<Engine>,
    config: ServerConfig,
    address: SocketAddr,
    lane: Arc<Lane>,
    gate: Gate,
    handler: AcceptHandler,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// Accepted, and not yet handed over.
    waiting: usize,
    /// Wakes the task that accepts.
    waker: Option<Waker>,
}

impl WebSocketServer {
    /// Starts to listen.
    pub fn listen(
        engine: Arc<Engine>,
        config: ServerConfig,
        handler: AcceptHandler,
    ) -> Result<Arc<Self>> {
        let refused = |error: io::Error| {
            let place = config.bind_address.as_deref().unwrap_or("any address");
            Error::failure(format!("cannot listen on {place}, port {}", config.port))
                .caused_by(error)
        };
        let listener = bind(config.bind_address.as_deref(), config.port).map_err(refused)?;
        let listener = engine.runtime().tcp_listener(listener).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let lane = Lane::new(engine.pool());
        let timer = engine.runtime().timer(Instant::now());
        let server = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            engine,
            config,
            address,
            lane,
            gate: Gate::new(),
            handler,
            state: Mutex::default(),
        });
        let weak: Weak<Self> = Arc::downgrade(&server);
        let duty = server.engine.enlist(weak);
        let accepting =
            Accepting { _duty: duty, server: server.clone(), listener, timer, is_paused: false };
        server.engine.runtime().spawn(Box::pin(accepting));
        Ok(server)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, waits for the handler if it runs on another thread, and does not call it
    /// again. WebSockets that were handed over live on.
    pub fn delete(&self) {
        self.stop();
        self.gate.close();
    }

    fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn accept(&self, stream: Box<dyn TcpStream>, from: SocketAddr) {
        let session = self.config.tls.as_ref().map(|(backend, certificate)| {
            backend.server(&TlsServerConfig { certificate: certificate.clone() })
        });
        let common = self.config.common.clone();
        let socket = WebSocket::accept(self.engine.clone(), stream, from, session, common);
        self.state.lock().waiting += 1;
        let Some(me) = self.me.upgrade() else { return };
        self.lane.push(Box::new(move || me.hand_over(socket)));
    }

    fn hand_over(&self, socket: Arc<WebSocket>) {
        let waker = {
            let mut state = self.state.lock();
            state.waiting -= 1;
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        match self.gate.enter(CLIENT) {
            Some(_pass) => (self.handler)(socket),
            None => socket.delete(),
        }
    }
}

impl Activity for WebSocketServer {
    fn abort(&self) {
        self.stop();
    }
}

impl fmt::Debug for WebSocketServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A listener on an address or name; without one on all addresses of both families.
fn bind(address: Option<&str>, port: u16) -> io::Result<std::net::TcpListener> {
    let Some(address) = address else {
        return listen((Ipv6Addr::UNSPECIFIED, port).into())
            .or_else(|_| listen((Ipv4Addr::UNSPECIFIED, port).into()));
    };
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in (bare.unwrap_or(address), port).to_socket_addrs()? {
        result = listen(address);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The task of a server.
struct Accepting {
    _duty: Duty,
    server: Arc<WebSocketServer>,
    listener: Box<dyn TcpListener>,
    timer: Pin<Box<dyn Timer>>,
    is_paused: bool,
}

impl Future for Accepting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let server = &this.server;
        loop {
            {
                let mut state = server.state.lock();
                if state.stopped {
                    return Poll::Ready(());
                }
                state.waker = Some(cx.waker().clone());
                if state.waiting >= MAX_WAITING {
                    return Poll::Pending;
                }
            }
            if this.is_paused {
                std::task::ready!(this.timer.as_mut().poll(cx));
                this.is_paused = false;
            }
            match std::task::ready!(this.listener.poll_accept(cx)) {
                Ok((stream, from)) => server.accept(stream, from),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    log::warn!("WebSocket server: cannot accept: {error}");
                    this.is_paused = true;
                    this.timer.as_mut().reset(Instant::now() + PAUSE);
                }
            }
        }
    }
}

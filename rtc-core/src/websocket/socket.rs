//! The WebSocket that applications hold.
//!
//! Everything is behind one lock that is held for system calls which do not block, and never for
//! user code. Who sends also writes to the socket; the driver task reads, and writes the rest.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::codec::{self, Decoder, Outgoing, Role};
use super::connect::{self, Stage};
use super::driver;
use super::link::Link;
use super::url::WsUrl;
use super::{ClientConfig, WebSocketConfig};
use crate::backend::tls::TlsSession;
use crate::channel::{Channel, Message, MessageKind, Port, Source, news};
use crate::engine::{Activity, Engine};
use crate::error::{Error, Result};
use crate::runtime::TcpStream;
use crate::runtime::lane::{Bell, Lane};

/// How long the other side may take to answer a close frame, and to end the connection after it.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// A message that follows another one so soon is left to the driver, to share a system call with
/// those behind it.
const BURST: Duration = Duration::from_micros(20);

/// Larger messages are written at once.
const SMALL: usize = 8 * 1024;

/// What a burst leaves to the driver at most, in bytes.
const MAX_BURST: usize = 128 * 1024;

/// While more than this waits to be sent, only the latest ping is answered (RFC 6455 §5.5.3).
const MAX_WAITING_FOR_PONGS: usize = 64 * 1024;

/// How the other side ends a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// It says goodbye, with this code.
    Close(Option<u16>),
    /// It violates the protocol, and is told this code.
    Violation(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Open,
    /// We have sent a close frame.
    Closing,
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// The connection, from open until the other side has ended it.
    pub(super) live: Option<Live>,
    path: Option<String>,
    protocol: Option<String>,
    remote: String,
    /// Wakes the driver.
    pub(super) waker: Option<Waker>,
    /// Give up at once, without goodbye.
    pub(super) aborted: bool,
}

/// An established connection.
pub(super) struct Live {
    pub(super) link: Link,
    pub(super) decoder: Decoder,
    masks: Option<Masks>,
    /// When a message was last written by its sender.
    written: Option<Instant>,
    /// The driver has been woken to write.
    flush_wanted: bool,
    /// The pong that had no room.
    pong: Option<Vec<u8>>,
    pub(super) close_sent: bool,
    pub(super) close_received: bool,
    /// How it ends once the messages before have been told, and until when that is waited for.
    pub(super) ending: Option<(Ending, Instant)>,
    /// When to give up waiting for the other side's end.
    pub(super) close_by: Option<Instant>,
    /// We end the connection; otherwise the other side does (RFC 6455 §7.1.1).
    pub(super) end_first: bool,
}

/// One WebSocket, a client's or one that a server has accepted.
pub struct WebSocket {
    me: Weak<WebSocket>,
    role: Role,
    pub(super) config: WebSocketConfig,
    pub(super) engine: Arc<Engine>,
    lane: Arc<Lane>,
    pub(super) port: Port,
    /// There may be an [`Ending`] that waits.
    pub(super) is_ending: AtomicBool,
    pub(super) state: Mutex<State>,
}

impl WebSocket {
    /// Starts to connect to `url`.
    pub fn connect(engine: Arc<Engine>, url: &str, config: ClientConfig) -> Result<Arc<Self>> {
        let url = WsUrl::parse(url)?;
        config.validate()?;
        let remote = format!("{}:{}", url.host, url.port);
        let socket = Self::new(engine, Role::Client, config.common.clone(), remote);
        let connecting = connect::connect(socket.engine.runtime().clone(), url, config);
        driver::start(&socket, Box::pin(connecting));
        Ok(socket)
    }

    /// Serves a client that has connected.
    pub(super) fn accept(
        engine: Arc<Engine>,
        stream: Box<dyn TcpStream>,
        from: SocketAddr,
        session: Option<Result<Box<dyn TlsSession>>>,
        config: WebSocketConfig,
    ) -> Arc<Self> {
        let remote = format!("{}:{}", from.ip().to_canonical(), from.port());
        let socket = Self::new(engine, Role::Server, config, remote);
        driver::start(&socket, Box::pin(connect::accept(Link::new(stream), session)));
        socket
    }

    fn new(engine: Arc<Engine>, role: Role, config: WebSocketConfig, remote: String) -> Arc<Self> {
        let lane = Lane::new(engine.pool());
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            role,
            config,
            engine,
            lane,
            port: Port::lasting(),
            is_ending: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Connecting,
                live: None,
                path: None,
                protocol: None,
                remote,
                waker: None,
                aborted: false,
            }),
        })
    }

    /// The other side's address as `host:port`: of a client's WebSocket as the URL has it, of an
    /// accepted one in numbers. `None` once the connection has ended.
    pub fn remote_address(&self) -> Option<String> {
        let state = self.state.lock();
        (state.phase != Phase::Closed).then(|| state.remote.clone())
    }

    /// Path and query of the HTTP request; `None` until the WebSocket is open.
    pub fn path(&self) -> Option<String> {
        self.state.lock().path.clone()
    }

    /// The subprotocol in use.
    pub fn protocol(&self) -> Option<String> {
        self.state.lock().protocol.clone()
    }

    // For the driver.

    /// The connection has come about, which nobody may want any longer.
    pub(super) fn opened(&self, connected: connect::Connected) {
        let mut state = self.state.lock();
        if state.phase != Phase::Connecting {
            return;
        }
        state.phase = Phase::Open;
        state.path = Some(connected.path);
        state.protocol = connected.protocol;
        state.live = Some(Live {
            link: connected.link,
            decoder: Decoder::new(self.role, self.config.max_message_size),
            masks: (self.role == Role::Client).then(Masks::default),
            written: None,
            flush_wanted: false,
            pong: None,
            close_sent: false,
            close_received: false,
            ending: None,
            close_by: None,
            end_first: self.role == Role::Server,
        });
        self.port.add_news(news::OPEN);
        drop(state);
        self.ring();
    }

    /// Closes, and tells the application; with an error text the connection has failed.
    pub(super) fn end(&self, state: &mut State, error: Option<&str>) {
        if std::mem::replace(&mut state.phase, Phase::Closed) == Phase::Closed {
            return;
        }
        if let Some(text) = error {
            self.port.add_error(text.to_owned());
        }
        self.port.add_news(news::CLOSED);
    }

    /// Ends as the other side has it.
    pub(super) fn finish(&self, state: &mut State, ending: Ending) {
        let (code, error) = match ending {
            Ending::Close(code) => (code, None),
            Ending::Violation(code) => (Some(code), Some(Stage::Upgrade.text())),
        };
        if let Some(live) = &mut state.live {
            live.close_received = true;
            live.end_first |= error.is_some();
            // An answer that cannot be sent is none to wait for.
            let _ = live.send_close(code);
        }
        self.end(state, error);
    }

    /// The messages before the end have been told.
    fn finish_waiting(&self) {
        self.is_ending.store(false, Ordering::Release);
        let mut state = self.state.lock();
        let ending = state.live.as_mut().and_then(|live| live.ending.take());
        let Some((ending, _)) = ending else { return };
        self.finish(&mut state, ending);
        drop(state);
        self.wake();
        self.ring();
    }

    /// Has the news told.
    pub(super) fn ring(&self) {
        if let Some(me) = self.me.upgrade() {
            self.lane.ring(me);
        }
    }

    fn wake(&self) {
        let waker = self.state.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Begins to close. True when the WebSocket is closed by it, because there is nobody to tell,
    /// or nobody here waits for the answer.
    fn begin_close(&self, wait: bool) -> bool {
        let mut state = self.state.lock();
        let closed = match state.phase {
            Phase::Closed => return false,
            Phase::Connecting => true,
            Phase::Open | Phase::Closing => !wait,
        };
        if let Some(live) = &mut state.live {
            // Without a connection that takes it there is nobody to tell.
            let _ = live.send_close(None);
        }
        state.phase = if closed { Phase::Closed } else { Phase::Closing };
        drop(state);
        self.wake();
        closed
    }

    /// Ends at once, without goodbye.
    pub fn abort(&self) {
        let mut state = self.state.lock();
        state.aborted = true;
        self.end(&mut state, None);
        drop(state);
        self.wake();
        self.ring();
    }
}

impl Live {
    /// Queues a message and writes what the socket takes.
    fn send(&mut self, what: Outgoing, payload: &[u8], waker: Option<&Waker>) -> Result<()> {
        self.frame(what, payload)?;
        let waiting = self.link.waiting();
        if self.flush_wanted && waiting <= MAX_BURST {
            return Ok(());
        }
        let now = Instant::now();
        let follows = self.written.replace(now).is_some_and(|then| now - then < BURST);
        if let Some(waker) = waker
            && follows
            && payload.len() <= SMALL
            && waiting <= MAX_BURST
        {
            self.flush_wanted = true;
            waker.wake_by_ref();
            return Ok(());
        }
        let mut context = Context::from_waker(waker.unwrap_or(Waker::noop()));
        match self.link.poll_flush(&mut context) {
            Poll::Ready(Ok(())) => self.flush_wanted = false,
            // Trouble is for the driver to see, which reads it from the same socket.
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        Ok(())
    }

    /// Queues a frame.
    pub(super) fn frame(&mut self, what: Outgoing, payload: &[u8]) -> Result<()> {
        let mask = self.masks.as_mut().map(Masks::next).transpose()?;
        self.link.write_with(|output| codec::encode(output, what, payload, mask))
    }

    /// Queues a close frame, once.
    pub(super) fn send_close(&mut self, code: Option<u16>) -> Result<()> {
        self.close_by.get_or_insert_with(|| Instant::now() + CLOSE_PATIENCE);
        if std::mem::replace(&mut self.close_sent, true) {
            return Ok(());
        }
        let code = code.map(u16::to_be_bytes);
        self.frame(Outgoing::Close, code.as_ref().map_or(&[], |code| code.as_slice()))
    }

    /// Answers a ping, or keeps the answer until there is room for it.
    pub(super) fn answer_ping(&mut self, payload: Vec<u8>) -> Result<()> {
        if self.close_sent {
            return Ok(());
        }
        if self.link.waiting() > MAX_WAITING_FOR_PONGS {
            self.pong = Some(payload);
            return Ok(());
        }
        self.frame(Outgoing::Pong, &payload)
    }

    /// Writes what waits; ready when nothing does.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.flush_wanted = false;
        loop {
            std::task::ready!(self.link.poll_flush(cx))?;
            match self.pong.take() {
                Some(payload) => self.answer_ping(payload).map_err(std::io::Error::other)?,
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Masks from the system's random numbers, fetched many at a time.
#[derive(Default)]
struct Masks {
    stock: Vec<[u8; 4]>,
}

impl Masks {
    fn next(&mut self) -> Result<[u8; 4]> {
        if let Some(mask) = self.stock.pop() {
            return Ok(mask);
        }
        let mut random = [[0; 4]; 64];
        getrandom::fill(random.as_flattened_mut()).map_err(|error| {
            Error::failure("there are no random numbers").caused_by(error.to_string())
        })?;
        self.stock.extend_from_slice(&random);
        self.stock.pop().ok_or_else(|| Error::failure("there are no random numbers"))
    }
}

impl Channel for WebSocket {
    fn port(&self) -> &Port {
        &self.port
    }

    fn send(&self, message: Message) -> Result<()> {
        if message.data.len() > self.config.max_message_size {
            return Err(Error::failure(format!(
                "cannot send {} bytes: at most {} are allowed",
                message.data.len(),
                self.config.max_message_size
            )));
        }
        let what = match message.kind {
            MessageKind::Binary => Outgoing::Binary,
            MessageKind::Text if std::str::from_utf8(&message.data).is_ok() => Outgoing::Text,
            MessageKind::Text => {
                return Err(Error::invalid("cannot send: the text is not UTF-8 (RFC 6455 §5.6)"));
            }
        };
        let mut state = self.state.lock();
        let State { phase: Phase::Open, live: Some(live), waker, .. } = &mut *state else {
            return Err(Error::failure("cannot send: the WebSocket is not open"));
        };
        let before = live.link.waiting();
        live.send(what, &message.data, waker.as_ref())?;
        let after = live.link.waiting();
        self.port.add_buffered(after.saturating_sub(before));
        let low = after < before && self.port.sub_buffered(before - after);
        drop(state);
        if low {
            self.ring();
        }
        Ok(())
    }

    /// Sends a close frame after the messages; the closed callback runs when the other side has
    /// answered it, or 10 s later. While connecting it runs before this returns.
    fn close(&self) {
        if self.begin_close(true) {
            self.port.tell_closed();
        }
    }

    fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    fn is_closed(&self) -> bool {
        self.state.lock().phase == Phase::Closed
    }

    fn max_message_size(&self) -> usize {
        self.config.max_message_size
    }

    /// Closes without waiting for the other side; what was sent still goes out.
    fn delete(&self) {
        if self.begin_close(false) {
            self.port.tell_closed();
        }
        self.port.close_gate();
    }
}

impl Source for WebSocket {
    fn resume(&self) {
        self.wake();
    }

    /// Its server has done that.
    fn announce(&self) {}

    fn ring_again(&self) -> bool {
        self.ring();
        true
    }
}

impl Bell for WebSocket {
    fn run(&self) {
        self.port.tell_news(self);
        if self.is_ending.load(Ordering::Acquire) && !self.port.has_news() {
            self.finish_waiting();
        }
    }

    fn rung(&self) -> &AtomicBool {
        self.port.rung()
    }
}

impl Activity for WebSocket {
    fn abort(&self) {
        self.abort();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("WebSocket")
            .field("role", &self.role)
            .field("remote", &state.remote)
            .field("phase", &state.phase)
            .finish_non_exhaustive()
    }
}

//! A TCP connection that carries datagrams, perhaps through TLS: to a TURN server, or to the peer.
//!
//! The task reads; whoever has a datagram writes it, and the task goes on when the socket was full.

use std::fmt;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use rtc_core::backend::TlsSession;
use rtc_core::backend::tls::TlsRead;
use rtc_core::runtime::{TcpConnect, TcpStream};

use super::path::Sent;
use crate::agent::Carrier;
use crate::framing::{Deframer, Framing};

/// Bytes that wait to be sent at most; a sender is told to wait when there are more.
const MAX_WAITING: usize = 256 * 1024;
/// Bytes that are read from the socket at one time, where TLS lies between.
const READ_SIZE: usize = 16 * 1024;

/// One connection. Its key is what the agent knows of it: what it carries and the two addresses.
pub(super) struct Connection {
    pub(super) carrier: Carrier,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// When it was begun.
    pub(super) since: Instant,
    framing: Framing,
    /// Only the task takes it, and keeps it while frames are passed up.
    pub(super) reader: Mutex<Deframer>,
    state: Mutex<State>,
}

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended;

struct State {
    io: Io,
    tls: Option<Tls>,
    /// Bytes for the socket.
    wire: Queue,
    waker: Option<Waker>,
}

enum Io {
    Connecting(TcpConnect),
    Open(Box<dyn TcpStream>),
    Ended,
}

struct Tls {
    session: Box<dyn TlsSession>,
    /// Bytes to be encrypted.
    plain: Queue,
    /// Bytes to be decrypted.
    received: Queue,
}

/// Bytes in order.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    start: usize,
}

impl Queue {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start >= self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > MAX_WAITING {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

impl Connection {
    /// One that is to be made.
    pub(super) fn begin(
        carrier: Carrier,
        (local, remote): (SocketAddr, SocketAddr),
        connecting: TcpConnect,
        tls: Option<Box<dyn TlsSession>>,
    ) -> Self {
        Self::new(carrier, local, remote, Io::Connecting(connecting), tls)
    }

    /// One that a peer has made.
    pub(super) fn accept(local: SocketAddr, remote: SocketAddr, io: Box<dyn TcpStream>) -> Self {
        Self::new(Carrier::Tcp, local, remote, Io::Open(io), None)
    }

    fn new(
        carrier: Carrier,
        local: SocketAddr,
        remote: SocketAddr,
        io: Io,
        tls: Option<Box<dyn TlsSession>>,
    ) -> Self {
        let framing = match carrier {
            Carrier::TurnTcp | Carrier::TurnTls => Framing::Turn,
            Carrier::Udp | Carrier::Tcp => Framing::LengthPrefixed,
        };
        let tls =
            tls.map(|session| Tls { session, plain: Queue::default(), received: Queue::default() });
        Self {
            carrier,
            local,
            remote,
            since: Instant::now(),
            framing,
            reader: Mutex::new(Deframer::new(framing)),
            state: Mutex::new(State { io, tls, wire: Queue::default(), waker: None }),
        }
    }

    pub(super) fn is(&self, carrier: Carrier, local: SocketAddr, remote: SocketAddr) -> bool {
        (self.carrier, self.local, self.remote) == (carrier, local, remote)
    }

    /// Sends datagrams, as many as there is room for.
    pub(super) fn send(&self, contents: &[u8], segment_size: usize) -> Sent {
        let mut state = self.state.lock();
        if matches!(state.io, Io::Ended) {
            return Sent::All;
        }
        for (taken, datagram) in contents.chunks(segment_size.max(1)).enumerate() {
            if state.waiting() > MAX_WAITING {
                state.write_on();
                return Sent::Blocked(taken);
            }
            self.framing.encode(datagram, state.plain());
        }
        state.write_on();
        Sent::All
    }

    /// Whether a sender that had to wait may go on.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        matches!(state.io, Io::Ended) || state.waiting() <= MAX_WAITING / 2
    }

    /// Whether everything has been given to the system.
    pub(super) fn is_flushed(&self) -> bool {
        let state = self.state.lock();
        matches!(state.io, Io::Ended) || state.waiting() == 0
    }

    /// Goes on with connecting and writing.
    pub(super) fn poll_progress(&self, cx: &mut Context<'_>) -> Result<(), Ended> {
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(cx.waker()),
            None => state.waker = Some(cx.waker().clone()),
        }
        if let Io::Connecting(connecting) = &mut state.io {
            match connecting.as_mut().poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(io)) => state.io = Io::Open(io),
                Poll::Ready(Err(_)) => return state.end(),
            }
        }
        state.write(cx)
    }

    /// Reads into the room of `deframer`.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        deframer: &mut Deframer,
    ) -> Poll<Result<(), Ended>> {
        let mut state = self.state.lock();
        let read = match state.tls {
            None => state.read(cx, deframer.room()),
            Some(_) => state.read_through_tls(cx, deframer.room()),
        };
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(bytes)) => {
                deframer.filled(bytes);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(Ended)) => Poll::Ready(state.end()),
        }
    }

    /// Says goodbye, as far as the socket takes it, and closes.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if let Some(tls) = &mut state.tls {
            tls.session.close();
        }
        state.write_on();
        state.io = Io::Ended;
    }
}

impl State {
    fn end(&mut self) -> Result<(), Ended> {
        self.io = Io::Ended;
        Err(Ended)
    }

    fn waiting(&self) -> usize {
        let plain = self.tls.as_ref().map_or(0, |tls| tls.plain.waiting().len());
        plain + self.wire.waiting().len()
    }

    /// Where frames go.
    fn plain(&mut self) -> &mut Vec<u8> {
        match &mut self.tls {
            Some(tls) => &mut tls.plain.bytes,
            None => &mut self.wire.bytes,
        }
    }

    /// Writes what the socket takes now; the task is woken when it takes more. An end is noticed
    /// by the task.
    fn write_on(&mut self) {
        let waker = self.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        if self.write(&mut Context::from_waker(&waker)).is_err() {
            waker.wake();
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            if let Some(tls) = &mut self.tls
                && tls.encrypt(&mut self.wire.bytes).is_err()
            {
                return self.end();
            }
            let Io::Open(io) = &mut self.io else { return Ok(()) };
            if self.wire.waiting().is_empty() {
                return Ok(());
            }
            match io.poll_write(cx, self.wire.waiting()) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(bytes)) if bytes > 0 => self.wire.advance(bytes),
                Poll::Ready(_) => return self.end(),
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, Ended>> {
        match &mut self.io {
            Io::Connecting(_) => Poll::Pending,
            Io::Ended => Poll::Ready(Err(Ended)),
            Io::Open(io) => match io.poll_read(cx, room) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(bytes)) if bytes > 0 => Poll::Ready(Ok(bytes)),
                Poll::Ready(_) => Poll::Ready(Err(Ended)),
            },
        }
    }

    fn read_through_tls(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<Result<usize, Ended>> {
        loop {
            let Some(tls) = &mut self.tls else { return Poll::Ready(Err(Ended)) };
            match tls.session.read(room) {
                Ok(TlsRead::Data(bytes)) => return Poll::Ready(Ok(bytes)),
                Ok(TlsRead::WouldBlock) => {}
                Ok(TlsRead::Closed | TlsRead::Truncated) | Err(_) => {
                    return Poll::Ready(Err(Ended));
                }
            }
            if tls.received.waiting().is_empty() {
                let mut received = std::mem::take(&mut tls.received);
                received.bytes.resize(READ_SIZE, 0);
                let read = self.read(cx, &mut received.bytes);
                let bytes = match read {
                    Poll::Ready(Ok(bytes)) => bytes,
                    _ => 0,
                };
                received.bytes.truncate(bytes);
                if let Some(tls) = &mut self.tls {
                    tls.received = received;
                }
                match read {
                    Poll::Ready(Ok(_)) => continue,
                    other => return other,
                }
            }
            match tls.session.read_ciphertext(tls.received.waiting()) {
                Ok(bytes) if bytes > 0 => tls.received.advance(bytes),
                _ => return Poll::Ready(Err(Ended)),
            }
            // The handshake has its own things to say.
            if self.write(cx).is_err() {
                return Poll::Ready(Err(Ended));
            }
        }
    }
}

impl Tls {
    /// Moves what can be encrypted to `wire`.
    fn encrypt(&mut self, wire: &mut Vec<u8>) -> Result<(), Ended> {
        loop {
            let wrote = match self.plain.waiting() {
                [] => 0,
                waiting => self.session.write(waiting).map_err(|_| Ended)?,
            };
            self.plain.advance(wrote);
            let more = self.session.write_ciphertext(wire);
            if wrote == 0 && !more {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} to {}", self.carrier, self.local, self.remote)
    }
}

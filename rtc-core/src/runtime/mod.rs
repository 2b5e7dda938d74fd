//! What the library needs of an asynchronous runtime, behind a small trait.

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

pub use quinn_udp::{RecvMeta, Transmit as UdpTransmit};

pub mod gate;
pub mod lane;
pub mod pool;
mod sync;
mod tokio_rt;

pub use tokio_rt::TokioRuntime;

/// A task for [`Runtime::spawn`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks, timers and sockets. tokio is the default.
pub trait Runtime: Send + Sync + Debug + 'static {
    /// Runs a task to its end on a thread of the runtime. It must not block.
    fn spawn(&self, task: Task);

    /// Runs a closure that may block, for example a name look-up, on a thread of its own kind.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Ends the runtime's threads; false when some were still busy at `deadline`.
    fn shutdown(&self, deadline: Instant) -> bool;

    /// A timer that fires at `deadline`.
    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>>;

    /// Takes a bound UDP socket.
    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn UdpSocket>>;

    /// Connects to `remote`, from `local` if given (port 0 lets the system choose).
    fn tcp_connect(&self, local: Option<SocketAddr>, remote: SocketAddr) -> TcpConnect;

    /// Takes a bound listener.
    fn tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Box<dyn TcpListener>>;
}

/// Becomes a connected stream.
pub type TcpConnect = Pin<Box<dyn Future<Output = io::Result<Box<dyn TcpStream>>> + Send>>;

/// A connected TCP stream. Dropping it closes it.
pub trait TcpStream: Send + Debug {
    /// Reads what is there; 0 bytes mean that the other side has ended its direction.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what the socket takes now.
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends our direction.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Our address.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The other side's address.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

/// A TCP socket that accepts connections.
pub trait TcpListener: Send + Sync + Debug {
    /// Ready with the next connection and where it comes from. Only one task may wait at a time.
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>>;

    /// The address it is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A timer that can be moved.
pub trait Timer: Send + Debug {
    /// Moves the deadline.
    fn reset(self: Pin<&mut Self>, deadline: Instant);

    /// Ready once the deadline has passed.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// A UDP socket that sends and receives in batches (GSO and GRO where the system has them).
pub trait UdpSocket: Send + Sync + Debug {
    /// Sends without waiting; `WouldBlock` when the socket is full.
    fn try_send(&self, transmit: &UdpTransmit<'_>) -> io::Result<()>;

    /// Ready when [`Self::try_send`] may succeed again. Only one task may wait at a time.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Receives into `buffers`; returns how many of them (and of `meta`) were filled. A buffer may
    /// hold several datagrams of `meta.stride` bytes. Only one task may wait at a time.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>>;

    /// The address it is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// How many segments one [`UdpTransmit`] may have.
    fn max_send_segments(&self) -> usize;

    /// How many datagrams one receive buffer may hold.
    fn max_receive_segments(&self) -> usize;
}

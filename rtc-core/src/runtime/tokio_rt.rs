//! The tokio runtime, and quinn-udp for its sockets.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use parking_lot::Mutex;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};

use super::{Runtime, Task, TcpConnect, TcpListener, TcpStream, Timer, UdpSocket, UdpTransmit};

/// A multi-thread tokio runtime of our own, named `rtc-io`.
#[derive(Debug)]
pub struct TokioRuntime {
    handle: tokio::runtime::Handle,
    owner: Mutex<Option<tokio::runtime::Runtime>>,
}

impl TokioRuntime {
    /// Starts a runtime with `threads` worker threads.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name("rtc-io")
            .enable_io()
            .enable_time()
            .build()
            .map(|runtime| Self {
                handle: runtime.handle().clone(),
                owner: Mutex::new(Some(runtime)),
            })
    }
}

impl Drop for TokioRuntime {
    fn drop(&mut self) {
        // The last reference may go away on one of the runtime's own threads, where waiting for
        // its threads to end would never return.
        if let Some(runtime) = self.owner.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: Task) {
        self.handle.spawn(task);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.handle.spawn_blocking(work);
    }

    fn shutdown(&self, deadline: Instant) -> bool {
        if let Some(runtime) = self.owner.lock().take() {
            if tokio::runtime::Handle::try_current().is_ok() {
                // On a thread of a runtime there is no waiting.
                runtime.shutdown_background();
                return false;
            }
            runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        Instant::now() < deadline
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        let _context = self.handle.enter();
        Box::pin(TokioTimer { sleep: Box::pin(tokio::time::sleep_until(deadline.into())) })
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn UdpSocket>> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let _context = self.handle.enter();
        Ok(Arc::new(TokioUdpSocket { io: tokio::net::UdpSocket::from_std(socket)?, state }))
    }

    fn tcp_connect(&self, local: Option<SocketAddr>, remote: SocketAddr) -> TcpConnect {
        // The socket registers itself with the runtime it is used on, which need not be ours.
        let handle = self.handle.clone();
        let task = async move {
            let socket = match remote {
                SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
                SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
            };
            if let Some(local) = local {
                socket.bind(local)?;
            }
            tokio_stream(socket.connect(remote).await?)
        };
        let connecting = AbortOnDrop(handle.spawn(task));
        Box::pin(connecting)
    }

    fn tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Box<dyn TcpListener>> {
        listener.set_nonblocking(true)?;
        let _context = self.handle.enter();
        Ok(Box::new(TokioTcpListener { io: tokio::net::TcpListener::from_std(listener)? }))
    }
}

/// A task whose end somebody waits for; it ends when nobody does any longer.
struct AbortOnDrop<T>(tokio::task::JoinHandle<io::Result<T>>);

impl<T> Future for AbortOnDrop<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let joined = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(joined.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tokio_stream(io: tokio::net::TcpStream) -> io::Result<Box<dyn TcpStream>> {
    // Messages go out whole; waiting for more to put beside them would only delay them.
    io.set_nodelay(true)?;
    Ok(Box::new(TokioTcpStream { io }))
}

#[derive(Debug)]
struct TokioTcpStream {
    io: tokio::net::TcpStream,
}

impl TcpStream for TokioTcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }
}

#[derive(Debug)]
struct TokioTcpListener {
    io: tokio::net::TcpListener,
}

impl TcpListener for TokioTcpListener {
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>> {
        let (io, from) = ready!(self.io.poll_accept(cx))?;
        Poll::Ready(tokio_stream(io).map(|stream| (stream, from)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }
}

#[derive(Debug)]
struct TokioTimer {
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Timer for TokioTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.sleep.as_mut().reset(deadline.into());
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

#[derive(Debug)]
struct TokioUdpSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
}

impl UdpSocket for TokioUdpSocket {
    fn try_send(&self, transmit: &UdpTransmit<'_>) -> io::Result<()> {
        // The system knows best: tokio takes a socket for full until its poller has first seen it.
        let send = || self.state.try_send(UdpSockRef::from(&self.io), transmit);
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::WRITABLE, send)
            }
            other => other,
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self.io.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(&self.io), buffers, meta)
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                other => return Poll::Ready(other),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_send_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn tcp_carries_bytes_both_ways_until_each_side_ends_its_direction() {
        let runtime = Arc::new(TokioRuntime::new(NonZeroUsize::MIN).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = runtime.tcp_listener(listener).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(Box::pin(async move {
            let (mut stream, from) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), from);
            let mut buffer = [0; 16];
            loop {
                match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.unwrap() {
                    0 => break,
                    n => assert_eq!(
                        poll_fn(|cx| stream.poll_write(cx, &buffer[..n])).await.unwrap(),
                        n
                    ),
                }
            }
        }));
        let (done, echoed) = mpsc::channel();
        let connect = runtime.tcp_connect(None, address);
        runtime.spawn(Box::pin(async move {
            let mut stream = connect.await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
            assert_eq!(poll_fn(|cx| stream.poll_write(cx, b"over there")).await.unwrap(), 10);
            poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
            let mut received = Vec::new();
            let mut buffer = [0; 16];
            loop {
                match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.unwrap() {
                    0 => break,
                    n => received.extend_from_slice(&buffer[..n]),
                }
            }
            done.send(received).unwrap();
        }));
        assert_eq!(echoed.recv_timeout(std::time::Duration::from_secs(10)).unwrap(), b"over there");
    }

    #[test]
    fn connecting_to_a_port_where_nobody_listens_is_refused() {
        let runtime = TokioRuntime::new(NonZeroUsize::MIN).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (done, outcome) = mpsc::channel();
        let connect = runtime.tcp_connect(None, free);
        runtime.spawn(Box::pin(async move {
            done.send(connect.await.map_err(|error| error.kind()).err()).unwrap();
        }));
        let error = outcome.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(error, Some(io::ErrorKind::ConnectionRefused));
    }
}

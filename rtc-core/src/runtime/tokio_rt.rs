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
use tokio::io::Interest;

use super::{Runtime, Task, Timer, UdpSocket, UdpTransmit};

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

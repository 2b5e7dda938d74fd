//! The task of a connection: receives, passes time, delivers.

use std::future::Future;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rtc_core::backend::IceEvent;
use rtc_core::runtime::{RecvMeta, Timer};

use super::path::Outlet;
use super::{Shared, Socket, Work, buffers, connections};
use crate::agent::Received;
use crate::stun;

/// Receive calls per socket and turn, after which other tasks get theirs.
const RECEIVES_PER_TURN: usize = 4;
/// Receive errors in a row after which a socket rests, and for how long. They are the echo of
/// datagrams sent earlier, so a few of them mean nothing.
const ERRORS_PER_TURN: usize = 16;
const REST_AFTER_ERRORS: Duration = Duration::from_millis(100);

/// The task; it ends when the transport is closed.
pub(super) struct Task {
    shared: Arc<Shared>,
    timer: Option<Pin<Box<dyn Timer>>>,
    timer_at: Option<Instant>,
}

/// What a turn of receiving leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// Nothing; the task is woken when more arrives.
    Yes,
    /// Perhaps more datagrams.
    No,
    /// A socket that only gives errors.
    Failing,
    /// The transport was closed meanwhile.
    Closed,
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, timer: None, timer_at: None }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let Some(_inside) = shared.gate.enter() else { return Poll::Ready(()) };
        remember_waker(&shared, cx);
        deliver(&shared);
        let mut drained = receive(&shared, cx);
        match connections::turn(&shared, cx) {
            Drained::Yes => {}
            other if drained != Drained::Closed => drained = other,
            _ => {}
        }
        if drained == Drained::Closed || shared.gate.is_closed() {
            return Poll::Ready(());
        }
        report_writable(&shared, cx);
        let mut deadline = shared.core.lock().agent.poll_timeout();
        if drained == Drained::Failing {
            let rest = Instant::now() + REST_AFTER_ERRORS;
            deadline = Some(deadline.map_or(rest, |at| at.min(rest)));
        }
        if drained == Drained::No {
            cx.waker().wake_by_ref();
        }
        self.arm_timer(deadline, cx);
        if shared.gate.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn arm_timer(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) {
        let Some(at) = deadline else {
            self.timer = None;
            self.timer_at = None;
            return;
        };
        let runtime = &self.shared.host.runtime;
        let timer = self.timer.get_or_insert_with(|| runtime.timer(at));
        if self.timer_at.replace(at) != Some(at) {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_ready() {
            self.timer_at = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx)
    }
}

fn remember_waker(shared: &Shared, cx: &Context<'_>) {
    let mut waker = shared.waker.lock();
    match &mut *waker {
        Some(known) => known.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

/// Does what the agent wants done at present.
fn deliver(shared: &Shared) {
    loop {
        let work = shared.work(Instant::now());
        if work.transmits.is_empty() && work.events.is_empty() {
            return;
        }
        do_work(shared, work);
        if shared.gate.is_closed() {
            return;
        }
    }
}

pub(super) fn do_work(shared: &Shared, work: Work) {
    shared.transmit(work.transmits);
    for event in work.events {
        if shared.gate.is_closed() {
            return;
        }
        match &event {
            IceEvent::Candidate(candidate) => log::debug!("ICE: found {candidate}"),
            other => log::debug!("ICE: {other:?}"),
        }
        shared.host.sink.event(event);
    }
}

fn receive(shared: &Shared, cx: &mut Context<'_>) -> Drained {
    // Not kept from turn to turn, so that closing can give up the ports.
    let sockets = shared.core.lock().sockets.clone();
    buffers::lend(|buffers| {
        let mut drained = Drained::Yes;
        for socket in &*sockets {
            match receive_from(shared, socket, buffers, cx) {
                Drained::Yes => {}
                Drained::Closed => return Drained::Closed,
                other => drained = other,
            }
        }
        drained
    })
}

fn receive_from(
    shared: &Shared,
    socket: &Socket,
    buffers: &mut [u8],
    cx: &mut Context<'_>,
) -> Drained {
    let mut errors = 0;
    let mut receives = 0;
    while receives < RECEIVES_PER_TURN {
        let mut meta = [RecvMeta::default(); buffers::COUNT];
        let mut chunks = buffers.chunks_exact_mut(buffers::SIZE);
        let mut slices: [IoSliceMut<'_>; buffers::COUNT] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        match socket.io.poll_recv(cx, &mut slices, &mut meta) {
            Poll::Pending => return Drained::Yes,
            Poll::Ready(Ok(count)) => {
                receives += 1;
                dispatch(shared, socket, buffers, meta.get(..count).unwrap_or_default());
                if shared.gate.is_closed() {
                    return Drained::Closed;
                }
            }
            Poll::Ready(Err(_)) => {
                errors += 1;
                if errors == ERRORS_PER_TURN {
                    return Drained::Failing;
                }
            }
        }
    }
    Drained::No
}

/// The datagrams of a received buffer.
fn datagrams<'a>(buffer: &'a mut [u8], meta: &RecvMeta) -> impl Iterator<Item = &'a mut [u8]> {
    let filled = meta.len.min(buffer.len());
    let (contents, _) = buffer.split_at_mut(filled);
    contents.chunks_mut(meta.stride.max(1))
}

/// Gives STUN, and what TURN servers send, to the agent; does what that leads to; passes
/// everything else from validated addresses up, all at once.
fn dispatch(shared: &Shared, socket: &Socket, buffers: &mut [u8], meta: &[RecvMeta]) {
    let mut accepted = [false; buffers::COUNT];
    let mut relayed = Vec::new();
    let now = Instant::now();
    let mut work = Work::default();
    {
        let mut core = shared.core.lock();
        let mut for_agent = false;
        for (index, (buffer, meta)) in buffers.chunks_exact_mut(buffers::SIZE).zip(meta).enumerate()
        {
            let ip = meta.dst_ip.unwrap_or(socket.address.ip());
            let local = SocketAddr::new(ip, socket.address.port());
            let from_server = core.agent.is_turn_server(meta.addr);
            let mut start = index * buffers::SIZE;
            for datagram in datagrams(buffer, meta) {
                if from_server || stun::is_stun(datagram) {
                    for_agent = true;
                    if let Received::Relayed(part) =
                        core.agent.handle_datagram(now, local, meta.addr, datagram)
                    {
                        relayed.push(start + part.start..start + part.end);
                    }
                }
                start += datagram.len();
            }
            if let Some(accepted) = accepted.get_mut(index) {
                *accepted = !from_server;
            }
        }
        for (accepted, meta) in accepted.iter_mut().zip(meta) {
            *accepted &= core.agent.accepts_data(meta.addr);
        }
        if for_agent {
            work = core.take_work(shared);
        }
    }
    do_work(shared, work);
    pass_direct(shared, buffers, meta, accepted);
    pass_parts(shared, buffers, relayed);
}

/// Passes up what is no STUN in the buffers that are accepted.
fn pass_direct(
    shared: &Shared,
    buffers: &mut [u8],
    meta: &[RecvMeta],
    accepted: [bool; buffers::COUNT],
) {
    let accepted = buffers
        .chunks_exact_mut(buffers::SIZE)
        .zip(meta)
        .zip(accepted)
        .filter_map(|(received, accepted)| accepted.then_some(received));
    let mut data = accepted
        .flat_map(|(buffer, meta)| datagrams(buffer, meta))
        .filter(|datagram| !datagram.is_empty() && !stun::is_stun(datagram))
        .peekable();
    if data.peek().is_some() && !shared.gate.is_closed() {
        shared.host.sink.datagrams(&mut data);
    }
}

/// Passes up parts of the buffers, which are in ascending order.
pub(super) fn pass_parts(shared: &Shared, buffers: &mut [u8], parts: Vec<Range<usize>>) {
    if parts.is_empty() || shared.gate.is_closed() {
        return;
    }
    let (mut rest, mut passed) = (buffers, 0);
    let mut data = parts.into_iter().filter_map(|part| {
        let (_, from_part) = std::mem::take(&mut rest).split_at_mut_checked(part.start - passed)?;
        let (datagram, after) = from_part.split_at_mut_checked(part.len())?;
        (rest, passed) = (after, part.end);
        Some(datagram)
    });
    shared.host.sink.datagrams(&mut data);
}

/// Tells once that what was full has room again.
fn report_writable(shared: &Shared, cx: &mut Context<'_>) {
    let Some(outlet) = shared.blocked.lock().clone() else { return };
    let has_room = match outlet {
        Outlet::Socket(socket) => socket.poll_writable(cx).is_ready(),
        Outlet::Connection(connection) => connection.has_room(),
    };
    if has_room {
        *shared.blocked.lock() = None;
        if !shared.gate.is_closed() {
            shared.host.sink.event(IceEvent::Writable);
        }
    }
}

//! A queue between a library that calls back under a lock of its own and the [`IceSink`].
//!
//! Callbacks of such a library only enqueue; a task of the runtime then calls the sink, with no
//! lock held, in the order in which things came. What waits is bounded: a datagram beyond that is
//! lost, as it would be in a full socket.
//!
//! [`IceSink`]: super::ice::IceSink

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::ice::{IceEvent, IceHost};
use crate::runtime::Timer;

/// Bytes of datagrams that may wait: twice what a peer may have in flight.
const MAX_WAITING: usize = 2 * 1024 * 1024;
/// Datagrams that may wait.
const MAX_DATAGRAMS: usize = 8192;
/// Room for datagrams that an idle connection keeps, in bytes.
const KEPT_ROOM: usize = 32 * 1024;
/// Batches after which other tasks get their turn.
const BATCHES_PER_TURN: usize = 8;
/// How long a full socket is left alone. Libraries do not tell when it has room again.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// The queue of one transport.
pub struct Delivery {
    host: IceHost,
    state: Mutex<State>,
    /// The thread inside the sink has left it.
    left: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    /// The task, when it sleeps.
    waker: Option<Waker>,
    /// When to say that sending may go on.
    retry_at: Option<Instant>,
    inside: Option<ThreadId>,
    started: bool,
    closed: bool,
}

/// Events and datagrams in their order.
#[derive(Default)]
struct Batch {
    items: VecDeque<Item>,
    /// The datagrams, back to back.
    bytes: Vec<u8>,
}

enum Item {
    Event(IceEvent),
    /// A datagram of so many bytes.
    Datagram(usize),
}

impl Delivery {
    /// A queue that delivers to the host's sink once it is started.
    pub fn new(host: IceHost) -> Arc<Self> {
        Arc::new(Self { host, state: Mutex::default(), left: Condvar::new() })
    }

    /// Begins to deliver. Further calls have no effect.
    pub fn start(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.closed || std::mem::replace(&mut state.started, true) {
            return;
        }
        drop(state);
        let task = Task { delivery: self.clone(), spare: Batch::default(), timer: None };
        self.host.runtime.spawn(Box::pin(task));
    }

    /// Enqueues an event.
    pub fn event(&self, event: IceEvent) {
        self.push(|batch| batch.items.push_back(Item::Event(event)));
    }

    /// Enqueues a datagram, unless too much waits already.
    pub fn datagram(&self, datagram: &[u8]) {
        self.push(|batch| {
            let room = MAX_WAITING.saturating_sub(batch.bytes.len());
            if datagram.len() <= room && batch.items.len() < MAX_DATAGRAMS {
                batch.bytes.extend_from_slice(datagram);
                batch.items.push_back(Item::Datagram(datagram.len()));
            }
        });
    }

    /// Has [`IceEvent::Writable`] follow in a moment.
    pub fn retry_soon(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.retry_at.get_or_insert_with(|| Instant::now() + RETRY_AFTER);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends delivery and waits until no other thread is inside the sink. True at the first time.
    pub fn close(&self) -> bool {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        state.waiting = Batch::default();
        let waker = state.waker.take();
        let own = thread::current().id();
        self.left.wait_while(&mut state, |state| state.inside.is_some_and(|id| id != own));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        first
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn push(&self, push: impl FnOnce(&mut Batch)) {
        let waker = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            push(&mut state.waiting);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Marks this thread as being inside the sink; false once closed.
    fn enter(&self) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.inside = Some(thread::current().id());
        true
    }

    fn leave(&self) {
        self.state.lock().inside = None;
        self.left.notify_all();
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Empties it, and gives most of its room back when little of it was used.
    fn clear(&mut self) {
        let used = self.bytes.len();
        self.items.clear();
        self.bytes.clear();
        if used < self.bytes.capacity() / 4 {
            self.bytes.shrink_to(KEPT_ROOM);
            self.items.shrink_to(KEPT_ROOM / 1024);
        }
    }

    /// Delivers all of it, datagrams that follow each other at once; ends early when that closes
    /// the transport.
    fn deliver(&mut self, delivery: &Delivery) {
        let sink = &delivery.host.sink;
        let mut rest = self.bytes.as_mut_slice();
        while let Some(item) = self.items.pop_front() {
            if delivery.is_closed() {
                return;
            }
            match item {
                Item::Event(event) => sink.event(event),
                Item::Datagram(first) => {
                    let items = &mut self.items;
                    let mut next = Some(first);
                    let mut run = std::iter::from_fn(|| {
                        let length = next.take().or_else(|| match items.front() {
                            Some(&Item::Datagram(length)) => items.pop_front().map(|_| length),
                            _ => None,
                        })?;
                        let (datagram, after) =
                            std::mem::take(&mut rest).split_at_mut_checked(length)?;
                        rest = after;
                        Some(datagram)
                    });
                    sink.datagrams(&mut run);
                    // A sink that leaves some must not confuse what follows.
                    run.for_each(drop);
                }
            }
        }
    }
}

/// Delivers; it ends when the queue is closed.
struct Task {
    delivery: Arc<Delivery>,
    /// Used in turn with the batch that waits, to keep their room.
    spare: Batch,
    timer: Option<Pin<Box<dyn Timer>>>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..BATCHES_PER_TURN {
            if !this.take(cx) {
                let closed = this.delivery.is_closed();
                return if closed { Poll::Ready(()) } else { this.wait_to_retry(cx) };
            }
            if this.delivery.enter() {
                this.spare.deliver(&this.delivery);
                this.delivery.leave();
            }
            this.spare.clear();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Task {
    /// Takes what waits; when nothing does, leaves the waker.
    fn take(&mut self, cx: &Context<'_>) -> bool {
        let mut state = self.delivery.state.lock();
        if state.closed {
            return false;
        }
        if state.waiting.is_empty() {
            state.waker = Some(cx.waker().clone());
            return false;
        }
        std::mem::swap(&mut state.waiting, &mut self.spare);
        true
    }

    fn wait_to_retry(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.delivery.state.lock().retry_at else { return Poll::Pending };
        let runtime = &self.delivery.host.runtime;
        let timer = self.timer.get_or_insert_with(|| runtime.timer(at));
        timer.as_mut().reset(at);
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.delivery.state.lock().retry_at = None;
        self.delivery.event(IceEvent::Writable);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use super::*;
    use crate::backend::ice::IceSink;
    use crate::runtime::{Runtime, TokioRuntime};
    use crate::state::IceState;

    const LIMIT: Duration = Duration::from_secs(20);

    #[derive(Debug, PartialEq)]
    enum Got {
        Event(IceEvent),
        Datagrams(Vec<Vec<u8>>),
    }

    /// Tells what it is given, and then waits to be let go if it has a channel for that.
    struct Sink {
        got: mpsc::Sender<Got>,
        leave: Option<Mutex<mpsc::Receiver<()>>>,
    }

    impl Sink {
        fn tell(&self, got: Got) {
            self.got.send(got).expect("the test listens");
            if let Some(leave) = &self.leave {
                leave.lock().recv().expect("the test tells");
            }
        }
    }

    impl IceSink for Sink {
        fn event(&self, event: IceEvent) {
            self.tell(Got::Event(event));
        }

        fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
            self.tell(Got::Datagrams(batch.map(|datagram| datagram.to_vec()).collect()));
        }
    }

    fn delivery(leave: Option<mpsc::Receiver<()>>) -> (Arc<Delivery>, mpsc::Receiver<Got>) {
        let runtime: Arc<dyn Runtime> =
            Arc::new(TokioRuntime::new(NonZeroUsize::MIN).expect("a runtime"));
        let (got, has_got) = mpsc::channel();
        let sink = Arc::new(Sink { got, leave: leave.map(Mutex::new) });
        (Delivery::new(IceHost { sink, runtime, tls: None }), has_got)
    }

    #[test]
    fn order_is_kept_and_neighbours_come_together() {
        let (delivery, got) = delivery(None);
        delivery.event(IceEvent::State(IceState::Checking));
        delivery.datagram(b"one");
        delivery.datagram(b"");
        delivery.datagram(b"three");
        delivery.event(IceEvent::GatheringDone);
        delivery.datagram(b"four");
        delivery.start();
        delivery.start();
        let expected = [
            Got::Event(IceEvent::State(IceState::Checking)),
            Got::Datagrams(vec![b"one".into(), b"".into(), b"three".into()]),
            Got::Event(IceEvent::GatheringDone),
            Got::Datagrams(vec![b"four".into()]),
        ];
        for expected in expected {
            assert_eq!(got.recv_timeout(LIMIT).expect("delivered"), expected);
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let (delivery, got) = delivery(None);
        let large = vec![7; 60_000];
        for _ in 0..100 {
            delivery.datagram(&large);
        }
        delivery.event(IceEvent::GatheringDone);
        delivery.start();
        let Ok(Got::Datagrams(datagrams)) = got.recv_timeout(LIMIT) else { panic!("datagrams") };
        assert_eq!(datagrams.len(), MAX_WAITING / large.len());
        assert_eq!(got.recv_timeout(LIMIT), Ok(Got::Event(IceEvent::GatheringDone)));
    }

    #[test]
    fn a_full_socket_is_tried_again() {
        let (delivery, got) = delivery(None);
        delivery.start();
        for _ in 0..3 {
            delivery.retry_soon();
            assert_eq!(got.recv_timeout(LIMIT), Ok(Got::Event(IceEvent::Writable)));
        }
    }

    #[test]
    fn closing_waits_for_the_sink_and_nothing_follows() {
        let (leave, may_leave) = mpsc::channel();
        let (delivery, got) = delivery(Some(may_leave));
        delivery.start();
        delivery.event(IceEvent::GatheringDone);
        delivery.event(IceEvent::SelectedPair);
        assert_eq!(got.recv_timeout(LIMIT), Ok(Got::Event(IceEvent::GatheringDone)));
        let (closed, has_closed) = mpsc::channel();
        let closer = thread::spawn({
            let delivery = delivery.clone();
            move || closed.send(delivery.close()).expect("the test listens")
        });
        while !delivery.is_closed() {
            thread::yield_now();
        }
        assert_eq!(has_closed.try_recv(), Err(mpsc::TryRecvError::Empty));
        leave.send(()).expect("the sink waits");
        assert_eq!(has_closed.recv_timeout(LIMIT), Ok(true));
        assert!(!delivery.close(), "closed once before");
        delivery.datagram(b"late");
        delivery.start();
        closer.join().expect("no panic");
        drop(delivery);
        // The task has ended, and with it the sink.
        assert_eq!(got.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

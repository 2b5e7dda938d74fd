//! The task of one WebSocket: it connects, reads, writes what senders could not, sends pings, and
//! says goodbye.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use log::Level;

use super::codec::{Event, Outgoing};
use super::connect::{self, Connected, Failure, Stage};
use super::socket::{CLOSE_PATIENCE, Ending, Phase, State, WebSocket};
use crate::channel::news;
use crate::engine::Duty;
use crate::error::Error;
use crate::notes::{note, write_notes};
use crate::runtime::Timer;

/// How much is read at once.
const READ: usize = 128 * 1024;

/// Behind so many bytes there are probably more.
const MUCH: usize = 16 * 1024;

/// How many messages are taken before it is looked whether the queue is full.
const STRETCH: usize = 32;

/// How long the end of a connection waits for the application to be told the messages before.
const TELLING_PATIENCE: Duration = Duration::from_secs(2);

/// How long it waits where no callback takes messages, or not yet.
const TAKING_PATIENCE: Duration = Duration::from_millis(100);

/// When the driver looks again although nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

thread_local! {
    /// Where bytes are read to: one for each thread, because a connection is idle mostly.
    static BUFFER: RefCell<Vec<u8>> = RefCell::default();
}

pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Connected, Failure>> + Send>>;

/// Starts the task.
pub(super) fn start(socket: &Arc<WebSocket>, connecting: Connecting) {
    let weak: Weak<WebSocket> = Arc::downgrade(socket);
    let duty = socket.engine.enlist(weak);
    socket.engine.runtime().spawn(Box::pin(run(socket.clone(), duty, connecting)));
}

async fn run(socket: Arc<WebSocket>, _duty: Duty, connecting: Connecting) {
    let socket = &*socket;
    match establish(socket, connecting).await {
        None => {}
        Some(Ok(connected)) => {
            socket.opened(connected);
            Pump::new(socket).await;
        }
        Some(Err(failure)) => {
            log::warn!("WebSocket: {}: {}", failure.stage.text(), failure.error);
            socket.end(&mut socket.state.lock(), Some(failure.stage.text()));
            socket.ring();
            if let Some(link) = failure.link {
                within(socket, CLOSE_PATIENCE, connect::part(link)).await;
            }
        }
    }
}

/// Connects; `None` when nobody wants that any longer.
async fn establish(
    socket: &WebSocket,
    mut connecting: Connecting,
) -> Option<Result<Connected, Failure>> {
    let runtime = socket.engine.runtime();
    let timeout = socket.config.connection_timeout;
    let mut timer = timeout.map(|timeout| runtime.timer(Instant::now() + timeout));
    poll_fn(|cx| {
        {
            let mut state = socket.state.lock();
            if state.phase != Phase::Connecting {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
        }
        if let Poll::Ready(outcome) = connecting.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        let Some(timer) = &mut timer else { return Poll::Pending };
        timer.as_mut().poll(cx).map(|()| {
            let error = Error::failure(format!("not open after {timeout:?}"));
            Some(Err(Failure { stage: Stage::Timeout, error, link: None }))
        })
    })
    .await
}

/// Goes on with `work` until it is done, `patience` is over or the WebSocket is aborted.
async fn within(socket: &WebSocket, patience: Duration, work: impl Future<Output = ()>) {
    let mut work = std::pin::pin!(work);
    let mut timer = socket.engine.runtime().timer(Instant::now() + patience);
    poll_fn(|cx| {
        {
            let mut state = socket.state.lock();
            if state.aborted {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
        }
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

/// Keeps an open connection going until it has ended.
struct Pump<'a> {
    socket: &'a WebSocket,
    timer: Pin<Box<dyn Timer>>,
    /// When the timer fires.
    armed: Instant,
    /// When something last came.
    heard: Instant,
    /// When a ping was last sent.
    pinged: Instant,
    /// Pings without an answer.
    unanswered: u32,
    /// What was last read was much.
    is_loaded: bool,
}

impl Future for Pump<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let step = this.step(cx);
            write_notes();
            // A callback that answers needs the lock, which the last look at the socket takes: it
            // is called after that, unless there is more to do at the same time.
            let is_last = !matches!(step, Poll::Ready(Step::Again));
            if (is_last || this.is_loaded) && this.socket.port.has_news() {
                this.socket.ring();
            }
            match step {
                Poll::Ready(Step::Again) => {}
                Poll::Ready(Step::Done) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

enum Step {
    Again,
    Done,
}

impl<'a> Pump<'a> {
    fn new(socket: &'a WebSocket) -> Self {
        let now = Instant::now();
        let timer = socket.engine.runtime().timer(now + IDLE);
        Self {
            socket,
            timer,
            armed: now + IDLE,
            heard: now,
            pinged: now,
            unanswered: 0,
            is_loaded: false,
        }
    }

    /// Does what can be done now, under the lock.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let socket = self.socket;
        let mut guard = socket.state.lock();
        let state = &mut *guard;
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        let step = match state.live.as_mut() {
            Some(_) if state.aborted => Poll::Ready(Step::Done),
            None => Poll::Ready(Step::Done),
            Some(live) => {
                let before = live.link.waiting();
                let flushed = live.poll_flush(cx);
                let sent = before.saturating_sub(live.link.waiting());
                socket.port.sub_buffered(sent);
                match flushed {
                    Poll::Ready(Err(error)) => Poll::Ready(self.broken(state, &error)),
                    flushed => self.read(state, flushed.is_ready(), cx),
                }
            }
        };
        if let Poll::Ready(Step::Done) = step {
            state.live = None;
            socket.port.discard_buffered();
            return step;
        }
        match step {
            Poll::Pending => self.wait(state, cx),
            step => step,
        }
    }

    /// Reads once, if there is room for what comes.
    fn read(&mut self, state: &mut State, flushed: bool, cx: &mut Context<'_>) -> Poll<Step> {
        let socket = self.socket;
        let Some(live) = &mut state.live else { return Poll::Ready(Step::Done) };
        match live.ending {
            Some(_) if state.phase == Phase::Open => return Poll::Pending,
            Some((ending, _)) => {
                live.ending = None;
                socket.finish(state, ending);
                return Poll::Ready(Step::Again);
            }
            None => {}
        }
        let is_over = state.phase == Phase::Closed;
        if is_over && flushed && live.end_first {
            match live.link.poll_shutdown(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Step::Done),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        // Nobody takes messages of a closed WebSocket: they are dropped, not queued.
        if state.phase == Phase::Open && !socket.port.has_room() {
            return Poll::Pending;
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ, 0);
            self.read_into(state, cx, buffer)
        })
    }

    fn read_into(
        &mut self,
        state: &mut State,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Step> {
        let Some(live) = &mut state.live else { return Poll::Ready(Step::Done) };
        let length = match ready!(live.link.poll_read(cx, buffer)) {
            Ok(0) => return Poll::Ready(self.ended(state)),
            Ok(length) => length,
            Err(error) => return Poll::Ready(self.broken(state, &error)),
        };
        self.heard = Instant::now();
        self.is_loaded = length >= MUCH;
        let input = buffer.get(..length).unwrap_or_default();
        match (live.close_received, state.phase) {
            (true, _) => {}
            (false, Phase::Closed) => await_close(state, input),
            (false, _) => self.take(state, input),
        }
        Poll::Ready(Step::Again)
    }

    /// Handles what has arrived.
    fn take(&mut self, state: &mut State, mut input: &[u8]) {
        let socket = self.socket;
        let mut stretch = 0;
        while let Some(live) = &mut state.live {
            let event = match live.decoder.decode(&mut input) {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(violation) => {
                    note(Level::Warn, || format!("WebSocket: {violation}"));
                    return self.finish(state, Ending::Violation(violation.close_code()));
                }
            };
            match event {
                Event::Message(message) => {
                    let room = state.phase == Phase::Open || socket.port.has_room();
                    if room {
                        socket.port.push_received(message);
                    }
                    stretch += 1;
                    let is_full = stretch % STRETCH == 0
                        && state.phase == Phase::Open
                        && !socket.port.has_room();
                    if is_full {
                        live.link.unread(input);
                        return;
                    }
                }
                Event::Ping(payload) => {
                    if live.answer_ping(payload).is_err() {
                        return socket.finish(state, Ending::Violation(1011));
                    }
                }
                Event::Pong => self.unanswered = 0,
                Event::Close(code) => return self.finish(state, Ending::Close(code)),
            }
        }
    }

    /// The other side ends the connection. Its messages that came before may be answered: the end
    /// waits until the application has been told them.
    fn finish(&mut self, state: &mut State, ending: Ending) {
        let socket = self.socket;
        let has_handler = socket.port.has_message_handler();
        let may_answer = has_handler || socket.port.has_received();
        match &mut state.live {
            Some(live) if may_answer && state.phase == Phase::Open => {
                let patience = if has_handler { TELLING_PATIENCE } else { TAKING_PATIENCE };
                live.ending = Some((ending, Instant::now() + patience));
                if has_handler {
                    // The lane will say when it has told them.
                    socket.is_ending.store(true, Ordering::Release);
                    socket.port.add_news(news::MESSAGES);
                }
            }
            _ => socket.finish(state, ending),
        }
    }

    /// The connection broke.
    fn broken(&mut self, state: &mut State, error: &io::Error) -> Step {
        note(Level::Debug, || format!("WebSocket: {error}"));
        let error = (state.phase == Phase::Open).then_some(Stage::Tcp.text());
        self.socket.end(state, error);
        Step::Done
    }

    /// The other side ended the connection: unless that was in the middle of something, it is no
    /// error.
    fn ended(&mut self, state: &mut State) -> Step {
        let is_amid = state.live.as_ref().is_some_and(|live| live.decoder.is_amid());
        let error = (state.phase == Phase::Open && is_amid).then_some(Stage::Tcp.text());
        self.socket.end(state, error);
        Step::Done
    }

    /// Nothing can be done now: does what is due and sets the timer.
    fn wait(&mut self, state: &mut State, cx: &mut Context<'_>) -> Poll<Step> {
        let now = Instant::now();
        let Some(live) = &mut state.live else { return Poll::Ready(Step::Done) };
        let close_by = match state.phase {
            Phase::Open => live.ending.map(|(_, deadline)| deadline),
            Phase::Connecting | Phase::Closing | Phase::Closed => {
                Some(*live.close_by.get_or_insert(now + CLOSE_PATIENCE))
            }
        };
        if close_by.is_some_and(|deadline| deadline <= now) {
            if let Some((ending, _)) = live.ending.take() {
                self.socket.finish(state, ending);
                return Poll::Ready(Step::Again);
            }
            self.socket.end(state, None);
            return Poll::Ready(Step::Done);
        }
        let mut due = close_by.unwrap_or(now + IDLE);
        if let (Phase::Open, Some(interval)) = (state.phase, self.socket.config.ping_interval)
            && live.ending.is_none()
        {
            let next = self.heard.max(self.pinged) + interval;
            if next <= now {
                return Poll::Ready(self.ping(state, now));
            }
            due = due.min(next);
        }
        // A deadline that moved away is noticed when the old one comes.
        if due < self.armed || self.armed <= now {
            self.armed = due;
            self.timer.as_mut().reset(due);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.armed = now;
                Poll::Ready(Step::Again)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn ping(&mut self, state: &mut State, now: Instant) -> Step {
        self.pinged = now;
        // While nothing is read, no answer can be seen.
        if !self.socket.port.has_room() {
            return Step::Again;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        let is_lost =
            self.socket.config.max_outstanding_pings.is_some_and(|most| self.unanswered > most);
        if is_lost {
            note(Level::Warn, || "WebSocket: the other side answers no pings".to_owned());
            self.socket.end(state, Some(Stage::Upgrade.text()));
            return Step::Done;
        }
        if let Some(live) = &mut state.live {
            // A connection that is broken will say so when it is read from.
            let _ = live.frame(Outgoing::Ping, &[0; 4]);
        }
        Step::Again
    }
}

/// After a deletion: drops messages and waits for the other side's close frame.
fn await_close(state: &mut State, mut input: &[u8]) {
    let Some(live) = &mut state.live else { return };
    loop {
        match live.decoder.decode(&mut input) {
            Ok(Some(Event::Close(_))) => live.close_received = true,
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(_) => live.close_received = true,
        }
        return;
    }
}

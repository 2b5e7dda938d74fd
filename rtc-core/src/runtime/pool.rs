//! The threads that run user callbacks.
//!
//! Workers are started when first needed, up to a base number. Beyond it the pool grows only while
//! callbacks block: when work is queued and every worker is busy, a watch thread looks on once per
//! millisecond; it replaces workers that have sat in the same piece of work for longer than that,
//! if the first piece in the queue has waited as long. A burst of short callbacks starts no thread,
//! and a callback that never returns costs one.
//!
//! Waking a thread on another processor is dear. At most one worker is being woken at any time; it
//! wakes the next one if it finds more work than it can take. The worker that parked last is woken
//! first, so that those no longer needed stay parked, and end.

use std::any::Any;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::sync::{
    AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, Thread, current, park,
    park_timeout, per_thread, sleep, spawn,
};

/// How often the watch thread looks.
const TICK: Duration = Duration::from_millis(1);

/// The watch thread goes to sleep after so many ticks without a shortage of workers.
const CALM_TICKS: u32 = 20;

/// A worker beyond the base number, or the watch thread, ends after being idle for so long.
const LINGER: Duration = Duration::from_secs(5);

/// The fewest workers: one callback may wait for what another does.
const FEWEST: usize = 2;

/// Runs jobs and [`Lane`]s on threads named `rtc-callback`.
///
/// Dropping it lets the threads end once the queue is empty, without waiting for them.
pub struct Pool {
    shared: Arc<Shared>,
}

enum Work {
    Once(Box<dyn FnOnce() + Send>),
    Lane(Arc<Lane>),
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when no work is left, and when a thread ends: what [`Pool::shutdown`] waits for.
    quiet: Condvar,
}

struct State {
    queue: VecDeque<Work>,
    /// Pieces of work ever queued and ever taken. The queue is first-in first-out: a piece has
    /// been taken when `taken` has passed the value `queued` had before it.
    queued: u64,
    taken: u64,
    base: usize,
    /// Raised by every shutdown. Threads of an older era leave once the queue is empty, and are
    /// not part of the counts below, except `threads` and `watches`.
    era: u64,
    workers: usize,
    /// Workers on their way: woken or started, but not yet looking for work.
    coming: usize,
    /// Parked workers; the last is woken first.
    idle: Vec<Arc<Seat>>,
    busy: Busy,
    watch: Watch,
    /// Running worker threads and watch threads of all eras.
    threads: usize,
    watches: usize,
    /// The threads of this era, by a number of their own, so that shutdown can join them.
    handles: HashMap<u64, JoinHandle<()>>,
    next_thread: u64,
    panic_hook: fn(&str),
}

/// Where a worker parks.
struct Seat {
    thread: Thread,
    woken: AtomicBool,
}

/// Counts the busy workers by how long ago, in ticks, they took what they work on.
#[derive(Default)]
struct Busy {
    tick: u64,
    /// The value of `queued` at the latest tick.
    mark: u64,
    this_tick: usize,
    last_tick: usize,
    earlier: usize,
}

enum Watch {
    Off,
    Asleep(Thread),
    Looking,
}

/// The right to start a thread that has been counted already.
#[derive(Clone, Copy)]
struct Ticket {
    era: u64,
    number: u64,
}

/// What to do, after unlocking, to get queued work going.
enum Summons {
    Nobody,
    Wake(Arc<Seat>),
    Start(Ticket),
    WakeWatch(Thread),
    StartWatch(Ticket),
}

per_thread! {
    /// The address of the [`Shared`] this thread is a worker of; 0 for none.
    static EMPLOYER: Cell<usize> = const { Cell::new(0) };
}

impl Pool {
    /// A pool of as many workers as the hardware runs threads, at least two. Starts none yet.
    pub fn new() -> Self {
        let state = State::new(base_size(0));
        Self { shared: Arc::new(Shared { state: Mutex::new(state), quiet: Condvar::new() }) }
    }

    /// Sets the base number of workers; 0 means as many as the hardware runs threads. The pool
    /// never has fewer than two.
    pub fn set_size(&self, workers: usize) {
        let mut state = self.shared.state.lock();
        state.base = base_size(workers);
        // Those already parked decide anew whether they are surplus.
        state.coming += state.idle.len();
        state.idle.drain(..).for_each(|seat| seat.wake());
        let summons = state.summon();
        drop(state);
        self.shared.heed(summons);
    }

    /// Sets what is told the message of a panic in a job. By default nothing is; the job ends and
    /// its worker lives on either way.
    pub fn set_panic_hook(&self, hook: fn(&str)) {
        self.shared.state.lock().panic_hook = hook;
    }

    /// Runs `job` on a worker.
    pub fn spawn(&self, job: Box<dyn FnOnce() + Send>) {
        self.shared.submit(Work::Once(job));
    }

    /// Gives `lane` to a worker; the lane sees to it that it is scheduled once only.
    pub(super) fn schedule(&self, lane: Arc<Lane>) {
        self.shared.submit(Work::Lane(lane));
    }

    /// Runs `job`, and reports a panic to the hook.
    pub(super) fn guard(&self, job: impl FnOnce()) {
        self.shared.guard(job);
    }

    /// Waits until all work is done and all threads have ended, but not beyond `deadline`; returns
    /// whether that came to pass. Threads that are late end when their job does. The pool can be
    /// used again afterwards. Called from a job, it does not wait for that job.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        self.shared.shutdown(deadline)
    }

    /// The number of worker threads that exist.
    pub fn threads(&self) -> usize {
        self.shared.state.lock().threads
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.shared.state.lock().dismiss());
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn base_size(asked: usize) -> usize {
    let hardware = || std::thread::available_parallelism().map_or(FEWEST, NonZeroUsize::get);
    if asked == 0 { hardware() } else { asked }.max(FEWEST)
}

impl Seat {
    /// Marks its worker as woken; [`Thread::unpark`] must follow.
    fn call(&self) {
        self.woken.store(true, Ordering::Release);
    }

    fn wake(&self) {
        self.call();
        self.thread.unpark();
    }

    /// Waits to be woken, if `limit` is given no longer than that.
    fn park(&self, limit: Option<Duration>) {
        let deadline = limit.map(|limit| Instant::now() + limit);
        while !self.woken.load(Ordering::Acquire) {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => park(),
                Some(Duration::ZERO) => break,
                Some(left) => park_timeout(left),
            }
        }
    }
}

impl Busy {
    /// Counts a worker in; returns the tick to give to [`Self::end`].
    fn begin(&mut self) -> u64 {
        self.this_tick += 1;
        self.tick
    }

    fn end(&mut self, began: u64) {
        match self.tick - began {
            0 => self.this_tick -= 1,
            1 => self.last_tick -= 1,
            _ => self.earlier -= 1,
        }
    }

    fn count(&self) -> usize {
        self.this_tick + self.last_tick + self.earlier
    }

    fn advance(&mut self) {
        self.earlier += std::mem::replace(&mut self.last_tick, std::mem::take(&mut self.this_tick));
        self.tick += 1;
    }
}

impl State {
    fn new(base: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            taken: 0,
            base,
            era: 0,
            workers: 0,
            coming: 0,
            idle: Vec::new(),
            busy: Busy::default(),
            watch: Watch::Off,
            threads: 0,
            watches: 0,
            handles: HashMap::new(),
            next_thread: 0,
            panic_hook: |_| {},
        }
    }

    fn append(&mut self, work: Work) {
        self.queue.push_back(work);
        self.queued += 1;
    }

    fn take(&mut self) -> Option<Work> {
        let work = self.queue.pop_front()?;
        self.taken += 1;
        Some(work)
    }

    /// Sees to it that somebody comes for queued work. While work is queued, a worker is coming or
    /// all are busy; in the second case the watch looks on.
    fn summon(&mut self) -> Summons {
        if self.queue.is_empty() || self.coming > 0 {
            return Summons::Nobody;
        }
        if let Some(seat) = self.idle.pop() {
            self.coming += 1;
            seat.call();
            return Summons::Wake(seat);
        }
        if self.workers < self.base {
            return Summons::Start(self.hire());
        }
        self.rouse_watch()
    }

    fn rouse_watch(&mut self) -> Summons {
        match std::mem::replace(&mut self.watch, Watch::Looking) {
            Watch::Looking => Summons::Nobody,
            Watch::Asleep(thread) => Summons::WakeWatch(thread),
            Watch::Off => {
                self.watches += 1;
                Summons::StartWatch(self.ticket())
            }
        }
    }

    /// Counts in a worker that is about to be started.
    fn hire(&mut self) -> Ticket {
        self.workers += 1;
        self.coming += 1;
        self.threads += 1;
        self.ticket()
    }

    fn ticket(&mut self) -> Ticket {
        self.next_thread += 1;
        Ticket { era: self.era, number: self.next_thread }
    }

    /// Starts a new era: the threads there are leave once the queue is empty.
    fn dismiss(&mut self) -> HashMap<u64, JoinHandle<()>> {
        self.era += 1;
        self.workers = 0;
        self.coming = 0;
        self.busy = Busy::default();
        for seat in self.idle.drain(..) {
            seat.wake();
        }
        if let Watch::Asleep(thread) = std::mem::replace(&mut self.watch, Watch::Off) {
            thread.unpark();
        }
        std::mem::take(&mut self.handles)
    }

    /// One look of the watch: how many workers must be started in place of those that are stuck.
    fn missing(&mut self) -> usize {
        let first_waited = !self.queue.is_empty() && self.taken < self.busy.mark;
        self.busy.mark = self.queued;
        self.busy.advance();
        let available = self.workers - self.busy.earlier;
        if !first_waited || self.coming > 0 || !self.idle.is_empty() || available >= self.base {
            return 0;
        }
        // When very many callbacks block, growing by a constant would take too long.
        let wanted = if available == 0 { self.workers } else { self.base - available };
        wanted.max(1).min(self.queue.len())
    }

    fn is_short(&self) -> bool {
        !self.queue.is_empty() && self.idle.is_empty()
    }

    fn is_surplus(&self) -> bool {
        self.workers > self.base
    }
}

impl Shared {
    fn submit(self: &Arc<Self>, work: Work) {
        let mut state = self.state.lock();
        state.append(work);
        let summons = state.summon();
        drop(state);
        self.heed(summons);
    }

    fn heed(self: &Arc<Self>, summons: Summons) {
        match summons {
            Summons::Nobody => {}
            Summons::Wake(seat) => seat.thread.unpark(),
            Summons::Start(ticket) => self.start_worker(ticket),
            Summons::WakeWatch(thread) => thread.unpark(),
            Summons::StartWatch(ticket) => self.start_watch(ticket),
        }
    }

    /// When the system has no thread to give, the watch tries again while work waits.
    fn start_worker(self: &Arc<Self>, ticket: Ticket) {
        let shared = Arc::clone(self);
        if !self.start("rtc-callback", ticket, move || shared.work(ticket)) {
            let mut state = self.state.lock();
            state.threads -= 1;
            let mut summons = Summons::Nobody;
            if state.era == ticket.era {
                state.workers -= 1;
                state.coming -= 1;
                summons = state.rouse_watch();
            }
            drop(state);
            self.quiet.notify_all();
            if let Summons::StartWatch(ticket) = summons {
                self.start_watch(ticket);
            }
        }
    }

    fn start_watch(self: &Arc<Self>, ticket: Ticket) {
        let shared = Arc::clone(self);
        if !self.start("rtc-watch", ticket, move || shared.watch(ticket)) {
            let mut state = self.state.lock();
            state.watches -= 1;
            if state.era == ticket.era {
                state.watch = Watch::Off;
            }
            drop(state);
            self.quiet.notify_all();
        }
    }

    fn start(&self, name: &str, ticket: Ticket, body: impl FnOnce() + Send + 'static) -> bool {
        let Ok(handle) = spawn(name, body) else { return false };
        let mut state = self.state.lock();
        if state.era == ticket.era {
            state.handles.insert(ticket.number, handle);
        }
        true
    }

    /// The life of a worker.
    fn work(self: &Arc<Self>, ticket: Ticket) {
        EMPLOYER.with(|employer| employer.set(self.address()));
        let seat = Arc::new(Seat { thread: current(), woken: AtomicBool::new(false) });
        let mut state = self.state.lock();
        if state.era == ticket.era {
            state.coming -= 1;
        }
        loop {
            if let Some(work) = state.take() {
                state = self.perform(work, ticket, state);
                continue;
            }
            self.quiet.notify_all();
            if state.era != ticket.era {
                break;
            }
            state.idle.push(Arc::clone(&seat));
            let limit = state.is_surplus().then_some(LINGER);
            drop(state);
            seat.park(limit);
            state = self.state.lock();
            if seat.woken.swap(false, Ordering::Relaxed) {
                if state.era == ticket.era {
                    state.coming -= 1;
                }
                continue;
            }
            state.idle.retain(|other| !Arc::ptr_eq(other, &seat));
            if state.is_surplus() {
                state.workers -= 1;
                state.handles.remove(&ticket.number);
                break;
            }
        }
        state.threads -= 1;
        drop(state);
        self.quiet.notify_all();
    }

    /// Does one piece of work with the state unlocked; returns it locked again.
    fn perform<'a>(
        self: &'a Arc<Self>,
        work: Work,
        ticket: Ticket,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        let began = (state.era == ticket.era).then(|| state.busy.begin());
        let summons = state.summon();
        drop(state);
        self.heed(summons);
        let unfinished = match work {
            Work::Once(job) => {
                self.guard(job);
                None
            }
            Work::Lane(lane) => lane.take_turn().then_some(Work::Lane(lane)),
        };
        let mut state = self.state.lock();
        if let Some(began) = began.filter(|_| state.era == ticket.era) {
            state.busy.end(began);
        }
        if let Some(lane) = unfinished {
            state.append(lane);
        }
        state
    }

    /// The life of the watch thread.
    fn watch(self: &Arc<Self>, ticket: Ticket) {
        let mut calm = 0;
        let mut state = self.state.lock();
        while state.era == ticket.era {
            let missing = state.missing();
            calm = if state.is_short() { 0 } else { calm + 1 };
            if calm > CALM_TICKS {
                calm = 0;
                state.watch = Watch::Asleep(current());
                drop(state);
                state = self.doze(ticket);
                if matches!(state.watch, Watch::Asleep(_)) && state.era == ticket.era {
                    state.watch = Watch::Off;
                    state.handles.remove(&ticket.number);
                    break;
                }
                continue;
            }
            let hired: Vec<Ticket> = (0..missing).map(|_| state.hire()).collect();
            drop(state);
            hired.into_iter().for_each(|worker| self.start_worker(worker));
            sleep(TICK);
            state = self.state.lock();
        }
        state.watches -= 1;
        drop(state);
        self.quiet.notify_all();
    }

    /// Parks the watch thread until it is wanted again, or has been idle for [`LINGER`].
    fn doze(&self, ticket: Ticket) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + LINGER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            park_timeout(left);
            let state = self.state.lock();
            let asleep = matches!(state.watch, Watch::Asleep(_)) && state.era == ticket.era;
            if !asleep || left.is_zero() {
                return state;
            }
        }
    }

    fn shutdown(self: &Arc<Self>, deadline: Instant) -> bool {
        let own = usize::from(EMPLOYER.with(Cell::get) == self.address());
        let mut state = self.state.lock();
        while !(state.queue.is_empty() && state.busy.count() <= own) {
            if self.quiet.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let handles = state.dismiss();
        let summons = state.summon();
        drop(state);
        self.heed(summons);
        let mut state = self.state.lock();
        while state.threads > own || state.watches > 0 {
            if self.quiet.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        drop(state);
        // They have nothing left to do but to end.
        let others = handles.into_values().filter(|thread| thread.thread().id() != current().id());
        others.for_each(|thread| drop(thread.join()));
        true
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn guard(&self, job: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(job)) else { return };
        let hook = self.state.lock().panic_hook;
        // Neither a hook that panics nor a payload whose drop does may end the worker.
        let reported = catch_unwind(AssertUnwindSafe(move || hook(panic_message(&*payload))));
        std::mem::forget(reported);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool without threads: the test plays the workers and the watch.
    struct Play {
        state: State,
        /// The tick at which each busy worker began.
        began: Vec<u64>,
    }

    impl Play {
        fn new(base: usize) -> Self {
            Self { state: State::new(base), began: Vec::new() }
        }

        fn queue(&mut self, count: usize) {
            for _ in 0..count {
                self.state.append(Work::Once(Box::new(|| {})));
                let hired = matches!(self.state.summon(), Summons::Start(_));
                self.arrive(hired.into());
            }
        }

        /// Workers that were hired come and take work.
        fn arrive(&mut self, workers: usize) {
            for _ in 0..workers {
                self.state.coming -= 1;
                let began = self.take();
                self.began.push(began);
            }
        }

        fn take(&mut self) -> u64 {
            self.state.take().expect("there is work");
            self.state.busy.begin()
        }

        /// A worker ends its work and takes more.
        fn turn_over(&mut self, worker: usize) {
            self.state.busy.end(self.began[worker]);
            self.began[worker] = self.take();
        }

        fn tick(&mut self) -> usize {
            let missing = self.state.missing();
            (0..missing).for_each(|_| _ = self.state.hire());
            missing
        }
    }

    #[test]
    fn a_backlog_of_short_jobs_starts_no_thread_beyond_the_base() {
        let mut play = Play::new(2);
        play.queue(1000);
        for _ in 0..100 {
            assert_eq!(play.tick(), 0);
            (0..4).for_each(|turn| play.turn_over(turn % 2));
        }
        assert_eq!(play.state.workers, 2);
    }

    #[test]
    fn stuck_workers_with_nothing_queued_are_left_alone() {
        let mut play = Play::new(2);
        play.queue(2);
        assert!((0..10).all(|_| play.tick() == 0));
    }

    #[test]
    fn one_stuck_worker_is_replaced_by_one() {
        let mut play = Play::new(2);
        play.queue(2);
        assert_eq!(play.tick(), 0);
        play.queue(3);
        play.turn_over(1);
        assert_eq!(play.tick(), 0, "what is first in the queue has not waited for a tick");
        play.turn_over(1);
        assert_eq!(play.tick(), 1);
        assert_eq!(play.tick(), 0, "somebody is coming");
        play.arrive(1);
        assert_eq!(play.tick(), 0, "the one that came is not stuck yet");
    }

    #[test]
    fn very_many_stuck_workers_are_replaced_soon() {
        let mut play = Play::new(2);
        play.queue(2000);
        let ticks = (0..).take_while(|_| {
            let hired = play.tick();
            play.arrive(hired);
            !play.state.queue.is_empty()
        });
        assert!(ticks.count() < 30);
        assert_eq!(play.state.workers, 2000);
    }

    #[test]
    fn work_that_ends_counts_no_more_whenever_it_began() {
        let mut busy = Busy::default();
        for ticks in 0..4 {
            let began = busy.begin();
            (0..ticks).for_each(|_| busy.advance());
            assert_eq!(busy.count(), 1);
            busy.end(began);
            assert_eq!(busy.count(), 0);
        }
    }
}

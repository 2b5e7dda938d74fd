//! Lanes: user callbacks of one connection and purpose, one at a time and in order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::pool::Pool;
use super::sync::{AtomicBool, Mutex, Ordering, per_thread};

/// How many jobs of a lane run before other lanes get a turn.
const TURN: usize = 32;

/// An emptied queue keeps room for at most this many jobs.
const SPARE: usize = 64;

/// A job that is worth running once however often it was asked for since it last began, such as
/// "deliver what channel 7 has received". Queueing one allocates nothing.
pub trait Bell: Send + Sync {
    /// Does the job.
    fn run(&self);

    /// Set while the bell waits in a lane. The lane alone writes it; a bell belongs to one lane.
    fn rung(&self) -> &AtomicBool;
}

enum Job {
    Once(Box<dyn FnOnce() + Send>),
    Bell(Arc<dyn Bell>),
}

/// A first-in first-out queue of jobs; at most one of them runs at a time, on a thread of the
/// [`Pool`].
pub struct Lane {
    pool: Arc<Pool>,
    queue: Mutex<Queue>,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// The pool holds the lane, or a worker runs it: nobody else need be told of more jobs.
    scheduled: bool,
}

per_thread! {
    /// The address of the lane whose job this thread runs; 0 for none.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

impl Lane {
    /// An empty lane that runs on `pool`.
    pub fn new(pool: Arc<Pool>) -> Arc<Self> {
        let queue = Queue { jobs: VecDeque::new(), scheduled: false };
        Arc::new(Self { pool, queue: Mutex::new(queue) })
    }

    /// Appends a job.
    pub fn push(self: &Arc<Self>, job: Box<dyn FnOnce() + Send>) {
        self.append(Job::Once(job));
    }

    /// Appends `bell` unless it waits in the lane already.
    ///
    /// Whatever the caller wrote before is visible to the run that follows. A bell rung while it
    /// runs will run again.
    pub fn ring(self: &Arc<Self>, bell: Arc<dyn Bell>) {
        if !bell.rung().swap(true, Ordering::AcqRel) {
            self.append(Job::Bell(bell));
        }
    }

    /// Whether the calling thread is inside a job of this lane.
    pub fn is_current(&self) -> bool {
        CURRENT.with(Cell::get) == self.address()
    }

    /// Drops the jobs that have not begun.
    pub fn clear(&self) {
        let jobs = std::mem::take(&mut self.queue.lock().jobs);
        for job in &jobs {
            if let Job::Bell(bell) = job {
                bell.rung().store(false, Ordering::Release);
            }
        }
    }

    fn append(self: &Arc<Self>, job: Job) {
        let mut queue = self.queue.lock();
        queue.jobs.push_back(job);
        let scheduled = std::mem::replace(&mut queue.scheduled, true);
        drop(queue);
        if !scheduled {
            self.pool.schedule(Arc::clone(self));
        }
    }

    /// Runs jobs on the calling thread, a worker to which the pool gave the lane. Returns whether
    /// the lane must be scheduled again.
    pub(super) fn take_turn(&self) -> bool {
        let before = CURRENT.with(|current| current.replace(self.address()));
        let unfinished = (0..TURN).all(|_| self.run_next());
        CURRENT.with(|current| current.set(before));
        unfinished
    }

    /// Runs the first job; when there is none, the lane is no longer scheduled.
    fn run_next(&self) -> bool {
        let mut queue = self.queue.lock();
        let Some(job) = queue.jobs.pop_front() else {
            queue.scheduled = false;
            if queue.jobs.capacity() > SPARE {
                queue.jobs = VecDeque::new();
            }
            return false;
        };
        drop(queue);
        self.pool.guard(|| match job {
            Job::Once(job) => job(),
            Job::Bell(bell) => {
                bell.rung().swap(false, Ordering::AcqRel);
                bell.run();
            }
        });
        true
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.queue.lock().jobs.len();
        f.debug_struct("Lane").field("queued", &queued).finish_non_exhaustive()
    }
}

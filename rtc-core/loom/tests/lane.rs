//! Models of lanes on their pool. Each waits for its jobs by itself before it shuts the pool down,
//! so that a lost wake-up fails it as a deadlock.

use std::sync::Arc;
use std::time::Instant;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use rtc_core_models::lane::{Bell, Lane};
use rtc_core_models::pool::Pool;

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(body);
}

/// What the jobs of a model did, in order.
#[derive(Default)]
struct Log {
    entries: Mutex<Vec<u32>>,
    grew: Condvar,
    inside: AtomicBool,
    overlapped: AtomicBool,
}

impl Log {
    fn job(self: &Arc<Self>, entry: u32) -> Box<dyn FnOnce() + Send> {
        let log = self.clone();
        Box::new(move || log.add(entry))
    }

    /// Panics would end in the pool: remember instead.
    fn add(&self, entry: u32) {
        if self.inside.swap(true, Ordering::Relaxed) {
            self.overlapped.store(true, Ordering::Relaxed);
        }
        self.entries.lock().unwrap().push(entry);
        self.inside.store(false, Ordering::Relaxed);
        self.grew.notify_all();
    }

    fn wait_for(&self, count: usize) -> Vec<u32> {
        let mut entries = self.entries.lock().unwrap();
        while entries.len() < count {
            entries = self.grew.wait(entries).unwrap();
        }
        assert!(!self.overlapped.load(Ordering::Relaxed));
        entries.clone()
    }
}

fn pool_and_lane() -> (Arc<Pool>, Arc<Lane>) {
    let pool = Arc::new(Pool::new());
    pool.set_size(2);
    (pool.clone(), Lane::new(pool))
}

fn shut(pool: &Pool) {
    assert!(pool.shutdown(Instant::now()));
    assert_eq!(pool.threads(), 0);
}

#[test]
fn jobs_run_in_order_however_they_meet_a_worker_about_to_park() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let log = Arc::new(Log::default());
        lane.push(log.job(1));
        lane.push(log.job(2));
        lane.push(log.job(3));
        assert_eq!(log.wait_for(3), [1, 2, 3]);
        shut(&pool);
    });
}

#[test]
fn jobs_of_two_producers_never_overlap() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let log = Arc::new(Log::default());
        let producer = {
            let (lane, log) = (lane.clone(), log.clone());
            thread::spawn(move || lane.push(log.job(1)))
        };
        lane.push(log.job(2));
        lane.push(log.job(3));
        let entries = log.wait_for(3);
        let own: Vec<_> = entries.iter().filter(|entry| **entry > 1).collect();
        assert_eq!(own, [&2, &3]);
        producer.join().unwrap();
        shut(&pool);
    });
}

#[test]
fn two_lanes_find_workers() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let other = Lane::new(pool.clone());
        let logs = [Arc::new(Log::default()), Arc::new(Log::default())];
        lane.push(logs[0].job(1));
        other.push(logs[1].job(1));
        logs[0].wait_for(1);
        lane.push(logs[0].job(2));
        logs[1].wait_for(1);
        assert_eq!(logs[0].wait_for(2), [1, 2]);
        shut(&pool);
    });
}

/// A mailbox that a bell empties.
struct Mailbox {
    rung: AtomicBool,
    /// Written before the bell is rung, with no ordering of its own.
    posted: AtomicUsize,
    delivered: Mutex<usize>,
    all: Condvar,
}

impl Bell for Mailbox {
    fn run(&self) {
        *self.delivered.lock().unwrap() = self.posted.load(Ordering::Relaxed);
        self.all.notify_all();
    }

    fn rung(&self) -> &AtomicBool {
        &self.rung
    }
}

#[test]
fn what_was_posted_before_ringing_is_delivered() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let mailbox = Arc::new(Mailbox {
            rung: AtomicBool::new(false),
            posted: AtomicUsize::new(0),
            delivered: Mutex::new(0),
            all: Condvar::new(),
        });
        for posted in 1..4 {
            mailbox.posted.store(posted, Ordering::Relaxed);
            lane.ring(mailbox.clone());
        }
        let mut delivered = mailbox.delivered.lock().unwrap();
        while *delivered < 3 {
            delivered = mailbox.all.wait(delivered).unwrap();
        }
        drop(delivered);
        shut(&pool);
    });
}

#[test]
fn a_bell_dropped_by_clear_can_be_rung_again() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let mailbox = Arc::new(Mailbox {
            rung: AtomicBool::new(false),
            posted: AtomicUsize::new(1),
            delivered: Mutex::new(0),
            all: Condvar::new(),
        });
        lane.ring(mailbox.clone());
        lane.clear();
        lane.ring(mailbox.clone());
        let mut delivered = mailbox.delivered.lock().unwrap();
        while *delivered < 1 {
            delivered = mailbox.all.wait(delivered).unwrap();
        }
        drop(delivered);
        shut(&pool);
    });
}

#[test]
fn a_pool_that_was_shut_down_can_be_used_again() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let log = Arc::new(Log::default());
        lane.push(log.job(1));
        shut(&pool);
        lane.push(log.job(2));
        assert_eq!(log.wait_for(2), [1, 2]);
        shut(&pool);
    });
}

#[test]
fn shutdown_waits_for_work_queued_by_work() {
    model(3, || {
        let (pool, lane) = pool_and_lane();
        let other = Lane::new(pool.clone());
        let log = Arc::new(Log::default());
        let job = log.job(1);
        lane.push(Box::new(move || other.push(job)));
        shut(&pool);
        assert_eq!(log.wait_for(1), [1]);
    });
}

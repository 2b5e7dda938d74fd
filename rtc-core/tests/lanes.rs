//! Lanes and their pool on real threads. Their interleavings are explored by the models in
//! `rtc-core/loom`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rtc_core::runtime::lane::{Bell, Lane};
use rtc_core::runtime::pool::Pool;

/// Far beyond anything that happens; a test that gets here has hung.
const PATIENCE: Duration = Duration::from_secs(30);

fn pool(workers: usize) -> Arc<Pool> {
    let pool = Arc::new(Pool::new());
    pool.set_size(workers);
    pool
}

fn shut(pool: &Pool) {
    assert!(pool.shutdown(Instant::now() + PATIENCE));
    assert_eq!(pool.threads(), 0);
}

/// Occupies `lane` with a callback that blocks, as that of an application that waits for
/// something; returns, once it runs, what ends it when dropped.
fn block(lane: &Arc<Lane>) -> Sender<()> {
    let (release, wait) = channel();
    let (begun, begins) = channel();
    lane.push(Box::new(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    }));
    begins.recv_timeout(PATIENCE).unwrap();
    release
}

/// A job that tells when it has run.
fn signal() -> (Box<dyn FnOnce() + Send>, Receiver<()>) {
    let (done, wait) = channel();
    (Box::new(move || done.send(()).unwrap()), wait)
}

/// Counts its runs.
#[derive(Default)]
struct Counter {
    rung: AtomicBool,
    runs: AtomicUsize,
}

impl Bell for Counter {
    fn run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    fn rung(&self) -> &AtomicBool {
        &self.rung
    }
}

#[derive(Default)]
struct Log {
    entries: Mutex<Vec<(usize, u32)>>,
    inside: AtomicBool,
    overlapped: AtomicBool,
}

#[test]
fn jobs_of_a_lane_run_in_order_and_one_at_a_time() {
    const JOBS: u32 = 2000;
    let pool = pool(4);
    let lanes: Vec<_> = (0..8).map(|_| (Lane::new(pool.clone()), Arc::<Log>::default())).collect();
    thread::scope(|scope| {
        for producer in 0..3 {
            let lanes = &lanes;
            scope.spawn(move || {
                for number in 0..JOBS {
                    for (lane, log) in lanes {
                        let log = log.clone();
                        lane.push(Box::new(move || {
                            if log.inside.swap(true, Ordering::SeqCst) {
                                log.overlapped.store(true, Ordering::SeqCst);
                            }
                            log.entries.lock().unwrap().push((producer, number));
                            log.inside.store(false, Ordering::SeqCst);
                        }));
                    }
                }
            });
        }
    });
    shut(&pool);
    for (_, log) in &lanes {
        assert!(!log.overlapped.load(Ordering::SeqCst));
        let entries = log.entries.lock().unwrap();
        for producer in 0..3 {
            let own = entries.iter().filter(|(who, _)| *who == producer).map(|(_, number)| *number);
            assert!(own.eq(0..JOBS));
        }
    }
}

#[test]
fn a_bell_rung_often_while_it_waits_runs_once() {
    let pool = pool(2);
    let lane = Lane::new(pool.clone());
    let counter = Arc::<Counter>::default();
    let release = block(&lane);
    (0..1000).for_each(|_| lane.ring(counter.clone()));
    drop(release);
    shut(&pool);
    assert_eq!(counter.runs.load(Ordering::Relaxed), 1);
    lane.ring(counter.clone());
    shut(&pool);
    assert_eq!(counter.runs.load(Ordering::Relaxed), 2);
}

#[test]
fn cleared_jobs_never_run_and_a_cleared_bell_can_be_rung_again() {
    let pool = pool(2);
    let lane = Lane::new(pool.clone());
    let counter = Arc::<Counter>::default();
    let release = block(&lane);
    let (job, cleared) = signal();
    lane.push(job);
    lane.ring(counter.clone());
    lane.clear();
    assert!(cleared.recv_timeout(PATIENCE).is_err(), "the job is dropped, not run");
    lane.ring(counter.clone());
    drop(release);
    shut(&pool);
    assert_eq!(counter.runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_job_knows_which_lane_it_is_in() {
    let pool = pool(2);
    let lanes = [Lane::new(pool.clone()), Lane::new(pool.clone())];
    let (tell, told) = channel();
    let inside = lanes.clone();
    lanes[0].push(Box::new(move || tell.send(inside.map(|lane| lane.is_current())).unwrap()));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), [true, false]);
    assert!(!lanes[0].is_current());
    shut(&pool);
}

#[test]
fn a_panic_is_reported_and_its_lane_goes_on() {
    static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
    let pool = pool(2);
    pool.set_panic_hook(|message| REPORTS.lock().unwrap().push(message.to_owned()));
    let lane = Lane::new(pool.clone());
    lane.push(Box::new(|| std::panic::resume_unwind(Box::new("literal"))));
    lane.push(Box::new(|| std::panic::resume_unwind(Box::new(String::from("formatted")))));
    lane.push(Box::new(|| std::panic::resume_unwind(Box::new(PanicsWhenDropped))));
    let (job, done) = signal();
    lane.push(job);
    done.recv_timeout(PATIENCE).unwrap();
    shut(&pool);
    assert_eq!(*REPORTS.lock().unwrap(), ["literal", "formatted", "no message"]);
}

#[test]
fn a_thousand_blocked_callbacks_let_another_one_through() {
    let pool = pool(2);
    let blocked: Vec<_> = (0..1000)
        .map(|_| {
            let (release, wait) = channel::<()>();
            Lane::new(pool.clone()).push(Box::new(move || _ = wait.recv()));
            release
        })
        .collect();
    let (job, done) = signal();
    Lane::new(pool.clone()).push(job);
    done.recv_timeout(PATIENCE).unwrap();
    assert!(pool.threads() > blocked.len());
    drop(blocked);
    shut(&pool);
}

#[test]
fn lanes_that_never_run_dry_leave_room_for_others() {
    fn again(lane: &Arc<Lane>, stop: &Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed) {
            let (next, stop) = (lane.clone(), stop.clone());
            lane.push(Box::new(move || again(&next, &stop)));
        }
    }
    let pool = pool(2);
    let stop = Arc::<AtomicBool>::default();
    (0..4).for_each(|_| again(&Lane::new(pool.clone()), &stop));
    for _ in 0..100 {
        let (job, done) = signal();
        Lane::new(pool.clone()).push(job);
        done.recv_timeout(PATIENCE).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    shut(&pool);
}

#[test]
fn shutdown_gives_up_at_the_deadline_and_the_pool_serves_on() {
    let pool = pool(2);
    let lane = Lane::new(pool.clone());
    let release = block(&lane);
    let (queued, ran) = signal();
    lane.push(queued);
    assert!(!pool.shutdown(Instant::now() + Duration::from_millis(10)));
    let (job, done) = signal();
    pool.spawn(job);
    done.recv_timeout(PATIENCE).unwrap();
    drop(release);
    ran.recv_timeout(PATIENCE).unwrap();
    shut(&pool);
}

#[test]
fn shutdown_from_a_job_does_not_wait_for_that_job() {
    let pool = pool(2);
    let (tell, told) = channel();
    let inner = pool.clone();
    pool.spawn(Box::new(move || tell.send(inner.shutdown(Instant::now() + PATIENCE)).unwrap()));
    assert!(told.recv_timeout(PATIENCE).unwrap());
    shut(&pool);
}

#[test]
fn workers_beyond_the_base_end_when_idle() {
    let pool = pool(2);
    let blocked: Vec<_> = (0..10).map(|_| block(&Lane::new(pool.clone()))).collect();
    assert_eq!(pool.threads(), 10);
    drop(blocked);
    let patience = Instant::now() + PATIENCE;
    while pool.threads() > 2 && Instant::now() < patience {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(pool.threads(), 2);
    shut(&pool);
}

#[test]
fn ringing_and_entering_allocate_nothing() {
    use rtc_core::runtime::gate::{Gate, Slot};

    let pool = pool(2);
    let lane = Lane::new(pool.clone());
    let counter = Arc::<Counter>::default();
    let gate = Gate::new();
    let both = || {
        lane.ring(counter.clone());
        let message = gate.enter(Slot(0));
        let open = gate.enter(Slot(1));
        drop((message, open));
    };
    let release = block(&lane);
    both();
    drop(release);
    let allocations = allocation_counter::measure(|| (0..1000).for_each(|_| both()));
    // None for a thousand. A worker or the watch that happens to be started here, or this thread
    // parking for the first time, allocates a few times once.
    assert!(allocations.count_total < 20, "{allocations:?}");
    shut(&pool);
}

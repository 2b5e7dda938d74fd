//! Lanes and their pool on real threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rtc_core::runtime::lane::Lane;
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

/// A job that blocks until the sender it came with is dropped, as a callback of an application
/// that waits for something.
fn blocker(release: Receiver<()>) -> Box<dyn FnOnce() + Send> {
    Box::new(move || _ = release.recv())
}

#[test]
fn jobs_of_a_lane_run_in_order_and_one_at_a_time() {
    let pool = pool(4);
    let inside: Arc<[AtomicBool; 8]> = Arc::default();
    let lanes: Vec<_> = (0..8).map(|_| Lane::new(pool.clone())).collect();
    let log: Arc<[Mutex<Vec<(usize, u32)>>; 8]> = Arc::default();
    thread::scope(|scope| {
        for producer in 0..3_usize {
            let (lanes, log, inside) = (&lanes, &log, &inside);
            scope.spawn(move || {
                for number in 0..2000_u32 {
                    for (at, lane) in lanes.iter().enumerate() {
                        let (log, inside) = (log.clone(), inside.clone());
                        lane.push(Box::new(move || {
                            assert!(!inside[at].swap(true, Ordering::SeqCst));
                            log[at].lock().unwrap().push((producer, number));
                            inside[at].store(false, Ordering::SeqCst);
                        }));
                    }
                }
            });
        }
    });
    shut(&pool);
    for lane in log.iter() {
        let lane = lane.lock().unwrap();
        for producer in 0..3 {
            let numbers: Vec<_> =
                lane.iter().filter(|(who, _)| *who == producer).map(|(_, n)| *n).collect();
            assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_thousand_blocked_callbacks_let_another_one_through() {
    let pool = pool(2);
    let mut held = Vec::new();
    let lanes: Vec<_> = (0..1001).map(|_| Lane::new(pool.clone())).collect();
    for lane in &lanes[..1000] {
        let (release, wait) = channel();
        lane.push(blocker(wait));
        held.push(release);
    }
    let begin = Instant::now();
    let (done, wait) = channel();
    lanes[1000].push(Box::new(move || done.send(()).unwrap()));
    wait.recv_timeout(PATIENCE).unwrap();
    println!("through after {:?}, {} threads", begin.elapsed(), pool.threads());
    drop(held);
    shut(&pool);
}

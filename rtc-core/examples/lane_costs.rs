//! Measures what the gate, the lanes and the callback pool cost:
//!
//!     cargo run --release -p rtc-core --example lane_costs

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rtc_core::runtime::gate::{Gate, Slot};
use rtc_core::runtime::lane::{Bell, Lane};
use rtc_core::runtime::pool::Pool;

/// Prints the middle and the tail of some durations.
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    println!("{what:<58} p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}", at(500), at(990), at(1000));
}

/// Prints the best of several rounds of `count` operations: the others measure the neighbours.
fn report_each(what: &str, count: u32, mut round: impl FnMut()) {
    let best = (0..10)
        .map(|_| {
            let begin = Instant::now();
            round();
            begin.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{what:<58} {:>9.1?} each", best / count);
}

/// Counts how often it ran; tells when it has caught up with what was posted.
struct Counter {
    rung: AtomicBool,
    posted: AtomicU64,
    target: AtomicU64,
    runs: AtomicU64,
    done: Sender<Instant>,
}

impl Bell for Counter {
    fn run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        if self.posted.load(Ordering::Relaxed) == self.target.load(Ordering::Relaxed) {
            let _ = self.done.send(Instant::now());
        }
    }

    fn rung(&self) -> &AtomicBool {
        &self.rung
    }
}

fn gate() {
    const COUNT: u32 = 1_000_000;
    let gate = Gate::new();
    report_each("gate: enter and leave", COUNT, || {
        (0..COUNT).for_each(|_| drop(black_box(gate.enter(Slot(0)))));
    });
    report_each("gate: new and close", COUNT / 10, || {
        (0..COUNT / 10).for_each(|_| Gate::new().close());
    });
}

fn throughput(pool: &Arc<Pool>) {
    const COUNT: u32 = 200_000;
    let lane = Lane::new(pool.clone());
    let (done, ended) = channel();
    report_each("lane: push and run a boxed job, one producer", COUNT, || {
        for _ in 1..COUNT {
            lane.push(Box::new(|| _ = black_box(0)));
        }
        let done = done.clone();
        lane.push(Box::new(move || _ = done.send(())));
        let _ = ended.recv();
    });
    let (done, ended) = channel();
    let counter = Arc::new(Counter {
        rung: AtomicBool::new(false),
        posted: AtomicU64::new(0),
        target: AtomicU64::new(0),
        runs: AtomicU64::new(0),
        done,
    });
    report_each("lane: ring a bell in a row, with the runs it causes", COUNT, || {
        counter.target.fetch_add(u64::from(COUNT), Ordering::Relaxed);
        for _ in 0..COUNT {
            counter.posted.fetch_add(1, Ordering::Relaxed);
            lane.ring(counter.clone());
        }
        let _ = ended.recv();
        while ended.try_recv().is_ok() {}
    });
    println!("{:<58} {:>9}", "  runs for 2 000 000 rings", counter.runs.load(Ordering::Relaxed));
}

/// Short callbacks of many connections, as a busy server has them.
fn many_lanes(pool: &Arc<Pool>) {
    const LANES: u64 = 64;
    const ROUNDS: u64 = 2000;
    let (done, ended) = channel();
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let counter = Counter {
                rung: AtomicBool::new(false),
                posted: AtomicU64::new(0),
                target: AtomicU64::new(0),
                runs: AtomicU64::new(0),
                done: done.clone(),
            };
            (Lane::new(pool.clone()), Arc::new(counter))
        })
        .collect();
    report_each("lanes: ring 64 lanes in turn", (LANES * ROUNDS) as u32, || {
        for (_, counter) in &lanes {
            counter.target.fetch_add(ROUNDS, Ordering::Relaxed);
        }
        for _ in 0..ROUNDS {
            for (lane, counter) in &lanes {
                counter.posted.fetch_add(1, Ordering::Relaxed);
                lane.ring(counter.clone());
            }
        }
        (0..LANES).for_each(|_| _ = ended.recv());
        thread::sleep(Duration::from_millis(1));
        while ended.try_recv().is_ok() {}
    });
    let runs: u64 = lanes.iter().map(|(_, counter)| counter.runs.load(Ordering::Relaxed)).sum();
    println!("{:<58} {:>9}", "  runs for 1 280 000 rings", runs);
}

fn latency(pool: &Arc<Pool>) {
    let lane = Lane::new(pool.clone());
    let (done, ended) = channel();
    for (what, pause) in [
        ("lane: ring until run, worker just parked", Duration::from_micros(50)),
        ("lane: ring until run, worker parked for long", Duration::from_millis(2)),
    ] {
        let counter = Arc::new(Counter {
            rung: AtomicBool::new(false),
            posted: AtomicU64::new(0),
            target: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            done: done.clone(),
        });
        let mut caller = Vec::new();
        let times = (0..1000)
            .filter_map(|_| {
                thread::sleep(pause);
                let begin = Instant::now();
                lane.ring(counter.clone());
                caller.push(begin.elapsed());
                ended.recv().ok().map(|end| end - begin)
            })
            .collect();
        report(what, times);
        report("  of which the ringing thread is held up", caller);
    }
}

fn blocked(callbacks: usize) {
    let times = (0..if callbacks < 100 { 100 } else { 3 })
        .map(|_| {
            let pool = Arc::new(Pool::new());
            pool.set_size(2);
            let held: Vec<_> = (0..callbacks)
                .map(|_| {
                    let (release, wait) = channel::<()>();
                    Lane::new(pool.clone()).push(Box::new(move || _ = wait.recv()));
                    release
                })
                .collect();
            let (done, ended) = channel();
            let begin = Instant::now();
            Lane::new(pool.clone()).push(Box::new(move || _ = done.send(Instant::now())));
            let end = ended.recv().unwrap_or(begin);
            drop(held);
            pool.shutdown(Instant::now() + Duration::from_secs(10));
            end - begin
        })
        .collect();
    report(&format!("pool of 2: another lane behind {callbacks} callbacks that block"), times);
}

fn main() {
    gate();
    let pool = Arc::new(Pool::new());
    throughput(&pool);
    many_lanes(&pool);
    latency(&pool);
    println!("{:<58} {:>9}", "threads of the pool", pool.threads());
    [1, 2, 4, 1000].into_iter().for_each(blocked);
}

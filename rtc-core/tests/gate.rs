//! The gate on real threads. Its interleavings are explored by the models in `rtc-core/loom`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rtc_core::runtime::gate::{Gate, Slot};

const MESSAGE: Slot = Slot(0);
const OPEN: Slot = Slot(1);

/// Far beyond anything that happens; a test that gets here has hung.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_ring_of_callbacks_that_delete_each_other_ends() {
    for size in 2..6 {
        let gates: Arc<Vec<Gate>> = Arc::new((0..size).map(|_| Gate::new()).collect());
        let barrier = Arc::new(std::sync::Barrier::new(size));
        let (done, ended) = channel();
        for at in 0..size {
            let (gates, barrier, done) = (gates.clone(), barrier.clone(), done.clone());
            thread::spawn(move || {
                let pass = gates[at].enter(MESSAGE).unwrap();
                barrier.wait();
                gates[(at + 1) % size].close();
                drop(pass);
                done.send(()).unwrap();
            });
        }
        (0..size).for_each(|_| ended.recv_timeout(PATIENCE).unwrap());
        assert!(gates.iter().all(|gate| gate.enter(OPEN).is_none()));
    }
}

#[test]
fn a_panic_in_a_callback_leaves_the_gate() {
    let gate = Arc::new(Gate::new());
    let inside = gate.clone();
    let ended = thread::spawn(move || {
        let _pass = inside.enter(MESSAGE).unwrap();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(ended.join().is_err());
    gate.close();
}

#[test]
fn wait_idle_ends_although_the_slot_is_never_empty() {
    let gate = Arc::new(Gate::new());
    let done = Arc::new(AtomicBool::new(false));
    let (entered, inside) = channel();
    let worker = {
        let (gate, done) = (gate.clone(), done.clone());
        thread::spawn(move || {
            let mut pass = gate.enter(MESSAGE);
            entered.send(()).unwrap();
            while !done.load(Ordering::SeqCst) {
                // The new visit begins before the old one ends.
                pass = gate.enter(MESSAGE).filter(|_| pass.is_some());
                thread::yield_now();
            }
        })
    };
    inside.recv_timeout(PATIENCE).unwrap();
    let (idle, ended) = channel();
    let waiter = thread::spawn(move || {
        gate.wait_idle(MESSAGE);
        idle.send(()).unwrap();
    });
    let ended = ended.recv_timeout(PATIENCE);
    done.store(true, Ordering::SeqCst);
    worker.join().unwrap();
    waiter.join().unwrap();
    ended.expect("wait_idle waits for visits that began after it");
}

/// Threads that do random things to a few gates, nested, get to the end.
#[test]
fn random_callbacks_never_deadlock() {
    const THREADS: u64 = 6;
    fn visit(gates: &[Gate], depth: u32, random: &mut impl FnMut(usize) -> usize) {
        let gate = &gates[random(gates.len())];
        match random(20) {
            0 => gate.close(),
            1..4 => gate.wait_idle(Slot(0)),
            slot => {
                let pass = gate.enter(Slot((slot % 2) as u8));
                if depth > 0 {
                    visit(gates, depth - 1, random);
                }
                drop(pass);
            }
        }
    }
    for round in 0..200 {
        let gates: Arc<Vec<Gate>> = Arc::new((0..4).map(|_| Gate::new()).collect());
        let (done, ended) = channel();
        for thread in 0..THREADS {
            let (gates, done) = (gates.clone(), done.clone());
            let mut seed = (round * THREADS + thread + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            thread::spawn(move || {
                let mut random = |below: usize| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    (seed >> 33) as usize % below
                };
                (0..50).for_each(|_| visit(&gates, 3, &mut random));
                done.send(()).unwrap();
            });
        }
        for _ in 0..THREADS {
            ended.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("stuck in round {round}"));
        }
    }
}

#[test]
fn threads_that_compete_for_a_slot_all_get_in() {
    let gate = Arc::new(Gate::new());
    let inside = Arc::new(AtomicBool::new(false));
    let (done, ended) = channel();
    for _ in 0..4 {
        let (gate, inside, done) = (gate.clone(), inside.clone(), done.clone());
        thread::spawn(move || {
            for _ in 0..500 {
                let _pass = gate.enter(MESSAGE).unwrap();
                assert!(!inside.swap(true, Ordering::SeqCst));
                inside.store(false, Ordering::SeqCst);
            }
            done.send(()).unwrap();
        });
    }
    (0..4).for_each(|_| ended.recv_timeout(PATIENCE).unwrap());
}

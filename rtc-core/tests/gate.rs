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

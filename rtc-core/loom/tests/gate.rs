//! Models of the gate. A deadlock in any interleaving fails the model.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;
use rtc_core_models::gate::{Gate, Slot};

const MESSAGE: Slot = Slot(0);
const OPEN: Slot = Slot(1);

fn model(preemptions: Option<usize>, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(body);
}

#[test]
fn no_callback_runs_after_close() {
    model(None, || {
        let gate = Arc::new(Gate::new());
        let deleted = Arc::new(AtomicBool::new(false));
        let callback = {
            let (gate, deleted) = (gate.clone(), deleted.clone());
            thread::spawn(move || {
                if let Some(_pass) = gate.enter(MESSAGE) {
                    assert!(!deleted.load(SeqCst));
                }
            })
        };
        gate.close();
        deleted.store(true, SeqCst);
        assert!(gate.enter(OPEN).is_none());
        callback.join().unwrap();
    });
}

#[test]
fn a_callback_may_close_its_own_gate_while_others_close_it() {
    model(Some(3), || {
        let gate = Arc::new(Gate::new());
        let inside = Arc::new(AtomicBool::new(false));
        let callback = {
            let (gate, inside) = (gate.clone(), inside.clone());
            thread::spawn(move || {
                if let Some(pass) = gate.enter(MESSAGE) {
                    inside.store(true, SeqCst);
                    gate.close();
                    inside.store(false, SeqCst);
                    drop(pass);
                }
            })
        };
        let closer = {
            let (gate, inside) = (gate.clone(), inside.clone());
            thread::spawn(move || {
                gate.close();
                assert!(!inside.load(SeqCst));
            })
        };
        gate.close();
        assert!(!inside.load(SeqCst));
        callback.join().unwrap();
        closer.join().unwrap();
    });
}

/// Callbacks of `count` gates, each on its own thread, close the next gate of the ring. Whoever
/// returns from a close finds the callback it closed gone, or in turn inside a close.
fn ring(count: usize, preemptions: Option<usize>) {
    /// Where a callback is.
    const IN_USER_CODE: usize = 1;
    const CLOSING: usize = 2;
    const GONE: usize = 0;

    model(preemptions, move || {
        let gates: Arc<Vec<Gate>> = Arc::new((0..count).map(|_| Gate::new()).collect());
        let places: Arc<Vec<AtomicUsize>> =
            Arc::new((0..count).map(|_| AtomicUsize::new(GONE)).collect());
        let callback = move |at: usize, gates: &[Gate], places: &[AtomicUsize]| {
            let next = (at + 1) % count;
            let Some(pass) = gates[at].enter(MESSAGE) else { return };
            places[at].store(IN_USER_CODE, SeqCst);
            places[at].store(CLOSING, SeqCst);
            gates[next].close();
            // A ring has one thread that does not wait, the last to come.
            let place = places[next].load(SeqCst);
            assert!(place == GONE || place == CLOSING);
            places[at].store(GONE, SeqCst);
            drop(pass);
        };
        let others: Vec<_> = (1..count)
            .map(|at| {
                let (gates, places) = (gates.clone(), places.clone());
                thread::spawn(move || callback(at, &gates, &places))
            })
            .collect();
        callback(0, &gates, &places);
        others.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn two_callbacks_may_close_each_others_gates() {
    ring(2, None);
}

#[test]
fn three_callbacks_may_close_gates_in_a_ring() {
    ring(3, Some(2));
}

#[test]
fn two_callbacks_of_a_gate_may_both_close_it() {
    model(None, || {
        let gate = Arc::new(Gate::new());
        let other = {
            let gate = gate.clone();
            thread::spawn(move || {
                if let Some(_pass) = gate.enter(OPEN) {
                    gate.close();
                }
            })
        };
        if let Some(_pass) = gate.enter(MESSAGE) {
            gate.close();
        }
        other.join().unwrap();
        assert!(gate.is_closed());
    });
}

#[test]
fn a_slot_holds_one_thread_at_a_time_and_slots_overlap() {
    model(Some(3), || {
        let gate = Arc::new(Gate::new());
        let inside = Arc::new(AtomicBool::new(false));
        let visit = |gate: &Gate, inside: &AtomicBool| {
            let _pass = gate.enter(MESSAGE).unwrap();
            let _again = gate.enter(MESSAGE).unwrap();
            assert!(!inside.swap(true, SeqCst));
            inside.store(false, SeqCst);
        };
        let other = {
            let (gate, inside) = (gate.clone(), inside.clone());
            thread::spawn(move || visit(&gate, &inside))
        };
        let _open = gate.enter(OPEN).unwrap();
        visit(&gate, &inside);
        // Still inside `OPEN`: were slots to exclude each other, this would deadlock.
        other.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_to_enter_is_turned_away_by_a_close() {
    model(Some(3), || {
        let gate = Arc::new(Gate::new());
        let deleted = Arc::new(AtomicBool::new(false));
        let callbacks: Vec<_> = (0..2)
            .map(|_| {
                let (gate, deleted) = (gate.clone(), deleted.clone());
                thread::spawn(move || {
                    if let Some(_pass) = gate.enter(MESSAGE) {
                        assert!(!deleted.load(SeqCst));
                    }
                })
            })
            .collect();
        gate.close();
        deleted.store(true, SeqCst);
        callbacks.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn callbacks_that_enter_each_others_slots_do_not_deadlock() {
    model(None, || {
        let gates = Arc::new([Gate::new(), Gate::new()]);
        let other = {
            let gates = gates.clone();
            thread::spawn(move || {
                let _own = gates[1].enter(MESSAGE).unwrap();
                let _other = gates[0].enter(MESSAGE).unwrap();
            })
        };
        {
            let _own = gates[0].enter(MESSAGE).unwrap();
            let _other = gates[1].enter(MESSAGE).unwrap();
        }
        other.join().unwrap();
    });
}

#[test]
fn threads_that_queue_for_a_slot_neither_overlap_nor_block_its_owner() {
    model(Some(3), || {
        let gate = Arc::new(Gate::new());
        let inside = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (gate, inside) = (gate.clone(), inside.clone());
                thread::spawn(move || {
                    let _pass = gate.enter(MESSAGE).unwrap();
                    assert!(!inside.swap(true, SeqCst));
                    inside.store(false, SeqCst);
                })
            })
            .collect();
        {
            let _pass = gate.enter(MESSAGE).unwrap();
            assert!(!inside.swap(true, SeqCst));
            // Re-entry goes ahead of those who queue.
            let _again = gate.enter(MESSAGE).unwrap();
            inside.store(false, SeqCst);
        }
        others.into_iter().for_each(|thread| thread.join().unwrap());
        drop(gate.enter(MESSAGE).unwrap());
    });
}

#[test]
fn a_deadlock_is_found_from_behind_a_queue() {
    model(Some(2), || {
        let gates = Arc::new([Gate::new(), Gate::new()]);
        let other = {
            let gates = gates.clone();
            thread::spawn(move || {
                if let Some(_own) = gates[1].enter(MESSAGE) {
                    drop(gates[0].enter(MESSAGE));
                }
            })
        };
        let bystander = {
            let gates = gates.clone();
            thread::spawn(move || drop(gates[0].enter(MESSAGE)))
        };
        if let Some(_own) = gates[0].enter(MESSAGE) {
            gates[1].close();
        }
        other.join().unwrap();
        bystander.join().unwrap();
    });
}

#[test]
fn after_wait_idle_a_replaced_callback_no_longer_runs() {
    model(None, || {
        let gate = Arc::new(Gate::new());
        let replaced = Arc::new(AtomicBool::new(false));
        let old_runs = Arc::new(AtomicBool::new(false));
        let worker = {
            let (gate, replaced, old_runs) = (gate.clone(), replaced.clone(), old_runs.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let _pass = gate.enter(MESSAGE).unwrap();
                    if !replaced.load(SeqCst) {
                        old_runs.store(true, SeqCst);
                        old_runs.store(false, SeqCst);
                    }
                }
            })
        };
        // The owner reads and replaces the callback under its own lock; `SeqCst` stands for it.
        replaced.store(true, SeqCst);
        gate.wait_idle(MESSAGE);
        assert!(!old_runs.load(SeqCst));
        worker.join().unwrap();
    });
}

#[test]
fn callbacks_that_replace_each_other_do_not_deadlock() {
    model(None, || {
        let gates = Arc::new([Gate::new(), Gate::new()]);
        let other = {
            let gates = gates.clone();
            thread::spawn(move || {
                let _own = gates[1].enter(MESSAGE).unwrap();
                gates[0].wait_idle(MESSAGE);
            })
        };
        {
            let _own = gates[0].enter(MESSAGE).unwrap();
            gates[1].wait_idle(MESSAGE);
            // From inside the callback, its own slot does not count.
            gates[0].wait_idle(MESSAGE);
        }
        other.join().unwrap();
    });
}

#[test]
fn a_callback_that_closes_its_own_gate_waits_for_the_other_slots() {
    model(None, || {
        let gate = Arc::new(Gate::new());
        let running = Arc::new(AtomicBool::new(false));
        let other = {
            let (gate, running) = (gate.clone(), running.clone());
            thread::spawn(move || {
                if let Some(_pass) = gate.enter(OPEN) {
                    running.store(true, SeqCst);
                    running.store(false, SeqCst);
                }
            })
        };
        let pass = gate.enter(MESSAGE);
        gate.close();
        assert!(!running.load(SeqCst));
        drop(pass);
        other.join().unwrap();
    });
}

#[test]
fn shutting_turns_away_who_waits_to_enter_while_the_slot_is_taken() {
    model(None, || {
        let gate = Arc::new(Gate::new());
        let _pass = gate.enter(MESSAGE).unwrap();
        let other = {
            let gate = gate.clone();
            thread::spawn(move || assert!(gate.enter(MESSAGE).is_none()))
        };
        gate.shut();
        other.join().unwrap();
    });
}

#[test]
fn a_wait_that_has_ended_is_not_mistaken_for_a_deadlock() {
    model(Some(3), || {
        let gates = Arc::new([Gate::new(), Gate::new()]);
        let running = Arc::new(AtomicBool::new(false));
        let other = {
            let (gates, running) = (gates.clone(), running.clone());
            thread::spawn(move || {
                drop(gates[0].enter(MESSAGE));
                if let Some(_pass) = gates[1].enter(MESSAGE) {
                    running.store(true, SeqCst);
                    running.store(false, SeqCst);
                }
            })
        };
        drop(gates[0].enter(MESSAGE));
        let pass = gates[0].enter(MESSAGE);
        gates[1].close();
        // The other thread may wait for this one at the first gate, but only while outside the
        // second.
        assert!(!running.load(SeqCst));
        drop(pass);
        other.join().unwrap();
    });
}

//! The delete guarantee: once a handle is closed, none of its callbacks runs or starts.
//!
//! Every handle an application can delete owns a [`Gate`]. A thread enters it around each call of
//! user code; closing it waits for the threads inside. Waiting of this kind invites deadlocks: two
//! callbacks on two threads may each delete the other's object. So whoever is about to wait first
//! asks, under one process-wide lock, whether the threads it would wait for are themselves waiting,
//! directly or through others, for the asking thread. If so it goes on without waiting; the
//! callback it did not wait for is then stuck in a wait of ours, not in user code.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use smallvec::SmallVec;

use super::sync::{Condvar, Mutex, MutexGuard, ThreadId, global_mutex, thread_id};

/// One kind of callback of a handle, for example message or open. The numbers are the owner's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u8);

/// Counts the threads that run callbacks of one handle, and keeps them out once closed.
///
/// Entering and leaving take the gate's own mutex only, and allocate nothing while at most two
/// threads are inside.
pub struct Gate {
    shared: Arc<Shared>,
}

/// Shared with the registry of waits, so that others can look inside while one waits here.
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever somebody leaves, or the gate shuts.
    changed: Condvar,
}

struct State {
    shut: bool,
    /// The serial number of the next visit or place in the queue.
    next: u64,
    inside: SmallVec<[Visit; 2]>,
    /// Threads that wait to enter; each goes before those that come later.
    queued: Vec<Visit>,
}

/// One thread inside one slot, or on its way there. A thread that re-enters has several.
#[derive(Clone, Copy)]
struct Visit {
    thread: ThreadId,
    serial: u64,
    slot: Slot,
}

/// What a thread waits for at a gate.
#[derive(Clone, Copy)]
enum Want {
    /// To enter a slot: nobody else in it or queued with a smaller number, or the gate shut.
    Enter(Slot, u64),
    /// The visits of a slot that began before this serial number to end. Later ones do not count:
    /// under a steady stream of callbacks there may never be a moment with nobody inside.
    Idle(Slot, u64),
    /// Nobody else inside at all.
    Empty,
}

/// A thread's presence in a [`Gate`]; it leaves when this is dropped, also by a panic.
#[must_use = "the thread leaves the gate when the pass is dropped"]
pub struct Pass<'a> {
    gate: &'a Gate,
    serial: u64,
    /// Only the thread that entered may leave: others would wait for it in vain, or not at all.
    not_send: PhantomData<*const ()>,
}

impl Gate {
    /// An open gate with nobody inside.
    pub fn new() -> Self {
        let state = State { shut: false, next: 0, inside: SmallVec::new(), queued: Vec::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    /// Enters to run one callback of `slot`; `None` once the gate is shut or closed.
    ///
    /// While another thread is inside the same slot this waits, so that a callback never runs
    /// concurrently with itself; threads are let in in the order they came. Re-entry by the same
    /// thread never waits, and different slots may overlap. When waiting would deadlock, it enters
    /// beside the other thread.
    pub fn enter(&self, slot: Slot) -> Option<Pass<'_>> {
        let me = thread_id();
        let mut state = self.shared.state.lock();
        if state.blocks(me, Want::Enter(slot, state.next)) {
            let turn = state.number();
            state.queued.push(Visit { thread: me, serial: turn, slot });
            drop(state);
            state = self.shared.wait(me, Want::Enter(slot, turn));
            state.queued.retain(|visit| visit.serial != turn);
        }
        if state.shut {
            return None;
        }
        let serial = state.number();
        state.inside.push(Visit { thread: me, serial, slot });
        Some(Pass { gate: self, serial, not_send: PhantomData })
    }

    /// Waits until every other thread that is inside `slot` now has left it.
    ///
    /// For replacing a callback: afterwards the old one no longer runs. Returns at once when
    /// waiting would deadlock.
    pub fn wait_idle(&self, slot: Slot) {
        let before = self.shared.state.lock().next;
        drop(self.shared.settle(thread_id(), Want::Idle(slot, before)));
    }

    /// Shuts the gate and waits until no other thread is inside any slot.
    ///
    /// From inside one of its own callbacks it does not wait for that callback. Several threads
    /// may close at once; each of them waits. Returns at once when waiting would deadlock: each of
    /// two callbacks, say, closes the other's gate. The later one to close does not wait; the
    /// earlier one goes on when the later has returned to its caller.
    pub fn close(&self) {
        self.shut();
        drop(self.shared.settle(thread_id(), Want::Empty));
    }

    /// Forbids new entries, without waiting.
    pub fn shut(&self) {
        self.shared.state.lock().shut = true;
        self.shared.changed.notify_all();
    }

    /// Whether the gate has been shut or closed.
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().shut
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let shared = &self.gate.shared;
        let mut state = shared.state.lock();
        if let Some(at) = state.inside.iter().position(|visit| visit.serial == self.serial) {
            state.inside.swap_remove(at);
        }
        drop(state);
        shared.changed.notify_all();
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The threads that keep `me` from what it wants.
    fn blockers(&self, me: ThreadId, want: Want) -> impl Iterator<Item = ThreadId> {
        let free = match want {
            Want::Enter(slot, _) => self.shut || self.holds(me, slot),
            Want::Idle(..) | Want::Empty => false,
        };
        let inside = self.inside.iter().filter(move |visit| match want {
            Want::Enter(slot, _) => visit.slot == slot,
            Want::Idle(slot, before) => visit.slot == slot && visit.serial < before,
            Want::Empty => true,
        });
        let ahead = self.queued.iter().filter(move |visit| match want {
            Want::Enter(slot, turn) => visit.slot == slot && visit.serial < turn,
            Want::Idle(..) | Want::Empty => false,
        });
        let threads = inside.chain(ahead).map(|visit| visit.thread);
        threads.filter(move |thread| !free && *thread != me)
    }

    fn holds(&self, me: ThreadId, slot: Slot) -> bool {
        self.inside.iter().any(|visit| visit.thread == me && visit.slot == slot)
    }

    fn blocks(&self, me: ThreadId, want: Want) -> bool {
        self.blockers(me, want).next().is_some()
    }
}

impl Shared {
    /// Waits until nothing is in the way of `want`, or waiting would deadlock; returns the locked
    /// state, so that the caller can act before anything changes.
    fn settle(self: &Arc<Self>, me: ThreadId, want: Want) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        if !state.blocks(me, want) {
            return state;
        }
        drop(state);
        self.wait(me, want)
    }

    /// The slow half of [`Self::settle`]. Locks in the order registry, gate.
    ///
    /// A wait is entered and struck out under both locks, so a registered thread is truly blocked
    /// whenever its gate says so. Of the threads that complete a cycle one registers last; it sees
    /// all the others, whose visits and places in queues cannot end while they wait.
    #[cold]
    fn wait(self: &Arc<Self>, me: ThreadId, want: Want) -> MutexGuard<'_, State> {
        loop {
            let mut waits = WAITS.lock();
            waits.insert(me, Wait { gate: Arc::clone(self), want });
            let deadlock = waits_for_itself(&waits, me);
            let mut state = self.state.lock();
            if deadlock || !state.blocks(me, want) {
                waits.remove(&me);
                return state;
            }
            drop(waits);
            self.changed.wait(&mut state);
        }
    }
}

/// One thread's wait. A thread has at most one: it runs no user code while it waits.
struct Wait {
    gate: Arc<Shared>,
    want: Want,
}

global_mutex! {
    static WAITS: BTreeMap<ThreadId, Wait> = BTreeMap::new();
}

/// Whether the wait of `me` can only end after `me` has left a gate it is inside now.
fn waits_for_itself(waits: &BTreeMap<ThreadId, Wait>, me: ThreadId) -> bool {
    let mut seen: SmallVec<[ThreadId; 8]> = SmallVec::new();
    let mut todo: SmallVec<[ThreadId; 8]> = SmallVec::from_slice(&[me]);
    while let Some(thread) = todo.pop() {
        let Some(wait) = waits.get(&thread) else { continue };
        for blocker in wait.gate.state.lock().blockers(thread, wait.want) {
            if blocker == me {
                return true;
            }
            if !seen.contains(&blocker) {
                seen.push(blocker);
                todo.push(blocker);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_goes_before_one_that_comes_later() {
        let gate = Gate::new();
        let order = Mutex::new(Vec::new());
        let pass = gate.enter(Slot(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _pass = gate.enter(Slot(0));
                order.lock().push("waited");
            });
            while gate.shared.state.lock().queued.is_empty() {
                std::thread::yield_now();
            }
            drop(pass);
            let _pass = gate.enter(Slot(0));
            order.lock().push("came later");
        });
        assert_eq!(order.into_inner(), ["waited", "came later"]);
    }
}

//! Keeps events from being delivered after a transport was closed.

use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex};

/// Passed by one thread at a time, until it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    inside: Option<ThreadId>,
}

impl Gate {
    /// Enters; `None` once the gate is closed.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        debug_assert!(state.inside.is_none(), "one task enters");
        state.inside = Some(thread::current().id());
        Some(Inside { gate: self })
    }

    /// Closes the gate and waits until no other thread is inside. True at the first time.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        let own = thread::current().id();
        self.left.wait_while(&mut state, |state| state.inside.is_some_and(|id| id != own));
        first
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

/// Being inside of a [`Gate`].
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.gate.state.lock().inside = None;
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn closing_waits_for_another_thread_inside_but_not_for_its_own() {
        let gate = Arc::new(Gate::default());
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let other = thread::spawn({
            let gate = gate.clone();
            move || {
                let inside = gate.enter().expect("the gate is open");
                entered.send(()).expect("the test waits");
                may_leave.recv().expect("the test tells");
                drop(inside);
            }
        });
        has_entered.recv().expect("the thread enters");
        let (closed, has_closed) = mpsc::channel();
        let closer = thread::spawn({
            let gate = gate.clone();
            move || closed.send(gate.close()).expect("the test waits")
        });
        while !gate.is_closed() {
            thread::yield_now();
        }
        assert_eq!(has_closed.try_recv(), Err(mpsc::TryRecvError::Empty));
        leave.send(()).expect("the thread waits");
        assert_eq!(has_closed.recv(), Ok(true));
        assert!(gate.enter().is_none());
        assert!(!gate.close(), "closed once before");
        other.join().expect("no panic");
        closer.join().expect("no panic");

        let own = Gate::default();
        let inside = own.enter().expect("the gate is open");
        assert!(own.close());
        drop(inside);
    }
}

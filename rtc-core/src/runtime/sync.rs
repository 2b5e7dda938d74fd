//! The locks, atomics and threads that [`super::gate`], [`super::lane`] and [`super::pool`] use.
//!
//! Those three start no thread and take no lock by other means, so that the models in
//! `rtc-core/loom` can compile the very same files against loom's versions of what is here.

use std::cell::Cell;
use std::io;
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
pub(super) use std::thread::{JoinHandle, Thread, current, park, park_timeout, sleep};
pub(super) use std::thread_local as per_thread;

pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};

/// Bytes of stack of a thread that runs user code: what C and C++ programs get by default.
const STACK: usize = if cfg!(target_pointer_width = "64") { 8 << 20 } else { 2 << 20 };

/// Starts a named thread.
pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(body)
}

/// Identifies a thread for the life of the process; never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ThreadId(u64);

/// The calling thread. Cheaper than `std::thread::current().id()`, which counts references.
pub(super) fn thread_id() -> ThreadId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    std::thread_local!(static ID: Cell<u64> = const { Cell::new(0) });
    ID.with(|id| {
        if id.get() == 0 {
            id.set(NEXT.fetch_add(1, Relaxed));
        }
        ThreadId(id.get())
    })
}

/// Declares a process-wide mutex; loom needs another expression for it.
macro_rules! global_mutex {
    (static $name:ident: $type:ty = $value:expr;) => {
        static $name: $crate::runtime::sync::Mutex<$type> =
            $crate::runtime::sync::Mutex::new($value);
    };
}
pub(super) use global_mutex;

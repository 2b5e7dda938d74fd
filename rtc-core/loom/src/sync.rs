//! What `rtc-core`'s `runtime/sync.rs` offers, built from loom. Time does not pass in a model:
//! waits with a limit have none, and the pool's watch thread cannot be started.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

pub use loom::sync::atomic::{AtomicBool, Ordering};
pub use loom::thread::{JoinHandle, Thread, current, park};

/// A mutex with the interface of `parking_lot`.
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// `None` only while a condition variable has it.
pub struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

pub struct Condvar(loom::sync::Condvar);

pub struct WaitTimeoutResult;

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap()))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap()
    }
}

impl Condvar {
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.0 = guard.0.take().map(|guard| self.0.wait(guard).unwrap());
    }

    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        false
    }
}

pub fn park_timeout(_: Duration) {
    park();
}

pub fn sleep(_: Duration) {
    loom::thread::yield_now();
}

pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    if name == "rtc-watch" {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(loom::thread::spawn(body))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ThreadId(u64);

pub fn thread_id() -> ThreadId {
    // Not loom's atomic: the numbers are no part of the model.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    loom::thread_local!(static ID: u64 = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    ThreadId(ID.with(|id| *id))
}

/// `std`'s macro with a constant initial value.
macro_rules! per_thread {
    ($(#[$doc:meta])* static $name:ident: $type:ty = const { $value:expr };) => {
        loom::thread_local!($(#[$doc])* static $name: $type = $value);
    };
}
pub(crate) use per_thread;

macro_rules! global_mutex {
    (static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            static ref $name: $crate::sync::Mutex<$type> = $crate::sync::Mutex::new($value);
        }
    };
}
pub(crate) use global_mutex;

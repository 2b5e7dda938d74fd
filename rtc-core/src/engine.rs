//! What connections share: the runtime for I/O and the pool for callbacks.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::runtime::pool::Pool;
use crate::runtime::{Runtime, TokioRuntime};

/// The shared part of all connections that were made with it.
#[derive(Debug)]
pub struct Engine {
    runtime: Arc<dyn Runtime>,
    pool: Arc<Pool>,
    active: Mutex<Active>,
    quiet: Condvar,
}

/// What still has something to do, whether or not the application knows it.
#[derive(Default)]
struct Active {
    drivers: usize,
    members: Vec<Weak<dyn Activity>>,
}

/// Something that goes on by itself: a connection, a server.
pub(crate) trait Activity: Send + Sync {
    /// Ends it at once, without flushing.
    fn abort(&self);
}

/// Counts as an activity of the engine until it is dropped.
pub(crate) struct Duty(Arc<Engine>);

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.active.lock().drivers -= 1;
        self.0.quiet.notify_all();
    }
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active").field("drivers", &self.drivers).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine on a tokio runtime of its own: two I/O threads, or as many as there are processors
    /// up to eight. `callback_threads` is where the pool for callbacks begins; 0 is one for each
    /// processor.
    pub fn new(callback_threads: usize) -> Result<Arc<Self>> {
        let processors = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        let threads = NonZeroUsize::new(processors.clamp(2, 8)).unwrap_or(NonZeroUsize::MIN);
        let runtime = TokioRuntime::new(threads)
            .map_err(|error| Error::failure("the I/O threads could not start").caused_by(error))?;
        Ok(Self::with_runtime(Arc::new(runtime), callback_threads))
    }

    /// An engine on a runtime of the caller's.
    pub fn with_runtime(runtime: Arc<dyn Runtime>, callback_threads: usize) -> Arc<Self> {
        let pool = Arc::new(Pool::new());
        pool.set_size(callback_threads);
        Arc::new(Self { runtime, pool, active: Mutex::default(), quiet: Condvar::new() })
    }

    /// The runtime.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        self.pool.clone()
    }

    /// Has the engine wait for `member`, and end it when need be, for as long as the result lives.
    pub(crate) fn enlist(self: &Arc<Self>, member: Weak<dyn Activity>) -> Duty {
        let mut active = self.active.lock();
        active.drivers += 1;
        if active.members.len() == active.members.capacity() {
            active.members.retain(|member| member.strong_count() > 0);
        }
        active.members.push(member);
        Duty(self.clone())
    }

    /// Waits until every connection is closed on the wire; false when some were not at `deadline`.
    pub fn wait_quiet(&self, deadline: Instant) -> bool {
        let mut active = self.active.lock();
        while active.drivers > 0 {
            if self.quiet.wait_until(&mut active, deadline).timed_out() {
                return active.drivers == 0;
            }
        }
        true
    }

    /// Ends every connection at once, without flushing.
    pub fn abort_all(&self) {
        let members = std::mem::take(&mut self.active.lock().members);
        for member in members.iter().filter_map(Weak::upgrade) {
            member.abort();
        }
    }

    /// Changes where the pool for callbacks begins.
    pub fn set_callback_threads(&self, threads: usize) {
        self.pool.set_size(threads);
    }

    /// Ends the threads of callbacks and I/O; false when some were still busy at `deadline`, in
    /// which case they end by themselves.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        let idle = self.pool.shutdown(deadline);
        self.runtime.shutdown(deadline) && idle
    }
}

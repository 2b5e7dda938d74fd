//! Looking up the host names that a peer puts into its candidates, away from the runtime's threads.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime::Runtime;

/// Names of one peer that are looked up at one time, and in all.
const MAX_AT_A_TIME: usize = 8;
const MAX_IN_ALL: usize = 64;

/// The look-ups of one transport.
#[derive(Debug, Default)]
pub struct NameLookups {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    in_all: usize,
}

impl NameLookups {
    /// Looks a name up by `addresses_of`, which may block, and passes its addresses on, none if it
    /// has none. A peer that names too many hosts is ignored: then `found` is not called, and the
    /// result is false.
    pub fn start(
        self: &Arc<Self>,
        runtime: &dyn Runtime,
        addresses_of: impl FnOnce() -> Vec<SocketAddr> + Send + 'static,
        found: impl FnOnce(Vec<SocketAddr>) + Send + 'static,
    ) -> bool {
        {
            let mut counts = self.counts.lock();
            if counts.running >= MAX_AT_A_TIME || counts.in_all >= MAX_IN_ALL {
                return false;
            }
            counts.running += 1;
            counts.in_all += 1;
        }
        let lookups = self.clone();
        runtime.spawn_blocking(Box::new(move || {
            let addresses = addresses_of();
            lookups.counts.lock().running -= 1;
            found(addresses);
        }));
        true
    }

    /// Whether some are still running.
    pub fn are_running(&self) -> bool {
        self.counts.lock().running > 0
    }
}

/// What the system's resolver knows of a name; nothing if it knows it not. Blocks.
pub fn system_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::TokioRuntime;

    #[test]
    fn names_are_found_and_too_many_are_ignored() {
        let runtime = TokioRuntime::new(NonZeroUsize::MIN).expect("a runtime");
        let lookups = Arc::new(NameLookups::default());
        let (found, has_found) = mpsc::channel();
        for _ in 0..MAX_IN_ALL {
            let found = found.clone();
            let look_up = || system_addresses("localhost", 7);
            let started = lookups.start(&runtime, look_up, move |addresses| {
                found.send(addresses).expect("the test listens");
            });
            assert!(started);
            let addresses = has_found.recv().expect("an answer");
            assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 7));
            assert!(!addresses.is_empty());
        }
        assert!(!lookups.start(&runtime, Vec::new, |_| panic!("one too many")));
        assert!(!lookups.are_running());
    }
}

//! The thread on which libjuice serves all agents that share no port, and what it takes to count
//! on it.
//!
//! It polls a table that doubles with the number of agents. `poll` refuses one with more entries
//! than the process may have open files; then that thread ends, and its agents are dead without
//! being told. So an agent that would make the table too large gets a thread of its own, and
//! should the thread end all the same, because the limit was lowered, its agents are failed.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rtc_core::backend::{Delivery, IceEvent};
use rtc_core::state::IceState;

/// Room that libjuice's table begins with.
const FIRST_ROOM: usize = 16;

static SHARED: Mutex<Shared> = Mutex::new(Shared::new());

/// The agents on the shared thread.
struct Shared {
    agents: Vec<(u64, Weak<Delivery>)>,
    next: u64,
    /// How many agents libjuice's table has room for.
    room: usize,
    died: bool,
}

/// A place on the shared thread, to be kept longer than the agent.
#[derive(Debug)]
pub(crate) struct Place(u64);

impl Place {
    /// `None` if the agent had better have a thread of its own.
    pub(crate) fn take(delivery: &Arc<Delivery>) -> Option<Self> {
        SHARED.lock().take(Arc::downgrade(delivery), open_file_limit()).map(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        SHARED.lock().give_back(self.0);
    }
}

/// The shared thread has ended.
pub(crate) fn thread_died() {
    let agents = {
        let mut shared = SHARED.lock();
        shared.died = true;
        shared.agents.clone()
    };
    for delivery in agents.iter().filter_map(|(_, agent)| agent.upgrade()) {
        delivery.event(IceEvent::State(IceState::Failed));
    }
}

impl Shared {
    const fn new() -> Self {
        Self { agents: Vec::new(), next: 0, room: FIRST_ROOM, died: false }
    }

    fn take(&mut self, agent: Weak<Delivery>, limit: usize) -> Option<u64> {
        let room = match self.agents.len() < self.room {
            true => self.room,
            false => self.room.saturating_mul(2),
        };
        // One entry more is for waking the thread.
        if self.died || room >= limit {
            return None;
        }
        self.room = room;
        self.next += 1;
        self.agents.push((self.next, agent));
        Some(self.next)
    }

    fn give_back(&mut self, place: u64) {
        self.agents.retain(|(id, _)| *id != place);
        if self.agents.is_empty() {
            // With its last agent libjuice gives up the table, and begins with another thread.
            *self = Self { next: self.next, ..Self::new() };
        }
    }
}

#[cfg(unix)]
fn open_file_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .and_then(|(now, _)| usize::try_from(now).ok())
        .unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn open_file_limit() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_never_outgrows_the_limit() {
        let mut shared = Shared::new();
        let mut places: Vec<u64> = (0..512)
            .map(|_| shared.take(Weak::new(), 1024).expect("513 entries are allowed"))
            .collect();
        assert_eq!(shared.take(Weak::new(), 1024), None, "1025 entries are not");
        // libjuice never makes its table smaller.
        places.drain(100..).for_each(|place| shared.give_back(place));
        assert_eq!(shared.room, 512);
        places.into_iter().for_each(|place| shared.give_back(place));
        assert_eq!(shared.room, FIRST_ROOM);
    }

    #[test]
    fn a_thread_that_died_gets_no_new_agents_until_its_old_ones_are_gone() {
        let mut shared = Shared::new();
        let place = shared.take(Weak::new(), 1024).expect("a place");
        shared.died = true;
        assert_eq!(shared.take(Weak::new(), 1024), None);
        shared.give_back(place);
        assert!(shared.take(Weak::new(), 1024).is_some());
        assert_eq!(Shared::new().take(Weak::new(), FIRST_ROOM), None);
    }
}

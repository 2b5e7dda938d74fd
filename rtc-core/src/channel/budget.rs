//! What all data channels of one connection may hold together.
//!
//! A channel may take more as long as it holds less than what is left for all. So one that nobody
//! reads takes at most half of what others have left, and something is left for those that are
//! read: a channel that holds nothing gets its next message until nothing at all is left.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Memory for received messages, in bytes, that the channels of a connection share.
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Set before a channel waits; a channel that gives something back looks here first.
    awaited: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The streams whose channels wait for others to give something back.
#[derive(Default)]
struct Waiting {
    /// What each held when it began to wait, least first: it needs more than that to be left.
    order: BTreeSet<(usize, u16)>,
    held: HashMap<u16, usize>,
}

impl Waiting {
    fn insert(&mut self, stream: u16, held: usize) {
        if let Some(before) = self.held.insert(stream, held) {
            self.order.remove(&(before, stream));
        }
        self.order.insert((held, stream));
    }

    fn take(&mut self, left: usize) -> Option<u16> {
        let &(held, stream) = self.order.first().filter(|(held, _)| *held < left)?;
        self.order.remove(&(held, stream));
        self.held.remove(&stream);
        Some(stream)
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Whether the channel of `stream`, which holds so many bytes, may take another message.
    /// Otherwise it waits, and [`Self::next_ready`] names it in time.
    pub(super) fn admits(&self, stream: u16, held: usize) -> bool {
        if held < self.left() {
            return true;
        }
        let mut waiting = self.waiting.lock();
        waiting.insert(stream, held);
        self.awaited.store(true, Ordering::SeqCst);
        // What was given back before that was seen by nobody.
        held < self.left()
    }

    /// Takes `bytes`; what one message needs beyond the limit is overdrawn.
    pub(super) fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Gives `bytes` back; true when a channel may be waiting for that.
    pub(super) fn give_back(&self, bytes: usize) -> bool {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
        self.awaited.load(Ordering::SeqCst)
    }

    /// The next stream whose channel has waited long enough.
    pub(crate) fn next_ready(&self) -> Option<u16> {
        if !self.awaited.load(Ordering::SeqCst) {
            return None;
        }
        let mut waiting = self.waiting.lock();
        let ready = waiting.take(self.left());
        if waiting.order.is_empty() {
            self.awaited.store(false, Ordering::SeqCst);
        }
        ready
    }

    fn left(&self) -> usize {
        self.limit.saturating_sub(self.held.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channels that nobody reads, each of which is offered messages of 1 byte without end.
    fn fill(budget: &Budget, streams: impl Iterator<Item = u16>) -> Vec<usize> {
        let fill = |stream| {
            let mut held = 0;
            while budget.admits(stream, held) {
                budget.take(1);
                held += 1;
            }
            held
        };
        streams.map(fill).collect()
    }

    #[test]
    fn each_channel_that_nobody_reads_leaves_as_much_as_it_takes() {
        let budget = Budget::new(1024);
        assert_eq!(fill(&budget, 0..4), [512, 256, 128, 64]);
        assert_eq!(budget.left(), 64);
    }

    #[test]
    fn a_channel_that_is_read_goes_on_whatever_others_hold() {
        let budget = Budget::new(1024);
        fill(&budget, 0..9);
        for _ in 0..5000 {
            assert!(budget.admits(100, 0));
            budget.take(1);
            budget.give_back(1);
        }
    }

    #[test]
    fn who_holds_least_goes_on_first_and_nobody_before_there_is_room() {
        let budget = Budget::new(100);
        budget.take(90);
        for (stream, held) in [(1, 40), (2, 10), (3, 20), (1, 30)] {
            assert!(!budget.admits(stream, held));
        }
        assert_eq!(budget.next_ready(), None);
        assert!(budget.give_back(15));
        assert_eq!([budget.next_ready(), budget.next_ready()], [Some(2), Some(3)]);
        assert_eq!(budget.next_ready(), None);
        assert!(budget.give_back(75));
        assert_eq!([budget.next_ready(), budget.next_ready()], [Some(1), None]);
        budget.take(1);
        assert!(!budget.give_back(1), "nobody waits any more");
    }
}

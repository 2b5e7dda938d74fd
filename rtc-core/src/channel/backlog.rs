//! What waits for a callback of the application, bounded in number and in size.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::config::{RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES};

/// A queue that takes no more once it holds as much as a channel may hold of messages. The last
/// item may exceed the bytes, as the last message may.
pub(crate) struct Backlog<T>(Mutex<Waiting<T>>);

struct Waiting<T> {
    /// Items and their sizes in bytes.
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self(Mutex::new(Waiting { items: VecDeque::new(), bytes: 0 }))
    }
}

impl<T> Backlog<T> {
    /// Queues an item of so many bytes; false when there is no room.
    pub(crate) fn push(&self, item: T, bytes: usize) -> bool {
        let mut waiting = self.0.lock();
        let room =
            waiting.items.len() < RECEIVE_QUEUE_MESSAGES && waiting.bytes < RECEIVE_QUEUE_BYTES;
        if room {
            waiting.bytes += bytes;
            waiting.items.push_back((item, bytes));
        }
        room
    }

    /// Takes the first item.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut waiting = self.0.lock();
        let (item, bytes) = waiting.items.pop_front()?;
        waiting.bytes -= bytes;
        Some(item)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_bounded_in_number_and_in_bytes() {
        // Sizes of the items, and how many are taken.
        for (size, taken) in [
            (0, RECEIVE_QUEUE_MESSAGES),
            (1500, RECEIVE_QUEUE_MESSAGES),
            (32 * 1024 * 1024, 1),
            (RECEIVE_QUEUE_BYTES / 2, 2),
            (RECEIVE_QUEUE_BYTES / 2 - 1, 3),
        ] {
            let backlog = Backlog::default();
            let pushed = (0..2000).filter(|n| backlog.push(*n, size)).count();
            assert_eq!(pushed, taken, "items of {size} bytes");
            // What is taken makes room again, in bytes as well.
            assert_eq!(std::iter::from_fn(|| backlog.pop()).count(), taken);
            assert!(backlog.is_empty());
            assert!((0..taken).all(|n| backlog.push(n, size)), "items of {size} bytes");
        }
    }
}

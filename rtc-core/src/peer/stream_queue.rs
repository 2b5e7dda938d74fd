//! Streams that wait in turn.

use std::collections::{BTreeMap, HashMap};

/// A queue of streams in which each stands at most once. A peer decides how many there are, so
/// nothing is looked for by going through it.
#[derive(Debug, Default)]
pub(super) struct StreamQueue {
    order: BTreeMap<u64, u16>,
    places: HashMap<u16, u64>,
    next: u64,
}

impl StreamQueue {
    /// Appends the stream unless it stands in the queue already.
    pub(super) fn push(&mut self, stream: u16) {
        self.places.entry(stream).or_insert_with(|| {
            self.next += 1;
            self.order.insert(self.next, stream);
            self.next
        });
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<u16> {
        self.order.first_key_value().map(|(_, stream)| *stream)
    }

    pub(super) fn contains(&self, stream: u16) -> bool {
        self.places.contains_key(&stream)
    }

    /// Takes the stream out.
    pub(super) fn remove(&mut self, stream: u16) {
        if let Some(place) = self.places.remove(&stream) {
            self.order.remove(&place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_turn_however_often_it_asks() {
        let mut queue = StreamQueue::default();
        [7, 3, 7, 7, 5, 3].into_iter().for_each(|stream| queue.push(stream));
        assert_eq!(queue.first(), Some(7));
        queue.remove(7);
        queue.push(7);
        assert!(queue.contains(7) && queue.contains(3));
        queue.remove(3);
        assert!(!queue.contains(3));
        assert_eq!(queue.order.values().copied().collect::<Vec<_>>(), [5, 7]);
        [5, 7, 5].into_iter().for_each(|stream| queue.remove(stream));
        assert!(queue.is_empty() && queue.places.is_empty());
    }
}

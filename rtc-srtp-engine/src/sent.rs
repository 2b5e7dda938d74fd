//! Which packets the indices of a stream protected, so that none protects two different ones.

use std::collections::VecDeque;
use std::num::NonZeroU64;

/// How far back a packet may be sent again, in packets.
pub const RESEND_WINDOW: u64 = 4096;

/// The packets with the last [`RESEND_WINDOW`] indices up to the highest one, by their
/// authentication tags: under one index only equal packets have equal tags.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The highest index so far; of no meaning while there are no packets.
    highest: u64,
    /// The beginnings of tags, the one of the highest index at the end.
    tags: VecDeque<Option<NonZeroU64>>,
}

impl Sent {
    pub(crate) fn highest(&self) -> Option<u64> {
        (!self.tags.is_empty()).then_some(self.highest)
    }

    /// Whether it is forgotten what this index protected.
    pub(crate) fn forgot(&self, index: u64) -> bool {
        self.highest().is_some_and(|highest| index + RESEND_WINDOW <= highest)
    }

    /// Notes the tag of a packet; false when the index, which must not be forgotten, protected
    /// another packet before.
    pub(crate) fn note(&mut self, index: u64, tag: [u8; 8]) -> bool {
        // No tag is taken for an index that was skipped.
        let tag = NonZeroU64::new(u64::from_be_bytes(tag)).unwrap_or(NonZeroU64::MIN);
        let Some(highest) = self.highest().filter(|highest| index <= *highest) else {
            self.advance(index);
            self.tags.push_back(Some(tag));
            return true;
        };
        let age = (highest - index) as usize;
        while self.tags.len() <= age {
            self.tags.push_front(None);
        }
        let place = self.tags.len() - 1 - age;
        *self.tags[place].get_or_insert(tag) == tag
    }

    /// Makes `index` the highest one; its tag is still to be pushed.
    fn advance(&mut self, index: u64) {
        let skipped = self.highest().map_or(0, |highest| index - highest - 1);
        for _ in 0..skipped.min(RESEND_WINDOW) {
            self.tags.push_back(None);
        }
        while self.tags.len() as u64 >= RESEND_WINDOW {
            self.tags.pop_front();
        }
        self.highest = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_serves_one_packet() {
        let mut sent = Sent::default();
        assert_eq!((sent.highest(), sent.forgot(0)), (None, false));
        for (index, tag, is_fine) in [
            (10, 1, true),
            (10, 1, true),
            (10, 2, false),
            (10, 1, true),
            (7, 3, true),
            (7, 4, false),
            (8, 0, true),
            (8, 2, false),
            (20, 5, true),
            (19, 6, true),
            (19, 5, false),
            (20, 6, false),
            (10, 2, false),
        ] {
            let noted = sent.note(index, u64::to_be_bytes(tag));
            assert_eq!(noted, is_fine, "{index} {tag}");
        }
        assert_eq!(sent.highest(), Some(20));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sent = Sent::default();
        for index in (0..20_000).chain([30_000, 1 << 40]) {
            assert!(sent.note(index, [1; 8]));
            assert!(sent.tags.len() as u64 <= RESEND_WINDOW);
            let oldest = index.saturating_sub(RESEND_WINDOW - 1);
            assert!(!sent.forgot(oldest) && (oldest == 0 || sent.forgot(oldest - 1)));
        }
        let oldest = (1 << 40) + 1 - RESEND_WINDOW;
        assert!(sent.note(oldest, [2; 8]) && !sent.note(oldest, [1; 8]));
        assert_eq!(sent.tags.len() as u64, RESEND_WINDOW);
    }

    #[test]
    fn the_window_agrees_with_a_map() {
        let (mut sent, mut map) = (Sent::default(), std::collections::HashMap::new());
        let mut random: u64 = 1;
        for _ in 0..50_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let highest = sent.highest().unwrap_or(10_000);
            let index = highest + 40 - (random >> 33) % 5_000;
            let tag = ((random >> 20) % 2 + 1).to_be_bytes();
            assert_eq!(sent.forgot(index), index + RESEND_WINDOW <= highest);
            if !sent.forgot(index) {
                assert_eq!(sent.note(index, tag), *map.entry(index).or_insert(tag) == tag);
            }
        }
    }
}

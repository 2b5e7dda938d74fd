//! Transmission sequence numbers without wrap-around.

/// A TSN unwrapped to 64 bits: comparisons and differences are plain arithmetic. The lower 32 bits
/// are what is on the wire.
pub(crate) type Tsn = u64;

/// The unwrapped form of an initial TSN, far enough from zero that nothing precedes it.
pub(crate) fn first(initial: u32) -> Tsn {
    (1 << 32) + u64::from(initial)
}

/// The unwrapped TSN nearest to `near` that has `wire` as its lower bits.
#[inline]
pub(crate) fn unwrap_near(near: Tsn, wire: u32) -> Tsn {
    let distance = wire.wrapping_sub(near as u32) as i32;
    near.wrapping_add_signed(i64::from(distance))
}

/// A set of TSNs within a window of [`SerialSet::SPAN`], as a ring of bits.
///
/// The owner must keep all members within one span and clear a TSN before the window moves past
/// it. The ring is allocated when the first member comes: without loss or reordering it never is.
#[derive(Clone, Debug, Default)]
pub(crate) struct SerialSet {
    words: Vec<u64>,
}

impl SerialSet {
    /// How far apart members may be: what a gap block can express.
    pub(crate) const SPAN: u64 = 1 << 16;
    const WORDS: usize = (Self::SPAN / 64) as usize;

    fn place(tsn: Tsn) -> (usize, u64) {
        ((tsn % Self::SPAN / 64) as usize, 1 << (tsn % 64))
    }

    pub(crate) fn contains(&self, tsn: Tsn) -> bool {
        let (word, bit) = Self::place(tsn);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Adds a TSN and says whether it was new.
    pub(crate) fn insert(&mut self, tsn: Tsn) -> bool {
        if self.words.is_empty() {
            self.words = vec![0; Self::WORDS];
        }
        let (word, bit) = Self::place(tsn);
        let Some(w) = self.words.get_mut(word) else { return false };
        let new = *w & bit == 0;
        *w |= bit;
        new
    }

    pub(crate) fn remove(&mut self, tsn: Tsn) -> bool {
        let (word, bit) = Self::place(tsn);
        let Some(w) = self.words.get_mut(word) else { return false };
        let had = *w & bit != 0;
        *w &= !bit;
        had
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// The first member in `from..=last`.
    pub(crate) fn next_member(&self, from: Tsn, last: Tsn) -> Option<Tsn> {
        self.scan(from, last, 0)
    }

    /// The first TSN in `from..=last` that is no member.
    pub(crate) fn next_absent(&self, from: Tsn, last: Tsn) -> Option<Tsn> {
        if self.words.is_empty() {
            return (from <= last).then_some(from);
        }
        self.scan(from, last, u64::MAX)
    }

    /// Looks for a set bit in the words XORed with `flip`, a word at a time.
    fn scan(&self, from: Tsn, last: Tsn, flip: u64) -> Option<Tsn> {
        let mut at = from;
        while at <= last {
            let (word, _) = Self::place(at);
            let w = (self.words.get(word)? ^ flip) >> (at % 64);
            if w != 0 {
                let found = at + u64::from(w.trailing_zeros());
                return (found <= last).then_some(found);
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwrapping_crosses_the_wire_wrap_in_both_directions() {
        let near = first(u32::MAX);
        assert_eq!(unwrap_near(near, 0), near + 1);
        assert_eq!(unwrap_near(near + 1, u32::MAX), near);
        assert_eq!(unwrap_near(near, 5), near + 6);
    }

    #[test]
    fn scanning_finds_members_and_absences_across_the_ring_wrap() {
        let mut set = SerialSet::default();
        let base = first(0) + SerialSet::SPAN - 70;
        assert_eq!(set.next_member(base, base + 1000), None);
        assert_eq!(set.next_absent(base, base + 1000), Some(base));
        for offset in 65..=140 {
            assert!(set.insert(base + offset));
        }
        assert!(!set.insert(base + 100));
        assert_eq!(set.next_member(base, base + 1000), Some(base + 65));
        assert_eq!(set.next_absent(base + 65, base + 1000), Some(base + 141));
        assert_eq!(set.next_absent(base + 65, base + 140), None);
        assert!(set.remove(base + 80));
        assert!(!set.remove(base + 80));
        assert_eq!(set.next_absent(base + 65, base + 140), Some(base + 80));
    }
}

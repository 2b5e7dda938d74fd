//! The index of a packet, and whether it came before (RFC 3711 §3.3).

/// How far back a packet may come late, in packets.
pub const WINDOW: u64 = 1024;

const WORDS: usize = (WINDOW / 64) as usize;

/// The last [`WINDOW`] indices up to the highest one.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// A window whose first packet has this index.
    pub(crate) fn new(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.set(index);
        window
    }

    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet with this index is to be dropped.
    pub(crate) fn rejects(&self, index: u64) -> bool {
        if index > self.highest {
            return false;
        }
        if self.highest - index >= WINDOW {
            return true;
        }
        let (word, bit) = place(index);
        self.seen.get(word).is_none_or(|word| word & bit != 0)
    }

    /// Remembers that a packet with this index was authentic.
    pub(crate) fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen.fill(0);
            } else {
                for skipped in self.highest + 1..index {
                    let (word, bit) = place(skipped);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.seen[word] |= bit;
    }
}

/// The bits are a ring over the low bits of the index.
fn place(index: u64) -> (usize, u64) {
    let slot = index % WINDOW;
    ((slot / 64) as usize, 1 << (slot % 64))
}

/// The index (rollover counter and sequence number) nearest to the highest one so far; RFC 3711
/// §3.3.1. An index before the first rollover period counts as one in it.
pub(crate) fn estimate_index(highest: u64, sequence: u16) -> u64 {
    const HALF: u64 = 1 << 15;
    const PERIOD: u64 = 1 << 16;
    let (roll, last) = (highest / PERIOD, highest % PERIOD);
    let sequence = u64::from(sequence);
    let roll = if last < HALF && sequence > last + HALF {
        roll.saturating_sub(1)
    } else if last >= HALF && sequence < last - HALF {
        roll + 1
    } else {
        roll
    };
    roll * PERIOD + sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_the_sequence_numbers_across_the_end() {
        for (highest, sequence, expected) in [
            (0, 0, 0),
            (5, 65_000, 65_000),
            (65_535, 0, 65_536),
            (65_535, 65_534, 65_534),
            (65_536, 65_535, 65_535),
            (3 * 65_536 + 10, 65_530, 2 * 65_536 + 65_530),
            (3 * 65_536 + 40_000, 1, 4 * 65_536 + 1),
            (3 * 65_536 + 40_000, 20_000, 3 * 65_536 + 20_000),
        ] {
            assert_eq!(estimate_index(highest, sequence), expected, "{highest} {sequence}");
        }
    }

    #[test]
    fn every_index_is_accepted_once_within_the_window() {
        let mut window = ReplayWindow::new(10_000);
        assert!(window.rejects(10_000));
        assert!(!window.rejects(10_001));
        window.accept(10_500);
        assert!(!window.rejects(10_499));
        window.accept(10_499);
        assert!(window.rejects(10_499));
        assert!(!window.rejects(10_500 - WINDOW + 1));
        assert!(window.rejects(10_500 - WINDOW));
        window.accept(10_500 + 5 * WINDOW);
        assert!(window.rejects(10_500));
        assert!(!window.rejects(10_500 + 5 * WINDOW - 1));
    }

    #[test]
    fn the_window_agrees_with_a_set() {
        let mut window = ReplayWindow::new(5_000);
        let mut seen = std::collections::BTreeSet::from([5_000]);
        let mut random: u64 = 1;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = window.highest() + 100 - (random >> 33) % 1_300;
            let highest = window.highest();
            let too_old = index + WINDOW <= highest;
            assert_eq!(window.rejects(index), too_old || seen.contains(&index), "{index}");
            if !window.rejects(index) {
                window.accept(index);
                seen.insert(index);
            }
        }
    }
}

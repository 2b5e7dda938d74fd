//! Protection against replayed records (RFC 6347 §4.1.2.6).

const WORDS: usize = 64;
/// How far behind the newest record an older one is still told from a replay: batches of
/// datagrams arrive out of order.
pub(super) const WINDOW: u64 = WORDS as u64 * 64;

/// Remembers the sequence numbers of one epoch.
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow {
    /// One more than the highest sequence number seen.
    next: u64,
    /// Bit `n % WINDOW` says whether `n` was seen, for the last `WINDOW` numbers below `next`.
    seen: Box<[u64; WORDS]>,
}

impl ReplayWindow {
    pub(super) fn new() -> Self {
        Self { next: 0, seen: Box::new([0; WORDS]) }
    }

    /// True when `sequence` was not seen and is not too old to say.
    pub(super) fn is_new(&self, sequence: u64) -> bool {
        sequence >= self.next
            || (self.next - sequence <= WINDOW && self.seen[word(sequence)] & bit(sequence) == 0)
    }

    /// Remembers `sequence`, which must have been authenticated.
    pub(super) fn remember(&mut self, sequence: u64) {
        if sequence >= self.next {
            if sequence - self.next >= WINDOW {
                self.seen.fill(0);
            } else {
                for skipped in self.next..sequence {
                    self.seen[word(skipped)] &= !bit(skipped);
                }
            }
            self.next = sequence + 1;
        }
        self.seen[word(sequence)] |= bit(sequence);
    }
}

fn word(sequence: u64) -> usize {
    (sequence / 64) as usize % WORDS
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_number_passes_twice_and_no_new_one_in_the_window_is_refused(
            steps in prop::collection::vec((-6000i64..6000, any::<bool>()), 1..400)
        ) {
            let mut window = ReplayWindow::new();
            let mut model = HashSet::new();
            let (mut highest, mut at) = (None::<u64>, 0u64);
            for (step, small) in steps {
                let step = if small { step % 8 } else { step };
                at = at.saturating_add_signed(step);
                let in_window = highest.is_none_or(|highest| at + WINDOW > highest);
                let new = window.is_new(at);
                prop_assert_eq!(new, in_window && !model.contains(&at));
                if new {
                    window.remember(at);
                    model.insert(at);
                    highest = highest.max(Some(at));
                }
            }
        }
    }
}

//! Which TSNs of the peer have arrived (RFC 9260 §6.2).

use crate::serial::{SerialSet, Tsn};

/// Duplicates remembered for the next SACK.
const MAX_DUPLICATES: usize = 32;

/// What a TSN is in relation to those that have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one after the cumulative TSN.
    Next,
    /// Not seen, below a TSN that has arrived.
    FillsGap,
    /// Not seen, above everything that has arrived, with others missing between.
    OpensGap,
    Duplicate,
    /// Further ahead than a gap block can express.
    TooFar,
}

/// The cumulative TSN and the TSNs received beyond it.
#[derive(Debug)]
pub(crate) struct TsnTracker {
    cumulative: Tsn,
    highest: Tsn,
    beyond: SerialSet,
    duplicates: Vec<u32>,
}

impl TsnTracker {
    /// Expects `next` first.
    pub(crate) fn new(next: Tsn) -> Self {
        Self {
            cumulative: next - 1,
            highest: next - 1,
            beyond: SerialSet::default(),
            duplicates: Vec::new(),
        }
    }

    pub(crate) fn cumulative(&self) -> Tsn {
        self.cumulative
    }

    /// Whether something is missing below the highest TSN received.
    pub(crate) fn has_gap(&self) -> bool {
        self.highest > self.cumulative
    }

    #[inline]
    pub(crate) fn classify(&self, tsn: Tsn) -> Arrival {
        if tsn <= self.cumulative {
            Arrival::Duplicate
        } else if tsn - self.cumulative >= SerialSet::SPAN {
            Arrival::TooFar
        } else if tsn > self.highest {
            if tsn == self.cumulative + 1 { Arrival::Next } else { Arrival::OpensGap }
        } else if self.beyond.contains(tsn) {
            Arrival::Duplicate
        } else {
            Arrival::FillsGap
        }
    }

    /// Takes a TSN that `classify` called new.
    #[inline]
    pub(crate) fn record(&mut self, tsn: Tsn) {
        if tsn != self.cumulative + 1 {
            self.beyond.insert(tsn);
            self.highest = self.highest.max(tsn);
            return;
        }
        self.cumulative = tsn;
        if self.highest > tsn {
            self.absorb();
        } else {
            self.highest = tsn;
        }
    }

    pub(crate) fn record_duplicate(&mut self, tsn: Tsn) {
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn as u32);
        }
    }

    /// Moves the cumulative TSN forward to `tsn`, received or not (RFC 3758 §3.6).
    pub(crate) fn skip_to(&mut self, tsn: Tsn) {
        while let Some(member) = self.beyond.next_member(self.cumulative + 1, tsn.min(self.highest))
        {
            self.beyond.remove(member);
            self.cumulative = member;
        }
        self.cumulative = self.cumulative.max(tsn);
        self.highest = self.highest.max(self.cumulative);
        self.absorb();
    }

    /// Moves the cumulative TSN over what directly follows it.
    fn absorb(&mut self) {
        while self.highest > self.cumulative && self.beyond.remove(self.cumulative + 1) {
            self.cumulative += 1;
        }
    }

    /// Gap blocks for a SACK, lowest first, at most `limit`, into `out`.
    pub(crate) fn gaps(&self, limit: usize, out: &mut Vec<(u16, u16)>) {
        out.clear();
        let mut from = self.cumulative + 1;
        while out.len() < limit {
            let Some(start) = self.beyond.next_member(from, self.highest) else { break };
            let end = self.beyond.next_absent(start, self.highest).map_or(self.highest, |t| t - 1);
            // Offsets fit: `classify` refuses TSNs further away.
            out.push(((start - self.cumulative) as u16, (end - self.cumulative) as u16));
            from = end + 1;
        }
    }

    pub(crate) fn take_duplicates(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.duplicates)
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        !self.duplicates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial;

    fn gaps(tracker: &TsnTracker) -> Vec<(u16, u16)> {
        let mut out = Vec::new();
        tracker.gaps(1000, &mut out);
        out
    }

    #[test]
    fn gaps_open_fill_and_close_across_the_wire_wrap() {
        let base = serial::first(u32::MAX - 2);
        let mut t = TsnTracker::new(base);
        for offset in [0, 1, 3, 4, 7] {
            assert_ne!(t.classify(base + offset), Arrival::Duplicate);
            t.record(base + offset);
        }
        assert_eq!(t.cumulative(), base + 1);
        assert_eq!(gaps(&t), [(2, 3), (6, 6)]);
        assert_eq!(t.classify(base + 4), Arrival::Duplicate);
        assert_eq!(t.classify(base + 5), Arrival::FillsGap);
        assert_eq!(t.classify(base + 8), Arrival::OpensGap);
        t.record(base + 2);
        assert_eq!(t.cumulative(), base + 4);
        assert_eq!(gaps(&t), [(3, 3)]);
        t.record(base + 5);
        t.record(base + 6);
        assert_eq!(t.cumulative(), base + 7);
        assert!(!t.has_gap());
        assert_eq!(t.classify(base + 8), Arrival::Next);
    }

    #[test]
    fn a_tsn_beyond_what_a_gap_block_expresses_is_too_far() {
        let base = serial::first(0);
        let t = TsnTracker::new(base);
        assert_eq!(t.classify(base - 1 + 65535), Arrival::OpensGap);
        assert_eq!(t.classify(base - 1 + 65536), Arrival::TooFar);
    }

    #[test]
    fn skipping_takes_what_follows_with_it() {
        let base = serial::first(10);
        let mut t = TsnTracker::new(base);
        for offset in [2, 5, 6, 9] {
            t.record(base + offset);
        }
        t.skip_to(base + 4);
        assert_eq!(t.cumulative(), base + 6);
        assert_eq!(gaps(&t), [(3, 3)]);
        t.skip_to(base + 100);
        assert_eq!(t.cumulative(), base + 100);
        assert!(!t.has_gap());
        assert_eq!(t.classify(base + 101), Arrival::Next);
    }
}

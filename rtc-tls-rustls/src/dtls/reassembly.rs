//! Putting handshake messages together from fragments and into order (RFC 6347 §4.2.2, §4.2.3).

use std::collections::VecDeque;
use std::ops::Range;

use super::codec::{Reader, put_u16, put_u24};
use super::messages::{HEADER, Message};

/// Largest message in bytes. A certificate of a peer has about one kilobyte, a chain a few.
pub(super) const MAX_MESSAGE: usize = 32 * 1024;
/// How many messages ahead of the next one are kept: a flight has at most seven.
const AHEAD: usize = 8;
/// Bytes of all messages that are being put together.
const MAX_TOTAL: usize = 64 * 1024;
/// Separate pieces of one message; a further one is dropped and comes again.
const MAX_PIECES: usize = 64;

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It belongs to this or a later message.
    Kept,
    /// It cannot be used: malformed, too long, or too far ahead.
    Dropped,
    /// It belongs to the message that was taken last: the peer has not seen our answer.
    RepeatsLast,
}

/// The messages of a peer, from the next one on.
#[derive(Debug, Default)]
pub(super) struct Reassembler {
    next_sequence: u16,
    slots: VecDeque<Option<Slot>>,
    total: usize,
}

#[derive(Debug)]
struct Slot {
    epoch: u16,
    /// Header and body; the header is that of a message in one fragment.
    bytes: Vec<u8>,
    /// Parts of the body that are there: in order, apart from each other.
    present: Vec<Range<usize>>,
}

struct Fragment<'a> {
    kind: u8,
    length: usize,
    offset: usize,
    content: &'a [u8],
}

impl Reassembler {
    /// Takes the handshake fragments of one record.
    pub(super) fn push(&mut self, epoch: u16, record: &[u8]) -> Pushed {
        let mut reader = Reader::new(record);
        let mut outcome = Pushed::Dropped;
        while !reader.is_empty() {
            let Ok((sequence, fragment)) = read_fragment(&mut reader) else { return outcome };
            match self.place(epoch, sequence, &fragment) {
                Pushed::Dropped => {}
                other => outcome = other,
            }
        }
        outcome
    }

    fn place(&mut self, epoch: u16, sequence: u16, fragment: &Fragment<'_>) -> Pushed {
        let Some(ahead) = sequence.checked_sub(self.next_sequence).map(usize::from) else {
            let repeats = self.next_sequence.checked_sub(1) == Some(sequence);
            return if repeats { Pushed::RepeatsLast } else { Pushed::Dropped };
        };
        let end = fragment.offset + fragment.content.len();
        if ahead >= AHEAD || fragment.length > MAX_MESSAGE || end > fragment.length {
            return Pushed::Dropped;
        }
        if self.slots.len() <= ahead {
            self.slots.resize_with(ahead + 1, || None);
        }
        let Some(slot) = self.slots.get_mut(ahead) else { return Pushed::Dropped };
        // What came protected outweighs what anybody could have sent. Otherwise the newest counts:
        // the genuine message comes again until it is answered.
        if slot.as_ref().is_some_and(|slot| slot.epoch > epoch) {
            return Pushed::Dropped;
        }
        if slot.as_ref().is_some_and(|slot| slot.epoch < epoch || !slot.fits(fragment)) {
            self.total -= slot.take().map_or(0, |slot| slot.bytes.len());
        }
        if slot.is_none() {
            if self.total + HEADER + fragment.length > MAX_TOTAL {
                return Pushed::Dropped;
            }
            self.total += HEADER + fragment.length;
        }
        let slot = slot.get_or_insert_with(|| Slot::new(epoch, sequence, fragment));
        if slot.insert(fragment) { Pushed::Kept } else { Pushed::Dropped }
    }

    /// The next message in order, when it is complete.
    pub(super) fn next(&self) -> Option<Message<'_>> {
        let slot = self.slots.front()?.as_ref()?;
        slot.is_complete().then(|| Message {
            kind: slot.bytes.first().copied().unwrap_or_default(),
            epoch: slot.epoch,
            bytes: &slot.bytes,
        })
    }

    /// Takes [`Self::next`] as dealt with.
    pub(super) fn advance(&mut self) {
        self.discard();
        self.slots.pop_front();
        self.next_sequence = self.next_sequence.saturating_add(1);
    }

    /// Forgets [`Self::next`]; the peer may send a better one.
    pub(super) fn discard(&mut self) {
        if let Some(slot) = self.slots.front_mut().and_then(Option::take) {
            self.total -= slot.bytes.len();
        }
    }
}

impl Slot {
    fn new(epoch: u16, sequence: u16, fragment: &Fragment<'_>) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + fragment.length);
        bytes.push(fragment.kind);
        put_u24(&mut bytes, fragment.length);
        put_u16(&mut bytes, sequence);
        put_u24(&mut bytes, 0);
        put_u24(&mut bytes, fragment.length);
        bytes.resize(HEADER + fragment.length, 0);
        Self { epoch, bytes, present: Vec::new() }
    }

    fn is_complete(&self) -> bool {
        let length = self.bytes.len() - HEADER;
        self.present.first() == Some(&(0..length))
    }

    /// True when `fragment` can be part of this message.
    fn fits(&self, fragment: &Fragment<'_>) -> bool {
        self.bytes.first() == Some(&fragment.kind) && self.bytes.len() == HEADER + fragment.length
    }

    /// Puts a fragment that fits where it belongs; false when that makes too many pieces.
    fn insert(&mut self, fragment: &Fragment<'_>) -> bool {
        let mut range = fragment.offset..fragment.offset + fragment.content.len();
        let first = self.present.partition_point(|piece| piece.end < range.start);
        let last = self.present.partition_point(|piece| piece.start <= range.end);
        if first >= last && self.present.len() >= MAX_PIECES {
            return false;
        }
        self.bytes[HEADER + range.start..HEADER + range.end].copy_from_slice(fragment.content);
        if let Some(touched) = self.present.get(first..last).filter(|touched| !touched.is_empty()) {
            range.start = range.start.min(touched[0].start);
            range.end = range.end.max(touched[touched.len() - 1].end);
        }
        self.present.splice(first..last.max(first), [range]);
        true
    }
}

fn read_fragment<'a>(
    reader: &mut Reader<'a>,
) -> Result<(u16, Fragment<'a>), super::codec::Malformed> {
    let kind = reader.u8()?;
    let length = reader.u24()?;
    let sequence = reader.u16()?;
    let offset = reader.u24()?;
    let content = reader.vec24()?;
    Ok((sequence, Fragment { kind, length, offset, content }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dtls::messages::message;

    fn fragment(whole: &[u8], range: Range<usize>) -> Vec<u8> {
        let mut out = whole[..6].to_vec();
        put_u24(&mut out, range.start);
        put_u24(&mut out, range.len());
        out.extend_from_slice(&whole[HEADER + range.start..HEADER + range.end]);
        out
    }

    proptest! {
        #[test]
        fn fragments_in_any_order_make_the_message(
            length in 0usize..3000,
            cuts in prop::collection::vec(0usize..3000, 0..20),
            order in any::<prop::sample::Index>(),
            overlap in 0usize..50,
        ) {
            let whole = message(1, 0, |out| out.extend((0..length).map(|i| i as u8)));
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < length).collect();
            cuts.extend([0, length]);
            cuts.sort_unstable();
            let mut pieces: Vec<_> = cuts
                .windows(2)
                .map(|pair| fragment(&whole, pair[0].saturating_sub(overlap)..pair[1]))
                .collect();
            let middle = order.index(pieces.len());
            pieces.rotate_left(middle);
            let mut reassembler = Reassembler::default();
            for piece in &pieces {
                prop_assert_eq!(reassembler.push(0, piece), Pushed::Kept);
            }
            prop_assert_eq!(reassembler.next().map(|message| message.bytes), Some(&whole[..]));
            reassembler.advance();
            prop_assert_eq!(reassembler.push(0, &pieces[0]), Pushed::RepeatsLast);
            prop_assert_eq!(reassembler.total, 0);
        }

        #[test]
        fn arbitrary_bytes_stay_within_bounds(
            records in prop::collection::vec(
                (0u16..2, prop::collection::vec(0u8..4, 0..80)), 0..200)
        ) {
            let mut reassembler = Reassembler::default();
            for (epoch, record) in records {
                reassembler.push(epoch, &record);
                let held = reassembler.slots.iter().flatten();
                let bytes: usize = held.clone().map(|slot| slot.bytes.len()).sum();
                prop_assert_eq!(bytes, reassembler.total);
                prop_assert!(bytes <= MAX_TOTAL && reassembler.slots.len() <= AHEAD);
                prop_assert!(held.clone().all(|slot| slot.present.len() <= MAX_PIECES));
                if reassembler.next().is_some() {
                    reassembler.advance();
                }
            }
        }
    }

    #[test]
    fn a_chain_of_100_kilobytes_is_refused_before_it_takes_memory() {
        let whole = message(11, 0, |out| out.extend(vec![0; 100_000]));
        let mut reassembler = Reassembler::default();
        for start in (0..100_000).step_by(1000) {
            let piece = fragment(&whole, start..start + 1000);
            assert_eq!(reassembler.push(0, &piece), Pushed::Dropped);
        }
        assert_eq!(reassembler.total, 0);
    }

    #[test]
    fn a_forged_fragment_does_not_lock_out_the_genuine_message() {
        let forged = message(2, 0, |out| out.extend([0; 500]));
        let genuine = message(1, 0, |out| out.extend([1; 300]));
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(0, &fragment(&forged, 0..1)), Pushed::Kept);
        assert_eq!(reassembler.push(0, &genuine), Pushed::Kept);
        assert_eq!(reassembler.next().map(|next| next.bytes), Some(&genuine[..]));
    }

    #[test]
    fn a_protected_fragment_replaces_an_unprotected_one() {
        let forged = message(20, 0, |out| out.extend([0; 12]));
        let genuine = message(20, 0, |out| out.extend([1; 12]));
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(0, &forged), Pushed::Kept);
        assert_eq!(reassembler.push(1, &genuine), Pushed::Kept);
        assert_eq!(reassembler.push(0, &forged), Pushed::Dropped);
        let next = reassembler.next().expect("it is complete");
        assert_eq!((next.epoch, next.bytes), (1, &genuine[..]));
    }
}

//! Chunks that have a TSN and are not covered by the peer's cumulative acknowledgement.

use std::collections::VecDeque;

use super::queue::Fragment;
use crate::clock::Nanos;
use crate::serial::{SerialSet, Tsn};

/// Where an outstanding chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkState {
    InFlight,
    /// Covered by a gap block.
    Acked,
    /// Taken for lost, to be sent again.
    Lost,
    /// Given up (RFC 3758): the peer is told to skip it.
    Abandoned,
}

/// An outstanding chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutChunk {
    pub(crate) fragment: Fragment,
    pub(crate) state: ChunkState,
    /// Whether its bytes were reported as acknowledged to the queue.
    pub(crate) counted: bool,
    pub(crate) transmissions: u32,
    pub(crate) sent_at: Nanos,
    /// Sent last in a packet above the base size.
    pub(crate) large: bool,
}

/// A transmission, in the order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transmission {
    pub(crate) tsn: Tsn,
    pub(crate) sent_at: Nanos,
}

/// The ring of outstanding chunks.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// TSN of the first chunk: one above the cumulative acknowledgement.
    base: Tsn,
    chunks: VecDeque<OutChunk>,
    acked: SerialSet,
    acked_count: usize,
    /// All transmissions, oldest first; entries of chunks that were acknowledged or sent again
    /// are dropped when they come to the front.
    log: VecDeque<Transmission>,
    /// TSNs taken for lost, in the order found; may hold some that no longer are.
    lost: VecDeque<Tsn>,
    lost_count: usize,
    in_flight: usize,
}

impl Outstanding {
    pub(crate) fn new(initial: Tsn) -> Self {
        Self {
            base: initial,
            chunks: VecDeque::new(),
            acked: SerialSet::default(),
            acked_count: 0,
            log: VecDeque::new(),
            lost: VecDeque::new(),
            lost_count: 0,
            in_flight: 0,
        }
    }

    pub(crate) fn base(&self) -> Tsn {
        self.base
    }

    pub(crate) fn next_tsn(&self) -> Tsn {
        self.base + self.chunks.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether another TSN can be given out: gap blocks of the peer must be able to reach it.
    pub(crate) fn has_room(&self) -> bool {
        (self.chunks.len() as u64) < SerialSet::SPAN - 2
    }

    /// Payload bytes sent, neither acknowledged nor taken for lost.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Chunks covered by gap blocks.
    pub(crate) fn acked_count(&self) -> usize {
        self.acked_count
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.lost_count > 0
    }

    fn index(&self, tsn: Tsn) -> usize {
        tsn.wrapping_sub(self.base) as usize
    }

    pub(crate) fn get(&self, tsn: Tsn) -> Option<&OutChunk> {
        self.chunks.get(self.index(tsn))
    }

    fn get_mut(&mut self, tsn: Tsn) -> Option<&mut OutChunk> {
        let index = self.index(tsn);
        self.chunks.get_mut(index)
    }

    /// Gives a new fragment its TSN and counts it as sent.
    pub(crate) fn push(&mut self, fragment: Fragment, now: Nanos) -> Tsn {
        let tsn = self.next_tsn();
        self.in_flight += usize::from(fragment.length);
        self.chunks.push_back(OutChunk {
            fragment,
            state: ChunkState::InFlight,
            counted: false,
            transmissions: 1,
            sent_at: now,
            large: false,
        });
        self.log.push_back(Transmission { tsn, sent_at: now });
        tsn
    }

    /// Notes that the chunks from `first` on were sent in a packet above the base size.
    pub(crate) fn mark_large(&mut self, first: Tsn) {
        let from = self.index(first).min(self.chunks.len());
        for chunk in self.chunks.range_mut(from..) {
            chunk.large = true;
        }
    }

    /// Gives a placeholder its TSN; it is never sent.
    pub(crate) fn push_abandoned(&mut self, fragment: Fragment) {
        self.chunks.push_back(OutChunk {
            fragment,
            state: ChunkState::Abandoned,
            counted: true,
            transmissions: 0,
            sent_at: 0,
            large: false,
        });
    }

    /// Takes the first chunk off when its TSN is at most `cumulative`.
    #[inline]
    pub(crate) fn pop_up_to(&mut self, cumulative: Tsn) -> Option<(Tsn, OutChunk)> {
        if self.base > cumulative {
            return None;
        }
        let chunk = self.chunks.pop_front()?;
        let tsn = self.base;
        self.base += 1;
        self.leave_state(&chunk);
        if matches!(chunk.state, ChunkState::Acked | ChunkState::Abandoned) {
            self.acked.remove(tsn);
        }
        Some((tsn, chunk))
    }

    /// Adjusts the sums for a chunk that stops being in its state.
    #[inline]
    fn leave_state(&mut self, chunk: &OutChunk) {
        match chunk.state {
            ChunkState::InFlight => self.in_flight -= usize::from(chunk.fragment.length),
            ChunkState::Lost => self.lost_count -= 1,
            ChunkState::Acked => self.acked_count -= 1,
            ChunkState::Abandoned => {}
        }
    }

    /// Moves a chunk to another state and adjusts the sums.
    fn set_state(&mut self, tsn: Tsn, state: ChunkState) {
        let Some(chunk) = self.get_mut(tsn) else { return };
        let before = *chunk;
        chunk.state = state;
        self.leave_state(&before);
        match state {
            ChunkState::InFlight => self.in_flight += usize::from(before.fragment.length),
            ChunkState::Lost => {
                self.lost_count += 1;
                self.lost.push_back(tsn);
            }
            ChunkState::Acked => self.acked_count += 1,
            ChunkState::Abandoned => {}
        }
    }

    /// The first TSN in the range that no gap block has covered yet.
    pub(crate) fn next_unacked(&self, from: Tsn, last: Tsn) -> Option<Tsn> {
        self.acked.next_absent(from, last)
    }

    /// Marks a chunk as covered by a gap block and returns it as it was.
    pub(crate) fn mark_acked(&mut self, tsn: Tsn) -> Option<OutChunk> {
        let chunk = *self.get(tsn)?;
        // Also remembered for abandoned chunks, so that each is looked at once.
        self.acked.insert(tsn);
        if matches!(chunk.state, ChunkState::InFlight | ChunkState::Lost) {
            self.set_state(tsn, ChunkState::Acked);
            self.get_mut(tsn)?.counted = true;
        }
        Some(chunk).filter(|chunk| chunk.state != ChunkState::Acked)
    }

    /// Marks a chunk in flight as lost.
    pub(crate) fn mark_lost(&mut self, tsn: Tsn) {
        if self.get(tsn).is_some_and(|chunk| chunk.state == ChunkState::InFlight) {
            self.set_state(tsn, ChunkState::Lost);
        }
    }

    /// Marks all chunks of the message that the chunk `around` belongs to as given up.
    pub(crate) fn mark_abandoned(&mut self, around: Tsn, interleaving: bool) {
        let Some(message) = self.get(around).map(|c| c.fragment.message) else { return };
        // The chunks of a message are in order, and without interleaving next to each other.
        for tsn in around..self.next_tsn() {
            let own = self.abandon_chunk_of(message, tsn);
            if own.map_or(!interleaving, |fragment| fragment.ending) {
                break;
            }
        }
        for tsn in (self.base..=around).rev() {
            let own = self.abandon_chunk_of(message, tsn);
            if own.map_or(!interleaving, |fragment| fragment.beginning) {
                break;
            }
        }
    }

    /// Gives the chunk up if it belongs to the message, and returns its fragment then.
    fn abandon_chunk_of(&mut self, message: u32, tsn: Tsn) -> Option<Fragment> {
        let fragment = self.get(tsn)?.fragment;
        if fragment.message != message {
            return None;
        }
        self.set_state(tsn, ChunkState::Abandoned);
        Some(fragment)
    }

    /// Marks all gap-acknowledged chunks as lost: the peer took them back (RFC 9260 §6.2.1).
    pub(crate) fn renege(&mut self) {
        for tsn in self.base..self.next_tsn() {
            if self.get(tsn).is_some_and(|chunk| chunk.state == ChunkState::Acked) {
                self.set_state(tsn, ChunkState::Lost);
            }
        }
        self.acked.clear();
    }

    /// The oldest transmission of a chunk still in flight.
    #[inline]
    pub(crate) fn oldest_transmission(&mut self) -> Option<Transmission> {
        loop {
            let entry = *self.log.front()?;
            let live = entry.tsn >= self.base
                && self.get(entry.tsn).is_some_and(|chunk| {
                    chunk.state == ChunkState::InFlight && chunk.sent_at == entry.sent_at
                });
            if live {
                return Some(entry);
            }
            self.log.pop_front();
        }
    }

    /// Drops the entry `oldest_transmission` returned.
    pub(crate) fn pop_transmission(&mut self) {
        self.log.pop_front();
    }

    /// The next chunk to send again.
    pub(crate) fn next_lost(&mut self) -> Option<(Tsn, OutChunk)> {
        loop {
            let tsn = *self.lost.front()?;
            if tsn >= self.base
                && let Some(chunk) = self.get(tsn).filter(|c| c.state == ChunkState::Lost)
            {
                return Some((tsn, *chunk));
            }
            self.lost.pop_front();
        }
    }

    /// Counts the chunk as sent again.
    pub(crate) fn mark_resent(&mut self, tsn: Tsn, now: Nanos) {
        let Some(chunk) = self.get_mut(tsn) else { return };
        if !matches!(chunk.state, ChunkState::InFlight | ChunkState::Lost) {
            return;
        }
        chunk.sent_at = now;
        chunk.large = false;
        chunk.transmissions += 1;
        self.set_state(tsn, ChunkState::InFlight);
        self.log.push_back(Transmission { tsn, sent_at: now });
    }

    /// The highest TSN in flight, looked for among the last few.
    pub(crate) fn last_in_flight(&self) -> Option<Tsn> {
        let last = self.chunks.iter().rposition(|c| c.state == ChunkState::InFlight)?;
        Some(self.base + last as u64)
    }

    /// The chunks from the first on, with their TSNs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Tsn, &OutChunk)> {
        (self.base..).zip(&self.chunks)
    }
}

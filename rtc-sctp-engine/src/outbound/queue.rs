//! Messages that wait to be sent or acknowledged, and the choice of which goes next.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::SendOptions;
use crate::clock::{Nanos, nanos};

/// A message is not split to fill less than this many bytes left in a packet. Small, because
/// packets of one size leave in one batch and others do not.
const MIN_SPLIT: usize = 32;

/// A message accepted by `send`.
#[derive(Debug)]
pub(crate) struct OutMessage {
    pub(crate) data: Bytes,
    pub(crate) stream: u16,
    pub(crate) ppid: u32,
    pub(crate) unordered: bool,
    /// Stream sequence number or message id, given when its first fragment is cut.
    pub(crate) sequence: u32,
    pub(crate) abandoned: bool,
    /// Whether it was begun while interleaving, and is not cut to its end.
    begun: bool,
    max_retransmits: u32,
    expires: Nanos,
    /// Bytes cut into fragments.
    cut: usize,
    fragments: u32,
    /// Bytes not acknowledged.
    unacked: usize,
    /// Fragments whose TSN is not covered by the cumulative acknowledgement.
    outstanding: u32,
}

impl OutMessage {
    /// Whether its partial reliability limit says to give it up instead of sending a fragment
    /// that was already sent `transmissions` times once more.
    pub(crate) fn is_spent(&self, now: Nanos, transmissions: u32) -> bool {
        now >= self.expires || transmissions > self.max_retransmits
    }

    fn is_cut(&self) -> bool {
        self.cut >= self.data.len()
    }
}

/// A fragment cut off a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    pub(crate) message: u32,
    pub(crate) offset: u32,
    pub(crate) length: u16,
    pub(crate) number: u32,
    pub(crate) beginning: bool,
    pub(crate) ending: bool,
}

/// How far the reset of an outgoing stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResetStage {
    #[default]
    None,
    /// Asked for; waiting until everything sent on the stream is acknowledged.
    Wanted,
    /// In a request to the peer.
    Requested,
}

#[derive(Debug, Default)]
struct OutStream {
    messages: VecDeque<u32>,
    next_ordered: u32,
    next_unordered: u32,
    queued: usize,
    /// Fragments with a TSN that is not cumulatively acknowledged.
    outstanding: u32,
    scheduled: bool,
    reported: bool,
    reset: ResetStage,
}

/// The send side of all streams.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    messages: Vec<Option<OutMessage>>,
    free: Vec<u32>,
    streams: Vec<Option<Box<OutStream>>>,
    /// Streams with something to cut, in the order of their turns.
    turns: VecDeque<u16>,
    /// Streams left out of the turns until a message begun before is cut to its end.
    parked: VecDeque<u16>,
    /// Sizes of the messages that are begun and not cut to their ends, when interleaving, but for
    /// `large`.
    begun: usize,
    /// What `begun` may reach before no further message is begun.
    begun_limit: usize,
    /// A message that exceeds this limit by itself, begun and not cut to its end.
    large: Option<u32>,
    with_space: VecDeque<u16>,
    /// Streams whose reset is wanted and not requested yet.
    resets_wanted: Vec<u16>,
    queued: usize,
    count: usize,
    /// Bytes not cut into fragments yet.
    waiting: usize,
    abandoned: u64,
    /// Whether turns change with each fragment (RFC 8260) or with each message.
    interleaving: bool,
}

impl SendQueue {
    /// Turns interleaving on or off. Parts of several messages can fill the peer's receive buffer,
    /// which has room for `window` bytes, so that none can be completed. Hence messages are only
    /// begun as far as all of them fit it; of those that leave no room for others one at a time is
    /// begun, and goes on only while what is left of the window suffices to complete the others.
    /// A message cut to its end does not count: all of it had room.
    pub(crate) fn set_interleaving(&mut self, interleaving: bool, window: usize) {
        self.interleaving = interleaving;
        self.begun_limit = window / 2;
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Messages not wholly acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn stream_queued(&self, id: u16) -> usize {
        self.stream(id).map_or(0, |s| s.queued)
    }

    /// Whether a fragment could be cut.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.turns.is_empty() || !self.parked.is_empty()
    }

    /// Bytes that could be cut into fragments.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    pub(crate) fn message(&self, id: u32) -> Option<&OutMessage> {
        self.messages.get(id as usize)?.as_ref()
    }

    fn message_mut(&mut self, id: u32) -> Option<&mut OutMessage> {
        self.messages.get_mut(id as usize)?.as_mut()
    }

    fn stream(&self, id: u16) -> Option<&OutStream> {
        self.streams.get(usize::from(id))?.as_deref()
    }

    fn stream_mut(&mut self, id: u16) -> Option<&mut OutStream> {
        self.streams.get_mut(usize::from(id))?.as_deref_mut()
    }

    fn stream_or_new(&mut self, id: u16) -> &mut OutStream {
        let index = usize::from(id);
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index].get_or_insert_default()
    }

    pub(crate) fn push(
        &mut self,
        now: Nanos,
        stream: u16,
        ppid: u32,
        options: SendOptions,
        data: Bytes,
    ) {
        let size = data.len();
        let message = OutMessage {
            stream,
            ppid,
            unordered: options.unordered,
            sequence: 0,
            abandoned: false,
            begun: false,
            max_retransmits: options.max_retransmits.unwrap_or(u32::MAX),
            expires: options.lifetime.map_or(Nanos::MAX, |l| now.saturating_add(nanos(l))),
            cut: 0,
            fragments: 0,
            unacked: size,
            outstanding: 0,
            data,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.messages[id as usize] = Some(message);
                id
            }
            None => {
                self.messages.push(Some(message));
                (self.messages.len() - 1) as u32
            }
        };
        self.queued += size;
        self.waiting += size;
        self.count += 1;
        let entry = self.stream_or_new(stream);
        entry.messages.push_back(id);
        entry.queued += size;
        if !std::mem::replace(&mut entry.scheduled, true) {
            self.turns.push_back(stream);
        }
    }

    /// Cuts the next fragment, of at most `full` bytes, to go into `room` payload bytes of a packet
    /// while the peer has room for `window` bytes. `None` when nothing waits or it is better put
    /// into the next packet.
    #[inline]
    pub(crate) fn cut(
        &mut self,
        now: Nanos,
        room: usize,
        full: usize,
        window: usize,
    ) -> Option<Fragment> {
        let (stream_id, id) = self.front(now, full, window)?;
        let message = self.messages.get_mut(id as usize)?.as_mut()?;
        let left = message.data.len() - message.cut;
        if left > room && (left <= full || room < MIN_SPLIT) {
            return None;
        }
        let length = left.min(room).min(full);
        let beginning = message.cut == 0;
        let fragment = Fragment {
            message: id,
            offset: message.cut as u32,
            length: length as u16,
            number: message.fragments,
            beginning,
            ending: length == left,
        };
        message.cut += length;
        message.fragments += 1;
        message.outstanding += 1;
        self.waiting -= length;
        let stream = self.streams.get_mut(usize::from(stream_id))?.as_deref_mut()?;
        stream.outstanding += 1;
        if beginning {
            // SSNs count ordered messages only; message ids are counted per order (RFC 8260 §2.1).
            let next = if message.unordered {
                &mut stream.next_unordered
            } else {
                &mut stream.next_ordered
            };
            message.sequence = *next;
            *next = next.wrapping_add(1);
        }
        if fragment.ending {
            stream.messages.pop_front();
        }
        let (ending, empty) = (fragment.ending, stream.messages.is_empty());
        stream.scheduled = !empty;
        if empty {
            self.turns.pop_front();
        } else if (ending || self.interleaving) && self.turns.len() > 1 {
            self.turns.rotate_left(1);
        }
        if ending {
            self.end_begun(id);
        }
        Some(fragment)
    }

    /// The stream and message whose turn it is, past those that expired before they were begun.
    fn front(&mut self, now: Nanos, full: usize, window: usize) -> Option<(u16, u32)> {
        // Packets under way may take a little more than is known here.
        let needed = |begun: usize| begun.saturating_add(4 * full);
        loop {
            let stream_id = *self.turns.front()?;
            let stream = self.streams.get_mut(usize::from(stream_id))?.as_deref_mut()?;
            let Some(&id) = stream.messages.front() else {
                stream.scheduled = false;
                self.turns.pop_front();
                continue;
            };
            let message = self.messages.get_mut(id as usize)?.as_mut()?;
            if message.begun || message.cut > 0 {
                let waits = self.large == Some(id) && self.begun > 0;
                if waits && window < needed(self.begun) && self.turns.len() > 1 {
                    self.turns.rotate_left(1);
                    continue;
                }
                return Some((stream_id, id));
            }
            if now < message.expires {
                let size = message.data.len();
                if !self.interleaving || size <= full {
                    return Some((stream_id, id));
                }
                let begun = self.begun.saturating_add(size);
                if size > self.begun_limit && self.large.is_none() {
                    self.large = Some(id);
                } else if begun <= self.begun_limit
                    && (self.large.is_none() || window >= needed(begun))
                {
                    self.begun = begun;
                } else {
                    self.turns.pop_front();
                    self.parked.push_back(stream_id);
                    continue;
                }
                message.begun = true;
                return Some((stream_id, id));
            }
            stream.messages.pop_front();
            self.abandon(id);
            self.free_if_done(id);
        }
    }

    /// Counts `length` bytes of a message as acknowledged.
    #[inline]
    pub(crate) fn acknowledge(&mut self, id: u32, length: usize) {
        let Some(message) = self.message_mut(id) else { return };
        if message.abandoned {
            return;
        }
        message.unacked -= length;
        let stream = message.stream;
        self.give_back(stream, length);
    }

    /// All of the message was cut, or none of the rest will be: others may begin.
    fn end_begun(&mut self, id: u32) {
        let Some(message) = self.message_mut(id) else { return };
        let size = message.data.len();
        if std::mem::take(&mut message.begun) {
            if self.large.take_if(|large| *large == id).is_none() {
                self.begun -= size;
            }
            self.turns.append(&mut self.parked);
        }
    }

    /// The peer has told what room it has: there may be enough to begin messages beside a large
    /// one.
    pub(crate) fn note_window(&mut self) {
        if self.large.is_some() {
            self.turns.append(&mut self.parked);
        }
    }

    /// Forgets a fragment whose TSN is behind the cumulative acknowledgement.
    #[inline]
    pub(crate) fn retire(&mut self, id: u32) {
        let Some(message) = self.message_mut(id) else { return };
        message.outstanding -= 1;
        let stream = message.stream;
        self.free_if_done(id);
        if let Some(stream) = self.stream_mut(stream) {
            stream.outstanding -= 1;
        }
    }

    fn free_if_done(&mut self, id: u32) {
        let done = self
            .message(id)
            .is_some_and(|m| m.outstanding == 0 && (m.abandoned || (m.is_cut() && m.unacked == 0)));
        if done {
            self.messages[id as usize] = None;
            self.free.push(id);
            self.count -= 1;
        }
    }

    /// Gives a message up. Returns true when a part of it was never cut although another was: the
    /// caller must then add a [`Self::placeholder`], so that the peer can be told.
    pub(crate) fn abandon(&mut self, id: u32) -> bool {
        self.end_begun(id);
        let Some(message) = self.message_mut(id).filter(|message| !message.abandoned) else {
            return false;
        };
        message.abandoned = true;
        let (stream_id, unacked) = (message.stream, std::mem::take(&mut message.unacked));
        let (begun, uncut) = (message.cut > 0, message.data.len() - message.cut);
        message.data = Bytes::new();
        self.waiting -= uncut;
        self.abandoned += 1;
        self.give_back(stream_id, unacked);
        if !begun || uncut == 0 {
            return false;
        }
        // A message that is partly cut is the first of its stream.
        if let Some(stream) = self.stream_mut(stream_id) {
            stream.messages.pop_front();
            if stream.messages.is_empty() {
                stream.scheduled = false;
                self.turns.retain(|turn| *turn != stream_id);
            }
        }
        true
    }

    /// A last fragment without content for a message given up half cut.
    pub(crate) fn placeholder(&mut self, id: u32) -> Option<Fragment> {
        let message = self.message_mut(id)?;
        message.outstanding += 1;
        let (stream, number) = (message.stream, message.fragments);
        message.fragments += 1;
        self.stream_mut(stream)?.outstanding += 1;
        Some(Fragment { message: id, offset: 0, length: 0, number, beginning: false, ending: true })
    }

    fn give_back(&mut self, stream_id: u16, bytes: usize) {
        self.queued -= bytes;
        let Some(stream) = self.stream_mut(stream_id) else { return };
        stream.queued -= bytes;
        if bytes > 0 && !std::mem::replace(&mut stream.reported, true) {
            self.with_space.push_back(stream_id);
        }
    }

    /// The next stream whose queued bytes fell.
    pub(crate) fn take_space(&mut self) -> Option<u16> {
        let id = self.with_space.pop_front()?;
        if let Some(stream) = self.stream_mut(id) {
            stream.reported = false;
        }
        Some(id)
    }

    pub(crate) fn reset_stage(&self, id: u16) -> ResetStage {
        self.stream(id).map_or(ResetStage::None, |s| s.reset)
    }

    pub(crate) fn want_reset(&mut self, id: u16) {
        let stream = self.stream_or_new(id);
        if stream.reset == ResetStage::None {
            stream.reset = ResetStage::Wanted;
            self.resets_wanted.push(id);
        }
    }

    /// Ids of the streams that were used.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u16> {
        (0..=u16::MAX).zip(&self.streams).filter(|(_, stream)| stream.is_some()).map(|(id, _)| id)
    }

    pub(crate) fn resets_wanted(&self) -> bool {
        !self.resets_wanted.is_empty()
    }

    /// Takes up to `limit` streams that want a reset and have nothing left to be acknowledged.
    pub(crate) fn take_drained_resets(&mut self, limit: usize) -> Vec<u16> {
        let mut ready = Vec::new();
        let streams = &mut self.streams;
        self.resets_wanted.retain(|id| {
            let stream = streams.get_mut(usize::from(*id)).and_then(Option::as_deref_mut);
            let Some(stream) = stream else { return false };
            let drained = stream.messages.is_empty() && stream.outstanding == 0;
            let take = drained && ready.len() < limit;
            if take {
                stream.reset = ResetStage::Requested;
                ready.push(*id);
            }
            !take
        });
        ready
    }

    /// Ends a reset: with `performed` the stream starts anew.
    pub(crate) fn finish_reset(&mut self, id: u16, performed: bool) {
        let Some(stream) = self.stream_mut(id) else { return };
        stream.reset = ResetStage::None;
        if performed {
            stream.next_ordered = 0;
            stream.next_unordered = 0;
        }
    }

    /// Drops everything; the counters of `Self::abandoned` include it.
    pub(crate) fn clear(&mut self) {
        let fresh = Self {
            abandoned: self.abandoned + self.count as u64,
            interleaving: self.interleaving,
            begun_limit: self.begun_limit,
            ..Self::default()
        };
        *self = fresh;
    }
}

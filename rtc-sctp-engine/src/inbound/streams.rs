//! Inbound streams: delivery in order and the messages that wait to be read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use super::OVERHEAD;
use super::reassembly::Complete;
use crate::Message;

/// Queues kept for the next stream, and messages that each may have room for.
const SPARES: usize = 8;
const SPARE_CAPACITY: usize = 256;

#[derive(Debug, Default)]
struct InStream {
    /// Next sequence number (DATA) or message id (I-DATA) to deliver, unwrapped. Starts at 0 and
    /// compares modulo the width on the wire.
    next: u64,
    readable: VecDeque<Message>,
    /// Whether `StreamReadable` was reported and `read` has not returned `None` since.
    reported: bool,
}

/// All inbound streams of an association.
#[derive(Debug, Default)]
pub(crate) struct InStreams {
    streams: Vec<Option<Box<InStream>>>,
    /// Complete ordered messages ahead of the `next` of their stream, by stream and number.
    waiting: BTreeMap<(u16, u64), Message>,
    /// Queues that became empty, for the streams that need one next: a stream that was busy once
    /// is not to keep the room of its longest queue.
    spare: Vec<VecDeque<Message>>,
    limit: u16,
    used: usize,
    newly_readable: VecDeque<u16>,
}

impl InStreams {
    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    pub(crate) fn limit(&self) -> u16 {
        self.limit
    }

    /// Bytes of complete messages not read yet, overhead included.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The stream with a queue.
    fn stream(&mut self, id: u16) -> Option<&mut InStream> {
        if id >= self.limit {
            return None;
        }
        let index = usize::from(id);
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        let stream = self.streams[index].get_or_insert_default();
        if stream.readable.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            stream.readable = spare;
        }
        Some(stream)
    }

    /// Delivers a complete message, or keeps it until those before it are there.
    pub(crate) fn deliver(&mut self, complete: Complete, interleaved: bool) {
        let Complete { stream: id, message: sequence, ppid, unordered, truncated, data } = complete;
        let message = Message { stream: id, ppid, unordered, truncated, data };
        let size = message.data.len() + OVERHEAD;
        let Some(stream) = self.stream(id) else { return };
        if unordered {
            stream.readable.push_back(message);
        } else {
            let Some(at) = unwrap_sequence(stream.next, sequence, interleaved) else { return };
            if at == stream.next {
                stream.next += 1;
                stream.readable.push_back(message);
                self.release(id);
            } else if let Entry::Vacant(place) = self.waiting.entry((id, at)) {
                place.insert(message);
            } else {
                // Two messages with one sequence number: the peer is broken; the first one stays.
                return;
            }
        }
        self.used += size;
        self.report(id);
    }

    /// The peer gave up the ordered messages up to `sequence`: delivers what waited behind them.
    pub(crate) fn skip_past(&mut self, id: u16, sequence: u32, interleaved: bool) {
        let Some(stream) = self.stream(id) else { return };
        let Some(at) = unwrap_sequence(stream.next, sequence, interleaved) else { return };
        stream.next = at + 1;
        let passed: Vec<_> = self.waiting.range((id, 0)..=(id, at)).map(|(key, _)| *key).collect();
        for key in passed {
            if let (Some(message), Some(stream)) = (self.waiting.remove(&key), self.stream(id)) {
                stream.readable.push_back(message);
            }
        }
        self.release(id);
        self.report(id);
    }

    /// Makes readable what waited for the `next` of the stream.
    fn release(&mut self, id: u16) {
        let Self { streams, waiting, .. } = self;
        let Some(Some(stream)) = streams.get_mut(usize::from(id)) else { return };
        while !waiting.is_empty()
            && let Some(message) = waiting.remove(&(id, stream.next))
        {
            stream.readable.push_back(message);
            stream.next += 1;
        }
    }

    /// Starts a stream anew after the peer reset it. What is complete stays readable.
    pub(crate) fn reset(&mut self, id: u16) {
        while let Some((key, _)) = self.waiting.range((id, 0)..=(id, u64::MAX)).next() {
            let key = *key;
            let size = self.waiting.remove(&key).map_or(0, |message| message.data.len());
            self.used -= size + OVERHEAD;
        }
        let Some(Some(stream)) = self.streams.get_mut(usize::from(id)) else { return };
        stream.next = 0;
        if stream.readable.is_empty() && !stream.reported {
            self.streams[usize::from(id)] = None;
        }
    }

    /// Ids of the streams that exist.
    pub(crate) fn ids(&self) -> Vec<u16> {
        (0..=u16::MAX).zip(&self.streams).filter(|(_, s)| s.is_some()).map(|(id, _)| id).collect()
    }

    fn report(&mut self, id: u16) {
        let Some(Some(stream)) = self.streams.get_mut(usize::from(id)) else { return };
        if !stream.readable.is_empty() && !stream.reported {
            stream.reported = true;
            self.newly_readable.push_back(id);
        }
    }

    pub(crate) fn take_newly_readable(&mut self) -> Option<u16> {
        self.newly_readable.pop_front()
    }

    pub(crate) fn read(&mut self, id: u16) -> Option<Message> {
        let stream = self.streams.get_mut(usize::from(id))?.as_mut()?;
        let message = stream.readable.pop_front();
        match &message {
            Some(message) => self.used -= message.data.len() + OVERHEAD,
            None => stream.reported = false,
        }
        if stream.readable.is_empty() && stream.readable.capacity() > 0 {
            let queue = std::mem::take(&mut stream.readable);
            if queue.capacity() <= SPARE_CAPACITY && self.spare.len() < SPARES {
                self.spare.push(queue);
            }
        }
        message
    }
}

/// The unwrapped form of a sequence number at or after `next`; `None` when it lies before.
fn unwrap_sequence(next: u64, sequence: u32, interleaved: bool) -> Option<u64> {
    let ahead = if interleaved {
        let ahead = sequence.wrapping_sub(next as u32);
        (ahead <= u32::MAX / 2).then_some(u64::from(ahead))?
    } else {
        let ahead = (sequence as u16).wrapping_sub(next as u16);
        (ahead <= u16::MAX / 2).then_some(u64::from(ahead))?
    };
    Some(next + ahead)
}

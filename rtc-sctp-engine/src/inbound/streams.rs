//! Inbound streams: delivery in order and the messages that wait to be read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use super::OVERHEAD;
use super::reassembly::Complete;
use crate::Message;

#[derive(Debug, Default)]
struct InStream {
    /// Next sequence number (DATA) or message id (I-DATA) to deliver, unwrapped. Starts at 0 and
    /// compares modulo the width on the wire.
    next: u64,
    /// Complete ordered messages ahead of `next`.
    waiting: BTreeMap<u64, Message>,
    readable: VecDeque<Message>,
    /// Whether `StreamReadable` was reported and `read` has not returned `None` since.
    reported: bool,
}

/// All inbound streams of an association.
#[derive(Debug, Default)]
pub(crate) struct InStreams {
    streams: Vec<Option<Box<InStream>>>,
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

    fn stream(&mut self, id: u16) -> Option<&mut InStream> {
        if id >= self.limit {
            return None;
        }
        let index = usize::from(id);
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        Some(self.streams[index].get_or_insert_default())
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
                stream.release();
            } else if let Entry::Vacant(place) = stream.waiting.entry(at) {
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
        while let Some(entry) = stream.waiting.first_entry() {
            if *entry.key() > at {
                break;
            }
            stream.readable.push_back(entry.remove());
        }
        stream.next = at + 1;
        stream.release();
        self.report(id);
    }

    /// Starts a stream anew after the peer reset it. What is complete stays readable.
    pub(crate) fn reset(&mut self, id: u16) {
        let Some(Some(stream)) = self.streams.get_mut(usize::from(id)) else { return };
        for message in std::mem::take(&mut stream.waiting).into_values() {
            self.used -= message.data.len() + OVERHEAD;
        }
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
        message
    }
}

impl InStream {
    /// Makes readable what waited for `next`.
    fn release(&mut self) {
        while let Some(message) = self.waiting.remove(&self.next) {
            self.readable.push_back(message);
            self.next += 1;
        }
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

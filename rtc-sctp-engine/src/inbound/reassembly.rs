//! Putting messages together from fragments.
//!
//! Fragments are kept as *runs*: stretches of one message without a hole, in one buffer. A fragment
//! that continues a run is appended to it, so a message whose fragments come in order, even behind
//! a lost packet, is copied once. Filling a hole joins two runs.

use std::collections::BTreeMap;

use super::OVERHEAD;
use crate::serial::Tsn;
use crate::wire::Data;

/// Identifies a fragment so that consecutive fragments of a message have consecutive `sequence`.
/// DATA: (0, 0, TSN). I-DATA: (stream and order, message id, fragment number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group: u32,
    message: u32,
    sequence: u64,
}

#[derive(Debug)]
struct Run {
    /// Sequence of the last fragment.
    last: u64,
    stream: u16,
    message: u32,
    ppid: u32,
    unordered: bool,
    beginning: bool,
    ending: bool,
    truncated: bool,
    data: Vec<u8>,
}

/// A complete message that may still have to wait for its turn.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) stream: u16,
    pub(crate) message: u32,
    pub(crate) ppid: u32,
    pub(crate) unordered: bool,
    pub(crate) truncated: bool,
    pub(crate) data: Vec<u8>,
}

/// The messages of which only parts have arrived.
#[derive(Debug)]
pub(crate) struct Reassembly {
    runs: BTreeMap<Key, Run>,
    max_message_size: usize,
    last_message_size: usize,
    /// Bytes that may be reserved in advance for messages whose fragments have yet to come.
    reserve: usize,
    used: usize,
    /// Where buffers come from.
    buffer: fn(usize) -> Vec<u8>,
}

impl Reassembly {
    pub(crate) fn new(
        max_message_size: usize,
        reserve: usize,
        buffer: fn(usize) -> Vec<u8>,
    ) -> Self {
        let (runs, last_message_size) = (BTreeMap::new(), 0);
        Self { runs, max_message_size, last_message_size, reserve, used: 0, buffer }
    }

    /// Bytes held, overhead included.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes a fragment that was not seen before; returns the message it completed.
    pub(crate) fn insert(&mut self, tsn: Tsn, data: &Data<'_>) -> Option<Complete> {
        if data.beginning && data.ending {
            return Some(self.whole(data));
        }
        let key = key_of(tsn, data);
        let before = self.runs.range_mut(..key).next_back();
        let extended = match before {
            Some((start, run)) if continues(start, run, &key, data) => {
                let grown = append(&mut run.data, data.payload, self.max_message_size);
                run.truncated |= grown < data.payload.len();
                run.last = key.sequence;
                run.ending = data.ending;
                self.used += grown;
                let (start, done) = (*start, run.beginning && run.ending);
                if done {
                    return self.take(start);
                }
                start
            }
            _ => {
                self.start_run(key, data);
                key
            }
        };
        if data.ending {
            return None;
        }
        self.join_next(extended)
    }

    /// A message in one chunk.
    fn whole(&self, data: &Data<'_>) -> Complete {
        let kept = data.payload.len().min(self.max_message_size);
        Complete {
            stream: data.stream,
            message: data.message,
            ppid: data.ppid,
            unordered: data.unordered,
            truncated: kept < data.payload.len(),
            data: data.payload[..kept].to_vec(),
        }
    }

    fn start_run(&mut self, key: Key, data: &Data<'_>) {
        // Messages of a transfer tend to be of one size: room for the whole saves the copies of
        // growing. Bounded, because a peer decides how many runs there are.
        let room = if self.runs.len() * self.last_message_size < self.reserve {
            self.last_message_size.max(data.payload.len())
        } else {
            data.payload.len()
        };
        let mut buffer = (self.buffer)(room.min(self.max_message_size));
        let kept = append(&mut buffer, data.payload, self.max_message_size);
        self.used += kept + OVERHEAD;
        self.runs.insert(
            key,
            Run {
                last: key.sequence,
                stream: data.stream,
                message: data.message,
                ppid: data.ppid,
                unordered: data.unordered,
                beginning: data.beginning,
                ending: data.ending,
                truncated: kept < data.payload.len(),
                data: buffer,
            },
        );
    }

    /// Joins the run at `start` with the one that follows it without a hole.
    fn join_next(&mut self, start: Key) -> Option<Complete> {
        if self.runs.len() < 2 {
            return None;
        }
        let run = self.runs.get(&start)?;
        let next_key = Key { sequence: run.last + 1, ..start };
        let next = self.runs.get(&next_key)?;
        if next.beginning || !same_message(run, next) {
            return None;
        }
        let next = self.runs.remove(&next_key)?;
        let run = self.runs.get_mut(&start)?;
        let grown = append(&mut run.data, &next.data, self.max_message_size);
        run.truncated |= next.truncated || grown < next.data.len();
        run.last = next.last;
        run.ending = next.ending;
        self.used = self.used - OVERHEAD - next.data.len() + grown;
        if run.beginning && run.ending { self.take(start) } else { None }
    }

    fn take(&mut self, key: Key) -> Option<Complete> {
        let mut run = self.drop_run(&key)?;
        self.last_message_size = run.data.len();
        // Room that was reserved for a message like the one before is not kept by a smaller one.
        if run.data.capacity() > 2 * run.data.len() {
            run.data.shrink_to_fit();
        }
        Some(Complete {
            stream: run.stream,
            message: run.message,
            ppid: run.ppid,
            unordered: run.unordered,
            truncated: run.truncated,
            data: run.data,
        })
    }

    /// Drops everything: the peer begins anew.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.used = 0;
    }

    fn drop_run(&mut self, key: &Key) -> Option<Run> {
        let run = self.runs.remove(key)?;
        self.used -= run.data.len() + OVERHEAD;
        Some(run)
    }

    /// Drops the parts of DATA that cannot become complete once the peer gave up everything up to
    /// `cumulative` (RFC 3758 §3.6).
    pub(crate) fn drop_up_to(&mut self, cumulative: Tsn) {
        // Their runs are in the order of their TSNs.
        while let Some((key, run)) = self.runs.first_key_value()
            && run.last <= cumulative
        {
            let key = *key;
            self.drop_run(&key);
        }
    }

    /// Drops the parts of I-DATA messages of one stream up to `message` (RFC 8260 §2.3.1).
    pub(crate) fn drop_messages(&mut self, stream: u16, unordered: bool, message: u32) {
        let group = group_of(stream, unordered);
        // Half of all numbers are those up to this one (RFC 1982).
        let oldest = message.wrapping_sub(u32::MAX / 2);
        if oldest <= message {
            self.drop_range(group, oldest, message);
        } else {
            self.drop_range(group, oldest, u32::MAX);
            self.drop_range(group, 0, message);
        }
    }

    fn drop_range(&mut self, group: u32, first: u32, last: u32) {
        let from = Key { group, message: first, sequence: 0 };
        let to = Key { group, message: last, sequence: u64::MAX };
        while let Some((key, _)) = self.runs.range(from..=to).next() {
            let key = *key;
            self.drop_run(&key);
        }
    }

    /// Drops the parts of messages of the streams, which are sorted.
    pub(crate) fn drop_streams(&mut self, streams: &[u16]) {
        let used = &mut self.used;
        self.runs.retain(|_, run| {
            let keep = streams.binary_search(&run.stream).is_err();
            *used -= if keep { 0 } else { run.data.len() + OVERHEAD };
            keep
        });
    }
}

fn group_of(stream: u16, unordered: bool) -> u32 {
    u32::from(stream) | u32::from(unordered) << 16
}

fn key_of(tsn: Tsn, data: &Data<'_>) -> Key {
    if data.interleaved {
        Key {
            group: group_of(data.stream, data.unordered),
            message: data.message,
            sequence: u64::from(data.fragment),
        }
    } else {
        Key { group: 0, message: 0, sequence: tsn }
    }
}

fn continues(start: &Key, run: &Run, key: &Key, data: &Data<'_>) -> bool {
    (start.group, start.message) == (key.group, key.message)
        && run.last + 1 == key.sequence
        && !run.ending
        && !data.beginning
        && run.stream == data.stream
        && run.unordered == data.unordered
        && run.message == data.message
}

fn same_message(a: &Run, b: &Run) -> bool {
    !a.ending && a.stream == b.stream && a.unordered == b.unordered && a.message == b.message
}

/// Appends as much of `bytes` as the limit leaves room for and returns how much that was.
fn append(buffer: &mut Vec<u8>, bytes: &[u8], limit: usize) -> usize {
    let kept = bytes.len().min(limit.saturating_sub(buffer.len()));
    buffer.extend_from_slice(&bytes[..kept]);
    kept
}

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
    last_tsn: Tsn,
    stream: u16,
    message: u32,
    ppid: u32,
    unordered: bool,
    interleaved: bool,
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
}

impl Reassembly {
    pub(crate) fn new(max_message_size: usize, reserve: usize) -> Self {
        Self { runs: BTreeMap::new(), max_message_size, last_message_size: 0, reserve, used: 0 }
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
                run.last_tsn = run.last_tsn.max(tsn);
                run.ending = data.ending;
                self.used += grown;
                let (start, done) = (*start, run.beginning && run.ending);
                if done {
                    return self.take(start);
                }
                start
            }
            _ => {
                self.start_run(tsn, key, data);
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

    fn start_run(&mut self, tsn: Tsn, key: Key, data: &Data<'_>) {
        // Messages of a transfer tend to be of one size: room for the whole saves the copies of
        // growing. Bounded, because a peer decides how many runs there are.
        let room = if self.runs.len() * self.last_message_size < self.reserve {
            self.last_message_size.max(data.payload.len())
        } else {
            data.payload.len()
        };
        let mut buffer = Vec::with_capacity(room.min(self.max_message_size));
        let kept = append(&mut buffer, data.payload, self.max_message_size);
        self.used += kept + OVERHEAD;
        self.runs.insert(
            key,
            Run {
                last: key.sequence,
                last_tsn: tsn,
                stream: data.stream,
                message: data.message,
                ppid: data.ppid,
                unordered: data.unordered,
                interleaved: data.interleaved,
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
        run.last_tsn = run.last_tsn.max(next.last_tsn);
        run.ending = next.ending;
        self.used = self.used - OVERHEAD - next.data.len() + grown;
        if run.beginning && run.ending { self.take(start) } else { None }
    }

    fn take(&mut self, key: Key) -> Option<Complete> {
        let run = self.runs.remove(&key)?;
        self.used -= run.data.len() + OVERHEAD;
        self.last_message_size = run.data.len();
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

    /// Drops the runs for which `gone` says so, given stream, message, unordered and last TSN.
    fn drop_runs(&mut self, mut gone: impl FnMut(&Run) -> bool) {
        let used = &mut self.used;
        self.runs.retain(|_, run| {
            let drop = gone(run);
            if drop {
                *used -= run.data.len() + OVERHEAD;
            }
            !drop
        });
    }

    /// Drops what cannot become complete once the peer gave up everything up to `cumulative`
    /// (RFC 3758 §3.6).
    pub(crate) fn drop_up_to(&mut self, cumulative: Tsn) {
        self.drop_runs(|run| !run.interleaved && run.last_tsn <= cumulative);
    }

    /// Drops the parts of messages of one stream up to `message` (RFC 8260 §2.3.1).
    pub(crate) fn drop_messages(&mut self, stream: u16, unordered: bool, message: u32) {
        self.drop_runs(|run| {
            run.interleaved
                && run.stream == stream
                && run.unordered == unordered
                && message.wrapping_sub(run.message) < u32::MAX / 2
        });
    }

    /// Drops the parts of messages of one stream.
    pub(crate) fn drop_stream(&mut self, stream: u16) {
        self.drop_runs(|run| run.stream == stream);
    }
}

fn key_of(tsn: Tsn, data: &Data<'_>) -> Key {
    if data.interleaved {
        Key {
            group: u32::from(data.stream) | u32::from(data.unordered) << 16,
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

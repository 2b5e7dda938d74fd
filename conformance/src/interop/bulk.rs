//! Many messages in one direction, counted and checked where they arrive instead of being reported
//! one by one. Only our own agent knows this.

use super::own::report;
use crate::ffi::{ById, Lib, OK, code_name};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Bytes a sender has waiting in the library. Less would starve a fast path; more would only
/// lengthen the end.
const AHEAD: c_int = 1 << 20;

/// How long a sender waits for the library to take more.
const PAUSE: Duration = Duration::from_millis(2);

/// The bytes of a message: its number, then what depends on the position alone.
fn content(size: usize, number: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|at| (at ^ (at >> 8)) as u8).collect();
    set_number(&mut bytes, number);
    bytes
}

fn set_number(bytes: &mut [u8], number: u64) {
    for (to, from) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
}

/// Sends messages for `time` from a thread of its own, then says so.
pub(super) fn flood(lib: Lib, channel: c_int, label: String, size: usize, time: Duration) {
    std::thread::spawn(move || {
        let end = Instant::now() + time;
        let mut message = content(size, 0);
        let mut number = 0;
        while Instant::now() < end {
            if lib.by_id(ById::BUFFERED_AMOUNT, channel) > AHEAD {
                std::thread::sleep(PAUSE);
                continue;
            }
            set_number(&mut message, number);
            let code = lib.send_binary(channel, &message);
            if code < OK {
                let text = format!("message {number}: {}", code_name(code));
                return report(json!({ "is": "error", "text": text }));
            }
            number += 1;
        }
        report(json!({ "is": "flooded", "label": label, "messages": number }));
    });
}

/// What has arrived on a channel.
struct Sink {
    expected: Vec<u8>,
    /// The number of the next message: they come in order, each once.
    next: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        let number = self.next;
        set_number(&mut self.expected, number);
        self.next += 1;
        if bytes == self.expected {
            return Ok(());
        }
        let at = bytes.iter().zip(&self.expected).position(|(is, should)| is != should);
        Err(format!("message {number} of {} bytes differs from byte {at:?} on", bytes.len()))
    }
}

/// The channels whose messages are counted and checked.
#[derive(Clone, Default)]
pub(super) struct Sinks(Arc<Mutex<HashMap<String, Sink>>>);

impl Sinks {
    fn map(&self) -> MutexGuard<'_, HashMap<String, Sink>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    pub(super) fn open(&self, label: &str, size: usize) {
        let sink = Sink { expected: content(size, 0), next: 0, first: None, last: None };
        self.map().insert(label.to_owned(), sink);
    }

    /// Takes a message where the channel is one of these.
    pub(super) fn take(&self, label: &str, bytes: &[u8]) -> Option<Result<(), String>> {
        Some(self.map().get_mut(label)?.take(bytes))
    }

    /// Bytes after the first message, and the seconds they took.
    pub(super) fn tally(&self, label: &str) -> Result<Value, String> {
        let map = self.map();
        let sink = map.get(label).ok_or(format!("nothing is counted on {label:?}"))?;
        let bytes = sink.next.saturating_sub(1) * sink.expected.len() as u64;
        let time = sink.first.zip(sink.last).map_or(Duration::ZERO, |(first, last)| last - first);
        Ok(json!({
            "is": "tally", "label": label, "bytes": bytes, "seconds": time.as_secs_f64(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_takes_only_the_next_message_whole() {
        let sinks = Sinks::default();
        assert_eq!(sinks.take("a", b"x"), None);
        sinks.open("a", 100);
        assert_eq!(sinks.take("a", &content(100, 0)), Some(Ok(())));
        assert_eq!(sinks.take("a", &content(100, 1)), Some(Ok(())));
        assert!(matches!(sinks.take("a", &content(100, 1)), Some(Err(_))), "twice");
        let mut wrong = content(100, 3);
        wrong[99] ^= 1;
        assert!(matches!(sinks.take("a", &wrong), Some(Err(_))), "damaged");
        assert_eq!(sinks.tally("a").expect("counted")["bytes"], 300);
    }
}

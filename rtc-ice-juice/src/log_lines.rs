//! What libjuice logs, kept until it can be written without one of libjuice's locks: a logger is
//! user code, and may take as long as it likes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use log::Level;
use parking_lot::Mutex;

/// Lines that may wait.
const MAX_WAITING: usize = 64;
/// Lines in an interval: a stranger's datagrams, for one, are each worth a line to libjuice.
const MAX_LINES: usize = 200;
const INTERVAL: Duration = Duration::from_secs(10);

static LINES: Mutex<Lines> = Mutex::new(Lines { waiting: VecDeque::new(), count: 0, since: None });

struct Lines {
    waiting: VecDeque<(Level, String)>,
    count: usize,
    since: Option<Instant>,
}

/// Keeps a line, unless there are too many.
pub(crate) fn push(level: Level, line: String) {
    LINES.lock().push(level, line, Instant::now());
}

/// Writes the lines that wait. To be called with no lock held.
pub(crate) fn write() {
    loop {
        let Some((level, line)) = LINES.lock().waiting.pop_front() else { return };
        log::log!(level, "libjuice: {line}");
    }
}

impl Lines {
    fn push(&mut self, level: Level, line: String, now: Instant) {
        if self.since.is_none_or(|since| now.duration_since(since) >= INTERVAL) {
            self.since = Some(now);
            self.count = 0;
        }
        self.count += 1;
        if self.count <= MAX_LINES && self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((level, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_at_a_time_and_by_time() {
        let mut lines = Lines { waiting: VecDeque::new(), count: 0, since: None };
        let begin = Instant::now();
        for _ in 0..1000 {
            lines.push(Level::Warn, "line".into(), begin);
        }
        assert_eq!(lines.waiting.len(), MAX_WAITING);
        lines.waiting.clear();
        lines.push(Level::Warn, "line".into(), begin + INTERVAL / 2);
        assert_eq!(lines.waiting.len(), 0);
        lines.push(Level::Warn, "line".into(), begin + INTERVAL);
        assert_eq!(lines.waiting.len(), 1);
    }
}

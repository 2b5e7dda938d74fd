//! Log lines of what is behind a lock. They are written once it is free: a log callback is user
//! code, which may well ask the connection that the line is about.

use std::cell::RefCell;

use log::Level;

thread_local! {
    static NOTES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a line until [`write_notes`].
pub(crate) fn note(level: Level, text: impl FnOnce() -> String) {
    if level <= log::max_level() {
        NOTES.with_borrow_mut(|notes| notes.push((level, text())));
    }
}

/// Writes the lines that this thread has kept; to be called without a lock.
pub(crate) fn write_notes() {
    for (level, text) in NOTES.take() {
        log::log!(level, "{text}");
    }
}

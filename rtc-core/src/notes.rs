//! Log lines of what is behind a lock. They are written once it is free: a log callback is user
//! code, which may well ask the connection that the line is about.

use std::cell::{Cell, RefCell};

use log::Level;

thread_local! {
    static NOTES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    /// How many [`Hush`]es this thread has.
    static HUSHED: Cell<usize> = const { Cell::new(0) };
}

/// Keeps a line until [`write_notes`].
pub(crate) fn note(level: Level, text: impl FnOnce() -> String) {
    if level <= log::max_level() {
        NOTES.with_borrow_mut(|notes| notes.push((level, text())));
    }
}

/// Writes the lines that this thread has kept, unless it is hushed; to be called without a lock
/// but those that a [`Hush`] stands for.
pub(crate) fn write_notes() {
    if HUSHED.get() > 0 {
        return;
    }
    for (level, text) in NOTES.take() {
        log::log!(level, "{text}");
    }
}

/// While there is one, its thread holds a lock for long: what it keeps is written when this goes,
/// which is when the lock is free.
pub(crate) struct Hush(());

impl Hush {
    pub(crate) fn new() -> Self {
        HUSHED.set(HUSHED.get() + 1);
        Self(())
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        HUSHED.set(HUSHED.get() - 1);
        write_notes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_until_the_last_lock_is_free() {
        let keep = || NOTES.with_borrow_mut(|notes| notes.push((Level::Error, String::new())));
        let waiting = || NOTES.with_borrow(|notes| notes.len());
        let outer = Hush::new();
        keep();
        drop(Hush::new());
        write_notes();
        keep();
        assert_eq!(waiting(), 2);
        drop(outer);
        assert_eq!(waiting(), 0);
        keep();
        write_notes();
        assert_eq!(waiting(), 0);
    }
}

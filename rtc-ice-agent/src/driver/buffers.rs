//! Receive buffers, one set per thread of the runtime, so that a connection costs nothing while
//! nothing arrives.

use std::cell::Cell;

/// Buffers of one set.
pub(crate) const COUNT: usize = 16;
/// Size of one buffer in bytes: what the system coalesces at most.
pub(crate) const SIZE: usize = 65_536;

thread_local! {
    static BUFFERS: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends this thread's buffers, [`COUNT`] times [`SIZE`] bytes in one piece.
pub(crate) fn lend<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    // Taken out, not borrowed: work may get here again on the same thread.
    let taken = BUFFERS.take();
    let mut buffers = taken.unwrap_or_else(|| vec![0; COUNT * SIZE].into_boxed_slice());
    let result = work(&mut buffers);
    BUFFERS.set(Some(buffers));
    result
}

//! Buffers of messages, used again.
//!
//! A large block that is freed at the end of a heap goes back to the system at once, and the next
//! one is made of new pages, each cleared at its first use: for messages that come one after the
//! other this costs as much as a copy of them.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// Sizes that are kept, in bytes. Allocators keep smaller blocks themselves, and larger ones would
/// hold too much.
const SIZES: std::ops::RangeInclusive<usize> = 16 * 1024..=1024 * 1024;

/// Memory of unused buffers in the whole process, in bytes: what a connection has under way of a
/// bulk transfer.
const LIMIT: usize = 2 * 1024 * 1024;

/// How many of the newest buffers are looked at for one that suits.
const LOOK_BACK: usize = 4;

static SPARES: Mutex<Spares> = Mutex::new(Spares { buffers: VecDeque::new(), bytes: 0 });

/// Unused buffers, the newest last.
struct Spares {
    buffers: VecDeque<Vec<u8>>,
    /// Their capacities together.
    bytes: usize,
}

impl Spares {
    /// An empty buffer with room for `size` bytes and not for many more.
    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        let suits = |buffer: &Vec<u8>| (size..=size.saturating_mul(2)).contains(&buffer.capacity());
        let back = self.buffers.iter().rev().take(LOOK_BACK).position(suits)?;
        let mut buffer = self.buffers.remove(self.buffers.len() - 1 - back)?;
        self.bytes -= buffer.capacity();
        buffer.clear();
        Some(buffer)
    }

    /// Keeps a buffer; what has waited longest makes room for it.
    fn put(&mut self, buffer: Vec<u8>) {
        self.bytes += buffer.capacity();
        self.buffers.push_back(buffer);
        while self.bytes > LIMIT
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.bytes -= oldest.capacity();
        }
    }
}

/// A buffer that is kept for another message when the last of those who share it is done.
struct Kept(Vec<u8>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        SPARES.lock().put(buffer);
    }
}

/// An empty buffer with room for `size` bytes, a used one if there is one.
pub(crate) fn empty(size: usize) -> Vec<u8> {
    let used = if SIZES.contains(&size) { SPARES.lock().take(size) } else { None };
    used.unwrap_or_else(|| Vec::with_capacity(size))
}

/// The bytes, to be shared; their buffer is used again afterwards.
pub(crate) fn share(bytes: Vec<u8>) -> Bytes {
    if SIZES.contains(&bytes.capacity()) { Bytes::from_owner(Kept(bytes)) } else { bytes.into() }
}

/// The bytes in memory of their own.
pub(super) fn copy(bytes: &[u8]) -> Bytes {
    let mut buffer = empty(bytes.len());
    buffer.extend_from_slice(bytes);
    share(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spares(sizes: &[usize]) -> Spares {
        let mut spares = Spares { buffers: VecDeque::new(), bytes: 0 };
        sizes.iter().for_each(|size| spares.put(vec![7; *size]));
        spares
    }

    #[test]
    fn copies_of_every_size_hold_what_was_copied() {
        let (first, last) = (*SIZES.start(), *SIZES.end());
        for size in [0, 1, first - 1, first, first + 1, last, last + 1, first] {
            for filling in [1, 2] {
                let original = vec![filling; size];
                assert!(copy(&original) == original, "{size} bytes");
            }
        }
    }

    #[test]
    fn a_buffer_is_taken_once_and_only_for_what_nearly_fills_it() {
        const SIZE: usize = 64 * 1024;
        for (wanted, suits) in
            [(SIZE + 1, false), (SIZE, true), (SIZE / 2, true), (SIZE / 2 - 1, false)]
        {
            let mut spares = spares(&[SIZE]);
            let taken = spares.take(wanted);
            assert_eq!(taken.is_some(), suits, "{wanted}");
            assert!(taken.is_none_or(|buffer| buffer.is_empty() && buffer.capacity() == SIZE));
            assert_eq!(spares.bytes, if suits { 0 } else { SIZE });
            assert!(!suits || spares.take(wanted).is_none());
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest() {
        const SIZE: usize = 256 * 1024;
        let mut spares = spares(&[SIZE; 2 * LIMIT / SIZE]);
        assert_eq!(spares.bytes, LIMIT);
        spares.put(vec![7; SIZE / 2]);
        assert!(spares.bytes <= LIMIT);
        let kept: usize = spares.buffers.iter().map(Vec::capacity).sum();
        assert_eq!(spares.bytes, kept);
        assert!(spares.take(SIZE / 2).is_some(), "the newest");
    }
}

//! Payloads in one buffer.

use bytes::{BufMut, BytesMut};

/// The payloads of a frame, one behind the other in one buffer with room for a header before each.
#[derive(Debug, Default)]
pub struct Payloads {
    buffer: BytesMut,
    ends: Vec<usize>,
    head: usize,
}

impl Payloads {
    /// No payloads yet; `head` bytes of zeros go before each.
    pub fn new(head: usize) -> Self {
        Self { buffer: BytesMut::new(), ends: Vec::new(), head }
    }

    /// Makes room for the payloads of a frame of this many bytes.
    pub fn reserve(&mut self, frame: usize, limit: usize) {
        let count = frame / limit.max(1) + 2;
        self.ends.reserve(count);
        self.buffer.reserve(frame + count * (self.head + 8));
    }

    /// Adds a payload made of these parts.
    pub fn push(&mut self, parts: &[&[u8]]) {
        self.buffer.put_bytes(0, self.head);
        for part in parts {
            self.buffer.put_slice(part);
        }
        self.ends.push(self.buffer.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payloads, without the room before them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.buffer[start + self.head..*end])
    }

    /// The buffer, and where each payload ends in it.
    pub(crate) fn into_parts(self) -> (BytesMut, Vec<usize>) {
        (self.buffer, self.ends)
    }
}

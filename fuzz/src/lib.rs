//! What the stateful targets share: a script made of the input, and a link that follows it.

pub mod stun;

use std::collections::VecDeque;

/// The input as a sequence of choices. Past its end every choice is zero.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// A script of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True when nothing is left.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// Two bytes.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// As many bytes as the next one says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// Datagrams under way in both directions. It holds a bounded number and drops further ones.
#[derive(Default)]
pub struct Link {
    queues: [VecDeque<Vec<u8>>; 2],
}

impl Link {
    const CAPACITY: usize = 256;

    /// Sends a datagram to side 0 or 1.
    pub fn send(&mut self, to: usize, datagram: &[u8]) {
        let queue = &mut self.queues[to];
        if queue.len() < Self::CAPACITY {
            queue.push_back(datagram.to_vec());
        }
    }

    /// The next datagram for a side.
    pub fn receive(&mut self, to: usize) -> Option<Vec<u8>> {
        self.queues[to].pop_front()
    }

    /// The next datagram for a side, which stays under way.
    pub fn peek(&self, to: usize) -> Option<Vec<u8>> {
        self.queues[to].front().cloned()
    }

    /// Moves the next datagram for a side behind all others.
    pub fn delay(&mut self, to: usize) {
        let queue = &mut self.queues[to];
        if !queue.is_empty() {
            queue.rotate_left(1);
        }
    }
}

/// Damages a datagram as the script says: some bytes replaced, or its end cut off or repeated.
pub fn damage(datagram: &mut Vec<u8>, script: &mut Script<'_>) {
    for _ in 0..script.byte() % 8 {
        let place = usize::from(script.word()) % datagram.len().max(1);
        let value = script.byte();
        if let Some(byte) = datagram.get_mut(place) {
            *byte = value;
        }
    }
    match script.byte() {
        1 => datagram.truncate(usize::from(script.word())),
        2 => datagram.extend_from_slice(script.bytes()),
        3 => {
            let from = usize::from(script.word()).min(datagram.len());
            datagram.extend_from_within(from..);
        }
        _ => {}
    }
}

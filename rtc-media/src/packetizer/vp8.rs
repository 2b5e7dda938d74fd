//! VP8 (RFC 7741).

use super::{Packetizer, Payloads, limit, pieces};
use crate::Malformed;

/// Cuts frames of VP8, with a picture identifier of 15 bits in each packet.
#[derive(Clone, Debug)]
pub struct Vp8 {
    picture: u16,
    limit: usize,
}

/// Bytes of the descriptor.
const DESCRIPTOR: usize = 4;
/// There is an extension byte.
const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
/// The extension byte: there is a picture identifier.
const PICTURE: u8 = 0x80;

impl Vp8 {
    /// `max_fragment_size` is the greatest payload in bytes, 0 for the default.
    pub fn new(max_fragment_size: u16) -> Self {
        Self { picture: 0, limit: limit(max_fragment_size) }
    }
}

impl Packetizer for Vp8 {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        if frame.is_empty() {
            return Err(Malformed::new("VP8 frame: it is empty"));
        }
        payloads.reserve(frame.len(), self.limit);
        let [high, low] = self.picture.to_be_bytes();
        for (position, part) in pieces(frame, self.limit - DESCRIPTOR).enumerate() {
            let start = if position == 0 { START } else { 0 };
            payloads.push(&[&[EXTENDED | start, PICTURE, 0x80 | high, low], part]);
        }
        self.picture = (self.picture + 1) & 0x7fff;
        Ok(())
    }
}

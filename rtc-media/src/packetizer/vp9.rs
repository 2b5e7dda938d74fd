//! VP9 (RFC 9628).

use super::{Packetizer, Payloads, limit, pieces};
use crate::Malformed;

/// Cuts frames of VP9 without layers, with a picture identifier of 15 bits in each packet.
#[derive(Clone, Debug)]
pub struct Vp9 {
    picture: u16,
    limit: usize,
}

/// Bytes of the descriptor.
const DESCRIPTOR: usize = 3;
/// There is a picture identifier.
const PICTURE: u8 = 0x80;
/// The frame is predicted from others.
const PREDICTED: u8 = 0x40;
const BEGIN: u8 = 0x08;
const END: u8 = 0x04;
/// The frame is no reference for upper layers.
const NOT_A_REFERENCE: u8 = 0x01;

impl Vp9 {
    /// `max_fragment_size` is the greatest payload in bytes, 0 for the default.
    pub fn new(max_fragment_size: u16) -> Self {
        Self { picture: 0, limit: limit(max_fragment_size) }
    }
}

impl Packetizer for Vp9 {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        let first = *frame.first().ok_or(Malformed::new("VP9 frame: it is empty"))?;
        if first >> 6 != 2 {
            return Err(Malformed::new("VP9 frame: it has no frame marker"));
        }
        payloads.reserve(frame.len(), self.limit);
        let predicted = if is_key_frame(first) { 0 } else { PREDICTED };
        let [high, low] = self.picture.to_be_bytes();
        let parts = pieces(frame, self.limit - DESCRIPTOR);
        let last = parts.len() - 1;
        for (position, part) in parts.enumerate() {
            let begin = if position == 0 { BEGIN } else { 0 };
            let end = if position == last { END } else { 0 };
            let flags = PICTURE | predicted | begin | end | NOT_A_REFERENCE;
            payloads.push(&[&[flags, 0x80 | high, low], part]);
        }
        self.picture = (self.picture + 1) & 0x7fff;
        Ok(())
    }
}

/// Whether a frame that starts with this byte is a key frame (VP9 bitstream §6.2).
fn is_key_frame(first: u8) -> bool {
    // frame_marker 2, profile 2, for profile 3 a reserved bit, show_existing_frame, frame_type
    let is_profile_3 = first & 0x30 == 0x30;
    let (shows_existing, is_inter) =
        if is_profile_3 { (first & 0x04, first & 0x02) } else { (first & 0x08, first & 0x04) };
    shows_existing == 0 && is_inter == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_known_by_their_first_byte() {
        for (first, is_key) in [
            (0b1000_0000, true),
            (0b1000_0100, false),
            (0b1000_1000, false),
            (0b1011_0000, true),
            (0b1011_0010, false),
            (0b1011_0100, false),
        ] {
            assert_eq!(is_key_frame(first), is_key, "{first:08b}");
        }
    }
}

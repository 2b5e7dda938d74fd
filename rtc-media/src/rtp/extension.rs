//! Header extensions (RFC 8285) and the ones WebRTC uses.

use bytes::Bytes;

/// The profile of extensions with one-byte headers.
const ONE_BYTE: u16 = 0xbede;
/// The profile of extensions with two-byte headers; the low four bits are free.
const TWO_BYTE: u16 = 0x1000;

/// The media identification (RFC 8843 §15.1), text.
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// The stream within a media section (RFC 8852), text.
pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// The stream that a retransmission repairs (RFC 8852), text.
pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// The bounds of the playout delay, [`PlayoutDelay`].
pub const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// The colour space, [`ColorSpace`].
pub const COLOR_SPACE: &str = "http://www.webrtc.org/experiments/rtp-hdrext/color-space";

/// The elements of an extension block, as [`Packet::extensions`](super::Packet::extensions) gives.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    /// Bytes of an element's header; 0 when the profile is another one.
    header: usize,
}

/// Reads a block: its profile and content.
pub(super) fn elements(block: Option<(u16, &[u8])>) -> Elements<'_> {
    let (rest, header) = match block {
        Some((ONE_BYTE, content)) => (content, 1),
        Some((profile, content)) if profile & 0xfff0 == TWO_BYTE => (content, 2),
        _ => (&[][..], 0),
    };
    Elements { rest, header }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // A zero is padding, in either form.
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (id, length, content) = match (self.header, self.rest) {
            (1, &[first, ref content @ ..]) if first >> 4 != 15 => {
                (first >> 4, usize::from(first & 0x0f) + 1, content)
            }
            (2, &[id, length, ref content @ ..]) => (id, length.into(), content),
            // Identifier 15 ends a block with one-byte headers (RFC 8285 §4.2).
            _ => {
                self.rest = &[];
                return None;
            }
        };
        let Some((data, rest)) = content.split_at_checked(length) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some((id, data))
    }
}

/// A header extension block to be written.
#[derive(Clone, Debug, Default)]
pub struct Block {
    elements: Vec<(u8, Vec<u8>)>,
}

impl Block {
    /// Adds an element. Identifier 0 and content of more than 255 bytes cannot be written and are
    /// left out.
    pub fn push(&mut self, id: u8, data: &[u8]) {
        if id != 0 && data.len() <= 255 {
            self.elements.push((id, data.to_vec()));
        }
    }

    /// The block, profile and length included; empty without elements. Headers have one byte each
    /// when all elements allow that.
    pub fn finish(&self) -> Bytes {
        if self.elements.is_empty() {
            return Bytes::new();
        }
        let fits_one = |(id, data): &(u8, Vec<u8>)| *id < 15 && (1..=16).contains(&data.len());
        let one_byte = self.elements.iter().all(fits_one);
        let profile = if one_byte { ONE_BYTE } else { TWO_BYTE };
        let mut block = profile.to_be_bytes().to_vec();
        block.extend([0, 0]);
        for (id, data) in &self.elements {
            if one_byte {
                block.push((id << 4) | (data.len() as u8 - 1));
            } else {
                block.extend([*id, data.len() as u8]);
            }
            block.extend(data);
        }
        block.resize(block.len().next_multiple_of(4), 0);
        let words = (block.len() / 4 - 1) as u16;
        block[2..4].copy_from_slice(&words.to_be_bytes());
        block.into()
    }
}

/// Bounds of the delay between capture and rendering, in units of 10 ms, 12 bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The least delay.
    pub min: u16,
    /// The greatest delay.
    pub max: u16,
}

impl PlayoutDelay {
    /// The content of the extension; higher bits are cut off.
    pub fn encode(self) -> [u8; 3] {
        let [min_high, min_low] = ((self.min & 0xfff) << 4).to_be_bytes();
        let [max_high, max_low] = (self.max & 0xfff).to_be_bytes();
        [min_high, min_low | max_high, max_low]
    }

    /// Reads the content of the extension.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let &[high, middle, low] = data else { return None };
        let min = u16::from_be_bytes([high, middle]) >> 4;
        Some(Self { min, max: u16::from_be_bytes([middle & 0x0f, low]) })
    }
}

/// A colour space without HDR metadata, in the numbers of ITU-T H.273.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColorSpace {
    /// ColourPrimaries.
    pub primaries: u8,
    /// TransferCharacteristics.
    pub transfer: u8,
    /// MatrixCoefficients.
    pub matrix: u8,
    /// 0 unknown, 1 limited, 2 full, 3 as transfer and matrix say.
    pub range: u8,
    /// Horizontal chroma siting: 0 unspecified, 1 collocated, 2 half.
    pub siting_horizontal: u8,
    /// Vertical chroma siting, likewise.
    pub siting_vertical: u8,
}

impl ColorSpace {
    /// The content of the extension; range and siting have two bits each.
    pub fn encode(self) -> [u8; 4] {
        let packed = ((self.range & 3) << 4)
            | ((self.siting_horizontal & 3) << 2)
            | (self.siting_vertical & 3);
        [self.primaries, self.transfer, self.matrix, packed]
    }

    /// Reads the content of the extension, leaving HDR metadata aside.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let &[primaries, transfer, matrix, packed] = data.first_chunk()?;
        Some(Self {
            primaries,
            transfer,
            matrix,
            range: (packed >> 4) & 3,
            siting_horizontal: (packed >> 2) & 3,
            siting_vertical: packed & 3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let profile = u16::from_be_bytes([block[0], block[1]]);
        assert_eq!(block.len(), 4 + 4 * usize::from(u16::from_be_bytes([block[2], block[3]])));
        elements(Some((profile, &block[4..]))).map(|(id, data)| (id, data.to_vec())).collect()
    }

    #[test]
    fn blocks_take_the_shorter_headers_where_they_can() {
        for (contents, profile) in [
            (vec![(1, vec![7])], ONE_BYTE),
            (vec![(14, vec![7; 16]), (2, vec![1, 2])], ONE_BYTE),
            (vec![(15, vec![7])], TWO_BYTE),
            (vec![(1, vec![7; 17])], TWO_BYTE),
            (vec![(1, vec![])], TWO_BYTE),
            (vec![(1, vec![9; 255]), (255, vec![1])], TWO_BYTE),
        ] {
            let mut block = Block::default();
            for (id, data) in &contents {
                block.push(*id, data);
            }
            let bytes = block.finish();
            assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), profile, "{contents:?}");
            assert_eq!(read(&bytes), contents);
        }
        let mut block = Block::default();
        block.push(0, &[1]);
        block.push(1, &[0; 256]);
        assert!(block.finish().is_empty());
    }

    #[test]
    fn playout_delay_and_colour_space_are_as_measured() {
        let delay = PlayoutDelay { min: 1, max: 2 };
        let space = ColorSpace { primaries: 9, range: 1, ..ColorSpace::default() };
        let mut block = Block::default();
        block.push(5, &delay.encode());
        block.push(6, &space.encode());
        let expected = [0xbe, 0xde, 0, 3, 0x52, 0, 0x10, 2, 0x63, 9, 0, 0, 0x10, 0, 0, 0];
        assert_eq!(block.finish()[..], expected);
        assert_eq!(PlayoutDelay::decode(&delay.encode()), Some(delay));
        assert_eq!(ColorSpace::decode(&space.encode()), Some(space));
        let widest = PlayoutDelay { min: 0xabc, max: 0xdef };
        assert_eq!(PlayoutDelay::decode(&widest.encode()), Some(widest));
        assert_eq!(PlayoutDelay::decode(&[1]), None);
    }

    #[test]
    fn padding_is_skipped_and_the_end_is_respected() {
        let block = [0, 0x10, 1, 0, 0, 0x20, 2, 0xf0, 0x30, 3];
        let found: Vec<_> = elements(Some((ONE_BYTE, &block))).collect();
        assert_eq!(found, [(1, &[1][..]), (2, &[2][..])]);
        let cut_off: Vec<_> = elements(Some((TWO_BYTE, &[1, 9, 0][..]))).collect();
        assert!(cut_off.is_empty());
        assert_eq!(elements(Some((0x1234, &[0x10, 1][..]))).count(), 0);
        assert_eq!(elements(Some((TWO_BYTE | 7, &[1, 1, 5][..]))).count(), 1);
    }
}

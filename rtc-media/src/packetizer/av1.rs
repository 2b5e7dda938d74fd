//! AV1 (the RTP payload format of the Alliance for Open Media).

use super::{Packetizer, Payloads, limit};
use crate::Malformed;

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObuPacketization {
    /// One OBU, with or without a size field.
    #[default]
    Obu,
    /// A temporal unit: OBUs with size fields, with or without a temporal delimiter before them.
    TemporalUnit,
}

/// Cuts OBUs into packets. Size fields are taken out and temporal delimiters left out, as the
/// format recommends. A sequence header waits for the OBU behind it and shares a packet with it.
#[derive(Clone, Debug)]
pub struct Av1 {
    packetization: ObuPacketization,
    limit: usize,
    /// A sequence header that waits, without its size field.
    sequence_header: Vec<u8>,
}

/// The first OBU goes on from the packet before.
const CONTINUED: u8 = 0x80;
/// The last OBU goes on in the packet behind.
const CONTINUES: u8 = 0x40;
/// Where the number of OBUs goes.
const COUNT_SHIFT: u8 = 4;
/// The first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;

/// The greatest sequence header that waits.
const MAX_SEQUENCE_HEADER: usize = 4096;

impl Av1 {
    /// `max_fragment_size` is the greatest payload in bytes, 0 for the default.
    pub fn new(packetization: ObuPacketization, max_fragment_size: u16) -> Self {
        Self { packetization, limit: limit(max_fragment_size), sequence_header: Vec::new() }
    }

    fn push(&mut self, obu: &Obu<'_>, payloads: &mut Payloads) {
        match obu.kind() {
            obu::TEMPORAL_DELIMITER | obu::TILE_LIST => {}
            obu::SEQUENCE_HEADER if obu.len() <= MAX_SEQUENCE_HEADER => {
                self.sequence_header.clear();
                self.sequence_header.extend(obu.header());
                self.sequence_header.extend(obu.content);
            }
            _ => {
                let mut aggregation = 1 << COUNT_SHIFT;
                let mut before = Vec::new();
                if !self.sequence_header.is_empty() {
                    aggregation = NEW_SEQUENCE | (2 << COUNT_SHIFT);
                    obu::put_leb128(self.sequence_header.len(), &mut before);
                    before.append(&mut self.sequence_header);
                    if before.len() + 2 + obu.header().len() > self.limit {
                        self.push_alone(&before, payloads);
                        aggregation = 1 << COUNT_SHIFT;
                        before.clear();
                    }
                }
                self.push_fragments(aggregation, &before, obu, payloads);
            }
        }
    }

    /// A sequence header that leaves no room for another OBU; it stands behind its length.
    fn push_alone(&self, before: &[u8], payloads: &mut Payloads) {
        let Some((_, header)) = obu::leb128(before) else { return };
        let parts = header.chunks(self.limit - 1);
        let last = parts.len() - 1;
        for (position, part) in parts.enumerate() {
            let new = if position == 0 { NEW_SEQUENCE } else { CONTINUED };
            let continues = if position == last { 0 } else { CONTINUES };
            payloads.push(&[&[(1 << COUNT_SHIFT) | new | continues], part]);
        }
    }

    fn push_fragments(&self, first: u8, before: &[u8], obu: &Obu<'_>, payloads: &mut Payloads) {
        let header = obu.header();
        let room = self.limit - 1 - before.len() - header.len();
        let (part, mut rest) = obu.content.split_at(room.min(obu.content.len()));
        let continues = |rest: &[u8]| if rest.is_empty() { 0 } else { CONTINUES };
        payloads.push(&[&[first | continues(rest)], before, header, part]);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at((self.limit - 1).min(rest.len()));
            rest = behind;
            payloads.push(&[&[(1 << COUNT_SHIFT) | CONTINUED | continues(rest)], part]);
        }
    }
}

impl Packetizer for Av1 {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        payloads.reserve(frame.len(), self.limit);
        let mut rest = frame;
        loop {
            let (obu, behind) = Obu::read(rest)?;
            let is_only = self.packetization == ObuPacketization::Obu;
            if !behind.is_empty() && is_only {
                return Err(Malformed::new("AV1 message: more than one OBU"));
            }
            rest = behind;
            self.push(&obu, payloads);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}

use obu::Obu;

/// Open bitstream units (AV1 bitstream §5.3).
pub(crate) mod obu {
    use crate::Malformed;

    pub(crate) const SEQUENCE_HEADER: u8 = 1;
    pub(crate) const TEMPORAL_DELIMITER: u8 = 2;
    pub(crate) const TILE_LIST: u8 = 8;
    /// The temporal delimiter with its size field.
    pub(crate) const DELIMITER: [u8; 2] = [0x12, 0];

    const EXTENSION: u8 = 0x04;
    const HAS_SIZE: u8 = 0x02;

    /// A unit taken apart.
    pub(crate) struct Obu<'a> {
        /// The header as if there were no size field, and its length.
        header: ([u8; 2], usize),
        pub(crate) content: &'a [u8],
    }

    impl<'a> Obu<'a> {
        /// Cuts the first unit off `data`. One without a size field takes all of it.
        pub(crate) fn read(data: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
            const MALFORMED: Malformed = Malformed::new("OBU");
            let (&first, mut rest) = data.split_first().ok_or(MALFORMED)?;
            if first & 0x80 != 0 {
                return Err(MALFORMED);
            }
            let mut header = ([first & !HAS_SIZE, 0], 1);
            if first & EXTENSION != 0 {
                let (&extension, behind) = rest.split_first().ok_or(MALFORMED)?;
                header = ([first & !HAS_SIZE, extension], 2);
                rest = behind;
            }
            if first & HAS_SIZE == 0 {
                return Ok((Self { header, content: rest }, &[]));
            }
            let (size, rest) = leb128(rest).ok_or(MALFORMED)?;
            let (content, rest) = rest.split_at_checked(size).ok_or(MALFORMED)?;
            Ok((Self { header, content }, rest))
        }

        pub(crate) fn kind(&self) -> u8 {
            (self.header.0[0] >> 3) & 0x0f
        }

        pub(crate) fn header(&self) -> &[u8] {
            &self.header.0[..self.header.1]
        }

        /// Bytes without a size field.
        pub(crate) fn len(&self) -> usize {
            self.header.1 + self.content.len()
        }

        /// Appends the unit with a size field.
        pub(crate) fn append(&self, out: &mut Vec<u8>) {
            let start = out.len();
            out.extend(self.header());
            if let Some(first) = out.get_mut(start) {
                *first |= HAS_SIZE;
            }
            put_leb128(self.content.len(), out);
            out.extend(self.content);
        }
    }

    /// Takes a number of up to eight bytes off the front (§4.10.5); none above 32 bits.
    pub(crate) fn leb128(data: &[u8]) -> Option<(usize, &[u8])> {
        let mut value = 0_u64;
        for (position, byte) in data.iter().take(8).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).ok()?;
                return Some((value.try_into().ok()?, data.get(position + 1..)?));
            }
        }
        None
    }

    /// Appends a number.
    pub(crate) fn put_leb128(mut value: usize, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn numbers_of_any_length_are_read() {
            for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX as usize] {
                let mut data = Vec::new();
                put_leb128(value, &mut data);
                data.push(9);
                assert_eq!(leb128(&data), Some((value, &[9][..])));
            }
            assert_eq!(leb128(&[0x80, 0x80, 0x00]), Some((0, &[][..])));
            assert_eq!(leb128(&[0x80]), None);
            assert_eq!(leb128(&[0xff; 9]), None);
            assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        }

        #[test]
        fn lies_about_sizes_are_malformed() {
            for data in [&[][..], &[0x92, 0], &[0x36], &[0x32], &[0x32, 2, 0], &[0x32, 0x80]] {
                assert!(Obu::read(data).is_err(), "{data:?}");
            }
        }
    }
}

//! Reading and writing the header.

use bytes::BufMut;

use super::extension::{self, Elements};
use crate::Malformed;

/// Bytes of a header without contributing sources and extensions.
pub const HEADER: usize = 12;

const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

/// An RTP packet that was checked: its parts lie within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    data: &'a [u8],
    /// Where the payload starts and ends.
    payload: (usize, usize),
    /// The profile and the content of the header extension.
    extension: Option<(u16, &'a [u8])>,
    header: Header,
}

/// The fixed part of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The marker bit: the end of a frame for video.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp in units of the clock rate.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: u32,
}

impl<'a> Packet<'a> {
    /// Reads a packet, checking its version and that every part lies within it.
    pub fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed::new("RTP header");
        let &[first, second, seq_high, seq_low, t0, t1, t2, t3, ref ssrc @ ..] =
            data.first_chunk::<HEADER>().ok_or(MALFORMED)?;
        if first >> 6 != 2 {
            return Err(Malformed::new("RTP version"));
        }
        let mut start = HEADER + 4 * usize::from(first & 0x0f);
        let mut extension = None;
        if first & EXTENSION != 0 {
            let rest = data.get(start..).ok_or(MALFORMED)?;
            let (&[p0, p1, w0, w1], content) = rest.split_first_chunk().ok_or(MALFORMED)?;
            let length = 4 * usize::from(u16::from_be_bytes([w0, w1]));
            let content = content.get(..length).ok_or(Malformed::new("RTP extension length"))?;
            extension = Some((u16::from_be_bytes([p0, p1]), content));
            start += 4 + length;
        }
        let end = match data.last() {
            Some(&padding) if first & PADDING != 0 => {
                if padding == 0 {
                    return Err(Malformed::new("RTP padding"));
                }
                data.len().checked_sub(padding.into()).ok_or(Malformed::new("RTP padding"))?
            }
            _ => data.len(),
        };
        if start > end {
            return Err(MALFORMED);
        }
        let header = Header {
            marker: second & MARKER != 0,
            payload_type: second & !MARKER,
            sequence: u16::from_be_bytes([seq_high, seq_low]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes(*ssrc),
        };
        Ok(Self { data, payload: (start, end), extension, header })
    }

    /// The fixed part of the header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.data[self.payload.0..self.payload.1]
    }

    /// Where in the packet the payload is.
    pub fn payload_range(&self) -> std::ops::Range<usize> {
        self.payload.0..self.payload.1
    }

    /// The contributing sources.
    pub fn contributors(&self) -> impl Iterator<Item = u32> + 'a {
        let count = self.data.first().map_or(0, |first| usize::from(first & 0x0f));
        let sources = self.data.get(HEADER..HEADER + 4 * count).unwrap_or_default();
        let (sources, _) = sources.as_chunks::<4>();
        sources.iter().map(|source| u32::from_be_bytes(*source))
    }

    /// The elements of the header extension (RFC 8285): identifier and content.
    pub fn extensions(&self) -> Elements<'a> {
        extension::elements(self.extension)
    }

    /// The content of the extension element with this identifier.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|element| element.0 == id).map(|element| element.1)
    }
}

impl Header {
    /// Writes a header with contributing sources, at most 15, and a header extension block as
    /// [`extension::Block`] makes it, empty for none.
    pub fn write(&self, contributors: &[u32], extension: &[u8], out: &mut impl BufMut) {
        let contributors = contributors.get(..15).unwrap_or(contributors);
        let extension_bit = if extension.is_empty() { 0 } else { EXTENSION };
        out.put_u8(0x80 | extension_bit | contributors.len() as u8);
        out.put_u8((u8::from(self.marker) << 7) | (self.payload_type & !MARKER));
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
        for source in contributors {
            out.put_u32(*source);
        }
        out.put_slice(extension);
    }
}

#[cfg(test)]
mod tests {
    use super::super::extension::Block;
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Header =
        Header { marker: true, payload_type: 96, sequence: 258, timestamp: 7, ssrc: 42 };

    #[test]
    fn what_is_written_is_read() {
        let mut block = Block::default();
        block.push(3, b"mid");
        let mut packet = Vec::new();
        PLAIN.write(&[1, 2], block.finish().as_ref(), &mut packet);
        packet.extend(b"payload");
        let read = Packet::parse(&packet).unwrap();
        assert_eq!(read.header(), PLAIN);
        assert_eq!(read.payload(), b"payload");
        assert_eq!(read.contributors().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read.extension(3), Some(&b"mid"[..]));
        assert_eq!(read.extension(4), None);
    }

    #[test]
    fn padding_is_not_payload() {
        let mut packet = Vec::new();
        PLAIN.write(&[], &[], &mut packet);
        packet[0] |= PADDING;
        packet.extend([1, 2, 3, 0, 0, 3]);
        assert_eq!(Packet::parse(&packet).unwrap().payload(), [1, 2, 3]);
        for (last, what) in [(0, "none"), (7, "more than payload"), (255, "more than the packet")] {
            *packet.last_mut().unwrap() = last;
            assert!(Packet::parse(&packet).is_err(), "{what}");
        }
    }

    #[test]
    fn lies_about_lengths_are_malformed() {
        let mut plain = Vec::new();
        PLAIN.write(&[], &[], &mut plain);
        let with_first = |first: u8, more: &[u8]| {
            let mut packet = plain.clone();
            packet[0] = first;
            packet.extend(more);
            packet
        };
        for (packet, what) in [
            (Vec::new(), "nothing"),
            (plain[..11].to_vec(), "runt"),
            (with_first(0x40, &[]), "version 1"),
            (with_first(0x81, &[0; 3]), "contributors cut off"),
            (with_first(0x90, &[0xbe, 0xde]), "extension header cut off"),
            (with_first(0x90, &[0xbe, 0xde, 0, 2, 0, 0, 0, 0]), "extension cut off"),
            (with_first(0x90, &[0xbe, 0xde, 0xff, 0xff]), "extension longer than all"),
            (with_first(0xb0, &[0xbe, 0xde, 0, 1, 0, 0, 0, 4]), "padding in the extension"),
        ] {
            assert!(Packet::parse(&packet).is_err(), "{what}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        for (second, is_rtcp) in [(96, false), (0x80 | 96, false), (200, true), (207, true)] {
            assert_eq!(super::super::is_rtcp(&[0x80, second]), is_rtcp, "{second}");
        }
        assert!(!super::super::is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(data in prop::collection::vec(any::<u8>(), 0..80), v in 0x80..=0xbfu8) {
            let mut data = data;
            if let Some(first) = data.first_mut() { *first = v; }
            if let Ok(packet) = Packet::parse(&data) {
                prop_assert!(packet.payload().len() <= data.len());
                prop_assert!(packet.extensions().count() <= data.len());
                prop_assert!(packet.contributors().count() <= 15);
            }
        }
    }
}

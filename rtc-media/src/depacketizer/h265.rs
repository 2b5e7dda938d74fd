//! H.265 (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units, without
//! decoding order numbers.

use bytes::Bytes;

use super::Depacketizer;
use crate::Malformed;
use crate::packetizer::NalSeparator;

/// Makes frames of NAL units set apart by a separator.
#[derive(Clone, Debug)]
pub struct H265 {
    separator: NalSeparator,
    /// A fragmented unit as far as it came.
    unit: Vec<u8>,
}

const MALFORMED: Malformed = Malformed::new("H.265 payload");
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const START: u8 = 0x80;
const END: u8 = 0x40;

impl H265 {
    /// `separator` goes before each NAL unit of a frame.
    pub fn new(separator: NalSeparator) -> Self {
        Self { separator, unit: Vec::new() }
    }

    fn add(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let &[first, second, ref content @ ..] = payload else { return Err(MALFORMED) };
        let kind = (first >> 1) & 0x3f;
        if !self.unit.is_empty() && kind != FRAGMENTATION {
            return Err(Malformed::new("H.265 frame: a fragmented unit does not end"));
        }
        match kind {
            0..AGGREGATION => self.separator.append(payload, frame),
            AGGREGATION => {
                let mut rest = content;
                while !rest.is_empty() {
                    let (length, behind) = rest.split_first_chunk().ok_or(MALFORMED)?;
                    let length = u16::from_be_bytes(*length).into();
                    let (unit, behind) = behind.split_at_checked(length).ok_or(MALFORMED)?;
                    rest = behind;
                    if !unit.is_empty() {
                        self.separator.append(unit, frame);
                    }
                }
            }
            FRAGMENTATION => {
                let (&header, content) = content.split_first().ok_or(MALFORMED)?;
                if (header & START != 0) != self.unit.is_empty() {
                    return Err(Malformed::new("H.265 frame: a fragment is missing"));
                }
                if self.unit.is_empty() {
                    self.unit.extend([(first & 0x81) | ((header & 0x3f) << 1), second]);
                }
                self.unit.extend_from_slice(content);
                if header & END != 0 {
                    self.separator.append(&self.unit, frame);
                    self.unit.clear();
                }
            }
            _ => return Err(MALFORMED),
        }
        Ok(())
    }
}

impl Depacketizer for H265 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        self.unit.clear();
        for payload in payloads {
            self.add(payload, frame)?;
        }
        if self.unit.is_empty() {
            Ok(())
        } else {
            Err(Malformed::new("H.265 frame: a fragmented unit does not end"))
        }
    }

    fn begins_frame(&self, payload: &[u8]) -> bool {
        match payload {
            [first, _, header, ..] if (first >> 1) & 0x3f == FRAGMENTATION => header & START != 0,
            _ => true,
        }
    }
}

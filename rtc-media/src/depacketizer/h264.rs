//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A.

use bytes::Bytes;

use super::Depacketizer;
use crate::Malformed;
use crate::packetizer::NalSeparator;

/// Makes frames of NAL units set apart by a separator.
#[derive(Clone, Debug)]
pub struct H264 {
    separator: NalSeparator,
    /// A fragmented unit as far as it came.
    unit: Vec<u8>,
}

const MALFORMED: Malformed = Malformed::new("H.264 payload");
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const START: u8 = 0x80;
const END: u8 = 0x40;

impl H264 {
    /// `separator` goes before each NAL unit of a frame.
    pub fn new(separator: NalSeparator) -> Self {
        Self { separator, unit: Vec::new() }
    }

    fn add(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let &first = payload.first().ok_or(MALFORMED)?;
        let kind = first & 0x1f;
        if !self.unit.is_empty() && kind != FU_A {
            return Err(Malformed::new("H.264 frame: a fragmented unit does not end"));
        }
        match kind {
            1..=23 => self.separator.append(payload, frame),
            STAP_A => {
                let mut rest = &payload[1..];
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
            FU_A => {
                let &[_, header, ref content @ ..] = payload else { return Err(MALFORMED) };
                if (header & START != 0) != self.unit.is_empty() {
                    return Err(Malformed::new("H.264 frame: a fragment is missing"));
                }
                if self.unit.is_empty() {
                    self.unit.push((first & 0xe0) | (header & 0x1f));
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

impl Depacketizer for H264 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        self.unit.clear();
        for payload in payloads {
            self.add(payload, frame)?;
        }
        if self.unit.is_empty() {
            Ok(())
        } else {
            Err(Malformed::new("H.264 frame: a fragmented unit does not end"))
        }
    }

    fn begins_frame(&self, payload: &[u8]) -> bool {
        match payload {
            [first, header, ..] if first & 0x1f == FU_A => header & START != 0,
            _ => true,
        }
    }
}

//! H.265 (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units, without
//! decoding order numbers.

use bytes::Bytes;

use super::Depacketizer;
use super::nal::{Defects, Units, is_first};
use crate::Malformed;
use crate::packetizer::NalSeparator;

/// Makes frames of NAL units set apart by a separator.
#[derive(Clone, Debug)]
pub struct H265 {
    units: Units,
}

static DEFECTS: Defects = Defects {
    payload: Malformed::new("H.265 payload"),
    unfinished: Malformed::new("H.265 frame: a fragmented unit does not end"),
    missing: Malformed::new("H.265 frame: a fragment is missing"),
};
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

impl H265 {
    /// `separator` goes before each NAL unit of a frame.
    pub fn new(separator: NalSeparator) -> Self {
        Self { units: Units::new(separator, &DEFECTS) }
    }
}

fn add(units: &mut Units, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
    let &[first, second, ref content @ ..] = payload else { return Err(DEFECTS.payload) };
    let kind = (first >> 1) & 0x3f;
    if kind != FRAGMENTATION {
        units.finished()?;
    }
    match kind {
        0..AGGREGATION => units.single(payload, frame),
        AGGREGATION => units.several(content, frame)?,
        FRAGMENTATION => {
            let (&header, content) = content.split_first().ok_or(DEFECTS.payload)?;
            let unit_header = [(first & 0x81) | ((header & 0x3f) << 1), second];
            units.fragment(header, &unit_header, content, frame)?;
        }
        _ => return Err(DEFECTS.payload),
    }
    Ok(())
}

impl Depacketizer for H265 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        self.units.collect(payloads, |units, payload| add(units, payload, frame))
    }

    fn begins_frame(&self, payload: &[u8]) -> bool {
        match payload {
            [first, _, header, ..] if (first >> 1) & 0x3f == FRAGMENTATION => is_first(*header),
            _ => true,
        }
    }
}

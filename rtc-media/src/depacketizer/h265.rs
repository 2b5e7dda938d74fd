//! H.265 (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units, without
//! decoding order numbers.

use bytes::Bytes;

use super::nal::{Defects, Units, is_first};
use super::{Beginning, Depacketizer};
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
/// The first type of a slice of a picture for random access.
const RANDOM_ACCESS: u8 = 16;
const VIDEO_PARAMETERS: u8 = 32;
const ACCESS_UNIT_DELIMITER: u8 = 35;
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
    let kind = kind(first);
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

    fn beginning(&self, payload: &[u8]) -> Beginning {
        match payload {
            [first, second, header, content @ ..] if kind(*first) == FRAGMENTATION => {
                match is_first(*header) {
                    true => Beginning::certain_if(is_foremost(
                        header & 0x3f,
                        layer(*first, *second),
                        content,
                    )),
                    false => Beginning::No,
                }
            }
            // Behind its own header and a length.
            [first, _, _, _, unit @ ..] if kind(*first) == AGGREGATION => {
                Beginning::certain_if(is_foremost_unit(unit))
            }
            [] => Beginning::No,
            unit => Beginning::certain_if(is_foremost_unit(unit)),
        }
    }
}

/// The type in the first byte of a unit's header.
fn kind(first: u8) -> u8 {
    (first >> 1) & 0x3f
}

/// The layer in both bytes.
fn layer(first: u8, second: u8) -> u8 {
    ((first & 1) << 5) | (second >> 3)
}

fn is_foremost_unit(unit: &[u8]) -> bool {
    let &[first, second, ref content @ ..] = unit else { return false };
    is_foremost(kind(first), layer(first, second), content)
}

/// Whether a unit comes before all that its picture needs. The first slice of a picture for random
/// access does not: parameter sets belong before it.
fn is_foremost(kind: u8, layer: u8, content: &[u8]) -> bool {
    match kind {
        ACCESS_UNIT_DELIMITER | VIDEO_PARAMETERS => true,
        // first_slice_segment_in_pic_flag
        0..RANDOM_ACCESS if layer == 0 => content.first().is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    }
}

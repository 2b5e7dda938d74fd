//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A.

use bytes::Bytes;

use super::nal::{Defects, Units, is_first};
use super::{Beginning, Depacketizer};
use crate::Malformed;
use crate::packetizer::NalSeparator;

/// Makes frames of NAL units set apart by a separator.
#[derive(Clone, Debug)]
pub struct H264 {
    units: Units,
}

static DEFECTS: Defects = Defects {
    payload: Malformed::new("H.264 payload"),
    unfinished: Malformed::new("H.264 frame: a fragmented unit does not end"),
    missing: Malformed::new("H.264 frame: a fragment is missing"),
};
const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const SEQUENCE_PARAMETERS: u8 = 7;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

impl H264 {
    /// `separator` goes before each NAL unit of a frame.
    pub fn new(separator: NalSeparator) -> Self {
        Self { units: Units::new(separator, &DEFECTS) }
    }
}

fn add(units: &mut Units, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
    let &first = payload.first().ok_or(DEFECTS.payload)?;
    let kind = first & 0x1f;
    if kind != FU_A {
        units.finished()?;
    }
    match kind {
        1..=23 => units.single(payload, frame),
        STAP_A => units.several(&payload[1..], frame)?,
        FU_A => {
            let &[_, header, ref content @ ..] = payload else { return Err(DEFECTS.payload) };
            units.fragment(header, &[(first & 0xe0) | (header & 0x1f)], content, frame)?;
        }
        _ => return Err(DEFECTS.payload),
    }
    Ok(())
}

impl Depacketizer for H264 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        self.units.collect(payloads, |units, payload| add(units, payload, frame))
    }

    fn beginning(&self, payload: &[u8]) -> Beginning {
        match payload {
            [first, header, content @ ..] if first & 0x1f == FU_A => match is_first(*header) {
                true => Beginning::certain_if(is_foremost(header & 0x1f, content)),
                false => Beginning::No,
            },
            // Behind its own header and a length.
            [first, _, _, unit @ ..] if first & 0x1f == STAP_A => {
                let foremost = unit.split_first();
                Beginning::certain_if(
                    foremost.is_some_and(|(first, rest)| is_foremost(first & 0x1f, rest)),
                )
            }
            [first, content @ ..] => Beginning::certain_if(is_foremost(first & 0x1f, content)),
            [] => Beginning::No,
        }
    }
}

/// Whether a unit of this type and content comes before all that its picture needs. The first slice
/// of an IDR picture does not: parameter sets belong before it.
fn is_foremost(kind: u8, content: &[u8]) -> bool {
    match kind {
        ACCESS_UNIT_DELIMITER | SEQUENCE_PARAMETERS => true,
        // first_mb_in_slice is 0, an Exp-Golomb code of one bit.
        SLICE | PARTITION_A => content.first().is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    }
}

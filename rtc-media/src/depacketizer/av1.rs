//! AV1 (the RTP payload format of the Alliance for Open Media).

use bytes::Bytes;

use super::{Beginning, Depacketizer};
use crate::Malformed;
use crate::packetizer::av1::obu::{self, Obu};

/// Makes temporal units: a temporal delimiter, then OBUs with size fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Av1;

const MALFORMED: Malformed = Malformed::new("AV1 payload");
const CONTINUED: u8 = 0x80;
const CONTINUES: u8 = 0x40;
const NEW_SEQUENCE: u8 = 0x08;

/// The OBU elements of a payload (§4.3). Those before the last one always say their length.
fn elements(payload: &[u8], mut each: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    let (&aggregation, mut rest) = payload.split_first()?;
    let count = (aggregation >> 4) & 3;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let element = if number == count {
            std::mem::take(&mut rest)
        } else {
            let (length, behind) = obu::leb128(rest)?;
            let (element, behind) = behind.split_at_checked(length)?;
            rest = behind;
            element
        };
        each(element)?;
    }
    Some(())
}

/// What kind of OBU the first element begins.
fn first_kind(payload: &[u8]) -> Option<u8> {
    let (&aggregation, mut rest) = payload.split_first()?;
    if (aggregation >> 4) & 3 != 1 {
        (_, rest) = obu::leb128(rest)?;
    }
    Some((rest.first()? >> 3) & 0x0f)
}

fn append(unit: &[u8], frame: &mut Vec<u8>) -> Option<()> {
    let (unit, rest) = Obu::read(unit).ok()?;
    if !rest.is_empty() {
        return None;
    }
    if unit.kind() != obu::TEMPORAL_DELIMITER {
        unit.append(frame);
    }
    Some(())
}

impl Depacketizer for Av1 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        frame.extend(obu::DELIMITER);
        // An OBU as far as it came.
        let mut unit = Vec::new();
        for payload in payloads {
            let &aggregation = payload.first().ok_or(MALFORMED)?;
            let mut is_continued = aggregation & CONTINUED != 0;
            if is_continued == unit.is_empty() {
                return Err(Malformed::new("AV1 temporal unit: a fragment is missing"));
            }
            elements(payload, |element| {
                // What is kept goes on in the first element only.
                if !std::mem::take(&mut is_continued) && !unit.is_empty() {
                    append(&std::mem::take(&mut unit), frame)?;
                }
                unit.extend_from_slice(element);
                Some(())
            })
            .ok_or(MALFORMED)?;
            if aggregation & CONTINUES == 0 && !unit.is_empty() {
                append(&std::mem::take(&mut unit), frame).ok_or(MALFORMED)?;
            }
        }
        if unit.is_empty() {
            Ok(())
        } else {
            Err(Malformed::new("AV1 temporal unit: an end is missing"))
        }
    }

    /// A new coded video sequence, and what stands first in a temporal unit. Any other OBU may have
    /// been preceded by frames of lower layers or by ones that are not shown.
    fn beginning(&self, payload: &[u8]) -> Beginning {
        match payload.first() {
            Some(first) if first & CONTINUED == 0 => {
                let kind = first_kind(payload);
                let is_first = kind == Some(obu::TEMPORAL_DELIMITER);
                Beginning::certain_if(
                    first & NEW_SEQUENCE != 0 || is_first || kind == Some(obu::SEQUENCE_HEADER),
                )
            }
            _ => Beginning::No,
        }
    }
}

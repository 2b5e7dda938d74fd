//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A.

use bytes::Bytes;

use super::Depacketizer;
use super::nal::{Defects, Units, is_first};
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

    fn begins_frame(&self, payload: &[u8]) -> bool {
        match payload {
            [first, header, ..] if first & 0x1f == FU_A => is_first(*header),
            _ => true,
        }
    }
}

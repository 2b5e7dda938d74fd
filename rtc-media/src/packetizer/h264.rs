//! H.264 (RFC 6184).

use super::nal::{NalSeparator, fragments};
use super::{Packetizer, Payloads, limit};
use crate::Malformed;

/// Cuts frames of H.264 into single NAL unit packets and FU-A.
#[derive(Clone, Debug)]
pub struct H264 {
    separator: NalSeparator,
    limit: usize,
}

const FU_A: u8 = 28;

impl H264 {
    /// `max_fragment_size` is the greatest payload in bytes, 0 for the default.
    pub fn new(separator: NalSeparator, max_fragment_size: u16) -> Self {
        Self { separator, limit: limit(max_fragment_size) }
    }

    fn push(&self, unit: &[u8], payloads: &mut Payloads) {
        let Some((&header, content)) = unit.split_first() else { return };
        if unit.len() <= self.limit {
            payloads.push(&[unit]);
            return;
        }
        let indicator = (header & 0xe0) | FU_A;
        let parts = fragments(unit.len(), content, self.limit, 2);
        let last = parts.len() - 1;
        for (position, part) in parts.enumerate() {
            let start = u8::from(position == 0) << 7;
            let end = u8::from(position == last) << 6;
            payloads.push(&[&[indicator, start | end | (header & 0x1f)], part]);
        }
    }
}

impl Packetizer for H264 {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        payloads.reserve(frame.len(), self.limit);
        for unit in self.separator.split(frame) {
            self.push(unit?, payloads);
        }
        Ok(())
    }
}

//! H.265 (RFC 7798).

use super::nal::{NalSeparator, fragments};
use super::{Packetizer, Payloads, limit};
use crate::Malformed;

/// Cuts frames of H.265 into single NAL unit packets and fragmentation units.
#[derive(Clone, Debug)]
pub struct H265 {
    separator: NalSeparator,
    limit: usize,
}

const FU: u8 = 49;

impl H265 {
    /// `max_fragment_size` is the greatest payload in bytes, 0 for the default.
    pub fn new(separator: NalSeparator, max_fragment_size: u16) -> Self {
        Self { separator, limit: limit(max_fragment_size) }
    }

    fn push(&self, unit: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        let Some((&[first, second], content)) = unit.split_first_chunk() else {
            return Err(Malformed::new("NAL unit: shorter than its header"));
        };
        if unit.len() <= self.limit {
            payloads.push(&[unit]);
            return Ok(());
        }
        let kind = (first >> 1) & 0x3f;
        let header = (first & 0x81) | (FU << 1);
        let parts = fragments(unit.len(), content, self.limit, 3);
        let last = parts.len() - 1;
        for (position, part) in parts.enumerate() {
            let start = u8::from(position == 0) << 7;
            let end = u8::from(position == last) << 6;
            payloads.push(&[&[header, second, start | end | kind], part]);
        }
        Ok(())
    }
}

impl Packetizer for H265 {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        payloads.reserve(frame.len(), self.limit);
        for unit in self.separator.split(frame) {
            self.push(unit?, payloads)?;
        }
        Ok(())
    }
}

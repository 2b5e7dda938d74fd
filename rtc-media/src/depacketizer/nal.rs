//! What payloads of H.264 and H.265 have in common: a packet holds one NAL unit, several, or a
//! fragment of one.

use bytes::Bytes;

use crate::Malformed;
use crate::packetizer::NalSeparator;

/// The first fragment of a unit, in the header of a fragment.
const START: u8 = 0x80;
/// The last one.
const END: u8 = 0x40;

/// Collects the NAL units of a frame.
#[derive(Clone, Debug)]
pub(super) struct Units {
    separator: NalSeparator,
    /// A fragmented unit as far as it came.
    unit: Vec<u8>,
    defects: &'static Defects,
}

/// What can be wrong, in the words of a codec.
#[derive(Debug)]
pub(super) struct Defects {
    pub(super) payload: Malformed,
    pub(super) unfinished: Malformed,
    pub(super) missing: Malformed,
}

impl Units {
    pub(super) fn new(separator: NalSeparator, defects: &'static Defects) -> Self {
        Self { separator, unit: Vec::new(), defects }
    }

    /// Makes a frame of payloads, each of which `add` takes apart.
    pub(super) fn collect(
        &mut self,
        payloads: &[Bytes],
        mut add: impl FnMut(&mut Self, &[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.unit.clear();
        for payload in payloads {
            add(self, payload)?;
        }
        self.finished()
    }

    /// Fails in the middle of a fragmented unit.
    pub(super) fn finished(&self) -> Result<(), Malformed> {
        if self.unit.is_empty() { Ok(()) } else { Err(self.defects.unfinished) }
    }

    /// A whole unit.
    pub(super) fn single(&self, unit: &[u8], frame: &mut Vec<u8>) {
        self.separator.append(unit, frame);
    }

    /// Units with their lengths in two bytes before each.
    pub(super) fn several(&self, mut rest: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().ok_or(self.defects.payload)?;
            let length = u16::from_be_bytes(*length).into();
            let (unit, behind) = behind.split_at_checked(length).ok_or(self.defects.payload)?;
            rest = behind;
            if !unit.is_empty() {
                self.separator.append(unit, frame);
            }
        }
        Ok(())
    }

    /// A fragment with its header; `unit_header` is what the unit begins with.
    pub(super) fn fragment(
        &mut self,
        header: u8,
        unit_header: &[u8],
        content: &[u8],
        frame: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        if is_first(header) != self.unit.is_empty() {
            return Err(self.defects.missing);
        }
        if self.unit.is_empty() {
            self.unit.extend_from_slice(unit_header);
        }
        self.unit.extend_from_slice(content);
        if header & END != 0 {
            self.separator.append(&self.unit, frame);
            self.unit.clear();
        }
        Ok(())
    }
}

/// Whether this is the header of a unit's first fragment.
pub(super) fn is_first(header: u8) -> bool {
    header & START != 0
}

//! VP8 (RFC 7741).

use bytes::Bytes;

use super::{Beginning, Depacketizer};
use crate::Malformed;

/// Makes frames of VP8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vp8;

const MALFORMED: Malformed = Malformed::new("VP8 payload");

/// What stands behind the descriptor (§4.2).
fn content(payload: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = payload.split_first()?;
    if first & 0x80 != 0 {
        let (&extension, behind) = rest.split_first()?;
        rest = behind;
        if extension & 0x80 != 0 {
            let picture = if rest.first()? & 0x80 != 0 { 2 } else { 1 };
            rest = rest.get(picture..)?;
        }
        // TL0PICIDX; then TID, Y and KEYIDX share a byte
        let more = usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
        rest = rest.get(more..)?;
    }
    Some(rest)
}

impl Depacketizer for Vp8 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        if payloads.first().is_some_and(|payload| self.beginning(payload) == Beginning::No) {
            return Err(Malformed::new("VP8 frame: its beginning is missing"));
        }
        for payload in payloads {
            frame.extend_from_slice(content(payload).ok_or(MALFORMED)?);
        }
        Ok(())
    }

    /// The start of the first partition.
    fn beginning(&self, payload: &[u8]) -> Beginning {
        match payload.first() {
            Some(first) if first & 0x17 == 0x10 => Beginning::Certain,
            _ => Beginning::No,
        }
    }
}

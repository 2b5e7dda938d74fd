//! Audio: a payload is a frame.

use bytes::Bytes;

use super::{Beginning, Depacketizer};
use crate::Malformed;

/// Opus, AAC, PCMU, PCMA and G.722: every payload is a frame, unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audio;

impl Depacketizer for Audio {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        for payload in payloads {
            frame.extend_from_slice(payload);
        }
        Ok(())
    }

    fn beginning(&self, _: &[u8]) -> Beginning {
        Beginning::Certain
    }

    fn is_whole(&self) -> bool {
        true
    }
}

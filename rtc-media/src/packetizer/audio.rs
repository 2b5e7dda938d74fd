//! Audio: a frame is a payload.

use super::{Packetizer, Payloads};
use crate::Malformed;

/// Opus (RFC 7587), AAC (RFC 6416), PCMU, PCMA and G.722 (RFC 3551): every frame is the payload of
/// one packet, unchanged. A frame of AAC is an `AudioMuxElement` of LATM.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audio;

/// What fits into a datagram.
const MAX: usize = 65_000;

impl Packetizer for Audio {
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed> {
        if frame.is_empty() || frame.len() > MAX {
            return Err(Malformed::new("audio frame: it has no or too many bytes"));
        }
        payloads.push(&[frame]);
        Ok(())
    }
}

//! From RTP payloads to encoded frames.
//!
//! [`Assembler`] puts the packets of a stream in order and finds where frames begin and end; a
//! [`Depacketizer`] makes a frame of the payloads. [`handler::Depacketizing`] drives both.
//!
//! [`handler::Depacketizing`]: crate::handler::Depacketizing

mod assembler;
mod audio;
mod av1;
mod h264;
mod h265;
mod nal;
#[cfg(test)]
mod tests;
mod vp8;
mod vp9;

pub use assembler::{Assembler, Frame};
pub use audio::Audio;
pub use av1::Av1;
pub use h264::H264;
pub use h265::H265;
pub use vp8::Vp8;
pub use vp9::Vp9;

use std::fmt::Debug;

use bytes::Bytes;

use crate::Malformed;

/// The greatest frame that is put together, in bytes.
pub const MAX_FRAME: usize = 32 << 20;

/// Whether a frame begins with a payload, as far as the payload itself tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It belongs to what is before it.
    No,
    /// It may, and it may as well be one part of several.
    Possible,
    /// Nothing that its frame could not do without comes before it.
    Certain,
}

impl Beginning {
    /// [`Self::Certain`] if `is_certain`, else [`Self::Possible`].
    fn certain_if(is_certain: bool) -> Self {
        if is_certain { Self::Certain } else { Self::Possible }
    }
}

/// Makes frames of the payloads of their packets.
pub trait Depacketizer: Send + Debug {
    /// Appends the frame that these payloads carry: all of one frame, in order, none empty.
    /// On failure what was appended is of no use.
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed>;

    /// Whether a frame begins with this payload. Asked where packets before it may be missing.
    fn beginning(&self, payload: &[u8]) -> Beginning;

    /// Whether every packet is a frame of its own, to be passed on as it comes.
    fn is_whole(&self) -> bool {
        false
    }
}

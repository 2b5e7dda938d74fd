//! From encoded frames to RTP payloads.
//!
//! A [`Packetizer`] cuts one frame into payloads; headers are the business of
//! [`handler::Packetizing`](crate::handler::Packetizing), which the chain of a track begins with.

mod audio;
pub(crate) mod av1;
pub(crate) mod nal;
mod payloads;
mod vp8;
mod vp9;

mod h264;
mod h265;
#[cfg(test)]
mod tests;

pub use audio::Audio;
pub use av1::{Av1, ObuPacketization};
pub use h264::H264;
pub use h265::H265;
pub use nal::NalSeparator;
pub use payloads::Payloads;
pub use vp8::Vp8;
pub use vp9::Vp9;

use std::fmt::Debug;

use crate::Malformed;

/// The default for [`Options::max_fragment_size`]: a datagram of 1280 bytes less what IPv6, UDP
/// and RTP need. The tag of SRTP and header extensions come on top.
pub const DEFAULT_MAX_FRAGMENT_SIZE: u16 = 1280 - 12 - 8 - 40;

/// Cuts frames into RTP payloads.
pub trait Packetizer: Send + Debug {
    /// Appends the payloads of `frame`. On failure what was appended is still to be sent: the part
    /// of the frame that was in order.
    fn packetize(&mut self, frame: &[u8], payloads: &mut Payloads) -> Result<(), Malformed>;
}

/// What packetizers can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The greatest payload of a video packet in bytes; 0 for the default.
    pub max_fragment_size: u16,
    /// How NAL units are set apart in a frame of H.264 and H.265.
    pub nal_separator: NalSeparator,
    /// What a message of AV1 is.
    pub obu_packetization: ObuPacketization,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_fragment_size: DEFAULT_MAX_FRAGMENT_SIZE,
            nal_separator: NalSeparator::Length,
            obu_packetization: ObuPacketization::Obu,
        }
    }
}

/// The greatest payload, 0 being the default; never so small that headers leave no room.
fn limit(max_fragment_size: u16) -> usize {
    match max_fragment_size {
        0 => DEFAULT_MAX_FRAGMENT_SIZE.into(),
        size => usize::from(size).max(16),
    }
}

/// Cuts `data` into as few pieces of at most `limit` bytes as it takes, all about equally long.
fn pieces(data: &[u8], limit: usize) -> std::slice::Chunks<'_, u8> {
    let count = data.len().div_ceil(limit.max(1)).max(1);
    data.chunks(data.len().div_ceil(count).max(1))
}

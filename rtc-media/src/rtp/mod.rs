//! RTP packets (RFC 3550 §5).

pub mod extension;
mod packet;
mod rtx;

pub use packet::{HEADER, Header, Packet};
pub use rtx::Rtx;

/// Whether a datagram that starts with version 2 is RTCP rather than RTP: its packet type, the
/// second byte, is in 192..=223 (RFC 5761 §4).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [_, 192..=223, ..])
}

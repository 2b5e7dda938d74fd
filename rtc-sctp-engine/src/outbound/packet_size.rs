//! Noticing that the path no longer carries packets above the base size (RFC 8899 §4.3).

use super::Outbound;
use super::outstanding::OutChunk;
use crate::clock::Nanos;

/// Chunks of large packets that get lost, with none sent since acknowledged, before the path is
/// taken for a black hole. What is lost goes again in small packets, so more can be waited for.
const BLACK_HOLE: u32 = 6;

/// What became of packets above the base size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LargePackets {
    /// When the newest was sent that arrived.
    arrived: Nanos,
    /// Chunks lost that were sent after it.
    lost: u32,
    black_hole: bool,
}

impl LargePackets {
    #[inline]
    pub(super) fn acknowledged(&mut self, chunk: &OutChunk) {
        if chunk.large && chunk.sent_at > self.arrived {
            *self = Self { arrived: chunk.sent_at, lost: 0, black_hole: false };
        }
    }

    pub(super) fn lost(&mut self, chunk: &OutChunk) {
        if chunk.large && chunk.sent_at > self.arrived {
            self.lost += 1;
            self.black_hole |= self.lost >= BLACK_HOLE;
        }
    }

    /// Nothing came back for the time of a time-out. It may be for another reason, but small packets
    /// are as good then.
    pub(super) fn timed_out(&mut self) {
        self.black_hole |= self.lost > 0;
    }
}

impl Outbound {
    /// True once for each black hole that was found.
    pub(crate) fn take_black_hole(&mut self) -> bool {
        let found = self.large.black_hole;
        if found {
            self.large = LargePackets { arrived: self.last_sent, lost: 0, black_hole: false };
        }
        found
    }
}

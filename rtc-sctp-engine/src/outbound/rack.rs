//! Loss detection by time (RFC 8985, with SACK chunks in the place of TCP SACK options).

use super::outstanding::{OutChunk, Transmission};
use crate::clock::Nanos;
use crate::serial::Tsn;

/// Chunks acknowledged out of order after which, without known reordering, loss is declared at
/// once (RFC 8985 §6.2: DupThresh).
const DUPLICATE_THRESHOLD: usize = 3;
/// Largest reordering window, in quarters of the smallest round-trip time.
const MAX_MULTIPLIER: u32 = 16;
/// Round trips without a spurious retransmission after which the window shrinks again.
const PERSISTENCE: u32 = 16;

/// What the most recently sent of the acknowledged chunks tells about the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rack {
    /// Send time and TSN of that chunk.
    sent_at: Nanos,
    tsn: Tsn,
    rtt: Nanos,
    highest_acked: Tsn,
    reordering_seen: bool,
    multiplier: u32,
    /// TSN that must be acknowledged before the multiplier may change again.
    round_end: Tsn,
    quiet_rounds: u32,
}

impl Rack {
    /// A chunk was acknowledged for the first time.
    #[inline]
    pub(crate) fn acknowledged(&mut self, now: Nanos, tsn: Tsn, chunk: &OutChunk, min_rtt: Nanos) {
        let resent = chunk.transmissions > 1;
        if tsn > self.highest_acked {
            self.highest_acked = tsn;
        } else if !resent {
            self.reordering_seen = true;
        }
        let rtt = now.saturating_sub(chunk.sent_at);
        // Too early to be the answer to the retransmission (RFC 8985 §6.2 step 2).
        if resent && rtt < min_rtt {
            return;
        }
        if (chunk.sent_at, tsn) >= (self.sent_at, self.tsn) {
            (self.sent_at, self.tsn, self.rtt) = (chunk.sent_at, tsn, rtt);
        }
    }

    /// The peer reported that a retransmission was not needed: waits longer from now on.
    pub(crate) fn spurious(&mut self, next_tsn: Tsn) {
        self.reordering_seen = true;
        self.quiet_rounds = 0;
        if self.highest_acked >= self.round_end {
            self.multiplier = (self.multiplier + 1).min(MAX_MULTIPLIER);
            self.round_end = next_tsn;
        }
    }

    /// Called once per acknowledgement that made progress.
    pub(crate) fn end_of_acknowledgement(&mut self, next_tsn: Tsn) {
        if self.multiplier > 1 && self.highest_acked >= self.round_end {
            self.round_end = next_tsn;
            self.quiet_rounds += 1;
            if self.quiet_rounds >= PERSISTENCE {
                self.multiplier = 1;
                self.quiet_rounds = 0;
            }
        }
    }

    /// How much later than its successors a chunk may arrive without being taken for lost.
    pub(crate) fn window(&self, acked_count: usize, min_rtt: Nanos, srtt: Nanos) -> Nanos {
        if !self.reordering_seen && acked_count >= DUPLICATE_THRESHOLD {
            return 0;
        }
        (u64::from(self.multiplier.max(1)) * min_rtt / 4).min(srtt)
    }

    /// When a transmission is to be taken for lost; `None` when nothing sent after it has been
    /// acknowledged.
    #[inline]
    pub(crate) fn deadline(&self, sent: &Transmission, window: Nanos) -> Option<Nanos> {
        let earlier = (sent.sent_at, sent.tsn) < (self.sent_at, self.tsn);
        earlier.then(|| sent.sent_at + self.rtt + window)
    }

    /// How old a chunk must be to be lost when the retransmission timer expires.
    pub(crate) fn patience(&self, min_rtt: Nanos, srtt: Nanos) -> Nanos {
        self.rtt + self.window(0, min_rtt, srtt)
    }
}

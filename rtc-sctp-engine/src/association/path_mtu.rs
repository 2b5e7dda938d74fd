//! Path MTU discovery by probing (RFC 8899, its §6.2 for SCTP).
//!
//! A probe is a packet of its own with a HEARTBEAT and padding (RFC 4820): its loss costs no data
//! and no congestion window. The search begins at the upper end, which most paths carry, and halves
//! what is left after that. DATA is cut for the base size whatever the path carries, and larger
//! packets have several chunks: so that, when the path shrinks, everything that is outstanding
//! still fits it (a chunk with a TSN cannot be cut again).

use super::Association;
use super::transmit::HEARTBEAT_INFO;
use crate::State;
use crate::clock::{Nanos, SECOND};
use crate::wire::{PacketWriter, kind};

/// Probes of one size that go unanswered before the size is taken for too large (RFC 8899 §5.1.2,
/// MAX_PROBES).
const MAX_PROBES: u32 = 3;
/// Least time for the answer to a probe (RFC 8899 §5.1.1, PROBE_TIMER). The RFC would rather have
/// 15 s where nothing is known of the round trip, which is measured here.
const PROBE_TIMEOUT: Nanos = SECOND;
/// Time after which a path is asked for more than it carried (RFC 8899 §5.1.1, PMTU_RAISE_TIMER).
const RAISE_AFTER: Nanos = 600 * SECOND;
/// Time between the discovery of a black hole and the next search.
const SEARCH_AFTER_FALL: Nanos = 5 * SECOND;
/// Sizes nearer to each other than this are not told apart, bytes.
const PRECISION: usize = 16;

/// A probe on its way.
#[derive(Clone, Copy, Debug)]
struct Probe {
    nonce: u64,
    size: usize,
}

/// The search for the largest packet that the path carries. Sizes are of SCTP packets.
#[derive(Clone, Debug)]
pub(super) struct PathMtu {
    base: usize,
    max: usize,
    /// What the path is known to carry.
    current: usize,
    /// The search goes up to here.
    ceiling: usize,
    awaited: Option<Probe>,
    /// Probes of the size under test that were not answered.
    failures: u32,
    /// When the next step is due: a probe, or giving one up.
    pub(super) at: Option<Nanos>,
    /// A probe is to be sent.
    due: bool,
}

impl PathMtu {
    /// A search between `base`, which every path carries, and `max`; none when that is no more.
    pub(super) fn new(base: usize, max: usize) -> Self {
        let max = max.max(base);
        Self {
            base,
            max,
            current: base,
            ceiling: max,
            awaited: None,
            failures: 0,
            at: None,
            due: false,
        }
    }

    /// Largest packet for data, bytes.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// Starts over from the base size, at `at`.
    fn start(&mut self, at: Nanos) {
        *self = Self::new(self.base, self.max);
        self.search(at);
    }

    /// Whether the search has come to its end below the upper limit.
    fn is_complete(&self) -> bool {
        self.ceiling < self.max && self.ceiling < self.current + PRECISION
    }

    /// Plans the next probe, or the next search when this one is complete.
    fn search(&mut self, at: Nanos) {
        self.awaited = None;
        self.failures = 0;
        let wait = if self.is_complete() { RAISE_AFTER } else { 0 };
        self.at = (self.current < self.max).then_some(at + wait);
    }

    /// The size to be tested next.
    fn candidate(&self) -> usize {
        match self.ceiling == self.max {
            true => self.max,
            false => (self.current + (self.ceiling - self.current) / 2).next_multiple_of(4),
        }
    }

    fn expire(&mut self, now: Nanos) {
        if self.at.is_none_or(|at| at > now) {
            return;
        }
        if let Some(missed) = self.awaited.take() {
            self.failures += 1;
            if self.failures == MAX_PROBES {
                self.ceiling = missed.size - 4;
                self.search(now);
            }
        } else if self.is_complete() {
            self.ceiling = self.max;
        }
        if self.at.is_some_and(|at| at <= now) {
            self.due = true;
            self.at = None;
        }
    }

    /// The probe to send, when one is due. An answer is waited for until `deadline`.
    fn take_probe(&mut self, nonce: u64, deadline: Nanos) -> usize {
        let size = self.candidate();
        self.due = false;
        self.awaited = Some(Probe { nonce, size });
        self.at = Some(deadline);
        size
    }

    /// True when `nonce` answers the probe that is awaited: the path carries its size.
    fn acknowledge(&mut self, now: Nanos, nonce: u64) -> bool {
        let Some(probe) = self.awaited.take_if(|probe| probe.nonce == nonce) else { return false };
        self.current = probe.size;
        self.search(now);
        true
    }
}

impl Association {
    /// Starts the search; without effect unless the configuration asks for one.
    pub(super) fn start_path_mtu(&mut self, now: Nanos) {
        self.path_mtu.start(now);
    }

    /// Goes back to the base size when the path no longer carries larger packets; a new search
    /// comes later.
    pub(super) fn leave_black_hole(&mut self, now: Nanos) {
        if self.outbound.take_black_hole() {
            self.start_path_mtu(now + SEARCH_AFTER_FALL);
        }
    }

    pub(super) fn expire_path_mtu(&mut self, now: Nanos) {
        self.path_mtu.expire(now);
    }

    /// A packet with nothing but a probe, when one is due.
    pub(super) fn write_path_probe(&mut self, now: Nanos, buffer: &mut [u8]) -> Option<usize> {
        if !self.path_mtu.due || self.state != State::Established {
            return None;
        }
        let nonce = self.random.next_u64();
        let deadline = now + PROBE_TIMEOUT.max(self.outbound.rtt.rto());
        let size = self.path_mtu.take_probe(nonce, deadline);
        let mut packet = PacketWriter::new(buffer.get_mut(..size)?, self.ports(), self.peer_tag)?;
        packet.put(kind::HEARTBEAT, 0, &[&HEARTBEAT_INFO, &nonce.to_be_bytes()]);
        packet.put_padding();
        Some(packet.finish(self.sends_zero_checksum))
    }

    /// True when `info`, a parameter as we sent it, answers a probe.
    pub(super) fn receive_path_probe_ack(&mut self, now: Nanos, info: &[u8]) -> bool {
        let nonce = info.get(4..).and_then(|nonce| nonce.try_into().ok()).map(u64::from_be_bytes);
        let answered = nonce.is_some_and(|nonce| self.path_mtu.acknowledge(now, nonce));
        if answered {
            self.errors = 0;
        }
        answered
    }
}

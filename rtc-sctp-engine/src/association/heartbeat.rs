//! Heartbeats (RFC 9260 §8.3).

use super::Association;
use crate::clock::Nanos;

/// The heartbeat timer and the heartbeat that waits for its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    pub(super) at: Option<Nanos>,
    /// Random contents and the time it was sent.
    awaited: Option<(u64, Nanos)>,
    pub(super) due: bool,
}

impl Association {
    pub(super) fn start_heartbeat(&mut self, now: Nanos) {
        self.heartbeat = Heartbeat::default();
        self.note_alive(now);
    }

    /// The peer showed that it is there: the next heartbeat is a full interval away.
    pub(super) fn note_alive(&mut self, now: Nanos) {
        let interval = self.heartbeat_interval();
        if interval > 0 {
            self.heartbeat.at = Some(now + interval + self.outbound.rtt.rto());
        }
    }

    pub(super) fn expire_heartbeat(&mut self, now: Nanos) {
        if self.heartbeat.awaited.take().is_some() {
            self.count_error();
            if self.over {
                return;
            }
            // Or no heartbeat would ever be answered in time on a path slower than the time-out,
            // which an end that only receives has nothing else to correct by.
            self.outbound.rtt.back_off();
        }
        self.note_alive(now);
        self.heartbeat.due = true;
    }

    /// Contents of the heartbeat to send.
    pub(super) fn take_heartbeat(&mut self, now: Nanos) -> Option<[u8; 8]> {
        if !std::mem::take(&mut self.heartbeat.due) {
            return None;
        }
        let nonce = self.random.next_u64();
        self.heartbeat.awaited = Some((nonce, now));
        // Unanswered, it is missed after a time-out, not after a whole interval.
        self.heartbeat.at = Some(now + self.outbound.rtt.rto());
        Some(nonce.to_be_bytes())
    }

    /// `info` is the parameter as we sent it.
    pub(super) fn receive_heartbeat_ack(&mut self, now: Nanos, info: &[u8]) {
        let Some((nonce, sent_at)) = self.heartbeat.awaited else { return };
        if info.get(4..) == Some(&nonce.to_be_bytes()[..]) {
            self.heartbeat.awaited = None;
            self.errors = 0;
            self.outbound.rtt.sample(now, now.saturating_sub(sent_at));
            self.note_alive(now);
        }
    }
}

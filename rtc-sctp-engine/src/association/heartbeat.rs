//! Heartbeats (RFC 9260 §8.3).

use std::collections::VecDeque;

use super::Association;
use crate::clock::Nanos;

/// Heartbeats remembered after they were missed: their answers may only be late.
const REMEMBERED: usize = 8;

/// The heartbeat timer and the heartbeats that wait for their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Heartbeat {
    pub(super) at: Option<Nanos>,
    /// Random contents and the time each was sent, newest last.
    sent: VecDeque<(u64, Nanos)>,
    /// The newest has not been answered.
    awaited: bool,
    pub(super) due: bool,
}

impl Association {
    pub(super) fn start_heartbeat(&mut self, now: Nanos) {
        self.heartbeat = Heartbeat::default();
        self.note_alive(now);
    }

    /// The peer showed that it is there, or a heartbeat is on its way: the next one is a whole period
    /// away, which the time-out is part of. A peer that falls silent while nothing is sent is thus
    /// given up after more than a minute, long after ICE has lost it and may have found it again.
    pub(super) fn note_alive(&mut self, now: Nanos) {
        let interval = self.heartbeat_interval();
        if interval > 0 {
            self.heartbeat.at = Some(now + interval + self.outbound.rtt.rto());
        }
    }

    pub(super) fn expire_heartbeat(&mut self, now: Nanos) {
        if std::mem::take(&mut self.heartbeat.awaited) {
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
        if self.heartbeat.sent.len() == REMEMBERED {
            self.heartbeat.sent.pop_front();
        }
        self.heartbeat.sent.push_back((nonce, now));
        self.heartbeat.awaited = true;
        Some(nonce.to_be_bytes())
    }

    /// `info` is the parameter as we sent it. The answer to a heartbeat that was missed shows as well
    /// as any that the peer is there, and tells how slow the path has become.
    pub(super) fn receive_heartbeat_ack(&mut self, now: Nanos, info: &[u8]) {
        if self.receive_path_probe_ack(now, info) {
            return;
        }
        let answered = |(nonce, _): &(u64, Nanos)| info.get(4..) == Some(&nonce.to_be_bytes()[..]);
        if let Some(at) = self.heartbeat.sent.iter().position(answered)
            && let Some((_, sent_at)) = self.heartbeat.sent.get(at).copied()
        {
            self.heartbeat.sent.drain(..=at);
            self.heartbeat.awaited = false;
            self.errors = 0;
            self.outbound.rtt.sample(now, now.saturating_sub(sent_at));
            self.note_alive(now);
        }
    }
}

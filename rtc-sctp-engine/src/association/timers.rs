//! All timers of the association.

use super::{AckDue, Association};
use crate::clock::Nanos;
use crate::outbound::Expiry;

impl Association {
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        if self.over {
            return None;
        }
        let ack = match self.ack {
            AckDue::At(at) => Some(at),
            AckDue::No | AckDue::Now => None,
        };
        let sending = if self.is_connected() { self.outbound.deadline() } else { None };
        let own = [self.handshake.at, self.ending.at, self.heartbeat.at, self.path_mtu.at];
        own.into_iter().chain([ack, sending, self.resets.retry_at]).flatten().min()
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        let due = |at: Option<Nanos>| at.is_some_and(|at| at <= now);
        if self.over {
            return;
        }
        if matches!(self.ack, AckDue::At(at) if at <= now) {
            self.ack = AckDue::Now;
        }
        if due(self.handshake.at) {
            self.expire_handshake(now);
        }
        if self.is_connected() && self.outbound.handle_timeout(now) == Expiry::Timeout {
            self.count_error();
        }
        if !self.over && due(self.ending.at) {
            self.expire_ending(now);
        }
        if !self.over && due(self.heartbeat.at) {
            self.expire_heartbeat(now);
        }
        if !self.over {
            self.leave_black_hole(now);
            self.expire_path_mtu(now);
        }
        if !self.over && due(self.resets.retry_at) {
            self.expire_reset(now);
        }
        if !self.over {
            // Messages may have been given up.
            self.continue_ending(now);
            self.request_resets(now);
        }
    }
}

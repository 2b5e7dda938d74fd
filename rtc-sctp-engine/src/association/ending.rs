//! Shutdown and abort (RFC 9260 §9).

use super::{Association, Backoff};
use crate::clock::Nanos;
use crate::wire::{Parameters, cause};
use crate::{Event, FailureReason, State};

/// Bytes of an abort reason that are sent or reported.
const MAX_REASON: usize = 256;

impl Association {
    pub(super) fn begin_shutdown(&mut self, now: Nanos) {
        match self.state {
            State::Established => {
                self.state = State::ShutdownPending;
                self.continue_ending(now);
            }
            State::Closed | State::CookieWait | State::CookieEchoed => self.end(Event::Shutdown),
            _ => {}
        }
    }

    /// Goes on with a shutdown once everything sent is acknowledged.
    pub(super) fn continue_ending(&mut self, now: Nanos) {
        if !self.outbound.is_drained() {
            return;
        }
        match self.state {
            State::ShutdownPending => {
                self.state = State::ShutdownSent;
                self.pending.shutdown = true;
            }
            State::ShutdownReceived => {
                self.state = State::ShutdownAckSent;
                self.pending.shutdown_ack = true;
            }
            _ => return,
        }
        self.ending = Backoff { at: Some(now + self.outbound.rtt.rto()), expirations: 0 };
    }

    /// T2.
    pub(super) fn expire_ending(&mut self, now: Nanos) {
        self.ending.expirations += 1;
        if self.ending.expirations > self.config.max_retransmits {
            self.fail(FailureReason::MaxRetransmits);
            return;
        }
        match self.state {
            State::ShutdownSent => self.pending.shutdown = true,
            State::ShutdownAckSent => self.pending.shutdown_ack = true,
            _ => {
                self.ending = Backoff::default();
                return;
            }
        }
        self.outbound.rtt.back_off();
        self.ending.at = Some(now + self.outbound.rtt.rto());
    }

    pub(super) fn receive_shutdown(&mut self, now: Nanos, cumulative: u32) {
        if !self.is_connected() || !self.outbound.handle_cumulative(now, cumulative) {
            return;
        }
        match self.state {
            State::Established | State::ShutdownPending => self.state = State::ShutdownReceived,
            State::ShutdownReceived => {}
            State::ShutdownSent => {
                // Both sides shut down at once (RFC 9260 §9.2).
                self.state = State::ShutdownAckSent;
                self.pending.shutdown_ack = true;
                self.ending = Backoff { at: Some(now + self.outbound.rtt.rto()), expirations: 0 };
                return;
            }
            State::ShutdownAckSent => {
                self.pending.shutdown_ack = true;
                return;
            }
            State::Closed | State::CookieWait | State::CookieEchoed => return,
        }
        self.continue_ending(now);
    }

    pub(super) fn receive_shutdown_ack(&mut self) {
        match self.state {
            State::ShutdownSent | State::ShutdownAckSent => {
                self.pending.shutdown_complete = true;
                self.end(Event::Shutdown);
            }
            _ => {}
        }
    }

    pub(super) fn receive_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.end(Event::Shutdown);
        }
    }

    pub(super) fn abort_as_user(&mut self, reason: &str) {
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default();
        if self.peer_tag != 0 && !self.over {
            self.pending.abort = Some((cause::USER_INITIATED_ABORT, reason.as_bytes().to_vec()));
        }
        self.end(Event::Aborted { by_peer: false, reason: reason.to_owned() });
    }

    /// Ends the association because of what the peer did.
    pub(super) fn abort_with(&mut self, cause: u16, value: &[u8]) {
        if !self.over {
            self.pending.abort = Some((cause, value.to_vec()));
            self.end(Event::Aborted { by_peer: false, reason: cause_name(cause).to_owned() });
        }
    }

    pub(super) fn receive_abort(&mut self, causes: &[u8]) {
        let reason = match Parameters::new(causes).next() {
            Some(c)
                if matches!(c.kind, cause::USER_INITIATED_ABORT | cause::PROTOCOL_VIOLATION) =>
            {
                let text = c.value.get(..MAX_REASON).unwrap_or(c.value);
                let text = String::from_utf8_lossy(text);
                if text.is_empty() { cause_name(c.kind).to_owned() } else { text.into_owned() }
            }
            Some(c) => cause_name(c.kind).to_owned(),
            None => "no reason given".to_owned(),
        };
        self.end(Event::Aborted { by_peer: true, reason });
    }

    /// An ERROR chunk. Only a stale cookie needs an answer: a new handshake, unless the peer finds
    /// every cookie stale.
    pub(super) fn receive_error(&mut self, now: Nanos, causes: &[u8]) {
        let stale = Parameters::new(causes).any(|c| c.kind == cause::STALE_COOKIE);
        if !stale || self.state != State::CookieEchoed {
            return;
        }
        self.stale_cookies += 1;
        if self.stale_cookies > self.config.max_retransmits {
            self.fail(FailureReason::HandshakeTimeout);
        } else {
            self.start_handshake(now);
        }
    }
}

/// Cause codes of RFC 9260 §3.3.10 in words.
fn cause_name(cause: u16) -> &'static str {
    match cause {
        cause::INVALID_STREAM => "invalid stream identifier",
        2 => "missing mandatory parameter",
        cause::STALE_COOKIE => "stale cookie",
        cause::OUT_OF_RESOURCE => "out of resource",
        5 => "unresolvable address",
        cause::UNRECOGNIZED_CHUNK => "unrecognized chunk type",
        7 => "invalid mandatory parameter",
        8 => "unrecognized parameters",
        cause::NO_USER_DATA => "no user data",
        10 => "cookie received while shutting down",
        11 => "restart with new addresses",
        cause::USER_INITIATED_ABORT => "aborted by the user",
        cause::PROTOCOL_VIOLATION => "protocol violation",
        _ => "unknown cause",
    }
}

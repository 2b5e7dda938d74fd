//! The association: everything the user of the engine calls.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{Config, Event, Message, Metrics, SendError, SendOptions, State};

/// One SCTP association over one path.
#[derive(Debug)]
pub struct Association {
    config: Config,
}

impl Association {
    /// A closed association. `seed` must be unpredictable and never used twice: verification tags,
    /// initial TSNs and the key of the state cookie derive from it.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self { config }
    }

    /// Starts the handshake. Both peers may call it: a simultaneous open is the normal case.
    pub fn connect(&mut self, now: Instant) {
        let _ = now;
    }

    /// Takes one SCTP packet, as decrypted. Bad packets are counted and dropped.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let _ = (now, packet);
    }

    /// Takes a batch of packets.
    pub fn handle_packets<'a>(
        &mut self,
        now: Instant,
        packets: impl IntoIterator<Item = &'a [u8]>,
    ) {
        for packet in packets {
            self.handle_packet(now, packet);
        }
    }

    /// Acts on timers that are due. Early and late calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// When `handle_timeout` (followed by `poll_transmit`) should be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Writes one packet of at most `Config::mtu` bytes to the start of `buf` and returns its
    /// length; `None` when there is nothing to send now. `buf` must hold `Config::mtu` bytes.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<usize> {
        let _ = (now, buf);
        None
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Queues a message. The bytes are shared, not copied, until they are written into packets.
    /// Messages sent before the association is connected wait for it.
    pub fn send(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        options: SendOptions,
        data: Bytes,
    ) -> Result<(), SendError> {
        let _ = (now, stream, ppid, options, data);
        Err(SendError::Closed)
    }

    /// The next complete message of the stream. Messages not read keep the receive window closed.
    pub fn read(&mut self, stream: u16) -> Option<Message> {
        let _ = stream;
        None
    }

    /// Bytes accepted by `send`, neither acknowledged nor abandoned.
    pub fn queued(&self) -> usize {
        0
    }

    /// The part of [`Self::queued`] that belongs to the stream.
    pub fn stream_queued(&self, stream: u16) -> usize {
        let _ = stream;
        0
    }

    /// Resets our direction of the stream (RFC 6525) once everything queued on it is acknowledged.
    /// Ends with [`Event::StreamResetDone`] or [`Event::StreamResetFailed`].
    pub fn reset_stream(&mut self, now: Instant, stream: u16) {
        let _ = (now, stream);
    }

    /// Ends the association after everything queued is acknowledged.
    pub fn shutdown(&mut self, now: Instant) {
        let _ = now;
    }

    /// Ends the association at once with an ABORT that carries `reason`.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        let _ = (now, reason);
    }

    /// Where the association is in its life.
    pub fn state(&self) -> State {
        State::Closed
    }

    /// Inbound and outbound streams agreed on, once known.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        None
    }

    /// Figures of the association.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            rto: Duration::min(self.config.rto_initial, self.config.rto_max),
            ..Metrics::default()
        }
    }
}

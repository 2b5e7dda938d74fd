//! What goes between an association and its user besides packets.

use std::fmt;
use std::time::Duration;

/// Something that happened, from `Association::poll_event`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is complete; messages may be exchanged.
    Connected {
        /// Streams the peer may send on: ids below this number.
        inbound_streams: u16,
        /// Streams we may send on: ids below this number.
        outbound_streams: u16,
    },
    /// The stream went from having no complete message to having one. It is reported again only
    /// after `read` returned `None` for the stream.
    StreamReadable(u16),
    /// The peer reset its direction of the stream. All it sent before is readable or was read.
    StreamResetByPeer(u16),
    /// The peer performed the reset we asked for: our direction of the stream starts anew.
    StreamResetDone(u16),
    /// The peer refused the reset we asked for.
    StreamResetFailed(u16),
    /// Bytes queued on the stream were acknowledged or abandoned, so `queued` and `stream_queued`
    /// fell. Reported at most once until polled.
    BufferSpace(u16),
    /// The peer restarted the association (RFC 9260 §5.2.4 action A): whatever was queued or half
    /// received is gone and every stream starts anew.
    Restarted,
    /// The association ended gracefully, by either side's SHUTDOWN.
    Shutdown,
    /// The association was aborted.
    Aborted {
        /// True when the peer sent the ABORT, false when we did.
        by_peer: bool,
        /// What the ABORT gave as its reason, as far as it is text or a known cause.
        reason: String,
    },
    /// The association was given up.
    Failed(FailureReason),
}

/// Why an association was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// INIT or COOKIE-ECHO was not answered, or the peer found every cookie stale.
    HandshakeTimeout,
    /// Data, heartbeats or SHUTDOWN were not answered `max_retransmits` times in a row.
    MaxRetransmits,
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureReason::HandshakeTimeout => "the peer did not answer the SCTP handshake",
            FailureReason::MaxRetransmits => "the peer stopped acknowledging SCTP packets",
        })
    }
}

/// A complete message from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stream it arrived on.
    pub stream: u16,
    /// Its payload protocol identifier.
    pub ppid: u32,
    /// Whether the peer sent it unordered.
    pub unordered: bool,
    /// Whether it was larger than `Config::max_message_size` and was cut to that size.
    pub truncated: bool,
    /// The payload. Never empty: SCTP has no empty messages.
    pub data: Vec<u8>,
}

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Deliver as soon as complete, whatever else the stream holds.
    pub unordered: bool,
    /// Abandon the message when it was not acknowledged within this time of `send` (RFC 3758).
    pub lifetime: Option<Duration>,
    /// Abandon the message when a part of it was retransmitted this often and lost again
    /// (RFC 7496 §3.1).
    pub max_retransmits: Option<u32>,
}

/// Why `Association::send` did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The send buffer is full and the stream has its share of it; try again after
    /// [`Event::BufferSpace`].
    BufferFull,
    /// The message is empty, which SCTP cannot express.
    Empty,
    /// The stream id is not below the negotiated number of outbound streams.
    InvalidStream,
    /// A reset of the stream was asked for and is not complete.
    StreamResetting,
    /// The association is shutting down or has ended.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::BufferFull => "cannot send: the SCTP send buffer is full",
            SendError::Empty => "cannot send: an SCTP message must hold at least one byte",
            SendError::InvalidStream => "cannot send: the stream id exceeds the negotiated number",
            SendError::StreamResetting => "cannot send: the stream is being reset",
            SendError::Closed => "cannot send: the SCTP association is closing or closed",
        })
    }
}

impl std::error::Error for SendError {}

/// Where an association is in its life (RFC 9260 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not connected yet, or over.
    Closed,
    /// INIT sent.
    CookieWait,
    /// COOKIE-ECHO sent.
    CookieEchoed,
    /// Connected.
    Established,
    /// Shutting down once everything queued is acknowledged.
    ShutdownPending,
    /// SHUTDOWN sent.
    ShutdownSent,
    /// SHUTDOWN received; flushing what is queued.
    ShutdownReceived,
    /// SHUTDOWN-ACK sent.
    ShutdownAckSent,
}

/// Figures of an association at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Congestion window, bytes.
    pub cwnd: usize,
    /// Slow start threshold, bytes; `usize::MAX` before the first congestion event.
    pub ssthresh: usize,
    /// Smoothed round-trip time; zero before the first measurement.
    pub srtt: Duration,
    /// Smallest round-trip time of the last half minute; zero before the first measurement.
    pub min_rtt: Duration,
    /// Retransmission time-out.
    pub rto: Duration,
    /// Bytes sent, neither acknowledged nor taken for lost.
    pub in_flight: usize,
    /// Receive window the peer has left, bytes.
    pub peer_window: usize,
    /// Bytes received and not read yet, including parts of messages.
    pub receive_buffered: usize,
    /// Largest packet sent with data, bytes.
    pub packet_size: usize,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received and processed.
    pub packets_received: u64,
    /// Packets dropped: malformed, wrong checksum, port or verification tag.
    pub packets_dropped: u64,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes received, duplicates excluded.
    pub bytes_received: u64,
    /// DATA chunks sent again.
    pub retransmitted: u64,
    /// DATA chunks sent again that the peer reported to have had already.
    pub spurious_retransmits: u64,
    /// DATA chunks received again.
    pub duplicates_received: u64,
    /// Times the retransmission timer expired.
    pub timeouts: u64,
    /// Messages given up under their partial reliability limit.
    pub abandoned_messages: u64,
}

//! What the user of an association may choose.

use std::time::Duration;

/// Settings of an association, fixed when it is created.
///
/// The defaults are those of libdatachannel's `rtcSctpSettings`.
#[derive(Clone, Debug)]
pub struct Config {
    /// SCTP source port of the packets sent. Default 5000.
    pub local_port: u16,
    /// SCTP destination port of the packets sent. Default 5000.
    pub remote_port: u16,
    /// Largest SCTP packet sent, in bytes, common header included. Default 1172, which is what a
    /// path of 1280 bytes leaves after IPv6, UDP and DTLS. Values below 508 are raised to it.
    pub mtu: usize,
    /// Largest SCTP packet that the path is probed for, in bytes (RFC 8899); up to `mtu`, nothing is
    /// probed. Whatever carries the packets must not fragment them. Default 0.
    pub max_mtu: usize,
    /// Largest message accepted from the peer, in bytes; a larger one is delivered cut to this
    /// size with [`Message::truncated`](crate::Message::truncated) set. At most 1 GiB. Default 256 KiB.
    pub max_message_size: usize,
    /// Bytes of received data held for the application before the receive window closes. Raised to
    /// an eighth more than `max_message_size`, but not to more than 1 MiB more, when smaller,
    /// because a message is delivered whole; at most 1 GiB. Default 1 MiB.
    pub receive_buffer: usize,
    /// Bytes accepted by `send` and not yet acknowledged before `send` refuses more.
    /// Default 1 MiB.
    pub send_buffer: usize,
    /// Bytes that each stream may have queued however full the others made the send buffer, so that
    /// they do not keep it waiting; at most `send_buffer`. A message above this size is accepted
    /// all the same from a stream that has nothing queued. Default 64 KiB.
    pub stream_share: usize,
    /// Messages accepted by `send` and not yet acknowledged before `send` refuses more.
    /// Default 10240.
    pub max_chunks_on_queue: usize,
    /// Congestion window at the start, in packets of `mtu` bytes. Default 10 (RFC 6928).
    pub initial_cwnd_mtus: u32,
    /// Packets that may leave at once beyond what an acknowledgement freed; 0 means no limit.
    /// Default 10.
    pub max_burst: u32,
    /// How the congestion window is computed.
    pub congestion_control: CongestionControl,
    /// Longest time an acknowledgement is held back. Zero acknowledges every batch at once.
    /// Default 20 ms.
    pub delayed_sack: Duration,
    /// Lower bound of the retransmission time-out. Default 200 ms.
    pub rto_min: Duration,
    /// Upper bound of the retransmission time-out, for INIT too. Default 10 s.
    pub rto_max: Duration,
    /// Retransmission time-out before the first round-trip measurement. Default 1 s.
    pub rto_initial: Duration,
    /// Consecutive time-outs after which the association is given up, for INIT, COOKIE-ECHO, data
    /// and heartbeats alike. Default 5.
    pub max_retransmits: u32,
    /// Time between heartbeats on an idle association; zero sends none. Default 10 s.
    pub heartbeat_interval: Duration,
    /// Streams asked for in our direction. Default 1024.
    pub outbound_streams: u16,
    /// Most streams the peer may use toward us. Default 1024.
    pub max_inbound_streams: u16,
    /// Whether to run without the CRC32c checksum (RFC 9653): DTLS protects the packets anyway.
    pub zero_checksum: ZeroChecksum,
    /// Whether to offer user message interleaving (RFC 8260), with which messages of several streams
    /// take turns by fragments rather than whole. It is used when both offer it. Default false.
    pub interleaving: bool,
    /// Gives an empty buffer with room for so many bytes, or more: for a message that comes in
    /// several parts. Default `Vec::with_capacity`; who has used buffers may give those.
    pub message_buffer: fn(usize) -> Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local_port: 5000,
            remote_port: 5000,
            mtu: 1172,
            max_mtu: 0,
            max_message_size: 256 * 1024,
            receive_buffer: 1024 * 1024,
            send_buffer: 1024 * 1024,
            stream_share: 64 * 1024,
            max_chunks_on_queue: 10240,
            initial_cwnd_mtus: 10,
            max_burst: 10,
            congestion_control: CongestionControl::default(),
            delayed_sack: Duration::from_millis(20),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(10),
            rto_initial: Duration::from_secs(1),
            max_retransmits: 5,
            heartbeat_interval: Duration::from_secs(10),
            outbound_streams: 1024,
            max_inbound_streams: 1024,
            zero_checksum: ZeroChecksum::default(),
            interleaving: false,
            message_buffer: Vec::with_capacity,
        }
    }
}

/// The congestion control algorithm of an association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CongestionControl {
    /// The algorithm of RFC 9260 §7.2, equal to TCP Reno. It halves its window on each loss, which
    /// holds a lossy long path far below its capacity.
    Rfc9260,
    /// CUBIC (RFC 9438).
    Cubic,
    /// CUBIC's growth with a reaction to loss that follows the queueing delay: loss on a path
    /// without a queue is taken for random and does not shrink the window, as long as the loss
    /// rate stays below a ceiling.
    #[default]
    Adaptive,
}

/// When packets may be sent with a zero checksum (RFC 9653, error detection by DTLS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroChecksum {
    /// Never declared; every packet carries and needs a CRC32c.
    Never,
    /// Declared only to a peer whose INIT declares it: some old peers refuse an INIT that carries
    /// the parameter.
    #[default]
    WhenPeerOffers,
    /// Declared in our INIT too.
    Offer,
}

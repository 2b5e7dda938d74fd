//! Settings of peer connections and data channels.

use std::time::Duration;

use crate::backend::dtls::CertificateKind;
use crate::backend::ice::IceServer;
use crate::error::{Error, Result};

/// Largest message accepted unless configured otherwise, in bytes (announced as
/// `a=max-message-size`).
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 256 * 1024;

/// Largest message the peer accepts when its description does not say (RFC 8841 §6.1), in bytes.
pub const DEFAULT_REMOTE_MAX_MESSAGE_SIZE: usize = 64 * 1024;

/// Default for [`Configuration::mtu`], in bytes: the smallest that IPv6 guarantees.
pub const DEFAULT_MTU: usize = 1280;

/// Smallest value of [`Configuration::mtu`], in bytes: what IPv4 guarantees (RFC 791).
pub const MIN_MTU: usize = 576;

/// Largest value of [`Configuration::max_mtu`], in bytes: more than any common network carries.
pub const MAX_MTU: usize = 16 * 1024;

/// How many messages wait in a channel before its peer is throttled.
pub const RECEIVE_QUEUE_MESSAGES: usize = 1024;

/// How many bytes wait in a channel before its peer is throttled.
pub const RECEIVE_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// How many bytes wait in all data channels of a connection together before those that hold most
/// are throttled; more where messages may be larger than half of it.
pub const CONNECTION_QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Settings of a peer connection.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// Proxy for TURN over TCP, a URL; only where the ICE backend knows proxies.
    pub proxy_server: Option<String>,
    /// Local address, or a name that resolves to one; all interfaces when `None`.
    pub bind_address: Option<String>,
    /// Kind of the certificate made for this connection.
    pub certificate: CertificateKind,
    /// Use relayed candidates only.
    pub relay_only: bool,
    /// Also gather TCP candidates.
    pub ice_tcp: bool,
    /// Share one UDP socket per port among connections.
    pub ice_udp_mux: bool,
    /// Do not make offers and answers on our own.
    pub disable_auto_negotiation: bool,
    /// Negotiate SRTP even while there is no media.
    pub force_media_transport: bool,
    /// First and last local port.
    pub port_range: Option<(u16, u16)>,
    /// Largest IP packet, in bytes, at least [`MIN_MTU`]. Every path must carry it.
    pub mtu: usize,
    /// Largest IP packet that the path is probed for (RFC 8899), in bytes, at most [`MAX_MTU`]:
    /// data channels use what it proves to carry. Up to `mtu`, as by default, nothing is probed.
    /// Only where the ICE backend has no packets fragmented.
    pub max_mtu: usize,
    /// Largest message accepted, in bytes.
    pub max_message_size: usize,
    /// Tuning of SCTP; takes effect when the association starts.
    pub sctp: SctpSettings,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            ice_servers: Vec::new(),
            proxy_server: None,
            bind_address: None,
            certificate: CertificateKind::Ecdsa,
            relay_only: false,
            ice_tcp: false,
            ice_udp_mux: false,
            disable_auto_negotiation: false,
            force_media_transport: false,
            port_range: None,
            mtu: DEFAULT_MTU,
            max_mtu: 0,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            sctp: SctpSettings::default(),
        }
    }
}

impl Configuration {
    /// Checks what can be checked before anything is opened.
    pub fn validate(&self) -> Result<()> {
        if self.mtu < MIN_MTU {
            return Err(Error::invalid(format!("MTU {} is below {MIN_MTU}", self.mtu)));
        }
        if self.max_mtu > MAX_MTU {
            return Err(Error::invalid(format!("probing beyond {MAX_MTU} bytes")));
        }
        if let Some((begin, end)) = self.port_range
            && begin > end
        {
            return Err(Error::invalid(format!("port range {begin}-{end} is empty")));
        }
        self.sctp.validate()
    }
}

/// Tuning of SCTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SctpSettings {
    /// Receive window in bytes. While something lost is sent again, all that follows it waits here:
    /// a window of one round trip's worth would halve the rate of a path that loses packets.
    pub receive_buffer: usize,
    /// Bytes that may wait or be in flight in the association.
    pub send_buffer: usize,
    /// Data chunks that may wait or be in flight.
    pub max_chunks_on_queue: usize,
    /// Initial congestion window in MTUs.
    pub initial_congestion_window: u32,
    /// Packets sent in one burst; 0 sets no limit.
    pub max_burst: u32,
    /// Congestion control; `None` is the engine's default.
    pub congestion_control: Option<CongestionControl>,
    /// How long an acknowledgement may be delayed; zero sends it at once.
    pub delayed_sack: Duration,
    /// Lower bound of the retransmission timeout.
    pub rto_min: Duration,
    /// Upper bound of the retransmission timeout.
    pub rto_max: Duration,
    /// Retransmission timeout before a round trip was measured.
    pub rto_initial: Duration,
    /// Retransmissions before the association fails.
    pub max_retransmits: u32,
    /// Time between heartbeats on an idle association.
    pub heartbeat_interval: Duration,
}

impl Default for SctpSettings {
    fn default() -> Self {
        Self {
            receive_buffer: 4 * 1024 * 1024,
            send_buffer: 1024 * 1024,
            max_chunks_on_queue: 10 * 1024,
            initial_congestion_window: 10,
            max_burst: 10,
            congestion_control: None,
            delayed_sack: Duration::from_millis(20),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(10),
            rto_initial: Duration::from_secs(1),
            max_retransmits: 5,
            heartbeat_interval: Duration::from_secs(10),
        }
    }
}

impl SctpSettings {
    /// Checks what would contradict itself.
    pub fn validate(&self) -> Result<()> {
        if self.rto_min > self.rto_max {
            return Err(Error::invalid(format!(
                "the minimum retransmission timeout of {:?} exceeds the maximum of {:?}",
                self.rto_min, self.rto_max
            )));
        }
        Ok(())
    }
}

/// Congestion control of SCTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionControl {
    /// As RFC 9260 §7.2 has it.
    Rfc9260,
    /// CUBIC (RFC 9438).
    Cubic,
    /// CUBIC that tells random loss from congestion.
    Adaptive,
}

/// How hard a data channel tries to deliver (RFC 8831 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reliability {
    /// Messages may overtake each other.
    pub unordered: bool,
    /// When a message may be given up.
    pub limit: ReliabilityLimit,
}

/// When a message may be given up (RFC 3758, RFC 7496).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReliabilityLimit {
    /// Never.
    #[default]
    Reliable,
    /// After this time, in milliseconds.
    Lifetime(u32),
    /// After this many retransmissions.
    Retransmits(u32),
}

/// Settings of a data channel.
#[derive(Clone, Debug, Default)]
pub struct DataChannelInit {
    /// How hard to try.
    pub reliability: Reliability,
    /// Name of the protocol spoken, up to 65535 bytes.
    pub protocol: Vec<u8>,
    /// Both sides create the channel with the same stream; nothing is sent to open it.
    pub negotiated: bool,
    /// The stream, 0 to 65534; one is chosen when `None`.
    pub stream: Option<u16>,
}

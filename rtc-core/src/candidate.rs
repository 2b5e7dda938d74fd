//! ICE candidates and their text form (RFC 8839 §5.1).

/// One candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 to 32 characters; equal for candidates of the same kind, base and server.
    pub foundation: String,
    /// 1 for RTP and everything bundled with it.
    pub component: u32,
    /// UDP, or TCP with its direction.
    pub transport: Transport,
    /// Higher is better (RFC 8445 §5.1.2).
    pub priority: u32,
    /// An IP address, or a host name such as an mDNS name.
    pub host: String,
    /// The port; 9 for active TCP.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateKind,
    /// What follows the type, such as `raddr 0.0.0.0 rport 0`, without `tcptype`.
    pub extensions: String,
}

/// Transport protocol of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `UDP`
    Udp,
    /// `TCP` with `tcptype active`.
    TcpActive,
    /// `TCP` with `tcptype passive`.
    TcpPassive,
    /// `TCP` with `tcptype so`.
    TcpSo,
    /// Anything else, as it was written.
    Other(String),
}

/// Type of a candidate (RFC 8445 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// `host`
    Host,
    /// `srflx`
    ServerReflexive,
    /// `prflx`
    PeerReflexive,
    /// `relay`
    Relayed,
    /// Anything else, as it was written.
    Other(String),
}

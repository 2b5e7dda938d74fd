//! The m-section of data channels (RFC 8841).

use super::{Common, Direction};

/// The SCTP port of a description that names none.
pub const DEFAULT_SCTP_PORT: u16 = 5000;

/// Streams announced by `a=sctpmap`, as everybody who used that attribute did.
const SCTPMAP_STREAMS: u16 = 1024;

/// The m-section of data channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// What all sections have. The direction is always `sendrecv`.
    pub common: Common,
    /// `UDP/DTLS/SCTP`, `TCP/DTLS/SCTP`, or `DTLS/SCTP` of the time before RFC 8841.
    pub protocol: String,
    /// `webrtc-datachannel`; before RFC 8841 the SCTP port.
    pub format: String,
    /// `a=sctp-port`, or the port of `a=sctpmap`.
    pub sctp_port: Option<u16>,
    /// `a=max-message-size`: the largest message that the sender of this description takes, in
    /// bytes; 0 is no limit.
    pub max_message_size: Option<u64>,
}

impl Application {
    /// A section of ours.
    pub fn new(mid: impl Into<String>, sctp_port: u16, max_message_size: u64) -> Self {
        Self {
            common: Common { mid: mid.into(), direction: Direction::SendRecv, ..Common::default() },
            protocol: "UDP/DTLS/SCTP".into(),
            format: "webrtc-datachannel".into(),
            sctp_port: Some(sctp_port),
            max_message_size: Some(max_message_size),
        }
    }

    /// The SCTP port, written or not.
    pub fn effective_sctp_port(&self) -> u16 {
        self.sctp_port.unwrap_or(DEFAULT_SCTP_PORT)
    }

    /// `a=sctp-init`: the INIT chunk in base64 of the sender of this description, where it offers to
    /// do without the SCTP handshake.
    pub fn sctp_init(&self) -> Option<&str> {
        self.common.attribute_values("sctp-init").next()
    }

    /// True for the syntax of the time before RFC 8841, in which the m-line names the port and
    /// `a=sctpmap` the use.
    pub(super) fn is_legacy(&self) -> bool {
        !self.format.is_empty() && self.format.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Our section that answers this one. It has the peer's syntax and SCTP port, our limit, and
    /// none of the peer's other attributes: `a=sctp-init`, for one, is the peer's own state, and
    /// what we do not know we cannot accept.
    #[must_use]
    pub fn reciprocate(&self, max_message_size: u64) -> Self {
        let port = self.effective_sctp_port();
        let mut common = self.common.reciprocate(|_| false);
        if self.is_legacy() {
            common.attributes.push(format!("sctpmap:{port} webrtc-datachannel {SCTPMAP_STREAMS}"));
        }
        Self {
            common,
            protocol: self.protocol.clone(),
            format: self.format.clone(),
            sctp_port: Some(port),
            max_message_size: Some(max_message_size),
        }
    }
}

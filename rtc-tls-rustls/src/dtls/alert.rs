//! Alerts (RFC 5246 §7.2).

/// `AlertLevel.warning`
const WARNING: u8 = 1;
/// `AlertLevel.fatal`
const FATAL: u8 = 2;

/// The alerts we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alert {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    HandshakeFailure = 40,
    BadCertificate = 42,
    IllegalParameter = 47,
    DecryptError = 51,
    ProtocolVersion = 70,
    InternalError = 80,
    NoRenegotiation = 100,
}

impl Alert {
    pub(super) fn encode(self) -> [u8; 2] {
        let level = match self {
            Self::CloseNotify | Self::NoRenegotiation => WARNING,
            _ => FATAL,
        };
        [level, self as u8]
    }
}

/// An alert of the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It will send nothing more.
    CloseNotify,
    /// It gave up, for the reason of this number.
    Fatal(u8),
    /// Nothing that matters.
    Other,
}

impl Received {
    pub(super) fn read(content: &[u8]) -> Self {
        match *content {
            [_, 0] => Self::CloseNotify,
            [FATAL, description] => Self::Fatal(description),
            _ => Self::Other,
        }
    }
}

/// The name of an alert (RFC 5246 §7.2, RFC 8446 §6).
pub(super) fn name(description: u8) -> &'static str {
    match description {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        _ => "another alert",
    }
}

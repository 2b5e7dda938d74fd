//! What can be wrong with a packet or with keys.

use std::fmt;

/// Why a packet was not protected or not opened. The packet is to be dropped; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Shorter than its header and authentication tag, or of another version than 2.
    Malformed,
    /// The buffer has no room for the authentication tag; it must hold this many bytes.
    NoRoom {
        /// Bytes the buffer must hold.
        needed: usize,
    },
    /// The authentication tag is wrong: damaged, forged, or made with other keys.
    Authentication,
    /// It came before, or it is older than the replay window reaches.
    Replayed,
    /// Its SSRC and sequence number protected another packet, or are too old to tell.
    Reused,
    /// There is state for [`MAX_STREAMS`](crate::MAX_STREAMS) SSRCs already.
    TooManyStreams,
    /// The keys protected as many packets as they may (RFC 3711 §9.2).
    KeyExhausted,
    /// The exporter's output has another length than the profile needs.
    KeyLength {
        /// Bytes the profile needs.
        expected: usize,
        /// Bytes there were.
        found: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "not an RTP or RTCP packet"),
            Self::NoRoom { needed } => write!(f, "the buffer must hold {needed} bytes"),
            Self::Authentication => write!(f, "wrong authentication tag"),
            Self::Replayed => write!(f, "replayed, or older than the replay window"),
            Self::Reused => {
                write!(f, "another packet has, or may have, this SSRC and sequence number already")
            }
            Self::TooManyStreams => write!(f, "too many SSRCs"),
            Self::KeyExhausted => write!(f, "the keys protected as many packets as they may"),
            Self::KeyLength { expected, found } => {
                write!(f, "{found} bytes of keying material instead of {expected}")
            }
        }
    }
}

impl std::error::Error for Error {}

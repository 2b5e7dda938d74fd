//! What can be wrong with bytes.

use std::fmt;

/// Bytes are not what they should be: a packet of the peer, a frame of the user. They are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    what: &'static str,
}

impl Malformed {
    /// `what` completes the sentence "malformed …".
    pub const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.what)
    }
}

impl std::error::Error for Malformed {}

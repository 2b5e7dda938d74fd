//! Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829).
//!
//! [`Description::parse`] is lenient about what it does not need and strict about what it does;
//! its [`Display`](std::fmt::Display) prints one fixed order of lines. [`compose()`] builds local
//! descriptions from what the connection has. Nothing here does I/O or keeps time.
//!
//! Whatever arrives here may come from a peer, so parsing takes time linear in the length of the
//! text and its results are bounded by [`MAX_TEXT`], [`MAX_SECTIONS`] and [`MAX_CANDIDATES`].

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod application;
mod codec;
pub mod compose;
mod description;
mod fingerprint;
mod media;
mod parse;
mod print;
mod section;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use application::{Application, DEFAULT_SCTP_PORT};
pub use codec::Codec;
pub use compose::compose;
pub use description::{Description, Origin};
pub use fingerprint::{Fingerprint, HashAlgorithm};
pub use media::{Media, Payload, RtpMap};
pub(crate) use parse::quoted;
pub use section::{Common, ExtMap, Section, free_mid};
pub use vocabulary::{DescriptionKind, Direction, Setup};

/// Longest description that is parsed, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// Most m-sections in a description.
pub const MAX_SECTIONS: usize = 1024;

/// Most candidates in a description, whether parsed or added later.
pub const MAX_CANDIDATES: usize = 1024;

/// Most `a=ice-options` of a description; further ones are ignored.
const MAX_ICE_OPTIONS: usize = 32;

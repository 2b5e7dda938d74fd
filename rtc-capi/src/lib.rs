//! The C library `datachannel`: `rtc/rtc.h` over librtc, and nothing but the boundary.
//!
//! - [`abi`]: types and constants of the header.
//! - `boundary`: what every exported function goes through.
//! - `handles`: identifiers and user pointers.
//! - `callbacks`: C functions called from Rust.
//! - `logger`: the log callback.
//! - `opaque`: packets that an interceptor callback returns.
//! - `api`: the functions, in the order of the header.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
mod boundary;

pub mod abi;
pub mod api;
mod callbacks;
mod handles;
mod logger;
#[cfg(feature = "media")]
mod opaque;

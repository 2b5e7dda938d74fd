//! The peer engine of librtc: descriptions, candidates, the channel model, the backend traits
//! and the machinery that runs them.
//!
//! This crate contains neither TLS nor ICE: those arrive through the traits in [`backend`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod association;
mod authority;
pub mod backend;
mod base64;
pub mod candidate;
pub mod channel;
pub mod config;
pub mod dcep;
pub mod engine;
pub mod error;
pub mod ice_server;
mod notes;
pub mod peer;
pub mod runtime;
pub mod sdp;
pub mod state;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use error::{Error, ErrorKind, Result};

//! The peer engine of librtc: descriptions, candidates, the channel model, the backend traits
//! and the machinery that runs them.
//!
//! This crate contains neither TLS nor ICE: those arrive through the traits in [`backend`].

pub mod backend;
pub mod candidate;
pub mod dcep;
pub mod error;
pub mod ice_server;
pub mod runtime;
pub mod sdp;
pub mod state;

pub use error::{Error, ErrorKind, Result};

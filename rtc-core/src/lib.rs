//! The peer engine of librtc: descriptions, candidates, the channel model, the backend traits
//! and the machinery that runs them.
//!
//! This crate contains neither TLS nor ICE: those arrive through the traits in [`backend`].

pub mod backend;
pub mod candidate;
pub mod error;
pub mod runtime;
pub mod state;

pub use error::{Error, ErrorKind, Result};

//! ICE in pure Rust.

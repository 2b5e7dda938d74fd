//! DTLS and TLS in pure Rust.

//! The C library `datachannel`.

pub mod abi;

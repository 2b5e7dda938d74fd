//! The declarations of the crate `datachannel-sys`, with librtc behind them.
//!
//! Programs that use the crate `datachannel` get librtc, and need no C++ compiler, CMake or
//! libclang any more, when their `Cargo.toml` says:
//!
//! ```toml
//! [patch.crates-io]
//! datachannel-sys = { git = "https://github.com/librtc/librtc" }
//! ```
//!
//! `cargo xtask bindings` writes the declarations from `rtc/rtc.h`, in the shape bindgen gives
//! them.
#![allow(non_upper_case_globals, non_camel_case_types, non_snake_case, missing_docs)]
#![allow(unsafe_code)]

// What is declared here is defined there.
extern crate datachannel as _;

mod bindings;

pub use bindings::*;

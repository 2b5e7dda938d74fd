//! The exported functions, one module for each group of the header.

pub mod backends;
pub mod channel;
pub mod data_channel;
pub mod global;
#[cfg(feature = "media")]
pub mod media;
pub mod peer;
pub mod restart;
pub mod track;
#[cfg(feature = "websocket")]
pub mod websocket;

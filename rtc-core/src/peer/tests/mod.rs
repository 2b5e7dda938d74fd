//! Tests of the sans-IO core: two of them on a simulated network, or one against a scripted peer.

mod channels;
mod delivery;
mod dtls;
mod network;
mod scripted;

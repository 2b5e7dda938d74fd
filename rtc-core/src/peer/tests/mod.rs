//! Tests of the sans-IO core: two of them on a simulated network, or one against a scripted peer.

mod authentication;
mod channels;
mod delivery;
mod dtls;
mod interleaving;
mod metrics;
mod negotiation;
mod network;
mod path_mtu;
mod restart;
mod scripted;
mod signaled_init;
mod tracks;
mod transmit;

//! DTLS 1.2 (RFC 6347) as WebRTC uses it (RFC 8827 §6.5): mutual authentication with ECDSA or RSA
//! certificates, ephemeral elliptic-curve key agreement, authenticated encryption.
//!
//! [`Session`] joins the parts: [`handshake`] with its two roles decides what to say, [`flight`]
//! says it until it is answered, [`reassembly`] hears the peer out, [`record`] protects.
//! Sessions are not resumed, nothing is renegotiated, and ChangeCipherSpec is sent but not
//! awaited: the epoch in each record says the same.

mod alert;
mod client;
mod codec;
mod flight;
mod handshake;
mod messages;
mod reassembly;
mod record;
mod replay;
mod server;
mod session;
mod suite;

pub(crate) use session::Session;

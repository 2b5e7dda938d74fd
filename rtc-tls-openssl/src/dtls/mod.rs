//! DTLS 1.2 (RFC 6347).

mod context;
mod record;
mod session;
mod wire;

pub(crate) use session::Session;

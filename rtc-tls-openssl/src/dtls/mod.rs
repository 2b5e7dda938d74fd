//! DTLS 1.2 (RFC 6347).

mod bio;
mod context;
mod record;
mod session;

pub(crate) use session::Session;

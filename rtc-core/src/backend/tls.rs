//! The TLS stream role (RFC 8446), for WebSockets and TURN over TLS.

use std::fmt::Debug;

use super::certificate::{Certificate, CertificateBackend};
use crate::error::Result;

/// Makes TLS sessions, and certificates for servers.
pub trait TlsBackend: CertificateBackend + Send + Sync + Debug + 'static {
    /// The name by which users choose it: `rustls`, `openssl`.
    fn name(&self) -> &'static str;

    /// Starts a client session to `server_name`, a DNS name or an IP address.
    fn client(&self, server_name: &str, config: &TlsClientConfig) -> Result<Box<dyn TlsSession>>;

    /// Starts a server session.
    fn server(&self, config: &TlsServerConfig) -> Result<Box<dyn TlsSession>>;
}

/// What a client needs to know.
#[derive(Clone, Debug, Default)]
pub struct TlsClientConfig {
    /// Accept any certificate. Otherwise the system's roots decide and the name must match.
    pub disable_verification: bool,
}

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct TlsServerConfig {
    /// Our certificate and key, made or loaded by the same backend.
    pub certificate: Certificate,
}

/// One TLS connection as a state machine: ciphertext in and out, plaintext in and out.
pub trait TlsSession: Send {
    /// Takes bytes from the network; returns how many were taken. Fewer than given means that
    /// plaintext must be read first.
    fn read_ciphertext(&mut self, input: &[u8]) -> Result<usize>;

    /// Says that the network has ended.
    fn end_of_ciphertext(&mut self);

    /// Appends what must go to the network to `output`; false when there was nothing.
    fn write_ciphertext(&mut self, output: &mut Vec<u8>) -> bool;

    /// Reads plaintext into `output`.
    fn read(&mut self, output: &mut [u8]) -> Result<TlsRead>;

    /// Takes plaintext to send; returns how many bytes were taken, 0 when
    /// [`Self::write_ciphertext`] must be called first.
    fn write(&mut self, data: &[u8]) -> Result<usize>;

    /// True until both sides are authenticated as configured.
    fn is_handshaking(&self) -> bool;

    /// Queues close_notify. Idempotent.
    fn close(&mut self);
}

/// Outcome of [`TlsSession::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRead {
    /// So many bytes of plaintext, not 0.
    Data(usize),
    /// More ciphertext is needed.
    WouldBlock,
    /// The peer sent close_notify.
    Closed,
    /// The network ended without close_notify.
    Truncated,
}

//! The DTLS role (RFC 6347, RFC 9147): authenticate the peer and protect datagrams.

use std::fmt::Debug;
use std::time::Instant;

pub use rtc_srtp_engine::Aead;

pub use super::certificate::{Certificate, CertificateBackend, CertificateKind};
use crate::error::Result;

/// Makes DTLS sessions, and certificates for them.
pub trait DtlsBackend: CertificateBackend + Send + Sync + Debug + 'static {
    /// The name by which users choose it: `rustls`, `openssl`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> DtlsCapabilities;

    /// Starts a session. A client has its first flight ready in
    /// [`DtlsSession::poll_transmit`].
    fn session(&self, config: DtlsConfig, now: Instant) -> Result<Box<dyn DtlsSession>>;
}

/// One DTLS connection as a state machine: no I/O and no clock of its own.
///
/// The session asks the peer for a certificate in both roles and hands it over by
/// [`DtlsEvent::PeerCertificate`]; comparing fingerprints is the caller's part. A peer without a
/// certificate is an error. Damaged, replayed or foreign datagrams are dropped silently: an `Err`
/// means that the session is over.
pub trait DtlsSession: Send {
    /// Takes one datagram, decrypting in place where possible, and calls `data` for each
    /// application record in it. Early datagrams, including a handshake message in fragments, are
    /// kept rather than dropped.
    ///
    /// `data` is not called before the handshake is complete, but it may be in the very call that
    /// completes it: the caller keeps such payloads until it has polled the events and compared
    /// fingerprints.
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()>;

    /// Retransmits what is due.
    fn handle_timeout(&mut self, now: Instant) -> Result<()>;

    /// When [`Self::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Writes the next handshake or alert datagram into `datagram`, which is cleared first;
    /// false when there is none.
    fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool;

    /// The next event, in order.
    fn poll_event(&mut self) -> Option<DtlsEvent>;

    /// Bytes that a record adds before and after its payload; constant once connected.
    fn overhead(&self) -> RecordOverhead;

    /// Protects one payload in place. It stands in `record` behind `overhead().head` bytes and
    /// before `overhead().tail` bytes; returns the length of the datagram, which starts at
    /// `record[0]` and may be shorter than `record`.
    /// Fails before the handshake is complete and after the session ended.
    fn seal(&mut self, record: &mut [u8]) -> Result<usize>;

    /// Keying material (RFC 5705) without a context, once connected.
    fn export_keying_material(&self, label: &str, length: usize) -> Result<Vec<u8>>;

    /// AES-GCM for SRTP with a key of 16 or 32 bytes, where the backend has a quick one.
    fn srtp_aead(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
        let _ = key;
        None
    }

    /// Queues a fatal bad_certificate alert: the caller refuses the peer's certificate.
    fn reject(&mut self, now: Instant) {
        self.close(now);
    }

    /// Queues close_notify for [`Self::poll_transmit`]. Idempotent.
    fn close(&mut self, now: Instant);
}

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsEvent {
    /// The peer proved possession of the key of this certificate (DER). Precedes `Connected`.
    PeerCertificate(Vec<u8>),
    /// The handshake is complete.
    Connected(DtlsConnected),
    /// The peer sent close_notify.
    CloseNotify,
}

/// What a handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsConnected {
    /// Protocol version, for example `DTLS 1.2`.
    pub version: &'static str,
    /// Cipher suite in its IANA spelling.
    pub cipher_suite: String,
    /// The SRTP protection profile, when one was negotiated.
    pub srtp_profile: Option<SrtpProfile>,
}

/// Bytes around a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOverhead {
    /// Before the payload.
    pub head: usize,
    /// After the payload, at most.
    pub tail: usize,
}

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct DtlsConfig {
    /// Our certificate.
    pub certificate: Certificate,
    /// Client or server.
    pub role: DtlsRole,
    /// Largest handshake datagram to send, in bytes.
    pub mtu: usize,
    /// SRTP profiles to offer, best first; none offers no `use_srtp`.
    pub srtp_profiles: Vec<SrtpProfile>,
}

/// Which side sends the ClientHello (`a=setup:active`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// `active`.
    Client,
    /// `passive`.
    Server,
}

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`
    Aes128CmSha1_80,
    /// `SRTP_AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`
    AeadAes256Gcm,
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsCapabilities {
    /// RSA certificates of ours.
    pub rsa_local: bool,
    /// RSA certificates of the peer.
    pub rsa_remote: bool,
    /// DTLS 1.3.
    pub dtls13: bool,
    /// SRTP keying by `use_srtp`.
    pub srtp: bool,
}

//! The `rustls` backend: DTLS 1.2 of our own and TLS streams by rustls, over one provider of
//! cryptography.
//!
//! # DTLS
//!
//! Version 1.2 (RFC 6347) in both roles, with ECDSA and RSA certificates on either side and mutual
//! authentication: a server that gets no certificate refuses the client. ECDHE on X25519, P-256
//! and P-384; AES-GCM and ChaCha20-Poly1305; extended master secret, `use_srtp`, exporters.
//! Unanswered flights are sent again after 100 ms at first. There is no version 1.3, no
//! resumption, no renegotiation, and no cookie from our server, since ICE has verified the path.
//!
//! # TLS
//!
//! Versions 1.2 and 1.3. Clients verify by the system's roots, which `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` override.
//!
//! # Features
//!
//! * `aws-lc-rs` (default): cryptography from AWS-LC.
//! * `ring`: cryptography from ring. It does not make RSA keys, though it uses loaded ones. With
//!   both features, ring protects DTLS records and SRTP packets, and AWS-LC does everything else.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificate;
mod crypto;
mod der;
mod dtls;
mod pem;
mod srtp;
mod tls;
mod x509;

pub use srtp::srtp_aead;

use std::time::Instant;

use rtc_core::Result;
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsCapabilities, DtlsConfig,
    DtlsSession,
};
use rtc_core::backend::tls::{TlsBackend, TlsClientConfig, TlsServerConfig, TlsSession};

/// The backend, for tables of backends.
pub static BACKEND: RustlsBackend = RustlsBackend;

/// Makes certificates and sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustlsBackend;

impl CertificateBackend for RustlsBackend {
    fn generate_certificate(
        &self,
        kind: CertificateKind,
        host: Option<&str>,
    ) -> Result<Certificate> {
        certificate::generate(kind, host)
    }

    fn load_certificate(
        &self,
        certificate_pem: &str,
        key_pem: &str,
        passphrase: Option<&str>,
    ) -> Result<Certificate> {
        pem::load(certificate_pem, key_pem, passphrase)
    }
}

impl DtlsBackend for RustlsBackend {
    fn name(&self) -> &'static str {
        "rustls"
    }

    fn capabilities(&self) -> DtlsCapabilities {
        DtlsCapabilities {
            rsa_local: cfg!(feature = "aws-lc-rs"),
            rsa_remote: true,
            dtls13: false,
            srtp: true,
        }
    }

    fn session(&self, config: DtlsConfig, now: Instant) -> Result<Box<dyn DtlsSession>> {
        Ok(Box::new(dtls::Session::new(config, now)?))
    }
}

impl TlsBackend for RustlsBackend {
    fn name(&self) -> &'static str {
        "rustls"
    }

    fn client(&self, server_name: &str, config: &TlsClientConfig) -> Result<Box<dyn TlsSession>> {
        Ok(Box::new(tls::Stream::client(server_name, config)?))
    }

    fn server(&self, config: &TlsServerConfig) -> Result<Box<dyn TlsSession>> {
        Ok(Box::new(tls::Stream::server(config)?))
    }
}

//! The `openssl` backend: DTLS and TLS streams by OpenSSL 3.
//!
//! # DTLS
//!
//! Version 1.2 (RFC 6347) in both roles, with ECDSA and RSA certificates on either side and mutual
//! authentication. ECDHE on X25519, P-256 and P-384; AES-GCM and ChaCha20-Poly1305; extended
//! master secret, `use_srtp`, exporters. There is no resumption, no renegotiation, and no cookie
//! from our server, since ICE has verified the path.
//!
//! OpenSSL keeps its retransmission timers itself and reads the system's clock for them. What
//! anybody can forge is kept away from it as far as that is possible without the keys.
//!
//! # TLS
//!
//! Versions 1.2 and 1.3. Clients verify by OpenSSL's default roots, which `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` override.
//!
//! # Features
//!
//! * `vendored`: builds OpenSSL from source and links it statically. Without it the system's is
//!   used, found by `pkg-config`.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificate;
mod dtls;
mod failure;
mod ffi;
mod srtp;
mod tls;

use std::time::Instant;

use rtc_core::Result;
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsCapabilities, DtlsConfig,
    DtlsSession,
};
use rtc_core::backend::tls::{TlsBackend, TlsClientConfig, TlsServerConfig, TlsSession};

/// The backend, for tables of backends.
pub static BACKEND: OpensslBackend = OpensslBackend;

/// Makes certificates and sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpensslBackend;

impl CertificateBackend for OpensslBackend {
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
        certificate::load(certificate_pem, key_pem, passphrase)
    }
}

impl DtlsBackend for OpensslBackend {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn capabilities(&self) -> DtlsCapabilities {
        DtlsCapabilities { rsa_local: true, rsa_remote: true, dtls13: false, srtp: true }
    }

    fn session(&self, config: DtlsConfig, now: Instant) -> Result<Box<dyn DtlsSession>> {
        Ok(Box::new(dtls::Session::new(&config, now)?))
    }
}

impl TlsBackend for OpensslBackend {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn client(&self, server_name: &str, config: &TlsClientConfig) -> Result<Box<dyn TlsSession>> {
        Ok(Box::new(tls::Stream::client(server_name, config)?))
    }

    fn server(&self, config: &TlsServerConfig) -> Result<Box<dyn TlsSession>> {
        Ok(Box::new(tls::Stream::server(config)?))
    }
}

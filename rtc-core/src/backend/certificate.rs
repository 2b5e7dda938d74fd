//! Certificates with their private keys, which the DTLS and the TLS role share.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::error::Result;

/// Makes and loads certificates. What one backend made is of no use to another one.
pub trait CertificateBackend {
    /// Makes a key and a self-signed certificate. RSA keys take a second or more.
    ///
    /// `host` is the DNS name or IP address, without brackets, that TLS clients look for in the
    /// certificate of a server: it becomes the common name and the subject alternative name.
    /// WebRTC peers look at the fingerprint only, and need none.
    fn generate_certificate(
        &self,
        kind: CertificateKind,
        host: Option<&str>,
    ) -> Result<Certificate>;

    /// Loads a certificate and its private key from PEM text; `passphrase` opens an encrypted key.
    fn load_certificate(
        &self,
        certificate_pem: &str,
        key_pem: &str,
        passphrase: Option<&str>,
    ) -> Result<Certificate>;
}

/// Kind of key in a generated certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CertificateKind {
    /// ECDSA on P-256.
    #[default]
    Ecdsa,
    /// RSA with 2048 bits.
    Rsa,
}

/// A certificate with its private key, as one backend holds it. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    der: Arc<[u8]>,
    key: Arc<dyn Any + Send + Sync>,
}

impl Certificate {
    /// `der` is the X.509 certificate; `key` is whatever the backend signs with.
    pub fn new(der: impl Into<Arc<[u8]>>, key: Arc<dyn Any + Send + Sync>) -> Self {
        Self { der: der.into(), key }
    }

    /// The X.509 certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The backend's own form of the key; `None` when another backend made it.
    pub fn key<K: Any + Send + Sync>(&self) -> Option<Arc<K>> {
        self.key.clone().downcast().ok()
    }
}

impl Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} bytes)", self.der.len())
    }
}

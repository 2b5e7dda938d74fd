//! Certificates with their keys, in the form that both DTLS and TLS sign with.

use std::sync::Arc;
use std::time::SystemTime;

use rtc_core::backend::dtls::{Certificate, CertificateKind};
use rtc_core::{Error, Result};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::crypto::{self, provider};
use crate::x509;

/// The common name of generated certificates that are not for a host.
const COMMON_NAME: &str = "libdatachannel";

/// Makes a key and a certificate signed by it, for the server `host` or for a WebRTC peer.
pub(crate) fn generate(kind: CertificateKind, host: Option<&str>) -> Result<Certificate> {
    let pkcs8 = match kind {
        CertificateKind::Ecdsa => generate_ecdsa()?,
        CertificateKind::Rsa => generate_rsa()?,
    };
    let key = signing_key(PrivateKeyDer::Pkcs8(pkcs8))?;
    let der = x509::self_signed(host.unwrap_or(COMMON_NAME), host, &*key, SystemTime::now())?;
    Ok(certificate(vec![CertificateDer::from(der)], key))
}

fn generate_ecdsa() -> Result<PrivatePkcs8KeyDer<'static>> {
    let document = crypto::signature::EcdsaKeyPair::generate_pkcs8(
        &crypto::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        &crypto::rand::SystemRandom::new(),
    )
    .map_err(|_| Error::failure("cannot generate an ECDSA key"))?;
    Ok(PrivatePkcs8KeyDer::from(document.as_ref().to_vec()))
}

#[cfg(feature = "aws-lc-rs")]
fn generate_rsa() -> Result<PrivatePkcs8KeyDer<'static>> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    let pair = KeyPair::generate(KeySize::Rsa2048)
        .map_err(|_| Error::failure("cannot generate an RSA key"))?;
    let document: Pkcs8V1Der<'_> =
        pair.as_der().map_err(|_| Error::failure("cannot encode an RSA key"))?;
    Ok(PrivatePkcs8KeyDer::from(document.as_ref().to_vec()))
}

#[cfg(not(feature = "aws-lc-rs"))]
fn generate_rsa() -> Result<PrivatePkcs8KeyDer<'static>> {
    Err(Error::new(
        rtc_core::ErrorKind::Unsupported,
        "cannot generate an RSA key: ring does not make them, the feature `aws-lc-rs` does",
    ))
}

/// The provider's form of a private key.
pub(crate) fn signing_key(key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>> {
    provider().key_provider.load_private_key(key).map_err(|error| {
        Error::invalid("cannot use the private key: neither RSA nor a known curve").caused_by(error)
    })
}

/// Joins a chain, leaf first and not empty, with the key of its leaf.
pub(crate) fn certificate(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
) -> Certificate {
    let leaf = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
    Certificate::new(leaf, Arc::new(CertifiedKey::new(chain, key)))
}

/// Our form of a certificate.
pub(crate) fn certified_key(certificate: &Certificate) -> Result<Arc<CertifiedKey>> {
    certificate.key::<CertifiedKey>().ok_or_else(|| {
        Error::invalid("cannot use the certificate: another backend made or loaded it")
    })
}

//! The one source of cryptography that DTLS and TLS share: a rustls [`CryptoProvider`].
//!
//! With several providers compiled in, AWS-LC serves handshakes and certificates, and ring
//! protects DTLS records and SRTP packets, which is what each is quickest at (see the `speed`
//! example).

use std::sync::{Arc, LazyLock};

use rtc_core::{Error, Result};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;

use crate::x509::PublicKey;

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("rtc-tls-rustls needs one of the features `aws-lc-rs` and `ring`");

#[cfg(not(feature = "ring"))]
pub(crate) use aws_lc_rs::aead;
#[cfg(feature = "ring")]
pub(crate) use ring::aead;

#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc_rs::{pbkdf2, rand, signature};
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) use ring::{pbkdf2, rand, signature};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
});

/// The provider of this process.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}

/// Fills `bytes` from the system's random source.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    provider()
        .secure_random
        .fill(bytes)
        .map_err(|_| Error::failure("cannot read the system's random source"))
}

/// The signature schemes that [`verify`] knows, best first.
pub(crate) fn verifiable_schemes() -> impl Iterator<Item = SignatureScheme> {
    provider().signature_verification_algorithms.mapping.iter().map(|(scheme, _)| *scheme)
}

/// True when `signature` of `message` by `scheme` was made with the private half of `key`.
pub(crate) fn verify(
    key: &PublicKey<'_>,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> bool {
    provider()
        .signature_verification_algorithms
        .mapping
        .iter()
        .filter(|(candidate, _)| *candidate == scheme)
        .flat_map(|(_, algorithms)| algorithms.iter())
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
        .any(|algorithm| algorithm.verify_signature(key.key, message, signature).is_ok())
}

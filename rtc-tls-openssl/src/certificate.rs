//! Certificates with their keys.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use rtc_core::backend::dtls::{Certificate, CertificateKind};
use rtc_core::{Error, Result};

use crate::failure;

/// The common name of generated certificates that are not for a host.
const COMMON_NAME: &str = "libdatachannel";
/// Bits of a generated RSA key.
const RSA_BITS: u32 = 2048;
/// Bits of a serial number: at most 20 bytes with a positive sign (RFC 5280 §4.1.2.2).
const SERIAL_BITS: i32 = 127;
/// Seconds since a new certificate became valid: allows for clocks that disagree.
const VALID_BEFORE: i64 = 3600;
/// Seconds that a new certificate stays valid.
const VALID_AFTER: i64 = 365 * 24 * 3600;

/// A chain with the key of its leaf: what a [`Certificate`] of ours holds.
pub(crate) struct Identity {
    pub(crate) leaf: X509,
    /// What follows the leaf.
    pub(crate) chain: Vec<X509>,
    pub(crate) key: PKey<Private>,
}

/// Our form of a certificate.
pub(crate) fn identity(certificate: &Certificate) -> Result<Arc<Identity>> {
    certificate.key::<Identity>().ok_or_else(|| {
        Error::invalid("cannot use the certificate: another backend made or loaded it")
    })
}

fn certificate(identity: Identity) -> Result<Certificate> {
    let der = identity.leaf.to_der().map_err(|stack| {
        Error::failure(format!("cannot encode a certificate: {}", failure::of_stack(&stack)))
    })?;
    Ok(Certificate::new(der, Arc::new(identity)))
}

/// Makes a key and a certificate signed by it, for the server `host` or for a WebRTC peer.
pub(crate) fn generate(kind: CertificateKind, host: Option<&str>) -> Result<Certificate> {
    let made = generate_key(kind)
        .and_then(|key| Ok(Identity { leaf: self_signed(host, &key)?, chain: Vec::new(), key }));
    certificate(made.map_err(|stack| {
        Error::failure(format!("cannot make a certificate: {}", failure::of_stack(&stack)))
    })?)
}

fn generate_key(kind: CertificateKind) -> Result<PKey<Private>, ErrorStack> {
    openssl::init();
    match kind {
        CertificateKind::Ecdsa => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        }
        CertificateKind::Rsa => PKey::from_rsa(Rsa::generate(RSA_BITS)?),
    }
}

/// Version 3, SHA-256, a random serial number, valid from an hour ago for a year.
fn self_signed(host: Option<&str>, key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, host.unwrap_or(COMMON_NAME))?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::ONE, false)?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since_epoch.as_secs()).unwrap_or(0);

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(now - VALID_BEFORE)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(now + VALID_AFTER)?)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    if let Some(host) = host {
        let mut alternative = SubjectAlternativeName::new();
        match host.parse::<std::net::IpAddr>() {
            Ok(_) => alternative.ip(host),
            Err(_) => alternative.dns(host),
        };
        let extension = alternative.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(extension)?;
    }
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// Loads a chain, leaf first, and the private key of its leaf.
pub(crate) fn load(
    certificate_pem: &str,
    key_pem: &str,
    passphrase: Option<&str>,
) -> Result<Certificate> {
    openssl::init();
    let mut chain = X509::stack_from_pem(certificate_pem.as_bytes())
        .map_err(|stack| {
            Error::invalid(format!("cannot load a certificate: {}", failure::of_stack(&stack)))
        })?
        .into_iter();
    let leaf = chain
        .next()
        .ok_or_else(|| Error::invalid("cannot load a certificate: the text contains none"))?;
    let key = load_key(key_pem, passphrase)?;
    let certified = leaf.public_key().map_err(|stack| {
        Error::invalid(format!("cannot load a certificate: {}", failure::of_stack(&stack)))
    })?;
    if !certified.public_eq(&key) {
        return Err(Error::invalid(
            "cannot load a certificate: the private key belongs to another one",
        ));
    }
    certificate(Identity { leaf, chain: chain.collect(), key })
}

fn load_key(pem: &str, passphrase: Option<&str>) -> Result<PKey<Private>> {
    if !pem.contains("PRIVATE KEY-----") {
        return Err(Error::invalid("cannot load a private key: the text contains none"));
    }
    // Without a callback of ours OpenSSL would ask for the passphrase on the terminal.
    let mut was_asked = false;
    let loaded = PKey::private_key_from_pem_callback(pem.as_bytes(), |buffer| {
        was_asked = true;
        let passphrase = passphrase.unwrap_or_default().as_bytes();
        Ok(match buffer.get_mut(..passphrase.len()) {
            Some(place) => {
                place.copy_from_slice(passphrase);
                passphrase.len()
            }
            None => 0,
        })
    });
    match loaded {
        Ok(key) if !was_asked || passphrase.is_some() => Ok(key),
        Err(stack) if !was_asked || passphrase.is_some() => {
            Err(Error::invalid(format!("cannot load a private key: {}", failure::of_stack(&stack))))
        }
        Ok(_) | Err(_) => Err(Error::invalid(
            "cannot load a private key: it is encrypted, and there is no passphrase",
        )),
    }
}

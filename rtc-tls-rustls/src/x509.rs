//! X.509 certificates (RFC 5280): the public key out of any, and self-signed ones of ours.
//!
//! WebRTC peers authenticate by fingerprint, so nothing but the key matters in a peer's
//! certificate. Some peers send version 1 certificates, which a certificate path validator would
//! refuse; this reader does not care.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rtc_core::{Error, Result};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;

use crate::crypto;
use crate::der::{self, Reader};

/// How long ago a new certificate became valid: allows for clocks that disagree.
const VALID_BEFORE: Duration = Duration::from_secs(3600);
/// How long a new certificate stays valid.
const VALID_AFTER: Duration = Duration::from_secs(365 * 24 * 3600);

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `id-ce-basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `AlgorithmIdentifier` of ecdsa-with-SHA256 (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: &[u8] =
    &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// `AlgorithmIdentifier` of sha256WithRSAEncryption (RFC 4055 §5).
const SHA256_WITH_RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];

/// The subject's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey<'a> {
    /// The content of the `AlgorithmIdentifier`.
    pub(crate) algorithm: &'a [u8],
    /// The content of the key's bit string.
    pub(crate) key: &'a [u8],
}

/// The key in a certificate; `None` when it is not one.
pub(crate) fn public_key(certificate: &[u8]) -> Option<PublicKey<'_>> {
    let mut fields = Reader::new(certificate).enter(der::SEQUENCE)?.enter(der::SEQUENCE)?;
    if fields.peek() == Some(der::CONTEXT_0) {
        fields.take(der::CONTEXT_0)?;
    }
    fields.take(der::INTEGER)?;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        fields.take(der::SEQUENCE)?;
    }
    key_info(fields.enter(der::SEQUENCE)?)
}

/// The key in a `SubjectPublicKeyInfo`.
pub(crate) fn key_info(mut info: Reader<'_>) -> Option<PublicKey<'_>> {
    let algorithm = info.take(der::SEQUENCE)?;
    let (unused_bits, key) = info.take(der::BIT_STRING)?.split_first()?;
    (*unused_bits == 0).then_some(PublicKey { algorithm, key })
}

/// A certificate for `key`, signed by itself with SHA-256: the common name `name`, a random
/// serial number, valid from an hour ago for a year. TLS clients look for `host` in it.
pub(crate) fn self_signed(
    name: &str,
    host: Option<&str>,
    key: &dyn SigningKey,
    now: SystemTime,
) -> Result<Vec<u8>> {
    let (signer, algorithm) = [
        (SignatureScheme::ECDSA_NISTP256_SHA256, ECDSA_WITH_SHA256),
        (SignatureScheme::RSA_PKCS1_SHA256, SHA256_WITH_RSA),
    ]
    .into_iter()
    .find_map(|(scheme, algorithm)| Some((key.choose_scheme(&[scheme])?, algorithm)))
    .ok_or_else(|| Error::failure("cannot sign a certificate: neither an ECDSA nor an RSA key"))?;
    let public_key =
        key.public_key().ok_or_else(|| Error::failure("cannot read the public key of a key"))?;

    let mut serial = [0u8; 16];
    crypto::random(&mut serial)?;
    // Positive, and without superfluous zeros in front.
    serial[0] = serial[0] & 0x7f | 0x40;
    let name = distinguished_name(name);
    let alternative = host.map(alternative_name).unwrap_or_default();
    let extensions = der::element(der::SEQUENCE, &[&not_an_authority(), &alternative]);
    let body = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::CONTEXT_0, &[&der::element(der::INTEGER, &[&[2]])]),
            &der::element(der::INTEGER, &[&serial]),
            algorithm,
            &name,
            &der::element(der::SEQUENCE, &[&time(now - VALID_BEFORE), &time(now + VALID_AFTER)]),
            &name,
            public_key.as_ref(),
            &der::element(der::CONTEXT_3, &[&extensions]),
        ],
    );
    let signature = signer
        .sign(&body)
        .map_err(|error| Error::failure("cannot sign a certificate").caused_by(error))?;
    Ok(der::element(
        der::SEQUENCE,
        &[&body, algorithm, &der::element(der::BIT_STRING, &[&[0], &signature])],
    ))
}

fn distinguished_name(common_name: &str) -> Vec<u8> {
    let attribute = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OBJECT_IDENTIFIER, &[COMMON_NAME]),
            &der::element(der::UTF8_STRING, &[common_name.as_bytes()]),
        ],
    );
    der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
}

/// basicConstraints with nothing in it, which makes version 3 the right one: path validators
/// refuse certificates of version 1.
fn not_an_authority() -> Vec<u8> {
    extension(BASIC_CONSTRAINTS, &der::element(der::SEQUENCE, &[]))
}

/// subjectAltName with the address or name (RFC 5280 §4.2.1.6).
fn alternative_name(host: &str) -> Vec<u8> {
    let name = match host.parse() {
        Ok(IpAddr::V4(address)) => der::element(der::IP_ADDRESS, &[&address.octets()]),
        Ok(IpAddr::V6(address)) => der::element(der::IP_ADDRESS, &[&address.octets()]),
        Err(_) => der::element(der::DNS_NAME, &[host.as_bytes()]),
    };
    extension(SUBJECT_ALT_NAME, &der::element(der::SEQUENCE, &[&name]))
}

fn extension(identifier: &[u8], value: &[u8]) -> Vec<u8> {
    der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OBJECT_IDENTIFIER, &[identifier]),
            &der::element(der::OCTET_STRING, &[value]),
        ],
    )
}

/// RFC 5280 §4.1.2.5: two digits of the year until 2049, four from 2050.
fn time(at: SystemTime) -> Vec<u8> {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    if year < 2050 {
        der::element(der::UTC_TIME, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        der::element(der::GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()])
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil_date(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_5280_asks() {
        for (seconds, expected) in [
            (0, "700101000000Z"),
            (951_782_399, "000228235959Z"),
            (951_782_400, "000229000000Z"),
            (1_798_761_599, "261231235959Z"),
            (2_524_607_999, "491231235959Z"),
            (2_524_608_000, "20500101000000Z"),
            (4_107_542_399, "21000228235959Z"),
            (4_107_542_400, "21000301000000Z"),
        ] {
            let encoded = time(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(&encoded[2..], expected.as_bytes());
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        for input in [&[][..], &[0x30, 0], &[0x30, 2, 0x30, 0], b"-----BEGIN CERTIFICATE-----"] {
            assert_eq!(public_key(input), None);
        }
    }
}

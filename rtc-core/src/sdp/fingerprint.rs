//! Certificate fingerprints (RFC 8122 §5).

use std::fmt;

use crate::error::{Error, Result};

/// A hash function that a fingerprint may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// `sha-1`
    Sha1,
    /// `sha-224`
    Sha224,
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl HashAlgorithm {
    const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm named by `text` in any case; `None` for one we do not know.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Length of its result in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hash of a certificate in DER. Prints as `sha-256 AB:CD:…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How the certificate was hashed.
    pub algorithm: HashAlgorithm,
    /// The hash, of [`HashAlgorithm::length`] bytes.
    pub value: Vec<u8>,
}

impl Fingerprint {
    /// Parses what follows `a=fingerprint:`. `Ok(None)` for a hash function that we do not know,
    /// which RFC 8122 §5 has us ignore; a known one with a malformed value is an error.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((name, value)) = text.split_once(' ') else { return Ok(None) };
        let Some(algorithm) = HashAlgorithm::from_text(name) else { return Ok(None) };
        if value.starts_with(' ') {
            return Ok(None);
        }
        match Self::from_hex(algorithm, value) {
            Some(fingerprint) => Ok(Some(fingerprint)),
            None => Err(Error::invalid(format!(
                "Not a {algorithm} fingerprint of {} bytes in hexadecimal: {}",
                algorithm.length(),
                super::quoted(value)
            ))),
        }
    }

    /// The fingerprint whose value is written as pairs of hexadecimal digits with colons between.
    pub fn from_hex(algorithm: HashAlgorithm, hex: &str) -> Option<Self> {
        let mut value = Vec::with_capacity(algorithm.length());
        for pair in hex.split(':') {
            let [high, low] = *pair.as_bytes() else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
            value.push((digit(high)? << 4) | digit(low)?);
            if value.len() > algorithm.length() {
                return None;
            }
        }
        (value.len() == algorithm.length()).then_some(Self { algorithm, value })
    }

    /// The value as upper-case pairs of hexadecimal digits with colons between.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(self.value.len().saturating_mul(3));
        for (index, byte) in self.value.iter().enumerate() {
            if index > 0 {
                text.push(':');
            }
            text.push_str(&format!("{byte:02X}"));
        }
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.hex())
    }
}

//! Is the peer's certificate the one that its description announced (RFC 8122 §5)?

use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::sdp::{Fingerprint, HashAlgorithm};

/// Compares in constant time.
pub(crate) fn fingerprint_matches(expected: &Fingerprint, certificate: &[u8]) -> bool {
    let actual = digest(expected.algorithm, certificate);
    actual.ct_eq(&expected.value).into()
}

/// The SHA-256 fingerprint of a certificate in DER.
pub(crate) fn sha256_fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint {
        algorithm: HashAlgorithm::Sha256,
        value: digest(HashAlgorithm::Sha256, certificate),
    }
}

fn digest(algorithm: HashAlgorithm, data: &[u8]) -> Vec<u8> {
    match algorithm {
        HashAlgorithm::Sha1 => Sha1::digest(data).to_vec(),
        HashAlgorithm::Sha224 => Sha224::digest(data).to_vec(),
        HashAlgorithm::Sha256 => Sha256::digest(data).to_vec(),
        HashAlgorithm::Sha384 => Sha384::digest(data).to_vec(),
        HashAlgorithm::Sha512 => Sha512::digest(data).to_vec(),
    }
}

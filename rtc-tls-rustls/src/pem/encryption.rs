//! Opening encrypted private keys: PKCS #8 with PBES2 (RFC 8018 §6.2) and the traditional form of
//! OpenSSL (RFC 1421 headers, `EVP_BytesToKey`).

use std::num::NonZeroU32;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, KeyIvInit};
use md5::{Digest, Md5};
use rtc_core::{Error, Result};
use zeroize::Zeroizing;

use crate::crypto::pbkdf2;
use crate::der::{self, Reader};

/// More rounds than this would keep a caller waiting for minutes.
const MAX_ITERATIONS: u32 = 10_000_000;

/// 1.2.840.113549.1.5.13
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// 1.2.840.113549.1.5.12
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// 1.2.840.113549.2, under which the HMACs are numbered.
const DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// 2.16.840.1.101.3.4.1, under which the modes of AES are numbered.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
/// 1.2.840.113549.3.7
const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];

/// A block cipher in CBC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        }
    }

    /// `None` when the padding is wrong, which a wrong key shows by.
    fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        fn run<D: KeyIvInit + BlockDecryptMut>(
            key: &[u8],
            iv: &[u8],
            data: &[u8],
        ) -> Option<Vec<u8>> {
            D::new_from_slices(key, iv).ok()?.decrypt_padded_vec_mut::<Pkcs7>(data).ok()
        }
        match self {
            Self::Aes128 => run::<cbc::Decryptor<aes::Aes128>>(key, iv, data),
            Self::Aes192 => run::<cbc::Decryptor<aes::Aes192>>(key, iv, data),
            Self::Aes256 => run::<cbc::Decryptor<aes::Aes256>>(key, iv, data),
            Self::TripleDes => run::<cbc::Decryptor<des::TdesEde3>>(key, iv, data),
        }
        .map(Zeroizing::new)
    }
}

fn unknown() -> Error {
    Error::invalid("cannot load a private key: it is encrypted in an unknown way")
}

fn wrong() -> Error {
    Error::invalid("cannot load a private key: wrong passphrase, or damaged")
}

/// Opens an `EncryptedPrivateKeyInfo` (RFC 5958 §3).
pub(super) fn open_pkcs8(info: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let parameters = read_pbes2(info).ok_or_else(unknown)?;
    let mut key = Zeroizing::new(vec![0; parameters.cipher.key_length()]);
    pbkdf2::derive(
        parameters.hash,
        parameters.iterations,
        parameters.salt,
        passphrase.as_bytes(),
        &mut key,
    );
    parameters.cipher.decrypt(&key, parameters.iv, parameters.data).ok_or_else(wrong)
}

struct Pbes2<'a> {
    hash: pbkdf2::Algorithm,
    salt: &'a [u8],
    iterations: NonZeroU32,
    cipher: Cipher,
    iv: &'a [u8],
    data: &'a [u8],
}

fn read_pbes2(info: &[u8]) -> Option<Pbes2<'_>> {
    let mut info = Reader::new(info).enter(der::SEQUENCE)?;
    let mut scheme = info.enter(der::SEQUENCE)?;
    let data = info.take(der::OCTET_STRING)?;
    if scheme.take(der::OBJECT_IDENTIFIER)? != PBES2 {
        return None;
    }
    let mut scheme = scheme.enter(der::SEQUENCE)?;
    let mut derivation = scheme.enter(der::SEQUENCE)?;
    let mut encryption = scheme.enter(der::SEQUENCE)?;

    if derivation.take(der::OBJECT_IDENTIFIER)? != PBKDF2 {
        return None;
    }
    let mut derivation = derivation.enter(der::SEQUENCE)?;
    let salt = derivation.take(der::OCTET_STRING)?;
    let iterations = number(derivation.take(der::INTEGER)?)?;
    if derivation.peek() == Some(der::INTEGER) {
        derivation.take(der::INTEGER)?; // The key length follows from the cipher.
    }
    let hash = match derivation.enter(der::SEQUENCE) {
        Some(mut hash) => hash_algorithm(hash.take(der::OBJECT_IDENTIFIER)?)?,
        None => pbkdf2::PBKDF2_HMAC_SHA1,
    };

    let cipher = match encryption.take(der::OBJECT_IDENTIFIER)? {
        DES_EDE3_CBC => Cipher::TripleDes,
        identifier => match identifier.strip_prefix(AES)? {
            [2] => Cipher::Aes128,
            [22] => Cipher::Aes192,
            [42] => Cipher::Aes256,
            _ => return None,
        },
    };
    let iv = encryption.take(der::OCTET_STRING)?;
    let iterations = NonZeroU32::new(iterations).filter(|count| count.get() <= MAX_ITERATIONS)?;
    Some(Pbes2 { hash, salt, iterations, cipher, iv, data })
}

fn number(bytes: &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for byte in bytes {
        value = value.checked_mul(256)?.checked_add(u32::from(*byte))?;
    }
    Some(value)
}

fn hash_algorithm(identifier: &[u8]) -> Option<pbkdf2::Algorithm> {
    match identifier.strip_prefix(DIGEST)? {
        [7] => Some(pbkdf2::PBKDF2_HMAC_SHA1),
        [9] => Some(pbkdf2::PBKDF2_HMAC_SHA256),
        [10] => Some(pbkdf2::PBKDF2_HMAC_SHA384),
        [11] => Some(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => None,
    }
}

/// Opens a key whose DEK-Info header is `info`: the cipher, a comma, the vector in hexadecimal.
pub(super) fn open_traditional(
    info: &str,
    data: &[u8],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>> {
    let (name, vector) = info.split_once(',').ok_or_else(unknown)?;
    let cipher = match name.trim() {
        "AES-128-CBC" => Cipher::Aes128,
        "AES-192-CBC" => Cipher::Aes192,
        "AES-256-CBC" => Cipher::Aes256,
        "DES-EDE3-CBC" => Cipher::TripleDes,
        _ => return Err(unknown()),
    };
    let iv = hexadecimal(vector.trim()).ok_or_else(unknown)?;
    let salt = iv.get(..8).ok_or_else(unknown)?;
    let key = bytes_to_key(passphrase.as_bytes(), salt, cipher.key_length());
    cipher.decrypt(&key, &iv, data).ok_or_else(wrong)
}

/// `EVP_BytesToKey` with MD5 and one round: each block is the hash of the one before, the
/// passphrase and the salt.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::new());
    let mut block = Zeroizing::new(Vec::new());
    while key.len() < length {
        let hash = Md5::new().chain_update(&*block).chain_update(passphrase).chain_update(salt);
        *block = hash.finalize().to_vec();
        key.extend_from_slice(&block);
    }
    key.truncate(length);
    key
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match *pair {
        [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

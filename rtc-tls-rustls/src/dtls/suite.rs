//! Cipher suites and the keys derived for them (RFC 5246 §5, §6.3, §8.1).

use rtc_core::backend::dtls::DtlsRole;
use rtc_core::{Error, Result};
use rustls::crypto::ActiveKeyExchange;
use rustls::{SupportedCipherSuite, Tls12CipherSuite};
use zeroize::Zeroizing;

use super::messages::{RANDOM, VERIFY_DATA};
use super::record::{Opener, Sealer};
use crate::crypto::{aead, provider};

/// Bytes of the master secret.
const MASTER_SECRET: usize = 48;

/// How the server proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    /// ECDHE_ECDSA
    Ecdsa,
    /// ECDHE_RSA
    Rsa,
}

/// How records are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// RFC 5288: the sender chooses half of the nonce and sends it along.
    Gcm128,
    /// The same with a key of 256 bits.
    Gcm256,
    /// RFC 7905: the nonce follows from the sequence number.
    ChaCha20Poly1305,
}

impl Protection {
    pub(super) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Gcm128 => &aead::AES_128_GCM,
            Self::Gcm256 => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    /// Bytes of the nonce that come from the key block.
    pub(super) fn fixed_nonce(self) -> usize {
        match self {
            Self::Gcm128 | Self::Gcm256 => 4,
            Self::ChaCha20Poly1305 => 12,
        }
    }

    /// Bytes of the nonce that each record carries.
    pub(super) fn explicit_nonce(self) -> usize {
        match self {
            Self::Gcm128 | Self::Gcm256 => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }
}

/// A cipher suite.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) id: u16,
    /// IANA's spelling.
    pub(super) name: &'static str,
    pub(super) authentication: Authentication,
    pub(super) protection: Protection,
}

/// What we speak, best first: AES with 128 bits is the quickest, ChaCha20 is for peers whose
/// processor has no AES.
pub(super) static SUITES: [Suite; 6] = [
    Suite {
        id: 0xc02b,
        name: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        authentication: Authentication::Ecdsa,
        protection: Protection::Gcm128,
    },
    Suite {
        id: 0xc02f,
        name: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        authentication: Authentication::Rsa,
        protection: Protection::Gcm128,
    },
    Suite {
        id: 0xc02c,
        name: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        authentication: Authentication::Ecdsa,
        protection: Protection::Gcm256,
    },
    Suite {
        id: 0xc030,
        name: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        authentication: Authentication::Rsa,
        protection: Protection::Gcm256,
    },
    Suite {
        id: 0xcca9,
        name: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        authentication: Authentication::Ecdsa,
        protection: Protection::ChaCha20Poly1305,
    },
    Suite {
        id: 0xcca8,
        name: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        authentication: Authentication::Rsa,
        protection: Protection::ChaCha20Poly1305,
    },
];

impl Suite {
    /// The provider's hash and pseudorandom function for this suite.
    fn primitives(&self) -> Option<&'static Tls12CipherSuite> {
        provider().cipher_suites.iter().find_map(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) if u16::from(suite.common.suite) == self.id => {
                Some(*suite)
            }
            _ => None,
        })
    }
}

/// Where the master secret comes from besides the key agreement.
pub(super) enum MasterSeed<'a> {
    /// Both random values (RFC 5246 §8.1).
    Randoms,
    /// The transcript up to ClientKeyExchange (RFC 7627 §4).
    Transcript(&'a [u8]),
}

/// The secrets of a session.
pub(super) struct Secrets {
    suite: &'static Suite,
    primitives: &'static Tls12CipherSuite,
    master: Zeroizing<[u8; MASTER_SECRET]>,
    client_random: [u8; RANDOM],
    server_random: [u8; RANDOM],
}

impl Secrets {
    /// Completes the key agreement. Fails when the peer's key is not a valid point.
    pub(super) fn agree(
        suite: &'static Suite,
        exchange: Box<dyn ActiveKeyExchange>,
        peer_key: &[u8],
        seed: MasterSeed<'_>,
        client_random: [u8; RANDOM],
        server_random: [u8; RANDOM],
    ) -> Result<Self> {
        let primitives = suite
            .primitives()
            .ok_or_else(|| Error::failure("cannot derive keys: the provider lacks the suite"))?;
        let mut master = Zeroizing::new([0; MASTER_SECRET]);
        let randoms = [client_random, server_random].concat();
        let hash;
        let (label, seed): (&[u8], &[u8]) = match seed {
            MasterSeed::Randoms => (b"master secret", &randoms),
            MasterSeed::Transcript(transcript) => {
                hash = primitives.common.hash_provider.hash(transcript);
                (b"extended master secret", hash.as_ref())
            }
        };
        primitives
            .prf_provider
            .for_key_exchange(&mut master, exchange, peer_key, label, seed)
            .map_err(|error| Error::failure("cannot agree on a key").caused_by(error))?;
        Ok(Self { suite, primitives, master, client_random, server_random })
    }

    pub(super) fn suite(&self) -> &'static Suite {
        self.suite
    }

    /// What Finished of `sender` must contain after `transcript` (RFC 5246 §7.4.9).
    pub(super) fn verify_data(&self, sender: DtlsRole, transcript: &[u8]) -> [u8; VERIFY_DATA] {
        let hash = self.primitives.common.hash_provider.hash(transcript);
        let label: &[u8] = match sender {
            DtlsRole::Client => b"client finished",
            DtlsRole::Server => b"server finished",
        };
        let mut data = [0; VERIFY_DATA];
        self.primitives.prf_provider.for_secret(&mut data, &*self.master, label, hash.as_ref());
        data
    }

    /// What protects records from us and to us.
    pub(super) fn record_keys(&self, role: DtlsRole) -> Result<(Sealer, Opener)> {
        let protection = self.suite.protection;
        let key_length = protection.algorithm().key_len();
        let nonce_length = protection.fixed_nonce();
        let mut block = Zeroizing::new(vec![0; 2 * (key_length + nonce_length)]);
        let seed = [self.server_random, self.client_random].concat();
        self.primitives.prf_provider.for_secret(&mut block, &*self.master, b"key expansion", &seed);

        let (keys, nonces) = block.split_at(2 * key_length);
        let (client_key, server_key) = keys.split_at(key_length);
        let (client_nonce, server_nonce) = nonces.split_at(nonce_length);
        let ((our_key, our_nonce), (peer_key, peer_nonce)) = match role {
            DtlsRole::Client => ((client_key, client_nonce), (server_key, server_nonce)),
            DtlsRole::Server => ((server_key, server_nonce), (client_key, client_nonce)),
        };
        let keys = Sealer::new(protection, our_key, our_nonce)
            .zip(Opener::new(protection, peer_key, peer_nonce));
        keys.ok_or_else(|| Error::failure("cannot derive keys: the provider refuses them"))
    }

    /// Keying material without a context (RFC 5705 §4).
    pub(super) fn export(&self, label: &str, length: usize) -> Vec<u8> {
        let seed = [self.client_random, self.server_random].concat();
        let mut out = vec![0; length];
        self.primitives.prf_provider.for_secret(&mut out, &*self.master, label.as_bytes(), &seed);
        out
    }
}

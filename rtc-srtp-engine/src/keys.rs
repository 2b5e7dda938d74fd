//! From the DTLS exporter to session keys (RFC 5764 §4.2, RFC 3711 §4.3, RFC 7714 §11).

use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use zeroize::Zeroizing;

use crate::{Error, Profile};

/// The label to export keying material under; there is no context.
pub const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// Our role in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We sent the ClientHello.
    Client,
    /// The peer sent the ClientHello.
    Server,
}

/// Room for a master salt as key derivation sees it: shorter ones end in zeros.
const SALT: usize = 14;

/// A master key and salt, of one direction.
pub(crate) struct MasterKey {
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<[u8; SALT]>,
}

/// Which of its keys a direction derives (RFC 3711 §4.3.2).
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Rtp,
    Rtcp,
}

/// The keys for one protocol in one direction.
pub(crate) struct SessionKeys {
    pub(crate) cipher: Zeroizing<Vec<u8>>,
    pub(crate) authentication: Zeroizing<[u8; 20]>,
    pub(crate) salt: Zeroizing<[u8; SALT]>,
}

impl MasterKey {
    /// Splits what the exporter made into the keys of the client and those of the server.
    pub(crate) fn split(profile: Profile, exported: &[u8]) -> Result<(Self, Self), Error> {
        let expected = profile.exported_length();
        if exported.len() != expected {
            return Err(Error::KeyLength { expected, found: exported.len() });
        }
        let (keys, salts) = exported.split_at(2 * profile.key_length());
        let (client_key, server_key) = keys.split_at(profile.key_length());
        let (client_salt, server_salt) = salts.split_at(profile.salt_length());
        Ok((Self::new(client_key, client_salt), Self::new(server_key, server_salt)))
    }

    /// `salt` has at most 14 bytes.
    pub(crate) fn new(key: &[u8], salt: &[u8]) -> Self {
        let mut padded = [0; SALT];
        for (to, from) in padded.iter_mut().zip(salt) {
            *to = *from;
        }
        Self { key: key.to_vec().into(), salt: padded.into() }
    }

    pub(crate) fn derive(&self, protocol: Protocol, profile: Profile) -> SessionKeys {
        let first = match protocol {
            Protocol::Rtp => 0,
            Protocol::Rtcp => 3,
        };
        let mut keys = SessionKeys {
            cipher: vec![0; profile.key_length()].into(),
            authentication: [0; 20].into(),
            salt: [0; SALT].into(),
        };
        self.generate(first, &mut keys.cipher);
        self.generate(first + 1, &mut keys.authentication[..]);
        self.generate(first + 2, &mut keys.salt[..profile.salt_length()]);
        keys
    }

    /// The pseudo-random function: AES in counter mode (RFC 3711 §4.3.3, RFC 6188 §3), without a
    /// key derivation rate.
    fn generate(&self, label: u8, out: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..SALT].copy_from_slice(&self.salt[..]);
        iv[7] ^= label;
        out.fill(0);
        let iv = (&iv).into();
        if let Ok(key) = <[u8; 16]>::try_from(self.key.as_slice()) {
            Ctr128BE::<aes::Aes128>::new(&key.into(), iv).apply_keystream(out);
        } else if let Ok(key) = <[u8; 32]>::try_from(self.key.as_slice()) {
            Ctr128BE::<aes::Aes256>::new(&key.into(), iv).apply_keystream(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| byte.is_ascii_hexdigit()).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|digits| pair(digits).unwrap()).collect()
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn keys_are_derived_as_rfc_3711_shows() {
        let master = MasterKey::new(
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex("0EC675AD498AFEEBB6960B3AABE6"),
        );
        let keys = master.derive(Protocol::Rtp, Profile::Aes128CmSha1_80);
        assert_eq!(*keys.cipher, hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(keys.authentication.to_vec(), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    /// RFC 6188 §7.1.
    #[test]
    fn keys_are_derived_as_rfc_6188_shows_for_256_bits() {
        let master = MasterKey::new(
            &hex("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6"),
            &hex("3b04803de51ee7c96423ab5b78d2"),
        );
        let mut key = [0; 32];
        master.generate(0, &mut key);
        assert_eq!(
            key.to_vec(),
            hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
    }

    #[test]
    fn the_exporter_gives_client_key_server_key_client_salt_server_salt() {
        let exported: Vec<u8> = (0..60).collect();
        let (client, server) = MasterKey::split(Profile::Aes128CmSha1_80, &exported).unwrap();
        assert_eq!((client.key[0], server.key[0]), (0, 16));
        assert_eq!((client.salt[0], server.salt[0]), (32, 46));
        let found = MasterKey::split(Profile::AeadAes256Gcm, &exported).err();
        assert_eq!(found, Some(Error::KeyLength { expected: 88, found: 60 }));
    }
}

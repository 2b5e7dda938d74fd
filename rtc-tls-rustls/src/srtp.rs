//! AES-GCM for SRTP, from the library that protects DTLS records.

use rtc_core::backend::dtls::Aead;

use crate::crypto::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const TAG: usize = 16;

struct Gcm(LessSafeKey);

/// AES-GCM with a key of 16 or 32 bytes; `None` for other ones.
pub fn srtp_aead(key: &[u8]) -> Option<Box<dyn Aead>> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return None,
    };
    let key = UnboundKey::new(algorithm, key).ok()?;
    Some(Box::new(Gcm(LessSafeKey::new(key))))
}

impl Aead for Gcm {
    fn seal(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> Option<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(associated), data);
        tag.ok()?.as_ref().try_into().ok()
    }

    fn open(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(associated), data).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// RFC 7714 §16.1.1 and §16.2.1.
    #[test]
    fn packets_are_protected_as_rfc_7714_shows() {
        let nonce: [u8; 12] = *b"\x51\x75\x3c\x65\x80\xc2\x72\x6f\x20\x71\x84\x14";
        let header = bytes("8040f17b8041f8d35501a0b2");
        let plain = bytes(
            "47616c6c696120657374206f6d6e69732064697669736120696e20706172746573207472\
             6573",
        );
        for (length, expected) in [
            (
                16,
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf\
                 8833899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                32,
                "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799\
                 b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ] {
            let key: Vec<u8> = (0..length).collect();
            let mut aead = srtp_aead(&key).expect("a key of that length");
            let mut data = plain.clone();
            let tag = aead.seal(nonce, &header, &mut data).expect("sealed");
            data.extend(tag);
            assert_eq!(data, bytes(expected));
            let sealed = data.clone();
            assert!(aead.open(nonce, &header, &mut data));
            assert_eq!(data[..plain.len()], plain);
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1;
                assert!(!aead.open(nonce, &header, &mut damaged), "byte {at}");
            }
            assert!(!aead.open(nonce, &header[1..], &mut sealed.clone()));
            assert!(!aead.open(nonce, &header, &mut sealed[..TAG - 1].to_vec()));
        }
        assert!(srtp_aead(&[0; 24]).is_none());
    }
}

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

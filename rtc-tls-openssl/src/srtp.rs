//! AES-GCM for SRTP.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use rtc_core::backend::dtls::Aead;

const TAG: usize = 16;

/// Both directions keep the key schedule; only the nonce changes.
struct Gcm {
    sealing: CipherCtx,
    opening: CipherCtx,
}

/// AES-GCM with a key of 16 or 32 bytes; `None` for other ones.
pub(crate) fn srtp_aead(key: &[u8]) -> Option<Box<dyn Aead>> {
    let cipher = match key.len() {
        16 => Cipher::aes_128_gcm(),
        32 => Cipher::aes_256_gcm(),
        _ => return None,
    };
    let (mut sealing, mut opening) = (CipherCtx::new().ok()?, CipherCtx::new().ok()?);
    sealing.encrypt_init(Some(cipher), Some(key), None).ok()?;
    opening.decrypt_init(Some(cipher), Some(key), None).ok()?;
    Some(Box::new(Gcm { sealing, opening }))
}

/// What sealing and opening have in common.
fn crypt(context: &mut CipherCtx, associated: &[u8], data: &mut [u8]) -> Result<(), ErrorStack> {
    context.cipher_update(associated, None)?;
    if !data.is_empty() {
        context.cipher_update_inplace(data, data.len())?;
    }
    Ok(())
}

impl Aead for Gcm {
    fn seal(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> Option<[u8; TAG]> {
        let context = &mut self.sealing;
        context.encrypt_init(None, None, Some(&nonce)).ok()?;
        crypt(context, associated, data).ok()?;
        context.cipher_final(&mut []).ok()?;
        let mut tag = [0; TAG];
        context.tag(&mut tag).ok()?;
        Some(tag)
    }

    fn open(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> bool {
        let Some((data, tag)) = data.split_last_chunk_mut::<TAG>() else { return false };
        let context = &mut self.opening;
        let opened = context
            .decrypt_init(None, None, Some(&nonce))
            .and_then(|()| crypt(context, associated, data))
            .and_then(|()| context.set_tag(tag))
            .and_then(|()| context.cipher_final(&mut []));
        opened.is_ok()
    }
}

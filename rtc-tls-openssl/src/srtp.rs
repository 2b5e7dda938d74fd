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

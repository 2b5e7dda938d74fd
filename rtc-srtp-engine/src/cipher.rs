//! Encrypting and authenticating one packet.

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, Tag};
use ctr::CtrCore;
use ctr::flavors;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::header::RTCP_CLEAR;
use crate::keys::SessionKeys;
use crate::{Error, Profile};

/// AES in Galois/counter mode with one key, by any implementation.
pub trait Aead: Send + Sync {
    /// Encrypts `data` in place and returns the tag; `None` when that cannot be done.
    fn seal(
        &mut self,
        nonce: [u8; 12],
        associated: &[u8],
        data: &mut [u8],
    ) -> Option<[u8; GCM_TAG]>;

    /// Decrypts `data`, which the tag ends, in place; false when it is not what was sealed, and
    /// then `data` holds nothing of use.
    fn open(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> bool;
}

/// Makes an [`Aead`] of a key of 16 or 32 bytes; `None` leaves it to this crate.
pub type MakeAead<'a> = &'a dyn Fn(&[u8]) -> Option<Box<dyn Aead>>;

/// The flag of an encrypted packet in the index of SRTCP.
pub(crate) const ENCRYPTED: u32 = 1 << 31;
const CM_TAG: usize = 10;
const GCM_TAG: usize = 16;

/// The keys of one protocol in one direction, ready for use.
pub(crate) enum Cipher {
    CmSha1(Box<CmSha1>),
    Gcm(Gcm),
}

impl Cipher {
    pub(crate) fn new(profile: Profile, keys: &SessionKeys, make: MakeAead<'_>) -> Self {
        let own: fn(&[u8]) -> Box<dyn Aead> = match profile {
            Profile::Aes128CmSha1_80 => return Self::CmSha1(Box::new(CmSha1::new(keys))),
            Profile::AeadAes128Gcm => |key| Box::new(Aes128Gcm::new(&array(key).into())),
            Profile::AeadAes256Gcm => |key| Box::new(Aes256Gcm::new(&array(key).into())),
        };
        Self::Gcm(Gcm::new(make(&keys.cipher).unwrap_or_else(|| own(&keys.cipher)), keys))
    }

    /// Protects an RTP packet; the tag goes into the end of `packet`, which has room for it.
    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Error> {
        match self {
            Self::CmSha1(cipher) => cipher.seal_rtp(packet, header, ssrc, index),
            Self::Gcm(cipher) => cipher.seal_rtp(packet, header, ssrc, index),
        }
    }

    /// Opens an RTP packet and returns its length without the tag. On failure what was encrypted
    /// may be lost.
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Error> {
        match self {
            Self::CmSha1(cipher) => cipher.open_rtp(packet, header, ssrc, index),
            Self::Gcm(cipher) => cipher.open_rtp(packet, header, ssrc, index),
        }
    }

    /// Protects an RTCP packet; tag and index go into the end of `packet`.
    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<(), Error> {
        match self {
            Self::CmSha1(cipher) => cipher.seal_rtcp(packet, ssrc, index),
            Self::Gcm(cipher) => cipher.seal_rtcp(packet, ssrc, index),
        }
    }

    /// Opens an RTCP packet that ends in the word `trailer` and returns its length without what
    /// protection added. On failure what was encrypted may be lost.
    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        trailer: u32,
    ) -> Result<usize, Error> {
        match self {
            Self::CmSha1(cipher) => cipher.open_rtcp(packet, ssrc, trailer),
            Self::Gcm(cipher) => cipher.open_rtcp(packet, ssrc, trailer),
        }
    }

    /// The word at the end of a protected RTCP packet: the flag [`ENCRYPTED`] and the index.
    pub(crate) fn rtcp_trailer(&self, packet: &[u8]) -> Result<u32, Error> {
        let end = match self {
            Self::CmSha1(_) => packet.len().checked_sub(CM_TAG).ok_or(Error::Malformed)?,
            Self::Gcm(_) => packet.len(),
        };
        let word = packet.get(..end).and_then(<[u8]>::last_chunk).ok_or(Error::Malformed)?;
        Ok(u32::from_be_bytes(*word))
    }
}

/// AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1).
pub(crate) struct CmSha1 {
    aes: Aes128,
    hmac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl CmSha1 {
    fn new(keys: &SessionKeys) -> Self {
        let hmac = <Hmac<Sha1> as KeyInit>::new_from_slice(&keys.authentication[..]);
        Self {
            aes: Aes128::new(&array(&keys.cipher).into()),
            hmac: hmac.unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")),
            salt: *keys.salt,
        }
    }

    fn crypt(&self, data: &mut [u8], ssrc: u32, index: u64) {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..].copy_from_slice(&(index << 16).to_be_bytes());
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        let core = CtrCore::<_, flavors::Ctr128BE>::inner_iv_init(&self.aes, (&iv).into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }

    fn tag(&self, authenticated: &[u8], more: &[u8]) -> [u8; CM_TAG] {
        let mut hmac = self.hmac.clone();
        hmac.update(authenticated);
        hmac.update(more);
        let mut tag = [0; CM_TAG];
        tag.copy_from_slice(&hmac.finalize().into_bytes()[..CM_TAG]);
        tag
    }

    fn seal_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Error> {
        let (data, tag) = packet.split_last_chunk_mut().ok_or(Error::Malformed)?;
        let payload = data.get_mut(header..).ok_or(Error::Malformed)?;
        self.crypt(payload, ssrc, index);
        *tag = self.tag(data, &rollover(index));
        Ok(())
    }

    fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Error> {
        let (data, tag) = packet.split_last_chunk_mut::<CM_TAG>().ok_or(Error::Malformed)?;
        if header > data.len() {
            return Err(Error::Malformed);
        }
        check(&self.tag(data, &rollover(index)), tag)?;
        self.crypt(&mut data[header..], ssrc, index);
        Ok(data.len())
    }

    fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<(), Error> {
        let (data, tag) = packet.split_last_chunk_mut().ok_or(Error::Malformed)?;
        let (plain, trailer) = data.split_last_chunk_mut().ok_or(Error::Malformed)?;
        let body = plain.get_mut(RTCP_CLEAR..).ok_or(Error::Malformed)?;
        self.crypt(body, ssrc, index.into());
        *trailer = (index | ENCRYPTED).to_be_bytes();
        *tag = self.tag(data, &[]);
        Ok(())
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, trailer: u32) -> Result<usize, Error> {
        let (data, tag) = packet.split_last_chunk_mut::<CM_TAG>().ok_or(Error::Malformed)?;
        if data.len() < RTCP_CLEAR + 4 {
            return Err(Error::Malformed);
        }
        check(&self.tag(data, &[]), tag)?;
        let end = data.len() - 4;
        if trailer & ENCRYPTED != 0 {
            self.crypt(&mut data[RTCP_CLEAR..end], ssrc, (trailer & !ENCRYPTED).into());
        }
        Ok(end)
    }
}

/// AES in Galois/counter mode (RFC 7714).
pub(crate) struct Gcm {
    aead: Box<dyn Aead>,
    salt: [u8; 12],
}

impl Gcm {
    fn new(aead: Box<dyn Aead>, keys: &SessionKeys) -> Self {
        let mut salt = [0; 12];
        salt.copy_from_slice(&keys.salt[..12]);
        Self { aead, salt }
    }

    /// RFC 7714 §8.1 and §9.1, which differ only in the width of the index.
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = self.salt;
        let fields = ssrc.to_be_bytes().into_iter().chain(index.to_be_bytes().into_iter().skip(2));
        for (byte, field) in nonce.iter_mut().skip(2).zip(fields) {
            *byte ^= field;
        }
        nonce
    }

    fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Error> {
        let (data, tag) = packet.split_last_chunk_mut::<GCM_TAG>().ok_or(Error::Malformed)?;
        let (header, payload) = data.split_at_mut_checked(header).ok_or(Error::Malformed)?;
        let sealed = self.aead.seal(self.nonce(ssrc, index), header, payload);
        *tag = sealed.ok_or(Error::Malformed)?;
        Ok(())
    }

    fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Error> {
        let length = packet.len().checked_sub(GCM_TAG).ok_or(Error::Malformed)?;
        let (header, sealed) = packet.split_at_mut_checked(header).ok_or(Error::Malformed)?;
        self.open(ssrc, index, header, sealed)?;
        Ok(length)
    }

    fn seal_rtcp(&mut self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<(), Error> {
        let (data, trailer) = packet.split_last_chunk_mut().ok_or(Error::Malformed)?;
        let (data, tag) = data.split_last_chunk_mut::<GCM_TAG>().ok_or(Error::Malformed)?;
        let (clear, body) = data.split_at_mut_checked(RTCP_CLEAR).ok_or(Error::Malformed)?;
        *trailer = (index | ENCRYPTED).to_be_bytes();
        let mut associated = [0; RTCP_CLEAR + 4];
        associated[..RTCP_CLEAR].copy_from_slice(clear);
        associated[RTCP_CLEAR..].copy_from_slice(trailer);
        let sealed = self.aead.seal(self.nonce(ssrc, index.into()), &associated, body);
        *tag = sealed.ok_or(Error::Malformed)?;
        Ok(())
    }

    fn open_rtcp(&mut self, packet: &mut [u8], ssrc: u32, trailer: u32) -> Result<usize, Error> {
        let (data, word) = packet.split_last_chunk_mut::<4>().ok_or(Error::Malformed)?;
        let length = data.len().checked_sub(GCM_TAG).ok_or(Error::Malformed)?;
        let index = (trailer & !ENCRYPTED).into();
        if trailer & ENCRYPTED != 0 {
            let (clear, sealed) = data.split_at_mut_checked(RTCP_CLEAR).ok_or(Error::Malformed)?;
            let mut associated = [0; RTCP_CLEAR + 4];
            associated[..RTCP_CLEAR].copy_from_slice(clear);
            associated[RTCP_CLEAR..].copy_from_slice(word);
            self.open(ssrc, index, &associated, sealed)?;
        } else {
            // Authenticated only (RFC 7714 §9.3): rare enough to afford a copy.
            let (clear, tag) = data.split_at_mut(length);
            self.open(ssrc, index, &[&clear[..], &word[..]].concat(), tag)?;
        }
        Ok(length)
    }

    /// `sealed` ends in the tag.
    fn open(
        &mut self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Error> {
        if sealed.len() < GCM_TAG {
            return Err(Error::Malformed);
        }
        match self.aead.open(self.nonce(ssrc, index), associated, sealed) {
            true => Ok(()),
            false => Err(Error::Authentication),
        }
    }
}

impl<A> Aead for AesGcm<A, U12>
where
    Self: AeadInOut<NonceSize = U12, TagSize = U16> + Send + Sync,
{
    fn seal(
        &mut self,
        nonce: [u8; 12],
        associated: &[u8],
        data: &mut [u8],
    ) -> Option<[u8; GCM_TAG]> {
        let tag = self.encrypt_inout_detached(&nonce.into(), associated, data.into());
        tag.map(Into::into).ok()
    }

    fn open(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> bool {
        let Some((data, tag)) = data.split_last_chunk_mut::<GCM_TAG>() else { return false };
        let tag = Tag::from(*tag);
        self.decrypt_inout_detached(&nonce.into(), associated, data.into(), &tag).is_ok()
    }
}

/// The rollover counter, as HMAC authenticates it behind the packet.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn check(expected: &[u8], found: &[u8]) -> Result<(), Error> {
    if bool::from(expected.ct_eq(found)) { Ok(()) } else { Err(Error::Authentication) }
}

/// A key of the length its profile has.
fn array<const N: usize>(key: &[u8]) -> [u8; N] {
    key.try_into().unwrap_or_else(|_| unreachable!("the profile says how long its keys are"))
}

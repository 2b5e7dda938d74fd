//! The record layer (RFC 6347 §4.1): headers, and protection in place.

use super::replay::ReplayWindow;
use super::suite::Protection;
use crate::crypto::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes of a record's header.
pub(super) const HEADER: usize = 13;
/// Bytes of the authentication tag of every suite.
pub(super) const TAG: usize = 16;
/// Largest content of a record in bytes (RFC 5246 §6.2.1).
pub(super) const MAX_CONTENT: usize = 1 << 14;
/// Sequence numbers have 48 bits and must not wrap (RFC 6347 §4.1).
const MAX_SEQUENCE: u64 = (1 << 48) - 1;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// `ProtocolVersion` of the records we send: DTLS 1.2, which every peer takes.
const VERSION: [u8; 2] = [0xfe, 0xfd];

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    version: [u8; 2],
    pub(super) epoch: u16,
    pub(super) sequence: u64,
    pub(super) length: usize,
}

impl Header {
    /// `None` unless `datagram` starts with a whole record of DTLS 1.x.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let &[kind, major, minor, e0, e1, s0, s1, s2, s3, s4, s5, l0, l1] =
            datagram.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        (major == 0xfe && datagram.len() - HEADER >= length).then_some(Self {
            kind,
            version: [major, minor],
            epoch: u16::from_be_bytes([e0, e1]),
            sequence: u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]),
            length,
        })
    }

    /// Writes the header of a record of ours; `record` has room for it.
    pub(super) fn write(record: &mut [u8], kind: u8, epoch: u16, sequence: u64, length: usize) {
        let Some(header) = record.first_chunk_mut::<HEADER>() else { return };
        header[0] = kind;
        header[1..3].copy_from_slice(&VERSION);
        header[3..11].copy_from_slice(&number(epoch, sequence));
        header[11..].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

/// Epoch and sequence number as they stand in a header.
fn number(epoch: u16, sequence: u64) -> [u8; 8] {
    (u64::from(epoch) << 48 | sequence).to_be_bytes()
}

/// The additional data of RFC 5246 §6.2.3.3.
fn additional_data(number: [u8; 8], kind: u8, version: [u8; 2], length: usize) -> Aad<[u8; 13]> {
    let mut data = [0; 13];
    data[..8].copy_from_slice(&number);
    data[8] = kind;
    data[9..11].copy_from_slice(&version);
    data[11..].copy_from_slice(&(length as u16).to_be_bytes());
    Aad::from(data)
}

/// A key with the part of the nonce that stays.
struct Key {
    key: LessSafeKey,
    fixed: [u8; NONCE_LEN],
    protection: Protection,
}

impl Key {
    fn new(protection: Protection, key: &[u8], fixed: &[u8]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(protection.algorithm(), key).ok()?);
        let mut nonce = [0; NONCE_LEN];
        nonce.get_mut(..fixed.len())?.copy_from_slice(fixed);
        Some(Self { key, fixed: nonce, protection })
    }

    /// The nonce whose variable part is `variable`.
    fn nonce(&self, variable: [u8; 8]) -> Nonce {
        let mut nonce = self.fixed;
        // The GCM suites leave these eight bytes zero, so that both forms are one operation.
        for (byte, variable) in nonce[4..].iter_mut().zip(variable) {
            *byte ^= variable;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Protects records from us.
pub(super) struct Sealer {
    key: Key,
    epoch: u16,
    next_sequence: u64,
}

impl Sealer {
    pub(super) fn new(protection: Protection, key: &[u8], fixed_nonce: &[u8]) -> Option<Self> {
        Some(Self { key: Key::new(protection, key, fixed_nonce)?, epoch: 1, next_sequence: 0 })
    }

    /// Bytes before the content.
    pub(super) fn head(&self) -> usize {
        HEADER + self.key.protection.explicit_nonce()
    }

    /// Protects the content between [`Self::head`] and [`TAG`] bytes at the end; false when that
    /// cannot be done: too little room, too much content, or no sequence number left.
    pub(super) fn seal(&mut self, kind: u8, record: &mut [u8]) -> bool {
        let head = self.head();
        let Some(length) = record.len().checked_sub(head + TAG) else { return false };
        let sequence = self.next_sequence;
        if length > MAX_CONTENT || sequence > MAX_SEQUENCE {
            return false;
        }
        // Whatever becomes of the record, its nonce is used up.
        self.next_sequence += 1;

        let number = number(self.epoch, sequence);
        let fragment = record.len() - HEADER;
        Header::write(record, kind, self.epoch, sequence, fragment);
        // The explicit nonce is the record's number: unique, as no number comes twice.
        record[HEADER..head].copy_from_slice(&number[..head - HEADER]);
        let (content, tag_room) = record[head..].split_at_mut(length);
        let additional_data = additional_data(number, kind, VERSION, length);
        let nonce = self.key.nonce(number);
        match self.key.key.seal_in_place_separate_tag(nonce, additional_data, content) {
            Ok(tag) => {
                tag_room.copy_from_slice(tag.as_ref());
                true
            }
            Err(_) => false,
        }
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.next_sequence = sequence;
    }
}

/// Opens records to us.
pub(super) struct Opener {
    key: Key,
    window: ReplayWindow,
}

impl Opener {
    pub(super) fn new(protection: Protection, key: &[u8], fixed_nonce: &[u8]) -> Option<Self> {
        Some(Self { key: Key::new(protection, key, fixed_nonce)?, window: ReplayWindow::new() })
    }

    /// Opens `fragment`, what follows the header, in place; `None` for forged and replayed ones.
    pub(super) fn open<'a>(
        &mut self,
        header: &Header,
        fragment: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        if !self.window.is_new(header.sequence) {
            return None;
        }
        let number = number(header.epoch, header.sequence);
        let (explicit, sealed) =
            fragment.split_at_mut_checked(self.key.protection.explicit_nonce())?;
        let length = sealed.len().checked_sub(TAG).filter(|length| *length <= MAX_CONTENT)?;
        // The peer may choose any explicit nonce.
        let variable = <[u8; 8]>::try_from(&*explicit).unwrap_or(number);
        let additional_data = additional_data(number, header.kind, header.version, length);
        let nonce = self.key.nonce(variable);
        let content = self.key.key.open_in_place(nonce, additional_data, sealed).ok()?;
        self.window.remember(header.sequence);
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PROTECTIONS: [Protection; 3] =
        [Protection::Gcm128, Protection::Gcm256, Protection::ChaCha20Poly1305];

    fn pair(protection: Protection) -> (Sealer, Opener) {
        let key = vec![1; protection.algorithm().key_len()];
        let nonce = vec![2; protection.fixed_nonce()];
        let sealer = Sealer::new(protection, &key, &nonce).expect("the key has the right length");
        let opener = Opener::new(protection, &key, &nonce).expect("the key has the right length");
        (sealer, opener)
    }

    fn sealed(sealer: &mut Sealer, content: &[u8]) -> Vec<u8> {
        let mut record = vec![0; sealer.head()];
        record.extend_from_slice(content);
        record.extend_from_slice(&[0; TAG]);
        assert!(sealer.seal(APPLICATION_DATA, &mut record));
        record
    }

    fn opened(opener: &mut Opener, record: &[u8]) -> Option<Vec<u8>> {
        let header = Header::read(record)?;
        let mut fragment = record[HEADER..][..header.length].to_vec();
        opener.open(&header, &mut fragment).map(|content| content.to_vec())
    }

    #[test]
    fn every_suite_opens_what_it_seals_once() {
        for protection in PROTECTIONS {
            let (mut sealer, mut opener) = pair(protection);
            for content in [&b""[..], b"x", &[7; MAX_CONTENT]] {
                let record = sealed(&mut sealer, content);
                assert_eq!(opened(&mut opener, &record).as_deref(), Some(content));
                assert_eq!(opened(&mut opener, &record), None, "a replay");
            }
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        for protection in PROTECTIONS {
            let (mut sealer, mut opener) = pair(protection);
            let record = sealed(&mut sealer, b"content");
            for at in 0..record.len() {
                let mut forged = record.clone();
                forged[at] ^= 1;
                assert_eq!(opened(&mut opener, &forged), None, "byte {at}");
            }
            assert!(opened(&mut opener, &record).is_some(), "forgeries do not move the window");
        }
    }

    #[test]
    fn explicit_nonces_are_unique_and_monotonic_over_65536_records() {
        let (mut sealer, _) = pair(Protection::Gcm128);
        let mut seen = HashSet::new();
        let mut last = None;
        for _ in 0..1 << 16 {
            let record = sealed(&mut sealer, b"");
            let nonce: [u8; 8] = record[HEADER..HEADER + 8].try_into().expect("eight bytes");
            assert!(seen.insert(nonce) && Some(nonce) > last);
            last = Some(nonce);
        }
    }

    #[test]
    fn sequence_numbers_end_rather_than_wrap() {
        let (mut sealer, _) = pair(Protection::Gcm128);
        sealer.skip_to(MAX_SEQUENCE);
        sealed(&mut sealer, b"last");
        assert!(!sealer.seal(APPLICATION_DATA, &mut [0; 64]));
    }
}

//! AES-GCM that a session lends to SRTP.

use std::time::Instant;

use rtc_core::backend::dtls::{CertificateKind, DtlsRole};

use crate::link::{BackendRef, side};

/// The tests of what SRTP gets, for a [`Subject`](crate::srtp::Subject).
#[macro_export]
macro_rules! srtp {
    ($($subject:expr)?) => {
        $crate::each_test! {
            srtp [$($subject)?]
            packets_are_protected_as_rfc_7714_shows,
            what_was_changed_on_its_way_is_refused,
            keys_of_other_lengths_are_refused,
        }
    };
}

crate::srtp!();

/// What is tested.
pub struct Subject {
    /// The backend, which has AES-GCM for SRTP.
    pub backend: BackendRef,
}

const TAG: usize = 16;

/// RFC 7714 §16.1.1 and §16.2.1: the nonce, the header and the payload of both examples.
const NONCE: [u8; 12] = *b"\x51\x75\x3c\x65\x80\xc2\x72\x6f\x20\x71\x84\x14";
const HEADER: &str = "8040f17b8041f8d35501a0b2";
const PLAIN: &str = "47616c6c696120657374206f6d6e69732064697669736120696e20706172746573207472\
                     6573";

/// The length of the key, whose bytes count from 0, and the protected payload with its tag.
const EXAMPLES: [(u8, &str); 2] = [
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
];

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn packets_are_protected_as_rfc_7714_shows(subject: &Subject) {
    let (session, header, plain) = (any_side(subject).session, bytes(HEADER), bytes(PLAIN));
    for (length, expected) in EXAMPLES {
        let key: Vec<u8> = (0..length).collect();
        let mut aead = session.srtp_aead(&key).expect("a key of that length");
        let mut data = plain.clone();
        let tag = aead.seal(NONCE, &header, &mut data).expect("sealed");
        data.extend(tag);
        assert_eq!(data, bytes(expected));
        assert!(aead.open(NONCE, &header, &mut data));
        assert_eq!(data[..plain.len()], plain);
    }
}

fn what_was_changed_on_its_way_is_refused(subject: &Subject) {
    let (session, header) = (any_side(subject).session, bytes(HEADER));
    for (length, sealed) in EXAMPLES {
        let key: Vec<u8> = (0..length).collect();
        let mut aead = session.srtp_aead(&key).expect("a key of that length");
        let sealed = bytes(sealed);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(!aead.open(NONCE, &header, &mut damaged), "byte {at}");
        }
        assert!(!aead.open(NONCE, &header[1..], &mut sealed.clone()));
        assert!(!aead.open(NONCE, &header, &mut sealed[..TAG - 1].to_vec()));
        assert!(aead.open(NONCE, &header, &mut sealed.clone()));
    }
}

fn keys_of_other_lengths_are_refused(subject: &Subject) {
    let session = any_side(subject).session;
    for length in [0, 15, 17, 24, 33] {
        assert!(session.srtp_aead(&vec![0; length]).is_none(), "{length} bytes");
    }
}

/// A side: what it lends does not depend on its state.
fn any_side(subject: &Subject) -> crate::link::Side {
    let certificate = subject.backend.certificate(CertificateKind::Ecdsa);
    side(subject.backend, &certificate, DtlsRole::Client, Instant::now())
}

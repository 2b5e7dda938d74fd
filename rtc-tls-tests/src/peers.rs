//! Handshakes and data with OpenSSL as the peer, in memory: as it comes, and with other settings.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVerifyMode,
};
use openssl::x509::{X509, X509NameBuilder};
use rtc_core::backend::dtls::{CertificateKind, DtlsEvent, DtlsRole, SrtpProfile};

use crate::link::{BackendRef, SRTP, Side, side};

/// The tests with OpenSSL as the peer, for a [`Subject`](crate::peers::Subject).
#[macro_export]
macro_rules! peers {
    ($($subject:expr)?) => {
        $crate::each_test! {
            peers [$($subject)?]
            both_roles_work_with_both_kinds_of_key_on_both_sides,
            every_cipher_suite_works,
            peers_with_narrow_settings_work,
            small_datagrams_with_fragments_in_both_directions_work,
            a_cookie_is_given_back,
            a_client_without_a_certificate_is_refused,
            a_server_that_asks_for_no_certificate_is_still_authenticated,
            peers_without_anything_in_common_fail_with_a_reason,
        }
    };
}

crate::peers!();

/// What is tested, and what differs between backends.
pub struct Subject {
    /// The backend of our side.
    pub backend: BackendRef,
    /// Why a server ends the handshake with a client that has no certificate.
    pub no_certificate: &'static str,
    /// Why a server ends the handshake with a client that has none of its cipher suites.
    pub no_cipher_suite: &'static str,
}

const KINDS: [CertificateKind; 2] = [CertificateKind::Ecdsa, CertificateKind::Rsa];
const ROLES: [DtlsRole; 2] = [DtlsRole::Client, DtlsRole::Server];
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";

/// Datagrams in both directions.
#[derive(Clone, Default)]
struct Wire {
    to_openssl: Rc<RefCell<VecDeque<Vec<u8>>>>,
    from_openssl: Rc<RefCell<VecDeque<Vec<u8>>>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(datagram) = self.to_openssl.borrow_mut().pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> std::io::Result<usize> {
        self.from_openssl.borrow_mut().push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One key of each kind: making RSA keys takes long.
fn key(kind: CertificateKind) -> PKey<Private> {
    static RSA: OnceLock<PKey<Private>> = OnceLock::new();
    match kind {
        CertificateKind::Ecdsa => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        }
        CertificateKind::Rsa => {
            RSA.get_or_init(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()).clone()
        }
    }
}

/// A certificate of version 1, as the reference implementation makes them.
fn x509(key: &PKey<Private>) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "libdatachannel").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(0).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(365).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// What a WebRTC peer on OpenSSL sets up.
fn context(
    kind: Option<CertificateKind>,
    adjust: impl FnOnce(&mut SslContextBuilder),
) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::dtls()).unwrap();
    if let Some(kind) = kind {
        let key = key(kind);
        builder.set_certificate(&x509(&key)).unwrap();
        builder.set_private_key(&key).unwrap();
    }
    builder
        .set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| {
            true
        });
    builder.set_options(SslOptions::NO_QUERY_MTU);
    builder
        .set_tlsext_use_srtp("SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80")
        .unwrap();
    adjust(&mut builder);
    builder.build()
}

struct OpenSsl {
    stream: SslStream<Wire>,
    wire: Wire,
    error: Option<String>,
    done: bool,
}

impl OpenSsl {
    fn new(context: &SslContext, role: DtlsRole, mtu: u32) -> Self {
        let mut ssl = Ssl::new(context).unwrap();
        ssl.set_mtu(mtu).unwrap();
        match role {
            DtlsRole::Client => ssl.set_connect_state(),
            DtlsRole::Server => ssl.set_accept_state(),
        }
        let wire = Wire::default();
        let stream = SslStream::new(ssl, wire.clone()).unwrap();
        Self { stream, wire, error: None, done: false }
    }

    fn step(&mut self) {
        if self.done || self.error.is_some() {
            return;
        }
        match self.stream.do_handshake() {
            Ok(()) => self.done = true,
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = self.stream.ssl_read(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        all
    }
}

fn opposite(role: DtlsRole) -> DtlsRole {
    match role {
        DtlsRole::Client => DtlsRole::Server,
        DtlsRole::Server => DtlsRole::Client,
    }
}

/// Carries datagrams until neither side has any.
fn exchange(ours: &mut Side, theirs: &mut OpenSsl) {
    let now = Instant::now();
    for _ in 0..20 {
        theirs.step();
        let to_us = std::mem::take(&mut *theirs.wire.from_openssl.borrow_mut());
        for datagram in &to_us {
            ours.datagram(now, datagram);
        }
        let to_them = ours.outgoing();
        if to_us.is_empty() && to_them.is_empty() {
            return;
        }
        theirs.wire.to_openssl.borrow_mut().extend(to_them);
    }
}

fn handshake(
    subject: &Subject,
    our_kind: CertificateKind,
    role: DtlsRole,
    context: &SslContext,
    mtu: u32,
) -> (Side, OpenSsl) {
    let mut ours =
        side(subject.backend, &subject.backend.certificate(our_kind), role, Instant::now());
    let mut theirs = OpenSsl::new(context, opposite(role), mtu);
    exchange(&mut ours, &mut theirs);
    (ours, theirs)
}

/// The handshake is complete, and payloads, keying material and the end arrive.
fn assert_works(ours: &mut Side, theirs: &mut OpenSsl, case: &str) {
    assert!(ours.connected().is_some(), "{case}: {:?} {:?}", ours.error, theirs.error);
    assert!(theirs.done, "{case}: {:?}", theirs.error);
    let theirs_der = theirs.stream.ssl().certificate().map(|x509| x509.to_der().unwrap());
    assert_eq!(ours.peer_certificate().map(<[u8]>::to_vec), theirs_der, "{case}");

    let mut exported = [0; 60];
    theirs.stream.ssl().export_keying_material(&mut exported, EXPORTER, None).unwrap();
    assert_eq!(ours.session.export_keying_material(EXPORTER, 60).unwrap(), exported, "{case}");

    for payload in [&b"x"[..], &[7; 1000], &[8; 4000]] {
        let record = ours.seal(payload);
        theirs.wire.to_openssl.borrow_mut().push_back(record);
        assert_eq!(theirs.read(), [payload], "{case}");
    }
    for payload in [&b"y"[..], &[9; 1000]] {
        theirs.stream.ssl_write(payload).unwrap();
        exchange(ours, theirs);
        assert_eq!(ours.data.pop().as_deref(), Some(payload), "{case}");
    }
    let _ = theirs.stream.shutdown();
    exchange(ours, theirs);
    assert_eq!(ours.events.last(), Some(&DtlsEvent::CloseNotify), "{case}");
    let received = theirs.stream.shutdown();
    assert!(received.is_ok(), "{case}: our close_notify did not arrive: {received:?}");
}

fn both_roles_work_with_both_kinds_of_key_on_both_sides(subject: &Subject) {
    for role in ROLES {
        for our_kind in KINDS {
            for their_kind in KINDS {
                let case = format!("we are {role:?} with {our_kind:?}, they have {their_kind:?}");
                let context = context(Some(their_kind), |_| ());
                let (mut ours, mut theirs) = handshake(subject, our_kind, role, &context, 1200);
                assert_works(&mut ours, &mut theirs, &case);
                let profile = ours.connected().and_then(|connected| connected.srtp_profile);
                assert_eq!(profile, Some(SRTP[0]), "{case}");
                let theirs = theirs.stream.ssl().selected_srtp_profile().map(|p| p.name());
                assert_eq!(theirs, Some("SRTP_AEAD_AES_256_GCM"), "{case}");
            }
        }
    }
}

fn every_cipher_suite_works(subject: &Subject) {
    for role in ROLES {
        for our_kind in KINDS {
            for (theirs, name) in [
                ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
                ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
                ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
            ] {
                let list = format!("ECDHE-ECDSA-{theirs}:ECDHE-RSA-{theirs}");
                let context = context(Some(our_kind), |builder| {
                    builder.set_cipher_list(&list).unwrap();
                });
                let (mut ours, mut theirs) = handshake(subject, our_kind, role, &context, 1200);
                assert_works(&mut ours, &mut theirs, &list);
                let suite = ours.connected().map(|connected| connected.cipher_suite.clone());
                assert!(suite.is_some_and(|suite| suite.ends_with(name)), "{list}");
            }
        }
    }
}

fn peers_with_narrow_settings_work(subject: &Subject) {
    type Adjust = fn(&mut SslContextBuilder);
    let settings: [(&str, Adjust, Option<SrtpProfile>); 8] = [
        ("P-256 only", |b| b.set_groups_list("P-256").unwrap(), Some(SRTP[0])),
        ("P-384 only", |b| b.set_groups_list("P-384").unwrap(), Some(SRTP[0])),
        ("X25519 only", |b| b.set_groups_list("X25519:P-256").unwrap(), Some(SRTP[0])),
        (
            "no extended master secret",
            // SSL_OP_NO_EXTENDED_MASTER_SECRET
            |b| {
                b.set_options(SslOptions::from_bits_retain(1));
            },
            Some(SRTP[0]),
        ),
        (
            "SHA-384 signatures",
            |b| b.set_sigalgs_list("ecdsa_secp384r1_sha384:RSA-PSS+SHA384:RSA+SHA384").unwrap(),
            Some(SRTP[0]),
        ),
        ("PSS only", |b| b.set_sigalgs_list("ECDSA+SHA256:RSA-PSS+SHA256").unwrap(), Some(SRTP[0])),
        (
            "AES-CM only",
            |b| b.set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80").unwrap(),
            Some(SrtpProfile::Aes128CmSha1_80),
        ),
        (
            "AEAD 128 only",
            |b| b.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM").unwrap(),
            Some(SrtpProfile::AeadAes128Gcm),
        ),
    ];
    for role in ROLES {
        for kind in KINDS {
            for (name, adjust, profile) in settings {
                let case = format!("{name}, we are {role:?} with {kind:?}");
                // A peer without P-256 or SHA-256 takes no certificate with such a key.
                let without = ["P-384 only", "SHA-384 signatures"].contains(&name);
                if without && kind == CertificateKind::Ecdsa {
                    continue;
                }
                let context = context(Some(kind), adjust);
                let (mut ours, mut theirs) = handshake(subject, kind, role, &context, 1200);
                assert_works(&mut ours, &mut theirs, &case);
                let connected = ours.connected().expect("it works");
                assert_eq!(connected.srtp_profile, profile, "{case}");
            }
        }
    }
}

fn small_datagrams_with_fragments_in_both_directions_work(subject: &Subject) {
    for role in ROLES {
        for kind in KINDS {
            // A ClientHello of more than 1400 bytes, as browsers send.
            let long = context(Some(kind), |builder| {
                let mut protocols = Vec::new();
                for i in 0..60u8 {
                    protocols.extend_from_slice(&[20]);
                    protocols.extend_from_slice(&[b'a' + i % 26; 20]);
                }
                builder.set_alpn_protos(&protocols).unwrap();
            });
            let (mut ours, mut theirs) = handshake(subject, kind, role, &long, 256);
            assert_works(&mut ours, &mut theirs, &format!("we are {role:?} with {kind:?}"));
        }
    }
}

fn a_cookie_is_given_back(subject: &Subject) {
    let context = context(Some(CertificateKind::Ecdsa), |builder| {
        builder.set_options(SslOptions::COOKIE_EXCHANGE);
        builder.set_cookie_generate_cb(|_, cookie| {
            cookie[..6].copy_from_slice(b"cookie");
            Ok(6)
        });
        builder.set_cookie_verify_cb(|_, cookie| cookie == b"cookie");
    });
    let (mut ours, mut theirs) =
        handshake(subject, CertificateKind::Ecdsa, DtlsRole::Client, &context, 1200);
    assert_works(&mut ours, &mut theirs, "cookie");
}

fn a_client_without_a_certificate_is_refused(subject: &Subject) {
    let context = context(None, |_| ());
    let (ours, theirs) =
        handshake(subject, CertificateKind::Ecdsa, DtlsRole::Server, &context, 1200);
    assert!(ours.connected().is_none() && ours.peer_certificate().is_none());
    let error = ours.error.expect("the handshake fails");
    assert_eq!(error, format!("DTLS handshake failed: {}", subject.no_certificate));
    assert!(theirs.error.is_some_and(|error| error.contains("handshake failure")));
}

fn a_server_that_asks_for_no_certificate_is_still_authenticated(subject: &Subject) {
    let context = context(Some(CertificateKind::Rsa), |builder| {
        builder.set_verify(SslVerifyMode::NONE);
    });
    let (ours, theirs) =
        handshake(subject, CertificateKind::Ecdsa, DtlsRole::Client, &context, 1200);
    assert!(ours.connected().is_some() && ours.peer_certificate().is_some());
    assert!(theirs.done && theirs.stream.ssl().peer_certificate().is_none());
}

fn peers_without_anything_in_common_fail_with_a_reason(subject: &Subject) {
    for role in ROLES {
        let context = context(Some(CertificateKind::Ecdsa), |builder| {
            builder.set_cipher_list("ECDHE-ECDSA-AES128-SHA256").unwrap();
        });
        let (mut ours, theirs) = handshake(subject, CertificateKind::Ecdsa, role, &context, 1200);
        assert!(theirs.error.is_some());
        let soon = Instant::now() + std::time::Duration::from_secs(1);
        ours.timeout(soon);
        let error = ours.error.expect("the handshake fails");
        let expected = match role {
            DtlsRole::Client => "the peer sent the alert handshake_failure (40)",
            DtlsRole::Server => subject.no_cipher_suite,
        };
        assert_eq!(error, format!("DTLS handshake failed: {expected}"));
    }
}

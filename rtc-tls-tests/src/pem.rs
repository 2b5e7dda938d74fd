//! Loading certificates and keys in the forms that OpenSSL writes.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::{X509, X509NameBuilder};
use proptest::prelude::*;
use rtc_core::backend::dtls::{Certificate, CertificateKind};

use crate::link::{BackendRef, Link, Random, both_connected, run, sides};

/// The tests of PEM, for a [`Subject`](crate::pem::Subject).
#[macro_export]
macro_rules! pem {
    ($($subject:expr)?) => {
        $crate::each_test! {
            pem [$($subject)?]
            every_form_of_key_is_loaded,
            a_chain_is_sent_whole_with_its_leaf_first,
            what_cannot_be_loaded_says_why,
            generated_certificates_are_what_the_reference_implementation_makes,
            a_generated_certificate_names_the_host_it_is_for,
            damaged_text_never_panics,
        }
    };
}

crate::pem!();

/// What is tested, and what differs between backends.
pub struct Subject {
    /// The backend that loads and makes certificates.
    pub backend: BackendRef,
    /// Whether an error reads like one of the reasons: holds it, or ends with it.
    pub reads_like: fn(&str, &str) -> bool,
    /// Why a certificate is refused that is not in base64.
    pub not_base64: &'static str,
    /// Why a key is refused in a block called `STRANGE PRIVATE KEY`.
    pub strange_key: &'static str,
    /// Why three zero bytes are refused as a certificate.
    pub not_x509: &'static str,
    /// Why an encrypted key is refused that does not say how it was encrypted.
    pub no_dek_info: &'static str,
}

const PASSPHRASE: &str = "correct horse";

fn x509(key: &PKey<Private>) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "loaded").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// A self-signed certificate and its RSA key, in PEM.
///
/// # Panics
///
/// If OpenSSL fails.
pub fn rsa() -> (String, String) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (text(builder.build().to_pem().unwrap()), text(key.private_key_to_pem_pkcs8().unwrap()))
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}

/// Every form of a key, with whether it needs the passphrase.
fn forms(key: &PKey<Private>) -> Vec<(String, String, bool)> {
    let mut forms =
        vec![("PKCS #8".to_owned(), text(key.private_key_to_pem_pkcs8().unwrap()), false)];
    let ciphers = [
        ("AES-128-CBC", Cipher::aes_128_cbc()),
        ("AES-192-CBC", Cipher::aes_192_cbc()),
        ("AES-256-CBC", Cipher::aes_256_cbc()),
        ("DES-EDE3-CBC", Cipher::des_ede3_cbc()),
    ];
    for (name, cipher) in ciphers {
        let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, PASSPHRASE.as_bytes()).unwrap();
        forms.push((format!("PKCS #8 with {name}"), text(pem), true));
        let pem = match key.rsa() {
            Ok(rsa) => rsa.private_key_to_pem_passphrase(cipher, PASSPHRASE.as_bytes()),
            Err(_) => {
                let ec = key.ec_key().unwrap();
                ec.private_key_to_pem_passphrase(cipher, PASSPHRASE.as_bytes())
            }
        };
        forms.push((format!("traditional with {name}"), text(pem.unwrap()), true));
    }
    let traditional = match key.rsa() {
        Ok(rsa) => rsa.private_key_to_pem().unwrap(),
        Err(_) => key.ec_key().unwrap().private_key_to_pem().unwrap(),
    };
    forms.push(("traditional".to_owned(), text(traditional), false));
    forms
}

/// A key of each kind, made once.
fn keys() -> &'static [(&'static str, PKey<Private>); 4] {
    static KEYS: OnceLock<[(&str, PKey<Private>); 4]> = OnceLock::new();
    KEYS.get_or_init(|| {
        let curve = |nid| {
            let group = EcGroup::from_curve_name(nid).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        [
            ("RSA 2048", PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()),
            ("RSA 3072", PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap()),
            ("P-256", curve(Nid::X9_62_PRIME256V1)),
            ("P-384", curve(Nid::SECP384R1)),
        ]
    })
}

fn assert_usable(subject: &Subject, certificate: &Certificate, case: &str) {
    let now = Instant::now();
    let other = subject.backend.certificate(CertificateKind::Ecdsa);
    let mut sides = sides(subject.backend, certificate, &other, now);
    run(&mut sides, Link::GOOD, &mut Random(1), now, Duration::from_secs(1), both_connected);
    assert!(both_connected(&sides), "{case}: {:?} {:?}", sides[0].error, sides[1].error);
    assert_eq!(sides[1].peer_certificate(), Some(certificate.der()), "{case}");
}

fn every_form_of_key_is_loaded(subject: &Subject) {
    for (kind, key) in keys() {
        let certificate = x509(key);
        let pem = text(certificate.to_pem().unwrap());
        for (form, key_pem, encrypted) in forms(key) {
            let case = format!("{kind}, {form}");
            for passphrase in [Some(PASSPHRASE), None, Some("wrong")] {
                let loaded = subject.backend.dtls().load_certificate(&pem, &key_pem, passphrase);
                let expected = !encrypted || passphrase == Some(PASSPHRASE);
                assert_eq!(loaded.is_ok(), expected, "{case}, {passphrase:?}: {loaded:?}");
                if passphrase == Some(PASSPHRASE) {
                    let loaded = loaded.unwrap();
                    assert_eq!(loaded.der(), certificate.to_der().unwrap(), "{case}");
                    assert_usable(subject, &loaded, &case);
                }
            }
        }
    }
}

fn a_chain_is_sent_whole_with_its_leaf_first(subject: &Subject) {
    let (_, key) = &keys()[3];
    let leaf = x509(key);
    let others: Vec<_> = keys().iter().map(|(_, key)| x509(key)).collect();
    let mut pem = format!("Here it comes.\n{}", text(leaf.to_pem().unwrap()));
    for other in &others {
        pem.push_str(&text(other.to_pem().unwrap()));
    }
    // Certificate and key may come in one file.
    pem.push_str(&text(key.private_key_to_pem_pkcs8().unwrap()));
    let loaded = subject.backend.dtls().load_certificate(&pem, &pem, None).unwrap();
    assert_eq!(loaded.der(), leaf.to_der().unwrap());
    assert_usable(subject, &loaded, "chain");
}

fn what_cannot_be_loaded_says_why(subject: &Subject) {
    let (_, key) = &keys()[3];
    let certificate = text(x509(key).to_pem().unwrap());
    let key_pem = text(key.private_key_to_pem_pkcs8().unwrap());
    let (_, other) = &keys()[0];
    let other = text(other.private_key_to_pem_pkcs8().unwrap());
    let damaged = certificate.replace('M', "!");
    let unknown = key_pem.replace("PRIVATE", "STRANGE PRIVATE");
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_info = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
                   -----END RSA PRIVATE KEY-----";
    for (certificate, key, reason) in [
        ("", &*key_pem, "cannot load a certificate: the text contains none"),
        (&*certificate, "", "cannot load a private key: the text contains none"),
        (&*certificate, &*other, "the private key belongs to another one"),
        (&*damaged, &*key_pem, subject.not_base64),
        (&*certificate, &*unknown, subject.strange_key),
        (not_x509, &*key_pem, subject.not_x509),
        (&*certificate, no_info, subject.no_dek_info),
    ] {
        let error =
            subject.backend.dtls().load_certificate(certificate, key, Some("x")).unwrap_err();
        assert!((subject.reads_like)(&error.to_string(), reason), "{error}");
    }
}

fn generated_certificates_are_what_the_reference_implementation_makes(subject: &Subject) {
    for (kind, bits) in [(CertificateKind::Ecdsa, 256), (CertificateKind::Rsa, 2048)] {
        if kind == CertificateKind::Rsa && !subject.backend.dtls().capabilities().rsa_local {
            continue;
        }
        let certificate = subject.backend.new_certificate(kind);
        let x509 = X509::from_der(certificate.der()).unwrap();
        let key = x509.public_key().unwrap();
        assert_eq!(key.bits(), bits);
        assert!(x509.verify(&key).unwrap(), "signed by itself");
        let name = x509.subject_name().entries().next().unwrap();
        assert_eq!(name.data().as_slice(), b"libdatachannel");
        assert_eq!(x509.subject_name().entries().count(), 1);
        let algorithm = x509.signature_algorithm().object().to_string();
        assert!(algorithm.to_lowercase().contains("sha256"), "{algorithm}");
        let now = Asn1Time::days_from_now(0).unwrap();
        let since = x509.not_before().diff(&now).unwrap();
        assert_eq!((since.days, since.secs / 60), (0, 60));
        let until = now.diff(x509.not_after()).unwrap();
        assert!((364..=365).contains(&until.days), "{until:?}");
        let serial =
            |der: &[u8]| X509::from_der(der).unwrap().serial_number().to_bn().unwrap().to_vec();
        assert_ne!(serial(certificate.der()), serial(subject.backend.new_certificate(kind).der()));
    }
}

fn a_generated_certificate_names_the_host_it_is_for(subject: &Subject) {
    for host in ["localhost", "example.com", "127.0.0.1", "::1"] {
        let made = subject
            .backend
            .dtls()
            .generate_certificate(CertificateKind::Ecdsa, Some(host))
            .unwrap();
        let x509 = X509::from_der(made.der()).unwrap();
        assert!(x509.verify(&x509.public_key().unwrap()).unwrap(), "{host}");
        let name = x509.subject_name().entries().next().unwrap();
        assert_eq!(name.data().as_slice(), host.as_bytes());
        let names = x509.subject_alt_names().unwrap();
        let [alternative] = names.iter().collect::<Vec<_>>()[..] else { panic!("one name") };
        match host.parse() {
            Ok(IpAddr::V4(ip)) => assert_eq!(alternative.ipaddress(), Some(&ip.octets()[..])),
            Ok(IpAddr::V6(ip)) => assert_eq!(alternative.ipaddress(), Some(&ip.octets()[..])),
            Err(_) => assert_eq!(alternative.dnsname(), Some(host)),
        }
    }
    assert!(
        X509::from_der(subject.backend.certificate(CertificateKind::Ecdsa).der())
            .unwrap()
            .subject_alt_names()
            .is_none()
    );
}

fn damaged_text_never_panics(subject: &Subject) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(
        which in 0usize..4,
        form in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..128), 1..6),
        cut in any::<prop::sample::Index>(),
    )| {
        static PEMS: OnceLock<Vec<(String, Vec<String>)>> = OnceLock::new();
        let pems = PEMS.get_or_init(|| {
            let pem = |(_, key): &(&str, PKey<Private>)| {
                let keys = forms(key).into_iter().map(|(_, pem, _)| pem).collect();
                (text(x509(key).to_pem().unwrap()), keys)
            };
            keys().iter().map(pem).collect()
        });
        let (certificate, keys) = &pems[which];
        let damaged = |pem: &str| {
            let mut bytes = pem.as_bytes().to_vec();
            for (index, value) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *value;
            }
            bytes.truncate(cut.index(bytes.len() * 2).max(1));
            text(bytes)
        };
        let key = &keys[form.index(keys.len())];
        let passphrase = Some(PASSPHRASE);
        // Both may succeed: changes can hit what does not count.
        let _ = subject.backend.dtls().load_certificate(&damaged(certificate), key, passphrase);
        let _ = subject.backend.dtls().load_certificate(certificate, &damaged(key), passphrase);
    });
}

//! TLS streams: between two sessions of ours, and with OpenSSL as the peer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::process::Command;
use std::rc::Rc;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode,
    SslVersion,
};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};
use rtc_core::backend::dtls::CertificateKind;
use rtc_core::backend::tls::{TlsBackend, TlsClientConfig, TlsRead, TlsServerConfig, TlsSession};

/// The tests of streams, for a [`Subject`](crate::tls::Subject).
#[macro_export]
macro_rules! tls {
    ($($subject:expr)?) => {
        $crate::each_test! {
            tls [$($subject)?]
            plaintext_goes_both_ways_and_the_end_is_seen,
            an_end_without_close_notify_is_a_truncation,
            both_directions_push_back_rather_than_buffer_without_bound,
            garbage_ends_the_connection_with_an_error,
            names_that_are_none_are_refused,
            a_self_signed_certificate_is_not_trusted_by_default,
            our_client_works_with_openssl_even_with_version_1_certificates,
            our_server_works_with_openssl,
            names_are_verified_against_the_roots_of_the_system,
        }
    };
}

crate::tls!();

/// What is tested, and what differs between backends.
pub struct Subject {
    /// The backend of our side.
    pub backend: &'static dyn TlsBackend,
    /// Whether it makes RSA keys.
    pub makes_rsa: bool,
    /// What the error says of a self-signed certificate that is not among the roots.
    pub unknown_issuer: &'static str,
    /// Where files of tests go.
    pub directory: &'static str,
}

const TRUSTING: TlsClientConfig = TlsClientConfig { disable_verification: true };
const VERIFYING: TlsClientConfig = TlsClientConfig { disable_verification: false };

fn server(subject: &Subject, kind: CertificateKind) -> Box<dyn TlsSession> {
    let certificate = subject.backend.generate_certificate(kind, None).unwrap();
    subject.backend.server(&TlsServerConfig { certificate }).unwrap()
}

fn client(subject: &Subject, name: &str, config: &TlsClientConfig) -> Box<dyn TlsSession> {
    subject.backend.client(name, config).unwrap()
}

/// Carries ciphertext until neither side has any.
fn exchange(sides: &mut [Box<dyn TlsSession>; 2]) -> rtc_core::Result<()> {
    loop {
        let mut moved = false;
        for (from, to) in [(0, 1), (1, 0)] {
            let mut bytes = Vec::new();
            if sides[from].write_ciphertext(&mut bytes) {
                moved = true;
                assert_eq!(sides[to].read_ciphertext(&bytes)?, bytes.len());
            }
        }
        if !moved {
            return Ok(());
        }
    }
}

fn pair(subject: &Subject) -> [Box<dyn TlsSession>; 2] {
    let mut sides =
        [client(subject, "localhost", &TRUSTING), server(subject, CertificateKind::Ecdsa)];
    exchange(&mut sides).unwrap();
    assert!(!sides[0].is_handshaking() && !sides[1].is_handshaking());
    sides
}

fn plaintext_goes_both_ways_and_the_end_is_seen(subject: &Subject) {
    let mut sides = pair(subject);
    for (from, to) in [(0, 1), (1, 0)] {
        assert_eq!(sides[from].write(b"hello").unwrap(), 5);
        exchange(&mut sides).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(sides[to].read(&mut buffer).unwrap(), TlsRead::Data(5));
        assert_eq!(&buffer[..5], b"hello");
        assert_eq!(sides[to].read(&mut buffer).unwrap(), TlsRead::WouldBlock);
    }
    sides[0].write(b"last").unwrap();
    sides[0].close();
    sides[0].close();
    assert!(sides[0].write(b"more").is_err());
    exchange(&mut sides).unwrap();
    sides[1].end_of_ciphertext();
    let mut buffer = [0; 100];
    assert_eq!(sides[1].read(&mut buffer).unwrap(), TlsRead::Data(4));
    assert_eq!(sides[1].read(&mut buffer).unwrap(), TlsRead::Closed);
    assert_eq!(sides[1].read_ciphertext(b"what follows does not count").unwrap(), 27);
}

fn an_end_without_close_notify_is_a_truncation(subject: &Subject) {
    let mut sides = pair(subject);
    sides[0].write(b"cut").unwrap();
    exchange(&mut sides).unwrap();
    sides[1].end_of_ciphertext();
    let mut buffer = [0; 100];
    assert_eq!(sides[1].read(&mut buffer).unwrap(), TlsRead::Data(3));
    assert_eq!(sides[1].read(&mut buffer).unwrap(), TlsRead::Truncated);

    let mut early = server(subject, CertificateKind::Ecdsa);
    early.end_of_ciphertext();
    assert_eq!(early.read(&mut buffer).unwrap(), TlsRead::Truncated);
}

fn both_directions_push_back_rather_than_buffer_without_bound(subject: &Subject) {
    let mut sides = pair(subject);
    let data = vec![5; 1 << 20];
    let taken = sides[0].write(&data).unwrap();
    assert!(taken > 0 && taken < data.len());
    assert_eq!(sides[0].write(&data).unwrap(), 0, "the ciphertext must go out first");

    let mut received = Vec::new();
    let mut sent = taken;
    let mut pending = Vec::new();
    let mut refused = false;
    while received.len() < data.len() {
        sent += sides[0].write(&data[sent..]).unwrap();
        sides[0].write_ciphertext(&mut pending);
        let taken = sides[1].read_ciphertext(&pending).unwrap();
        refused |= taken < pending.len();
        pending.drain(..taken);
        let mut buffer = [0; 10_000];
        while let TlsRead::Data(length) = sides[1].read(&mut buffer).unwrap() {
            received.extend_from_slice(&buffer[..length]);
        }
    }
    assert!(refused, "plaintext must be read first");
    assert_eq!(received, data);
}

fn garbage_ends_the_connection_with_an_error(subject: &Subject) {
    let mut server = server(subject, CertificateKind::Ecdsa);
    let error = server.read_ciphertext(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap_err();
    assert!(error.to_string().starts_with("TLS connection failed: "), "{error}");
}

fn names_that_are_none_are_refused(subject: &Subject) {
    for name in ["", "a b", "exa_mple..com", "[::1"] {
        assert!(subject.backend.client(name, &TRUSTING).is_err(), "{name}");
    }
    for name in ["localhost", "127.0.0.1", "::1", "[::1]", "example.com"] {
        assert!(subject.backend.client(name, &TRUSTING).is_ok(), "{name}");
    }
}

fn a_self_signed_certificate_is_not_trusted_by_default(subject: &Subject) {
    let Ok(client) = subject.backend.client("localhost", &VERIFYING) else {
        println!("skipped: this system has no root certificates");
        return;
    };
    let mut sides = [client, server(subject, CertificateKind::Ecdsa)];
    let error = exchange(&mut sides).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

/// Bytes in both directions.
#[derive(Clone, Debug, Default)]
struct Wire {
    to_openssl: Rc<RefCell<VecDeque<u8>>>,
    from_openssl: Rc<RefCell<Vec<u8>>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.to_openssl.borrow_mut().read(buffer)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.from_openssl.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn carry(ours: &mut dyn TlsSession, wire: &Wire) -> rtc_core::Result<()> {
    let bytes = std::mem::take(&mut *wire.from_openssl.borrow_mut());
    ours.read_ciphertext(&bytes)?;
    let mut bytes = Vec::new();
    ours.write_ciphertext(&mut bytes);
    wire.to_openssl.borrow_mut().extend(bytes);
    Ok(())
}

fn handshake(
    ours: &mut dyn TlsSession,
    wire: &Wire,
    mut outcome: Result<SslStream<Wire>, HandshakeError<Wire>>,
) -> rtc_core::Result<SslStream<Wire>> {
    for _ in 0..10 {
        carry(ours, wire)?;
        outcome = match outcome {
            Ok(stream) if !ours.is_handshaking() => return Ok(stream),
            Ok(stream) => Ok(stream),
            Err(HandshakeError::WouldBlock(middle)) => MidHandshakeSslStream::handshake(middle),
            Err(error) => panic!("OpenSSL: {error}"),
        };
    }
    panic!("the handshake does not end");
}

fn assert_echo(ours: &mut dyn TlsSession, theirs: &mut SslStream<Wire>, wire: &Wire) {
    ours.write(b"ping").unwrap();
    carry(ours, wire).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(theirs.ssl_read(&mut buffer).unwrap(), 4);
    theirs.ssl_write(b"pong!").unwrap();
    carry(ours, wire).unwrap();
    assert_eq!(ours.read(&mut buffer).unwrap(), TlsRead::Data(5));
    let _ = theirs.shutdown();
    carry(ours, wire).unwrap();
    assert_eq!(ours.read(&mut buffer).unwrap(), TlsRead::Closed);
}

fn self_signed(version: i32, names: &[&str]) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", &names.join(" ")).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(version).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    if version == 2 {
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            match name.parse::<IpAddr>() {
                Ok(_) => alternatives.ip(name),
                Err(_) => alternatives.dns(name),
            };
        }
        let extension = alternatives.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn accept_with_openssl(
    ours: &mut dyn TlsSession,
    certificate: &(X509, PKey<Private>),
    version: SslVersion,
) -> rtc_core::Result<()> {
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    context.set_certificate(&certificate.0).unwrap();
    context.set_private_key(&certificate.1).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    let wire = Wire::default();
    let accepting = Ssl::new(&context.build()).unwrap().accept(wire.clone());
    let mut theirs = handshake(ours, &wire, accepting)?;
    assert_echo(ours, &mut theirs, &wire);
    Ok(())
}

fn our_client_works_with_openssl_even_with_version_1_certificates(subject: &Subject) {
    for version in VERSIONS {
        for x509_version in [0, 2] {
            let certificate = self_signed(x509_version, &["localhost"]);
            let mut ours = client(subject, "localhost", &TRUSTING);
            accept_with_openssl(&mut *ours, &certificate, version).unwrap();
        }
    }
}

fn our_server_works_with_openssl(subject: &Subject) {
    for kind in [CertificateKind::Ecdsa, CertificateKind::Rsa] {
        if kind == CertificateKind::Rsa && !subject.makes_rsa {
            continue;
        }
        for version in VERSIONS {
            let certificate = subject.backend.generate_certificate(kind, None).unwrap();
            let mut context = SslContext::builder(SslMethod::tls()).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
            // The certificate verifies as its own root.
            let root = X509::from_der(certificate.der()).unwrap();
            context.cert_store_mut().add_cert(root).unwrap();
            context.set_verify(SslVerifyMode::PEER);
            let wire = Wire::default();
            let connecting = Ssl::new(&context.build()).unwrap().connect(wire.clone());
            let mut ours = subject.backend.server(&TlsServerConfig { certificate }).unwrap();
            let mut theirs = handshake(&mut *ours, &wire, connecting).unwrap();
            assert_echo(&mut *ours, &mut theirs, &wire);
        }
    }
}

/// Names of the certificate below, and a name it does not have.
const NAMES: [(&str, bool); 5] = [
    ("localhost", true),
    ("127.0.0.1", true),
    ("[::1]", true),
    ("example.com", false),
    ("127.0.0.2", false),
];

/// Names the file with the key of the only root certificate, where that is set up.
const ROOT_KEY: &str = "TEST_ROOT_KEY";

/// Runs itself once more, in a process whose system has one root certificate.
fn names_are_verified_against_the_roots_of_the_system(subject: &Subject) {
    if let Ok(key) = std::env::var(ROOT_KEY) {
        return verify_against_one_root(subject, &key);
    }
    let (certificate, key) = self_signed(2, &["localhost", "127.0.0.1", "::1"]);
    let directory = std::path::Path::new(subject.directory);
    let name = subject.backend.name();
    let roots = directory.join(format!("{name}-roots.pem"));
    let key_file = directory.join(format!("{name}-roots-key.pem"));
    std::fs::write(&roots, certificate.to_pem().unwrap()).unwrap();
    std::fs::write(&key_file, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("names_are_verified_against_the_roots_of_the_system")
        .env("SSL_CERT_FILE", &roots)
        .env_remove("SSL_CERT_DIR")
        .env(ROOT_KEY, &key_file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn verify_against_one_root(subject: &Subject, key_file: &str) {
    let certificate = std::fs::read(std::env::var("SSL_CERT_FILE").unwrap()).unwrap();
    let certificate = X509::from_pem(&certificate).unwrap();
    let key = PKey::private_key_from_pem(&std::fs::read(key_file).unwrap()).unwrap();
    let certificate = (certificate, key);
    for version in VERSIONS {
        for (name, fits) in NAMES {
            let mut ours = client(subject, name, &VERIFYING);
            let outcome = accept_with_openssl(&mut *ours, &certificate, version);
            assert_eq!(outcome.is_ok(), fits, "{name}: {outcome:?}");
        }
        let unknown = self_signed(2, &["localhost"]);
        let mut ours = client(subject, "localhost", &VERIFYING);
        let error = accept_with_openssl(&mut *ours, &unknown, version).unwrap_err();
        assert!(error.to_string().contains(subject.unknown_issuer), "{error}");
    }
}

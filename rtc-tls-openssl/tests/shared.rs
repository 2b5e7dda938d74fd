//! The tests that every TLS backend passes.

mod common;

use std::time::Duration;

use common::OPENSSL;
use rtc_core::backend::dtls::DtlsBackend;
use rtc_tls_openssl::BACKEND;

mod handshake {
    rtc_tls_tests::handshake!(rtc_tls_tests::handshake::Subject { backend: &super::OPENSSL });
}

mod hostile {
    use super::*;

    rtc_tls_tests::hostile!(rtc_tls_tests::hostile::Subject {
        backend: &OPENSSL,
        round: Duration::from_millis(50),
        records: 300,
        // OpenSSL remembers 64 records.
        reversed: 100..164,
        // Those that the timer brings anyway.
        answers: 0..=29,
        shortest: 1,
    });
}

mod peers {
    rtc_tls_tests::peers!(rtc_tls_tests::peers::Subject {
        backend: &super::OPENSSL,
        no_certificate: "peer did not return a certificate",
        no_cipher_suite: "no shared cipher",
    });
}

mod pem {
    rtc_tls_tests::pem!(rtc_tls_tests::pem::Subject {
        backend: &super::OPENSSL,
        reads_like: |error, reason| error.contains(reason),
        not_base64: "bad base64 decode",
        strange_key: "cannot load a private key: unsupported",
        not_x509: "cannot load a certificate: ",
        no_dek_info: "cannot load a private key: ",
    });
}

mod srtp {
    rtc_tls_tests::srtp!(rtc_tls_tests::srtp::Subject { backend: &super::OPENSSL });
}

mod tls {
    use super::*;

    rtc_tls_tests::tls!(rtc_tls_tests::tls::Subject {
        backend: &BACKEND,
        makes_rsa: DtlsBackend::capabilities(&BACKEND).rsa_local,
        unknown_issuer: "certificate verify failed: self-signed certificate",
        directory: env!("CARGO_TARGET_TMPDIR"),
    });
}

//! The tests that every TLS backend passes.

use std::time::Duration;

use rtc_core::backend::dtls::DtlsBackend;
use rtc_tls_rustls::BACKEND;
use rtc_tls_tests::link::Backend;

static RUSTLS: Backend = Backend::new(&BACKEND);

mod handshake {
    rtc_tls_tests::handshake!(rtc_tls_tests::handshake::Subject { backend: &super::RUSTLS });
}

mod hostile {
    use super::*;

    rtc_tls_tests::hostile!(rtc_tls_tests::hostile::Subject {
        backend: &RUSTLS,
        round: Duration::from_millis(100),
        records: 6000,
        reversed: 1000..3000,
        // At most one answer in 25 ms, and those that the timer brings.
        answers: 30..=42,
        shortest: 0,
    });
}

mod peers {
    rtc_tls_tests::peers!(rtc_tls_tests::peers::Subject {
        backend: &super::RUSTLS,
        no_certificate: "the peer has no certificate",
        no_cipher_suite: "the client offers no cipher suite of ours",
    });
}

mod pem {
    rtc_tls_tests::pem!(rtc_tls_tests::pem::Subject {
        backend: &super::RUSTLS,
        reads_like: |error, reason| error.ends_with(reason),
        not_base64: "`CERTIFICATE` is not in base64",
        strange_key: "`STRANGE PRIVATE KEY` is unknown",
        not_x509: "it is not X.509",
        no_dek_info: "DEK-Info is missing",
    });
}

mod srtp {
    rtc_tls_tests::srtp!(rtc_tls_tests::srtp::Subject { backend: &super::RUSTLS });
}

mod tls {
    use super::*;

    rtc_tls_tests::tls!(rtc_tls_tests::tls::Subject {
        backend: &BACKEND,
        makes_rsa: DtlsBackend::capabilities(&BACKEND).rsa_local,
        unknown_issuer: "UnknownIssuer",
        directory: env!("CARGO_TARGET_TMPDIR"),
    });
}

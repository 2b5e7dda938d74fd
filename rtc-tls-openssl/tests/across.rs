//! OpenSSL and rustls as each other's peers, in both roles, with both kinds of certificate.

mod common;

use std::time::{Duration, Instant};

use common::OPENSSL;
use rtc_core::backend::dtls::{CertificateKind, DtlsEvent, DtlsRole};
use rtc_tls_tests::link::{
    self, Backend, BackendRef, Link, Random, SRTP, Side, both_connected, config, run,
};

static RUSTLS: Backend = Backend::new(&rtc_tls_rustls::BACKEND);

const LIMIT: Duration = Duration::from_secs(30);
const KINDS: [CertificateKind; 2] = [CertificateKind::Ecdsa, CertificateKind::Rsa];
static BACKENDS: [[BackendRef; 2]; 2] = [[&OPENSSL, &RUSTLS], [&RUSTLS, &OPENSSL]];

/// Client and server on a link; whether they connected, in which time.
fn handshake(
    backends: [BackendRef; 2],
    kinds: [CertificateKind; 2],
    link: Link,
    seed: u64,
) -> ([Side; 2], Option<Duration>) {
    let now = Instant::now();
    let side =
        |at: usize, role| link::side(backends[at], &backends[at].certificate(kinds[at]), role, now);
    let mut sides = [side(0, DtlsRole::Client), side(1, DtlsRole::Server)];
    let took = run(&mut sides, link, &mut Random(seed), now, LIMIT, both_connected);
    let took = both_connected(&sides).then_some(took);
    (sides, took)
}

#[test]
fn everything_is_agreed_on_and_data_goes_both_ways_until_the_end() {
    for &backends in &BACKENDS {
        for kinds in [[0, 0], [0, 1], [1, 0], [1, 1]].map(|of: [usize; 2]| of.map(|k| KINDS[k])) {
            let case =
                format!("{:?} with {kinds:?}", backends.map(|backend| backend.dtls().name()));
            let (mut sides, took) = handshake(backends, kinds, Link::GOOD, 1);
            assert!(took.is_some(), "{case}: {:?} {:?}", sides[0].error, sides[1].error);
            assert_eq!(sides[0].connected(), sides[1].connected(), "{case}");
            let connected = sides[0].connected().expect("it is connected");
            assert_eq!(connected.srtp_profile, Some(SRTP[0]), "{case}");
            for (length, label) in [(60, "EXTRACTOR-dtls_srtp"), (200, "EXPERIMENTAL")] {
                let [client, server] = [0, 1].map(|side| {
                    let session = &sides[side].session;
                    session.export_keying_material(label, length).expect("it is connected")
                });
                assert_eq!(client, server, "{case}");
                assert_eq!(client.len(), length);
            }
            for (from, to) in [(0, 1), (1, 0)] {
                for payload in [&b"x"[..], &[7; 1200], &[8; 16_000]] {
                    let record = sides[from].seal(payload);
                    sides[to].datagram(Instant::now(), &record);
                    assert_eq!(sides[to].data.pop().as_deref(), Some(payload), "{case}");
                }
                // Several records may share a datagram.
                let both = [sides[from].seal(b"one"), sides[from].seal(b"two")].concat();
                sides[to].datagram(Instant::now(), &both);
                assert_eq!(sides[to].data.split_off(0), [b"one", b"two"], "{case}");
            }
            sides[0].session.close(Instant::now());
            for (from, to) in [(0, 1), (1, 0)] {
                let [alert] = &sides[from].outgoing()[..] else { panic!("{case}: one alert") };
                sides[to].datagram(Instant::now(), alert);
                assert_eq!(sides[to].events.last(), Some(&DtlsEvent::CloseNotify), "{case}");
            }
        }
    }
}

#[test]
fn handshakes_survive_loss_and_reordering() {
    for &backends in &BACKENDS {
        for (loss, at_least) in [(10, 99), (30, 95)] {
            let mut times: Vec<_> = (0..100)
                .filter_map(|seed| {
                    let jitter = Duration::from_millis(50);
                    let link = Link { loss_percent: loss, jitter, ..Link::GOOD };
                    handshake(backends, [KINDS[(seed % 2) as usize]; 2], link, seed).1
                })
                .collect();
            times.sort();
            println!(
                "{:?}, loss {loss} %: {} of 100, median {:?}, slowest {:?}",
                backends.map(|backend| backend.dtls().name()),
                times.len(),
                times.get(times.len() / 2),
                times.last()
            );
            assert!(times.len() >= at_least, "{} of 100 at {loss} % loss", times.len());
        }
    }
}

#[test]
fn each_hears_that_the_other_refuses_its_certificate() {
    for &backends in &BACKENDS {
        for rejecting in [0, 1] {
            let start = Instant::now();
            let side = |at: usize, role| {
                let ours = backends[at].certificate(CertificateKind::Ecdsa);
                link::side(backends[at], &ours, role, start)
            };
            let mut sides = [side(0, DtlsRole::Client), side(1, DtlsRole::Server)];
            let error = link::refuse(&mut sides, rejecting, start);
            assert!(error.ends_with("the peer sent the alert bad_certificate (42)"), "{error}");
            assert!(sides[1 - rejecting].connected().is_none());
        }
    }
}

#[test]
fn a_certificate_of_the_other_backend_is_refused() {
    for [ours, theirs] in &BACKENDS {
        let config = config(&theirs.certificate(CertificateKind::Ecdsa), DtlsRole::Client);
        let Err(error) = ours.dtls().session(config, Instant::now()) else {
            panic!("it is refused")
        };
        assert!(error.to_string().contains("another backend made or loaded it"), "{error}");
    }
}

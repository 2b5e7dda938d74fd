//! Two sessions on a link that loses, repeats and reorders datagrams, in virtual time.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use rtc_core::ErrorKind;
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsConfig, DtlsConnected,
    DtlsEvent, DtlsRole, DtlsSession, SrtpProfile,
};
use rtc_tls_rustls::BACKEND;

/// All profiles, in the order of the reference implementation.
pub(crate) const SRTP: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmSha1_80];

/// A small reproducible generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub(crate) fn certificate(kind: CertificateKind) -> Certificate {
    match BACKEND.generate_certificate(kind, None) {
        Err(error) if error.kind() == ErrorKind::Unsupported => loaded_rsa_certificate(),
        certificate => certificate.expect("certificates can be made"),
    }
}

/// For providers that cannot make RSA keys.
fn loaded_rsa_certificate() -> Certificate {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let text = |pem: Vec<u8>| String::from_utf8(pem).unwrap();
    let certificate = text(builder.build().to_pem().unwrap());
    let key = text(key.private_key_to_pem_pkcs8().unwrap());
    BACKEND.load_certificate(&certificate, &key, None).unwrap()
}

pub(crate) fn config(certificate: &Certificate, role: DtlsRole) -> DtlsConfig {
    DtlsConfig { certificate: certificate.clone(), role, mtu: 1200, srtp_profiles: SRTP.to_vec() }
}

pub(crate) fn session(
    certificate: &Certificate,
    role: DtlsRole,
    now: Instant,
) -> Box<dyn DtlsSession> {
    BACKEND.session(config(certificate, role), now).expect("the session starts")
}

/// One side: its session and what came out of it.
pub(crate) struct Side {
    pub(crate) session: Box<dyn DtlsSession>,
    pub(crate) events: Vec<DtlsEvent>,
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) error: Option<String>,
}

impl Side {
    pub(crate) fn new(session: Box<dyn DtlsSession>) -> Self {
        Self { session, events: Vec::new(), data: Vec::new(), error: None }
    }

    pub(crate) fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        let data = &mut self.data;
        let outcome = self
            .session
            .handle_datagram(now, &mut datagram, &mut |payload| data.push(payload.to_vec()));
        self.note(outcome);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        let outcome = self.session.handle_timeout(now);
        self.note(outcome);
    }

    pub(crate) fn note(&mut self, outcome: rtc_core::Result<()>) {
        if let Err(error) = outcome {
            self.error.get_or_insert(error.to_string());
        }
        while let Some(event) = self.session.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut datagram = Vec::new();
        while self.session.poll_transmit(&mut datagram) {
            all.push(datagram.clone());
        }
        all
    }

    pub(crate) fn connected(&self) -> Option<&DtlsConnected> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::Connected(connected) => Some(connected),
            _ => None,
        })
    }

    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::PeerCertificate(der) => Some(&der[..]),
            _ => None,
        })
    }

    /// A datagram that carries `payload`.
    pub(crate) fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let overhead = self.session.overhead();
        let mut record = vec![0; overhead.head];
        record.extend_from_slice(payload);
        record.resize(record.len() + overhead.tail, 0);
        let length = self.session.seal(&mut record).expect("the session is connected");
        record.truncate(length);
        record
    }
}

/// What a link does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
}

impl Link {
    pub(crate) const GOOD: Self = Self {
        loss_percent: 0,
        duplicate_percent: 0,
        delay: Duration::from_millis(5),
        jitter: Duration::ZERO,
    };
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    at: std::cmp::Reverse<(Instant, u64)>,
    to: usize,
    datagram: Vec<u8>,
}

/// Runs both sides until `done` or until `limit` has passed; returns the time that took.
pub(crate) fn run(
    sides: &mut [Side; 2],
    link: Link,
    random: &mut Random,
    start: Instant,
    limit: Duration,
    done: impl Fn(&[Side; 2]) -> bool,
) -> Duration {
    let mut now = start;
    let mut queue = BinaryHeap::new();
    let mut order = 0;
    loop {
        for (from, side) in sides.iter_mut().enumerate() {
            for datagram in side.outgoing() {
                let copies = 1 + u64::from(random.percent(link.duplicate_percent));
                for _ in 0..copies {
                    if random.percent(link.loss_percent) {
                        continue;
                    }
                    let jitter = random.below(link.jitter.as_micros() as u64 + 1);
                    let at = now + link.delay + Duration::from_micros(jitter);
                    order += 1;
                    queue.push(InFlight {
                        at: std::cmp::Reverse((at, order)),
                        to: 1 - from,
                        datagram: datagram.clone(),
                    });
                }
            }
        }
        if done(sides) || now - start > limit {
            return now - start;
        }
        let arrival = queue.peek().map(|next: &InFlight| next.at.0.0);
        let timers = sides.iter().filter_map(|side| side.session.poll_timeout());
        let Some(next) = timers.chain(arrival).min() else { return now - start };
        now = now.max(next);
        while queue.peek().is_some_and(|next| next.at.0.0 <= now) {
            let Some(next) = queue.pop() else { break };
            sides[next.to].datagram(now, &next.datagram);
        }
        for side in &mut *sides {
            if side.session.poll_timeout().is_some_and(|at| at <= now) {
                side.timeout(now);
            }
        }
    }
}

pub(crate) fn both_connected(sides: &[Side; 2]) -> bool {
    sides.iter().all(|side| side.connected().is_some())
}

/// Two sides that have completed a handshake: client, server.
pub(crate) fn connected_pair(kind: CertificateKind, now: Instant) -> [Side; 2] {
    let (client, server) = (certificate(kind), certificate(kind));
    let mut sides = [
        Side::new(session(&client, DtlsRole::Client, now)),
        Side::new(session(&server, DtlsRole::Server, now)),
    ];
    let limit = Duration::from_secs(30);
    run(&mut sides, Link::GOOD, &mut Random(1), now, limit, both_connected);
    assert!(both_connected(&sides), "{:?} {:?}", sides[0].error, sides[1].error);
    sides
}

//! Two sessions, of either backend, on a link that loses, repeats and reorders datagrams, in
//! virtual time.

#![allow(dead_code, reason = "each test program uses a part")]

mod sys;

use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rtc_core::backend::dtls::{
    Certificate, CertificateKind, DtlsBackend, DtlsConfig, DtlsConnected, DtlsEvent, DtlsRole,
    DtlsSession, SrtpProfile,
};

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

pub(crate) type Backend = &'static dyn DtlsBackend;

pub(crate) static OPENSSL: Backend = &rtc_tls_openssl::BACKEND;
pub(crate) static RUSTLS: Backend = &rtc_tls_rustls::BACKEND;

/// A certificate of either kind; of RSA, always the same one, since making them takes long.
pub(crate) fn certificate(backend: Backend, kind: CertificateKind) -> Certificate {
    static RSA: OnceLock<[Certificate; 2]> = OnceLock::new();
    let make = |backend: Backend| {
        backend.generate_certificate(kind, None).expect("certificates can be made")
    };
    match kind {
        CertificateKind::Ecdsa => make(backend),
        CertificateKind::Rsa => {
            let [openssl, rustls] = RSA.get_or_init(|| [OPENSSL, RUSTLS].map(make));
            let is_ours = backend.name() == OPENSSL.name();
            if is_ours { openssl } else { rustls }.clone()
        }
    }
}

pub(crate) fn config(certificate: &Certificate, role: DtlsRole) -> DtlsConfig {
    DtlsConfig { certificate: certificate.clone(), role, mtu: 1200, srtp_profiles: SRTP.to_vec() }
}

pub(crate) fn session(
    backend: Backend,
    certificate: &Certificate,
    role: DtlsRole,
    now: Instant,
) -> Box<dyn DtlsSession> {
    sys::set_clock(now);
    backend.session(config(certificate, role), now).expect("the session starts")
}

/// A client and a server of OpenSSL's.
pub(crate) fn sides(client: &Certificate, server: &Certificate, now: Instant) -> [Side; 2] {
    [
        Side::new(session(OPENSSL, client, DtlsRole::Client, now)),
        Side::new(session(OPENSSL, server, DtlsRole::Server, now)),
    ]
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
        sys::set_clock(now);
        let mut datagram = datagram.to_vec();
        let data = &mut self.data;
        let outcome = self
            .session
            .handle_datagram(now, &mut datagram, &mut |payload| data.push(payload.to_vec()));
        self.note(outcome);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        sys::set_clock(now);
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
    let [client, server] = [kind; 2].map(|kind| certificate(OPENSSL, kind));
    let mut sides = sides(&client, &server, now);
    let limit = Duration::from_secs(30);
    run(&mut sides, Link::GOOD, &mut Random(1), now, limit, both_connected);
    assert!(both_connected(&sides), "{:?} {:?}", sides[0].error, sides[1].error);
    sides
}

//! Two sessions on a link that loses, repeats and reorders datagrams, in virtual time.

use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rtc_core::ErrorKind;
use rtc_core::backend::dtls::{
    Certificate, CertificateKind, DtlsBackend, DtlsConfig, DtlsConnected, DtlsEvent, DtlsRole,
    DtlsSession, SrtpProfile,
};

use crate::pem;

/// All profiles, in the order of the reference implementation.
pub const SRTP: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmSha1_80];

/// A small reproducible generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A backend under test.
pub struct Backend {
    dtls: &'static dyn DtlsBackend,
    set_clock: fn(Instant),
    rsa: OnceLock<Certificate>,
}

/// A backend as all parts of a test share it.
pub type BackendRef = &'static Backend;

impl Backend {
    /// A backend that sees no time but what it is given.
    pub const fn new(dtls: &'static dyn DtlsBackend) -> Self {
        Self::with_clock(dtls, |_| ())
    }

    /// A backend that reads a clock of its own, which `set_clock` sets to the virtual time.
    pub const fn with_clock(dtls: &'static dyn DtlsBackend, set_clock: fn(Instant)) -> Self {
        Self { dtls, set_clock, rsa: OnceLock::new() }
    }

    /// The backend itself.
    pub fn dtls(&self) -> &'static dyn DtlsBackend {
        self.dtls
    }

    /// A certificate of either kind; of RSA, always the same one, since making them takes long.
    pub fn certificate(&self, kind: CertificateKind) -> Certificate {
        match kind {
            CertificateKind::Ecdsa => self.new_certificate(kind),
            CertificateKind::Rsa => self.rsa.get_or_init(|| self.new_certificate(kind)).clone(),
        }
    }

    /// A certificate that no other side has; a loaded one where the backend makes none of its kind.
    ///
    /// # Panics
    ///
    /// If the backend fails.
    pub fn new_certificate(&self, kind: CertificateKind) -> Certificate {
        match self.dtls.generate_certificate(kind, None) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let (certificate, key) = pem::rsa();
                let loaded = self.dtls.load_certificate(&certificate, &key, None);
                loaded.expect("certificates can be loaded")
            }
            certificate => certificate.expect("certificates can be made"),
        }
    }
}

/// What a session of that role is opened with.
pub fn config(certificate: &Certificate, role: DtlsRole) -> DtlsConfig {
    DtlsConfig { certificate: certificate.clone(), role, mtu: 1200, srtp_profiles: SRTP.to_vec() }
}

/// A side that has started its session.
///
/// # Panics
///
/// If the session does not start.
pub fn side(backend: BackendRef, certificate: &Certificate, role: DtlsRole, now: Instant) -> Side {
    (backend.set_clock)(now);
    let session = backend.dtls.session(config(certificate, role), now);
    Side::new(backend, session.expect("the session starts"))
}

/// A client and a server of one backend.
pub fn sides(
    backend: BackendRef,
    client: &Certificate,
    server: &Certificate,
    now: Instant,
) -> [Side; 2] {
    [side(backend, client, DtlsRole::Client, now), side(backend, server, DtlsRole::Server, now)]
}

/// One side: its session and what came out of it.
pub struct Side {
    backend: BackendRef,
    /// The session itself.
    pub session: Box<dyn DtlsSession>,
    /// Its events so far.
    pub events: Vec<DtlsEvent>,
    /// The payloads that arrived.
    pub data: Vec<Vec<u8>>,
    /// The first error.
    pub error: Option<String>,
}

impl Side {
    /// A session that has done nothing so far.
    pub fn new(backend: BackendRef, session: Box<dyn DtlsSession>) -> Self {
        Self { backend, session, events: Vec::new(), data: Vec::new(), error: None }
    }

    /// A datagram arrives.
    pub fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        (self.backend.set_clock)(now);
        let mut datagram = datagram.to_vec();
        let data = &mut self.data;
        let outcome = self
            .session
            .handle_datagram(now, &mut datagram, &mut |payload| data.push(payload.to_vec()));
        self.note(outcome);
    }

    /// It is `now`: a timer may have run out.
    pub fn timeout(&mut self, now: Instant) {
        (self.backend.set_clock)(now);
        let outcome = self.session.handle_timeout(now);
        self.note(outcome);
    }

    fn note(&mut self, outcome: rtc_core::Result<()>) {
        if let Err(error) = outcome {
            self.error.get_or_insert(error.to_string());
        }
        while let Some(event) = self.session.poll_event() {
            self.events.push(event);
        }
    }

    /// The datagrams that are to be sent.
    pub fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut datagram = Vec::new();
        while self.session.poll_transmit(&mut datagram) {
            all.push(datagram.clone());
        }
        all
    }

    /// What the handshake agreed on, once it is complete.
    pub fn connected(&self) -> Option<&DtlsConnected> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::Connected(connected) => Some(connected),
            _ => None,
        })
    }

    /// The peer's certificate in DER, once it came.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::PeerCertificate(der) => Some(&der[..]),
            _ => None,
        })
    }

    /// A datagram that carries `payload`.
    ///
    /// # Panics
    ///
    /// If the session is not connected.
    pub fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
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
pub struct Link {
    /// How many of 100 datagrams are lost.
    pub loss_percent: u64,
    /// How many of 100 datagrams are sent twice.
    pub duplicate_percent: u64,
    /// The time each datagram takes at least.
    pub delay: Duration,
    /// The time that it may take longer.
    pub jitter: Duration,
}

impl Link {
    /// Loses nothing and keeps the order.
    pub const GOOD: Self = Self {
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
pub fn run(
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

/// Whether both handshakes are complete.
pub fn both_connected(sides: &[Side; 2]) -> bool {
    sides.iter().all(|side| side.connected().is_some())
}

/// Two sides that have completed a handshake: client, server.
///
/// # Panics
///
/// If the handshake fails.
pub fn connected_pair(backend: BackendRef, kind: CertificateKind, now: Instant) -> [Side; 2] {
    let [client, server] = [kind; 2].map(|kind| backend.certificate(kind));
    let mut sides = sides(backend, &client, &server, now);
    let limit = Duration::from_secs(30);
    run(&mut sides, Link::GOOD, &mut Random(1), now, limit, both_connected);
    assert!(both_connected(&sides), "{:?} {:?}", sides[0].error, sides[1].error);
    sides
}

/// Lets one side refuse the other's certificate as soon as it has it; returns the other's error.
///
/// # Panics
///
/// If the other side has not heard of it within a second.
pub fn refuse(sides: &mut [Side; 2], refusing: usize, start: Instant) -> String {
    let (mut now, mut refused) = (start, false);
    loop {
        if let Some(error) = &sides[1 - refusing].error {
            return error.clone();
        }
        for from in 0..2 {
            for datagram in sides[from].outgoing() {
                sides[1 - from].datagram(now, &datagram);
            }
            if sides[refusing].peer_certificate().is_some() && !refused {
                sides[refusing].session.reject(now);
                refused = true;
            }
        }
        now += Duration::from_millis(10);
        assert!(now - start < Duration::from_secs(1), "the peer hears nothing");
        sides[1 - refusing].timeout(now);
    }
}

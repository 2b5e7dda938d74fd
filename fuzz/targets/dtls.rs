//! A DTLS client and server over a link that loses, repeats, delays, damages and forges datagrams.
//!
//! Handshakes draw random numbers, so a find may need several attempts to show itself again.

#![no_main]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::{Link, Script, damage};
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsConfig, DtlsRole,
    DtlsSession, SrtpProfile,
};
use rtc_tls_rustls::BACKEND;

/// Steps of a script; further ones are left out.
const STEPS: usize = 200;
/// More datagrams than a flight has.
const ENDLESS: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let mut pair = Pair::new(script.byte());
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        pair.step(&mut script);
    }
});

fn certificate() -> Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let make =
        || BACKEND.generate_certificate(CertificateKind::Ecdsa, None).expect("a certificate");
    CERTIFICATE.get_or_init(make).clone()
}

struct Pair {
    now: Instant,
    sides: [Option<Box<dyn DtlsSession>>; 2],
    link: Link,
}

impl Pair {
    fn new(flags: u8) -> Self {
        let now = Instant::now();
        let session = |role| {
            let srtp_profiles =
                if flags & 1 == 0 { Vec::new() } else { vec![SrtpProfile::AeadAes128Gcm] };
            let mtu = if flags & 2 == 0 { 1200 } else { 300 };
            let config = DtlsConfig { certificate: certificate(), role, mtu, srtp_profiles };
            Some(BACKEND.session(config, now).expect("a session"))
        };
        let sides = [session(DtlsRole::Client), session(DtlsRole::Server)];
        let mut pair = Self { now, sides, link: Link::default() };
        pair.collect();
        pair
    }

    /// Puts what the sessions want to send onto the link.
    fn collect(&mut self) {
        let mut datagram = Vec::new();
        for from in 0..2 {
            let Some(session) = &mut self.sides[from] else { continue };
            for count in 0.. {
                assert!(count < ENDLESS, "a session sends without end");
                if !session.poll_transmit(&mut datagram) {
                    break;
                }
                self.link.send(1 - from, &datagram);
            }
            while session.poll_event().is_some() {}
        }
    }

    fn deliver(&mut self, to: usize, mut datagram: Vec<u8>) {
        if let Some(session) = &mut self.sides[to] {
            let result = session.handle_datagram(self.now, &mut datagram, &mut |_| {});
            self.collect();
            if result.is_err() {
                self.sides[to] = None;
            }
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        let side = usize::from(choice >> 7);
        match choice & 0x0f {
            0 | 1 => {
                if let Some(datagram) = self.link.receive(side) {
                    self.deliver(side, datagram);
                }
            }
            2 => drop(self.link.receive(side)),
            3 => self.link.delay(side),
            4 => {
                if let Some(datagram) = self.link.peek(side) {
                    self.deliver(side, datagram);
                }
            }
            5 | 6 | 7 => {
                if let Some(mut datagram) = self.link.receive(side) {
                    damage(&mut datagram, script);
                    self.deliver(side, datagram);
                }
            }
            8 => self.deliver(side, script.bytes().to_vec()),
            9 => self.forge(side, script),
            10 => self.seal(side, script.bytes()),
            11 => {
                if let Some(session) = &mut self.sides[side] {
                    session.close(self.now);
                }
            }
            12 => {
                for to in [0, 1, 0, 1] {
                    while let Some(datagram) = self.link.receive(to) {
                        self.deliver(to, datagram);
                    }
                }
            }
            _ => self.pass(Duration::from_millis(20 * u64::from(script.byte()))),
        }
        self.collect();
    }

    /// One unprotected record with a plausible header.
    fn forge(&mut self, to: usize, script: &mut Script<'_>) {
        let kind = 20 + script.byte() % 8;
        let number = script.byte();
        let body = script.bytes();
        let mut record = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number];
        record.extend((body.len() as u16).to_be_bytes());
        record.extend(body);
        self.deliver(to, record);
    }

    fn seal(&mut self, from: usize, data: &[u8]) {
        let Some(session) = &mut self.sides[from] else { return };
        let overhead = session.overhead();
        let mut record = vec![0; overhead.head];
        record.extend(data);
        record.extend(vec![0; overhead.tail]);
        if let Ok(length) = session.seal(&mut record) {
            self.link.send(1 - from, &record[..length]);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            if let Some(session) = side
                && session.handle_timeout(self.now).is_err()
            {
                *side = None;
            }
        }
    }
}

//! How long handshakes and records take: `cargo run --release -p rtc-tls-rustls --example speed`.
//!
//! Each figure is the best of several rounds, which other load on the machine disturbs least.

use std::time::{Duration, Instant};

use rtc_core::Result;
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsConfig, DtlsEvent, DtlsRole,
    DtlsSession,
};
use rtc_tls_rustls::BACKEND;

const ROUNDS: usize = 7;
const PAYLOAD: usize = 1200;

type Pair = [Box<dyn DtlsSession>; 2];

fn handshake(certificate: &Certificate) -> Result<Pair> {
    let now = Instant::now();
    let session = |role| {
        let certificate = certificate.clone();
        BACKEND.session(DtlsConfig { certificate, role, mtu: 1200, srtp_profiles: vec![] }, now)
    };
    let mut sides = [session(DtlsRole::Client)?, session(DtlsRole::Server)?];
    let mut datagram = Vec::new();
    let mut connected = 0;
    while connected < 2 {
        for from in 0..2 {
            while sides[from].poll_transmit(&mut datagram) {
                let to = &mut sides[1 - from];
                to.handle_datagram(now, &mut datagram, &mut |_| ())?;
                while let Some(event) = to.poll_event() {
                    connected += usize::from(matches!(event, DtlsEvent::Connected(_)));
                }
            }
        }
    }
    Ok(sides)
}

/// The least time of one of `count` operations over some rounds.
fn best(count: u32, mut round: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(round()? / count);
    }
    Ok(best)
}

fn main() -> Result<()> {
    for kind in [CertificateKind::Ecdsa, CertificateKind::Rsa] {
        let start = Instant::now();
        let certificate = match BACKEND.generate_certificate(kind, None) {
            Ok(certificate) => certificate,
            Err(error) => {
                println!("{kind:?}: {error}");
                continue;
            }
        };
        println!("{kind:?} certificate made in {:?}", start.elapsed());
        let time = best(100, || {
            let start = Instant::now();
            for _ in 0..100 {
                handshake(&certificate)?;
            }
            Ok(start.elapsed())
        })?;
        let per_second = 1.0 / time.as_secs_f64();
        println!("{kind:?} handshake, both ends: {time:?} ({per_second:.0}/s)");
    }

    let certificate = BACKEND.generate_certificate(CertificateKind::Ecdsa, None)?;
    let [mut client, mut server] = handshake(&certificate)?;
    let overhead = client.overhead();
    const COUNT: u32 = 10_000;
    let size = overhead.head + PAYLOAD + overhead.tail;
    let mut records = vec![vec![7u8; size]; COUNT as usize];
    let (mut sealing, mut opening) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS * 3 {
        let start = Instant::now();
        for record in &mut records {
            client.seal(record)?;
        }
        sealing = sealing.min(start.elapsed() / COUNT);
        let mut bytes = 0;
        let now = Instant::now();
        for record in &mut records {
            server.handle_datagram(now, record, &mut |payload| bytes += payload.len())?;
        }
        opening = opening.min(now.elapsed() / COUNT);
        assert_eq!(bytes, PAYLOAD * COUNT as usize);
    }
    println!("seal {PAYLOAD} bytes: {sealing:?}, open: {opening:?}");
    Ok(())
}

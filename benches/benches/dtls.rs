//! DTLS by rustls: what a record and a handshake cost.

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Throughput};
use rtc_core::Result;
use rtc_core::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsConfig, DtlsEvent, DtlsRole,
    DtlsSession,
};
use rtc_tls_rustls::BACKEND;

const PAYLOAD: usize = 1200;

/// Client and server that have shaken hands.
fn handshake(certificate: &Certificate) -> Result<[Box<dyn DtlsSession>; 2]> {
    let now = Instant::now();
    let session = |role| {
        let certificate = certificate.clone();
        BACKEND.session(DtlsConfig { certificate, role, mtu: 1200, srtp_profiles: vec![] }, now)
    };
    let mut ends = [session(DtlsRole::Client)?, session(DtlsRole::Server)?];
    let mut datagram = Vec::new();
    let mut connected = 0;
    while connected < 2 {
        for from in 0..2 {
            while ends[from].poll_transmit(&mut datagram) {
                let to = &mut ends[1 - from];
                to.handle_datagram(now, &mut datagram, &mut |_| ())?;
                while let Some(event) = to.poll_event() {
                    connected += usize::from(matches!(event, DtlsEvent::Connected(_)));
                }
            }
        }
    }
    Ok(ends)
}

fn main() -> Result<()> {
    let mut criterion = librtc_benches::criterion();
    let mut group = criterion.benchmark_group("dtls");
    for (name, kind) in [
        ("handshake of both ends, EC", CertificateKind::Ecdsa),
        ("handshake of both ends, RSA", CertificateKind::Rsa),
    ] {
        let certificate = BACKEND.generate_certificate(kind, None)?;
        group.bench_function(name, |bencher| {
            bencher.iter(|| handshake(&certificate).expect("both ends are ours"));
        });
    }

    let certificate = BACKEND.generate_certificate(CertificateKind::Ecdsa, None)?;
    let [mut client, mut server] = handshake(&certificate)?;
    let overhead = client.overhead();
    let size = overhead.head + PAYLOAD + overhead.tail;
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    let mut record = vec![7; size];
    group.bench_function("seal 1200 bytes", |bencher| {
        bencher.iter(|| client.seal(black_box(&mut record)).expect("the session is connected"));
    });
    group.bench_function("open 1200 bytes", |bencher| {
        let seal = || {
            let mut record = vec![7; size];
            let length = client.seal(&mut record).expect("the session is connected");
            record.truncate(length);
            record
        };
        let open = |mut record: Vec<u8>| {
            let mut bytes = 0;
            let result =
                server.handle_datagram(Instant::now(), &mut record, &mut |p| bytes += p.len());
            assert!(result.is_ok() && bytes == PAYLOAD);
            record
        };
        bencher.iter_batched(seal, open, BatchSize::SmallInput);
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}

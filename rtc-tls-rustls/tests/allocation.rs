//! Protecting and opening records allocates nothing.

use std::time::Instant;

use rtc_core::backend::dtls::CertificateKind;
use rtc_tls_tests::link::{Backend, connected_pair};

static RUSTLS: Backend = Backend::new(&rtc_tls_rustls::BACKEND);

#[test]
fn records_are_sealed_and_opened_without_allocation() {
    let now = Instant::now();
    let [mut client, mut server] = connected_pair(&RUSTLS, CertificateKind::Ecdsa, now);
    let overhead = client.session.overhead();
    let mut record = vec![7; overhead.head + 1200 + overhead.tail];
    let mut bytes = 0;
    let allocations = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let length = client.session.seal(&mut record).expect("it is connected");
            server
                .session
                .handle_datagram(now, &mut record[..length], &mut |payload| bytes += payload.len())
                .expect("it is genuine");
        }
    });
    assert_eq!(bytes, 1_200_000);
    assert_eq!(allocations.count_total, 0);
}

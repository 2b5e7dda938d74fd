//! Transports of libjuice with each other, on loopback.

mod harness;

use harness::{config, exchange, pair, runtime};
use rtc_core::ErrorKind;
use rtc_core::backend::{IceBackend as _, IceParameters, IceRole};
use rtc_ice_juice::BACKEND;

#[test]
fn datagrams_go_both_ways_and_nothing_follows_closing() {
    let runtime = runtime();
    let [one, other] = pair(&BACKEND, &runtime, |_| ());
    exchange(&one, &other);
    let (local, remote) = one.transport.selected_pair().expect("a pair");
    let theirs = other.transport.selected_pair().expect("a pair");
    assert_eq!((local.port, remote.port), (theirs.1.port, theirs.0.port));
    for side in [&one, &other] {
        side.transport.close();
        side.assert_silent();
        side.transport.close();
        side.send(b"into the void", 1000);
        assert!(side.transport.selected_pair().is_none());
        assert!(side.transport.gather().is_err());
    }
}

#[test]
fn many_share_one_port() {
    let runtime = runtime();
    let share = |config: &mut rtc_core::backend::IceConfig| {
        config.udp_mux = config.role == IceRole::Controlling;
    };
    let pairs: Vec<_> = (0..4).map(|_| pair(&BACKEND, &runtime, share)).collect();
    let ports: Vec<_> = pairs
        .iter()
        .map(|[sharing, _]| sharing.transport.selected_pair().expect("a pair").0.port)
        .collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    for [one, other] in &pairs {
        exchange(one, other);
    }
}

#[test]
fn other_credentials_are_refused() {
    let runtime = runtime();
    let side = harness::Side::open(&BACKEND, config(IceRole::Controlled), &runtime);
    let mut remote = IceParameters {
        ufrag: "abcdefgh".into(),
        pwd: "0123456789012345678901".into(),
        ..IceParameters::default()
    };
    side.transport.set_remote_parameters(&remote).expect("good parameters");
    side.transport.set_remote_parameters(&remote).expect("the same again");
    remote.ufrag = "hgfedcba".into();
    let error = side.transport.set_remote_parameters(&remote).expect_err("a restart");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(side.transport.restart().expect_err("a restart").kind(), ErrorKind::Unsupported);
    assert!(!BACKEND.capabilities().restart);
}

#[test]
fn an_address_that_is_not_ours_cannot_be_bound() {
    let runtime = runtime();
    let mut config = config(IceRole::Controlling);
    config.bind_address = Some("192.0.2.77".into());
    let side = harness::Side::open(&BACKEND, config, &runtime);
    assert_eq!(side.transport.gather().expect_err("foreign").kind(), ErrorKind::Failure);
}

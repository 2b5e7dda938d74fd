//! Transports of libnice with each other. libnice uses no loopback address, so that an interface
//! beside that is needed; without one these tests have nothing to test, and say so.

#[path = "../../rtc-ice-juice/tests/harness/mod.rs"]
mod harness;

use std::net::UdpSocket;

use harness::{Side, config, exchange, exchange_candidates, introduce, pair, runtime};
use rtc_core::ErrorKind;
use rtc_core::backend::{IceConfig, IceRole};
use rtc_core::candidate::Transport as Protocol;
use rtc_core::state::IceState;
use rtc_ice_nice::BACKEND;

/// Whether there is an interface with a route; connecting a UDP socket sends nothing.
fn has_interface() -> bool {
    let routed = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9"));
    if routed.is_err() {
        eprintln!("not tested: there is no interface but loopback");
    }
    routed.is_ok()
}

#[test]
fn datagrams_go_both_ways_and_nothing_follows_closing() {
    if !has_interface() {
        return;
    }
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
fn a_restart_leads_to_another_path_and_data_goes_on() {
    if !has_interface() {
        return;
    }
    let runtime = runtime();
    let [one, other] = pair(&BACKEND, &runtime, |_| ());
    let before = one.transport.local_parameters();
    let ours = one.transport.restart().expect("a restart");
    let theirs = other.transport.restart().expect("a restart");
    assert_ne!(ours, before);
    assert_eq!(ours, one.transport.local_parameters());
    introduce(&one, theirs);
    introduce(&other, ours);
    exchange_candidates(&one, &other);
    exchange(&one, &other);
}

#[test]
fn tcp_alone_connects() {
    if !has_interface() {
        return;
    }
    let runtime = runtime();
    let sides = [IceRole::Controlling, IceRole::Controlled]
        .map(|role| Side::open(&BACKEND, IceConfig { tcp: true, ..config(role) }, &runtime));
    let [one, other] = &sides;
    introduce(one, other.transport.local_parameters());
    introduce(other, one.transport.local_parameters());
    for (from, to) in [(one, other), (other, one)] {
        from.transport.gather().expect("sockets");
        let mut candidates = from.candidates();
        candidates.retain(|candidate| candidate.transport != Protocol::Udp);
        assert!(candidates.iter().any(|c| c.transport == Protocol::TcpPassive), "{candidates:?}");
        for candidate in candidates {
            to.transport.add_remote_candidate(&candidate).expect("a good candidate");
        }
    }
    one.wait_state(IceState::Completed);
    other.wait_state(IceState::Completed);
    assert_ne!(one.transport.selected_pair().expect("a pair").0.transport, Protocol::Udp);
    exchange(one, other);
}

#[test]
fn ports_come_from_the_range_until_it_is_exhausted() {
    if !has_interface() {
        return;
    }
    let runtime = runtime();
    let open = || {
        let role = IceRole::Controlling;
        Side::open(
            &BACKEND,
            IceConfig { port_range: Some((47_311, 47_312)), ..config(role) },
            &runtime,
        )
    };
    let sides: Vec<Side> = (0..3).map(|_| open()).collect();
    for side in &sides[..2] {
        side.transport.gather().expect("a port");
        for candidate in side.candidates() {
            assert!((47_311..=47_312).contains(&candidate.port), "{candidate}");
        }
    }
    assert_eq!(sides[2].transport.gather().expect_err("none left").kind(), ErrorKind::Failure);
}

#[test]
fn transports_come_and_go_beside_one_that_stays() {
    if !has_interface() {
        return;
    }
    let runtime = runtime();
    let [one, other] = pair(&BACKEND, &runtime, |_| ());
    for _ in 0..20 {
        let side = Side::open(&BACKEND, config(IceRole::Controlling), &runtime);
        side.transport.gather().expect("sockets");
        side.transport.close();
    }
    exchange(&one, &other);
}

//! Handshakes between two sessions of ours, on good links and bad ones.

use std::time::{Duration, Instant};

use rtc_core::backend::dtls::{CertificateKind, DtlsEvent, DtlsRole};

use crate::link::{
    BackendRef, Link, Random, SRTP, Side, both_connected, connected_pair, refuse, run, side, sides,
};

/// The tests of handshakes, for a [`Subject`](crate::handshake::Subject).
#[macro_export]
macro_rules! handshake {
    ($($subject:expr)?) => {
        $crate::each_test! {
            handshake [$($subject)?]
            a_handshake_authenticates_both_sides_and_agrees_on_everything,
            handshakes_survive_loss,
            reordered_and_repeated_datagrams_do_no_harm,
            a_round_trip_longer_than_every_wait_only_costs_repetitions,
            data_that_overtakes_the_last_flight_is_kept_until_the_handshake_is_complete,
            close_notify_goes_both_ways_once,
            a_lost_last_flight_is_sent_again_when_the_client_repeats_itself,
            a_client_gives_up_after_30_seconds_of_silence,
            a_rejected_certificate_ends_the_handshake_on_both_sides_within_a_second,
        }
    };
}

crate::handshake!();

/// What is tested.
pub struct Subject {
    /// The backend of both sides.
    pub backend: BackendRef,
}

const LIMIT: Duration = Duration::from_secs(30);

fn a_handshake_authenticates_both_sides_and_agrees_on_everything(subject: &Subject) {
    for kinds in [
        [CertificateKind::Ecdsa, CertificateKind::Ecdsa],
        [CertificateKind::Ecdsa, CertificateKind::Rsa],
        [CertificateKind::Rsa, CertificateKind::Ecdsa],
        [CertificateKind::Rsa, CertificateKind::Rsa],
    ] {
        let now = Instant::now();
        let certificates = kinds.map(|kind| subject.backend.new_certificate(kind));
        let mut sides = sides(subject.backend, &certificates[0], &certificates[1], now);
        run(&mut sides, Link::GOOD, &mut Random(1), now, LIMIT, both_connected);
        for (side, peer) in [(0, 1), (1, 0)] {
            let kinds_of_events: Vec<_> = sides[side].events.iter().map(discriminant).collect();
            assert_eq!(kinds_of_events, ["PeerCertificate", "Connected"]);
            assert_eq!(sides[side].peer_certificate(), Some(certificates[peer].der()));
        }
        assert_eq!(sides[0].connected(), sides[1].connected());
        let connected = sides[0].connected().expect("it is connected");
        assert_eq!(connected.srtp_profile, Some(SRTP[0]));
        assert_eq!(connected.version, "DTLS 1.2");
        let [client, server] = &sides;
        let export = |side: &Side| side.session.export_keying_material("EXTRACTOR-dtls_srtp", 88);
        assert_eq!(export(client).expect("connected"), export(server).expect("connected"));

        for (from, to) in [(0, 1), (1, 0)] {
            let record = sides[from].seal(b"hello");
            sides[to].datagram(now, &record);
            assert_eq!(sides[to].data, [b"hello"]);
        }
    }
}

fn discriminant(event: &DtlsEvent) -> &'static str {
    match event {
        DtlsEvent::PeerCertificate(_) => "PeerCertificate",
        DtlsEvent::Connected(_) => "Connected",
        DtlsEvent::CloseNotify => "CloseNotify",
    }
}

/// For each loss: how many of 100 handshakes complete, and how long they take.
fn handshakes_survive_loss(subject: &Subject) {
    for (loss, at_least) in [(0, 100), (10, 99), (30, 95)] {
        for kind in [CertificateKind::Ecdsa, CertificateKind::Rsa] {
            let (client, server) =
                (subject.backend.certificate(kind), subject.backend.certificate(kind));
            let mut times = Vec::new();
            for seed in 0..100 {
                let now = Instant::now();
                let mut sides = sides(subject.backend, &client, &server, now);
                let link = Link { loss_percent: loss, ..Link::GOOD };
                let mut random = Random(seed);
                let took = run(&mut sides, link, &mut random, now, LIMIT, both_connected);
                if both_connected(&sides) {
                    times.push(took);
                }
            }
            times.sort();
            let median = times.get(times.len() / 2);
            println!(
                "loss {loss:2} %, {kind:?}: {}/100, median {median:?}, slowest {:?}",
                times.len(),
                times.last()
            );
            assert!(times.len() >= at_least, "{} of 100 at {loss} % loss", times.len());
            if loss == 0 {
                // Two round trips of 10 ms: no timer has a part in it.
                assert_eq!(times.last(), Some(&Duration::from_millis(20)));
            }
        }
    }
}

fn reordered_and_repeated_datagrams_do_no_harm(subject: &Subject) {
    let (client, server) = (
        subject.backend.certificate(CertificateKind::Ecdsa),
        subject.backend.certificate(CertificateKind::Rsa),
    );
    for seed in 0..100 {
        let now = Instant::now();
        let mut sides = sides(subject.backend, &client, &server, now);
        let link = Link {
            loss_percent: 5,
            duplicate_percent: 50,
            delay: Duration::from_millis(1),
            jitter: Duration::from_millis(300),
        };
        run(&mut sides, link, &mut Random(seed), now, LIMIT, both_connected);
        assert!(both_connected(&sides), "{seed}: {:?} {:?}", sides[0].error, sides[1].error);
        let now = now + LIMIT;
        let quiet = run(&mut sides, link, &mut Random(seed), now, LIMIT, |_| false);
        assert!(quiet < Duration::from_secs(2), "the sides go on answering each other");
        assert_eq!(sides.each_ref().map(|side| side.events.len()), [2, 2]);
    }
}

fn a_round_trip_longer_than_every_wait_only_costs_repetitions(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let now = Instant::now();
    let mut sides = sides(subject.backend, &ours, &ours, now);
    let link = Link { delay: Duration::from_secs(1), ..Link::GOOD };
    let took = run(&mut sides, link, &mut Random(1), now, LIMIT, both_connected);
    assert!(both_connected(&sides));
    assert_eq!(took, Duration::from_secs(4), "two round trips");
}

fn data_that_overtakes_the_last_flight_is_kept_until_the_handshake_is_complete(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let now = Instant::now();
    let [mut client, mut server] = sides(subject.backend, &ours, &ours, now);
    for datagram in client.outgoing() {
        server.datagram(now, &datagram);
    }
    for datagram in server.outgoing() {
        client.datagram(now, &datagram);
    }
    for datagram in client.outgoing() {
        server.datagram(now, &datagram);
    }
    let last_flight = server.outgoing();
    let data = server.seal(b"early");
    client.datagram(now, &data);
    assert!(client.connected().is_none() && client.data.is_empty());

    let mut last = last_flight.concat();
    last.extend(server.seal(b"same datagram"));
    client.datagram(now, &last);
    assert!(client.connected().is_some());
    assert_eq!(client.data, [&b"early"[..], b"same datagram"]);
}

fn close_notify_goes_both_ways_once(subject: &Subject) {
    let now = Instant::now();
    for closer in [0, 1] {
        let mut sides = connected_pair(subject.backend, CertificateKind::Ecdsa, now);
        sides[closer].session.close(now);
        sides[closer].session.close(now);
        let [datagram] = &sides[closer].outgoing()[..] else { panic!("one alert") };
        let record = sides[1 - closer].seal(b"too late");
        sides[1 - closer].datagram(now, datagram);
        sides[1 - closer].datagram(now, datagram);
        assert_eq!(sides[1 - closer].events.last(), Some(&DtlsEvent::CloseNotify));
        assert_eq!(sides[1 - closer].events.len(), 3);
        assert!(sides[1 - closer].session.seal(&mut [0; 100]).is_err());
        assert!(sides[closer].session.seal(&mut [0; 100]).is_err());

        sides[closer].datagram(now, &record);
        assert!(sides[closer].data.is_empty());
        let [answer] = &sides[1 - closer].outgoing()[..] else { panic!("one alert") };
        sides[closer].datagram(now, answer);
        assert_eq!(sides[closer].events.last(), Some(&DtlsEvent::CloseNotify));
        assert!(sides[closer].outgoing().is_empty());
    }
}

fn a_lost_last_flight_is_sent_again_when_the_client_repeats_itself(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let now = Instant::now();
    let [mut client, mut server] = sides(subject.backend, &ours, &ours, now);
    let forward = |from: &mut Side, to: &mut Side, now| {
        for datagram in from.outgoing() {
            to.datagram(now, &datagram);
        }
    };
    forward(&mut client, &mut server, now);
    forward(&mut server, &mut client, now);
    forward(&mut client, &mut server, now);
    assert!(server.connected().is_some());
    assert!(!server.outgoing().is_empty(), "lost");
    for _ in 0..3 {
        let now = client.session.poll_timeout().expect("the client waits");
        client.timeout(now);
        forward(&mut client, &mut server, now);
        assert!(!server.outgoing().is_empty(), "lost again");
    }
    let now = client.session.poll_timeout().expect("the client waits");
    client.timeout(now);
    forward(&mut client, &mut server, now);
    forward(&mut server, &mut client, now);
    assert!(client.connected().is_some());
    assert_eq!(server.session.poll_timeout(), None);
    assert_eq!(client.session.poll_timeout(), None);
}

fn a_client_gives_up_after_30_seconds_of_silence(subject: &Subject) {
    let now = Instant::now();
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let mut client = side(subject.backend, &ours, DtlsRole::Client, now);
    let mut at = now;
    let mut datagrams = 0;
    while client.error.is_none() {
        datagrams += client.outgoing().len();
        at = client.session.poll_timeout().expect("it has not given up");
        client.timeout(at);
    }
    assert_eq!(at - now, LIMIT);
    assert!(datagrams < 100, "{datagrams} datagrams");
    assert_eq!(client.error.as_deref(), Some("DTLS handshake failed: no answer in time"));
    assert_eq!(client.session.poll_timeout(), None);
}

fn a_rejected_certificate_ends_the_handshake_on_both_sides_within_a_second(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    for rejecting in [0, 1] {
        let start = Instant::now();
        let mut sides = sides(subject.backend, &ours, &ours, start);
        let error = refuse(&mut sides, rejecting, start);
        assert!(error.ends_with("the peer sent the alert bad_certificate (42)"), "{error}");
        assert!(sides[1 - rejecting].connected().is_none());
        assert!(sides[rejecting].session.seal(&mut [0; 100]).is_err());
    }
}

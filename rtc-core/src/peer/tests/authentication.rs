//! Nothing of a peer's counts before its certificate has the fingerprint of its description.

use std::sync::Arc;
use std::time::Instant;

use super::dtls::{ANONYMOUS, CLIENT_HELLO, NULL, hello, record};
use super::network::{End, Link, Network, negotiated};
use super::scripted::Scripted;
use crate::backend::dtls::{DtlsBackend, DtlsRole};
use crate::backend::ice::IceEvent;
use crate::channel::{Channel as _, DataChannel};
use crate::config::{Configuration, DataChannelInit};
use crate::dcep;
use crate::peer::transport::MAX_EARLY;
use crate::sdp::{Description, DescriptionKind};
use crate::state::ConnectionState::{Closed, Connected, Connecting, Disconnected, Failed};
use crate::state::IceState;

const ROLES: [DtlsRole; 2] = [DtlsRole::Client, DtlsRole::Server];

fn end() -> End {
    end_with(&NULL).0
}

/// An end with a channel, which opens as soon as it may.
fn end_with(backend: &'static dyn DtlsBackend) -> (End, Arc<DataChannel>) {
    let mut end = End::new("a", Configuration::default(), backend);
    let channel = end.core.create_channel(Instant::now(), Vec::new(), negotiated(0)).unwrap();
    (end, channel)
}

fn described(role: DtlsRole, end: End) -> Scripted {
    let mut scripted = Scripted::described(role, end, rtc_sctp_engine::Config::default());
    let now = scripted.now;
    scripted.sctp.connect(now);
    scripted
}

/// Records with everything that SCTP has to say to begin with.
fn first_records(scripted: &mut Scripted) -> Vec<Vec<u8>> {
    scripted.packets().iter().map(|packet| record(packet)).collect()
}

#[test]
fn a_certificate_with_another_fingerprint_fails_the_connection() {
    for role in ROLES {
        let (end, channel) = end_with(&NULL);
        let mut scripted = described(role, end);
        // Before, with and after the handshake.
        let records = first_records(&mut scripted);
        for record in &records {
            scripted.inject(record.clone());
        }
        scripted.shake_hands("mallory");
        assert_eq!(scripted.end.states(), [Failed, Closed], "{role:?}");
        assert_eq!(scripted.handshake.last(), Some(&vec![21, 42]), "an alert tells why");
        let (sent, dropped) = (scripted.end.sent, scripted.end.core.dropped_datagrams);
        for record in &records {
            scripted.inject(record.clone());
        }
        scripted.shake_hands("b");
        let now_dropped = scripted.end.core.dropped_datagrams;
        assert_eq!(now_dropped - dropped, records.len() as u64 + 1);
        scripted.pump(60);
        let core = &scripted.end.core;
        assert_eq!(scripted.end.states(), [Failed, Closed], "{role:?}");
        assert_eq!(scripted.end.sent, sent, "nothing is answered any more");
        assert!(core.sctp.is_none() && !core.authenticated);
        assert!(core.early_packets.is_empty() && core.early_datagrams.is_empty());
        assert!(channel.is_closed() && channel.available_amount() == 0);
    }
}

#[test]
fn every_bit_of_the_fingerprint_counts() {
    for name in ["", "B", "bb", "b\0", "a"] {
        let mut scripted = described(DtlsRole::Client, end());
        scripted.shake_hands(name);
        assert_eq!(scripted.end.states(), [Failed, Closed], "{name:?}");
    }
    let mut scripted = described(DtlsRole::Client, end());
    scripted.shake_hands("b");
    assert!(!scripted.end.core.is_closed());
}

#[test]
fn a_session_that_shows_no_certificate_fails_the_connection() {
    for role in ROLES {
        let (end, _) = end_with(&ANONYMOUS);
        let mut scripted = described(role, end);
        let records = first_records(&mut scripted);
        for record in records {
            scripted.inject(record);
        }
        scripted.shake_hands("b");
        assert_eq!(scripted.end.states(), [Failed, Closed], "{role:?}");
        assert!(scripted.end.core.sctp.is_none());
    }
}

#[test]
fn both_ends_of_a_refused_handshake_end() {
    let ends = [("a", "a"), ("b", "mallory")].map(|(name, shown)| {
        let mut end = End::new(name, Configuration::default(), &NULL);
        end.core.certificate = Some(super::dtls::certificate(shown));
        end
    });
    let mut network = Network::of(ends, 1, Link { delay_ms: 5, ..Link::default() });
    network.create(0, "", DataChannelInit::default());
    // An end that was told the peer's INIT is connected as soon as its DTLS is.
    network.signals_init = false;
    network.negotiate();
    // What the other end announced is not what it shows.
    let announced = super::dtls::certificate("b");
    let fingerprint = crate::peer::authentication::sha256_fingerprint(announced.der());
    network.ends[0].core.remote.as_mut().unwrap().fingerprint = Some(fingerprint);
    network.find_path(0);
    network.find_path(1);
    assert!(network.run_until(5, |n| n.ends.iter().all(|end| end.core.is_closed())));
    assert_eq!(network.ends[0].states(), [Connecting, Failed, Closed]);
    let other = network.ends[1].states();
    assert!(other.ends_with(&[Failed, Closed]), "{other:?}");
    assert!(!other.contains(&Connected) && network.ends[1].incoming.is_empty());
}

#[test]
fn packets_that_come_before_authentication_are_held_and_used() {
    let mut scripted = described(DtlsRole::Client, end());
    for record in first_records(&mut scripted) {
        scripted.inject(record);
    }
    assert!(scripted.end.core.sctp.is_none());
    scripted.shake_hands("b");
    // No time passes, so nothing is sent twice.
    scripted.exchange();
    assert!(scripted.end.core.sctp_connected);
    assert_eq!(scripted.end.states(), [Connected]);
}

#[test]
fn a_handshake_that_begins_before_the_answer_goes_on_with_it() {
    let mut network = Network::new(1, Default::default(), Link::default());
    network.create(0, "", DataChannelInit::default());
    let now = network.instant();
    network.ends[0].core.set_local_description(now, DescriptionKind::Offer).unwrap();
    network.find_path(0);
    for _ in 0..1000 {
        network.inject(0, hello(CLIENT_HELLO, b"b"));
    }
    assert_eq!(network.ends[0].core.early_datagrams.len(), MAX_EARLY);
    assert_eq!(network.ends[0].sent, 0);
    let offer = network.ends[0].core.local_description().unwrap().to_sdp();
    let offer = Description::parse(&offer, DescriptionKind::Offer).unwrap();
    network.ends[1].core.set_remote_description(now, offer).unwrap();
    network.ends[1].core.set_local_description(now, DescriptionKind::Answer).unwrap();
    let answer = network.ends[1].core.local_description().unwrap().to_sdp();
    let answer = Description::parse(&answer, DescriptionKind::Answer).unwrap();
    network.ends[0].core.set_remote_description(now, answer).unwrap();
    network.flush();
    assert!(network.ends[0].core.authenticated, "by what came early");
    assert!(network.ends[0].core.early_datagrams.is_empty());
}

/// Without an application section nobody takes the packets, but a peer may send them.
#[test]
fn packets_that_nobody_takes_are_held_in_bounds() {
    let mut end = End::new("a", Configuration::default(), &NULL);
    let now = Instant::now();
    let audio = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\n\
        a=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n";
    let fingerprint = crate::peer::authentication::sha256_fingerprint(b"b");
    let audio = format!("{audio}a=fingerprint:{fingerprint}\r\n");
    let offer = Description::parse(&audio, DescriptionKind::Offer).unwrap();
    end.core.set_remote_description(now, offer).unwrap();
    end.core.set_local_description(now, DescriptionKind::Answer).unwrap();
    end.core.handle_ice_event(now, IceEvent::State(IceState::Connected));
    end.core.handle_datagram(now, &mut hello(super::dtls::SERVER_HELLO, b"b"));
    assert_eq!(end.core.connection(), Connected);
    for _ in 0..1000 {
        end.core.handle_datagram(now, &mut record(b"nobody takes this"));
    }
    assert_eq!(end.core.early_packets.len(), MAX_EARLY);
}

#[test]
fn a_handshake_that_does_not_end_fails_the_connection() {
    let mut scripted = described(DtlsRole::Server, end());
    // Not a hello, but a beginning.
    scripted.inject(vec![22, 99]);
    scripted.pump(29);
    assert!(!scripted.end.core.is_closed());
    scripted.pump(2);
    assert_eq!(scripted.end.states(), [Failed, Closed]);
}

#[test]
fn the_peers_close_notify_disconnects() {
    let (mut scripted, channel) = Scripted::server();
    scripted.inject(vec![21, 0]);
    assert_eq!(scripted.end.states(), [Connected, Disconnected, Closed]);
    assert!(channel.is_closed());
}

#[test]
fn datagrams_of_other_protocols_are_dropped() {
    let (mut scripted, channel) = Scripted::server();
    let open = dcep::Message::Ack.encode().unwrap();
    for first in (0..20).chain(64..=255) {
        let dropped = scripted.end.core.dropped_datagrams;
        scripted.inject([&[first], &open[..]].concat());
        assert_eq!(scripted.end.core.dropped_datagrams, dropped + 1, "{first}");
    }
    scripted.inject(Vec::new());
    assert!(!channel.is_open() && !channel.is_closed());
}

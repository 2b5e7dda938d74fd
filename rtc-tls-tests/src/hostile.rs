//! What an attacker or a broken peer may send: nothing of it may panic, and what anybody could
//! have sent must not end a handshake.

use std::ops::{Range, RangeInclusive};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rtc_core::backend::dtls::{Certificate, CertificateKind, DtlsEvent, DtlsRole};

use crate::link::{
    BackendRef, Link, Random, Side, both_connected, connected_pair, run, side, sides,
};
use crate::pem::rsa;

/// The tests of what a peer may send, for a [`Subject`](crate::hostile::Subject).
#[macro_export]
macro_rules! hostile {
    ($($subject:expr)?) => {
        $crate::each_test! {
            hostile [$($subject)?]
            messages_cut_or_changed_at_any_byte_do_no_more_than_end_the_handshake,
            datagrams_cut_at_any_byte_do_not_disturb_the_handshake,
            what_anybody_can_forge_is_ignored,
            an_alert_ends_a_handshake_that_does_not_go_on_anyway,
            a_replayed_record_is_taken_once_and_an_old_one_not_at_all,
            a_repeated_handshake_draws_no_flood_of_answers,
            a_chain_of_100_kilobytes_is_not_taken,
            the_hello_of_a_browser_in_two_datagrams_is_answered,
            events_come_in_order_and_nothing_is_sealed_too_early,
            arbitrary_datagrams_never_panic,
            arbitrary_changes_to_datagrams_never_panic,
        }
    };
}

crate::hostile!();

/// What is tested, and what differs between backends.
pub struct Subject {
    /// The backend of both sides.
    pub backend: BackendRef,
    /// The time between two rounds of a handshake that an intruder disturbs.
    pub round: Duration,
    /// How many records are sent in the test of replay.
    pub records: u32,
    /// Those of them that come first, in reverse: no more than the window of the backend.
    pub reversed: Range<usize>,
    /// How many datagrams a ClientHello draws that is repeated each millisecond for a second.
    pub answers: RangeInclusive<usize>,
    /// The length in bytes of the shortest payload that can be sealed.
    pub shortest: usize,
}

const RECORD_HEADER: usize = 13;
const MESSAGE_HEADER: usize = 12;
const HANDSHAKE: u8 = 22;

/// Runs a handshake in which `intrude` says what arrives before each genuine datagram.
fn with_intruder(
    subject: &Subject,
    certificate: &Certificate,
    mut intrude: impl FnMut(usize, &[u8]) -> Vec<Vec<u8>>,
) -> [Side; 2] {
    let mut now = Instant::now();
    let mut sides = sides(subject.backend, certificate, certificate, now);
    for _ in 0..8 {
        for from in 0..2 {
            for datagram in sides[from].outgoing() {
                for forged in intrude(from, &datagram) {
                    sides[1 - from].datagram(now, &forged);
                }
                sides[1 - from].datagram(now, &datagram);
            }
        }
        if both_connected(&sides) {
            break;
        }
        now += subject.round;
        sides.iter_mut().for_each(|side| side.timeout(now));
    }
    sides
}

fn record(kind: u8, epoch: u16, sequence: u64, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0xfe, 0xfd];
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes()[2..]);
    out.extend_from_slice(&(content.len() as u16).to_be_bytes());
    out.extend_from_slice(content);
    out
}

/// The unprotected handshake messages of a datagram, each with header and body. Ours come whole.
fn messages(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = datagram;
    while rest.len() >= RECORD_HEADER {
        let length = usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        if rest[0] == HANDSHAKE && rest[4] == 0 {
            found.push(rest[RECORD_HEADER..RECORD_HEADER + length].to_vec());
        }
        rest = &rest[RECORD_HEADER + length..];
    }
    found
}

/// `message` with the lengths in its header made to fit its body.
fn fitted(mut message: Vec<u8>) -> Vec<u8> {
    let length = (message.len() - MESSAGE_HEADER) as u32;
    message[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
    message[9..12].copy_from_slice(&length.to_be_bytes()[1..]);
    message
}

fn messages_cut_or_changed_at_any_byte_do_no_more_than_end_the_handshake(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let mut genuine = Vec::new();
    let sides = with_intruder(subject, &ours, |_, datagram| {
        genuine.extend(messages(datagram));
        Vec::new()
    });
    assert!(both_connected(&sides));
    let kinds: Vec<u8> = genuine.iter().map(|message| message[0]).collect();
    assert_eq!(kinds, [1, 2, 11, 12, 13, 14, 11, 16, 15], "every message of both flights");

    let (mut completed, mut ended, mut stuck) = (0, 0, 0);
    for (at, message) in genuine.iter().enumerate() {
        // Fewer changes where nothing but opaque bytes stands: the certificates and signatures.
        let step = if [11, 15].contains(&message[0]) { 7 } else { 2 };
        let positions: Vec<usize> =
            (0..message.len()).filter(|i| *i < 40 || i % step == 0).collect();
        for position in positions {
            for change in 0..3 {
                let mut seen = 0;
                let sides = with_intruder(subject, &ours, |_, datagram| {
                    let found = messages(datagram);
                    let index = at.checked_sub(seen);
                    seen += found.len();
                    let Some(message) = index.and_then(|index| found.get(index)) else {
                        return Vec::new();
                    };
                    let mut forged = message.clone();
                    let position = position.min(forged.len() - 1);
                    match change {
                        0 => forged[position] = forged[position].wrapping_add(1),
                        1 => forged[position] = forged[position].wrapping_sub(1),
                        _ => {
                            forged.truncate(position.max(MESSAGE_HEADER));
                            forged = fitted(forged);
                        }
                    }
                    vec![record(HANDSHAKE, 0, 1000, &forged)]
                });
                if both_connected(&sides) {
                    completed += 1;
                } else if sides.iter().any(|side| side.error.is_some()) {
                    ended += 1;
                } else {
                    stuck += 1;
                }
            }
        }
    }
    println!("{completed} completed, {ended} ended with an error, {stuck} went on waiting");
    assert!(completed > 0 && ended > 0);
}

fn datagrams_cut_at_any_byte_do_not_disturb_the_handshake(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Rsa);
    let sides = with_intruder(subject, &ours, |_, datagram| {
        (0..datagram.len()).map(|end| datagram[..end].to_vec()).collect()
    });
    assert!(both_connected(&sides), "{:?} {:?}", sides[0].error, sides[1].error);
}

fn what_anybody_can_forge_is_ignored(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let alert = |level, description| record(21, 0, 7, &[level, description]);
    let forgeries = vec![
        ("fatal alert", alert(2, 40)),
        ("close_notify", alert(1, 0)),
        ("no certificate", alert(1, 41)),
        ("half an alert", record(21, 0, 7, &[2])),
        ("protected alert", record(21, 1, 0, &[7; 26])),
        ("ChangeCipherSpec", record(20, 0, 7, &[1])),
        ("unprotected data", record(23, 0, 7, b"data")),
        ("protected data", record(23, 1, 0, &[7; 100])),
        ("a later epoch", record(23, 2, 0, &[7; 100])),
        ("highest sequence number", record(HANDSHAKE, 0, (1 << 48) - 1, &[])),
        ("HelloRequest", record(HANDSHAKE, 0, 7, &[0; 12])),
        ("far ahead", record(HANDSHAKE, 0, 7, &[1, 0, 0, 1, 255, 255, 0, 0, 0, 0, 0, 1, 5])),
        ("unknown record", record(99, 0, 7, b"?")),
        ("no record", b"GET / HTTP/1.1".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (name, forgery) in forgeries {
        let sides = with_intruder(subject, &ours, |_, _| vec![forgery.clone(); 3]);
        assert!(both_connected(&sides), "{name}: {:?} {:?}", sides[0].error, sides[1].error);
        for mut side in sides {
            side.datagram(Instant::now(), &forgery);
            assert!(side.error.is_none() && side.events.len() == 2, "{name}");
            assert!(side.data.is_empty(), "{name}");
        }
    }
}

fn an_alert_ends_a_handshake_that_does_not_go_on_anyway(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let now = Instant::now();
    let [mut client, _] = sides(subject.backend, &ours, &ours, now);
    client.datagram(now, &record(21, 0, 0, &[2, 70]));
    client.timeout(now + Duration::from_millis(400));
    assert_eq!(client.error, None);
    client.timeout(now + Duration::from_millis(600));
    let error = client.error.expect("nothing came");
    assert_eq!(error, "DTLS handshake failed: the peer sent the alert protocol_version (70)");
}

fn a_replayed_record_is_taken_once_and_an_old_one_not_at_all(subject: &Subject) {
    let now = Instant::now();
    let [mut client, mut server] = connected_pair(subject.backend, CertificateKind::Ecdsa, now);
    let records: Vec<_> = (0..subject.records).map(|i| client.seal(&i.to_be_bytes())).collect();
    // Far out of order, as batches arrive.
    let Range { start, end } = subject.reversed;
    for record in records[start..end].iter().rev() {
        server.datagram(now, record);
        server.datagram(now, record);
    }
    assert_eq!(server.data.len(), end - start);
    for record in &records[end..] {
        server.datagram(now, record);
    }
    assert_eq!(server.data.len(), records.len() - start);
    for record in &records {
        server.datagram(now, record);
    }
    assert_eq!(server.data.len(), records.len() - start, "the first {start} came too late");
    assert!(server.error.is_none() && server.outgoing().is_empty());
}

fn a_repeated_handshake_draws_no_flood_of_answers(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let mut recorded = [Vec::new(), Vec::new()];
    let mut sides = with_intruder(subject, &ours, |from, datagram| {
        recorded[from].push(datagram.to_vec());
        Vec::new()
    });
    assert!(both_connected(&sides));
    let now = Instant::now() + Duration::from_secs(1);
    let mut answers = 0;
    for _ in 0..1000 {
        for from in 0..2 {
            for datagram in &recorded[from] {
                sides[1 - from].datagram(now, datagram);
            }
            answers += sides[1 - from].outgoing().len();
        }
    }
    assert_eq!(answers, 0, "replayed records are no sign of life");
    for mut side in sides {
        side.timeout(now);
        assert!(side.error.is_none() && side.events.len() == 2);
    }

    // Before the end, a repetition draws few answers or none but those that the timer brings.
    let start = Instant::now();
    let mut server = side(subject.backend, &ours, DtlsRole::Server, start);
    let mut sent = 0;
    for i in 0..1000 {
        server.datagram(start + Duration::from_millis(i), &recorded[0][0]);
        sent += server.outgoing().len();
    }
    assert!(subject.answers.contains(&sent), "{sent} datagrams in a second");
}

fn a_chain_of_100_kilobytes_is_not_taken(subject: &Subject) {
    let (pem, key) = rsa();
    let copies = 100_000 / 500;
    let long = subject.backend.dtls().load_certificate(&pem.repeat(copies), &key, None).unwrap();

    let now = Instant::now();
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let mut pair = sides(subject.backend, &long, &ours, now);
    let limit = Duration::from_secs(40);
    run(&mut pair, Link::GOOD, &mut Random(1), now, limit, |_| false);
    assert!(pair[1].connected().is_none() && pair[1].peer_certificate().is_none());
    assert!(pair[1].error.is_some(), "it gives up");

    // Ten kilobytes are a long chain, and fine.
    let long = subject.backend.dtls().load_certificate(&pem.repeat(20), &key, None).unwrap();
    let mut pair = sides(subject.backend, &long, &ours, now);
    run(&mut pair, Link::GOOD, &mut Random(1), now, limit, both_connected);
    assert!(both_connected(&pair));
}

/// A ClientHello as browsers send it: DTLS 1.3 first, with a hybrid key share, in two datagrams
/// of 1175 and 238 bytes.
fn browser_hello() -> [Vec<u8>; 2] {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, content: &[u8]| {
        extensions.extend_from_slice(&kind.to_be_bytes());
        extensions.extend_from_slice(&(content.len() as u16).to_be_bytes());
        extensions.extend_from_slice(content);
    };
    extension(0x0a0a, &[]); // GREASE (RFC 8701)
    extension(43, &[4, 0xfe, 0xfc, 0xfe, 0xfd]); // supported_versions
    extension(10, &[0, 8, 0x11, 0xec, 0, 29, 0, 23, 0, 24]); // supported_groups
    extension(11, &[1, 0]); // ec_point_formats
    extension(23, &[]); // extended_master_secret
    extension(0xff01, &[0]); // renegotiation_info
    extension(13, &[0, 12, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1]); // signature_algorithms
    extension(14, &[0, 6, 0, 7, 0, 8, 0, 1, 0]); // use_srtp
    extension(45, &[1, 1]); // psk_key_exchange_modes
    let mut shares = vec![0x11, 0xec, 1216u16.to_be_bytes()[0], 1216u16.to_be_bytes()[1]];
    shares.extend_from_slice(&[9; 1216]);
    let mut key_share = (shares.len() as u16).to_be_bytes().to_vec();
    key_share.extend(shares);
    extension(51, &key_share);

    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[3; 32]);
    body.extend_from_slice(&[0, 0]); // session_id, cookie
    body.extend_from_slice(&[0, 10, 0x13, 0x01, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9]);
    body.extend_from_slice(&[1, 0]);
    // Padded to the size that was seen (RFC 7685).
    let padding = 1175 + 238 - 2 * (RECORD_HEADER + MESSAGE_HEADER) - body.len() - 2;
    let padding = padding - extensions.len() - 4;
    extensions.extend_from_slice(&[0, 21]);
    extensions.extend_from_slice(&(padding as u16).to_be_bytes());
    extensions.resize(extensions.len() + padding, 0);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend(extensions);

    let first = 1175 - RECORD_HEADER - MESSAGE_HEADER;
    let part = |sequence, offset: usize, content: &[u8]| {
        let number = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
        let mut message = vec![1];
        message.extend(number(body.len()));
        message.extend([0, 0]);
        message.extend(number(offset));
        message.extend(number(content.len()));
        message.extend_from_slice(content);
        record(HANDSHAKE, 0, sequence, &message)
    };
    [part(0, 0, &body[..first]), part(1, first, &body[first..])]
}

fn the_hello_of_a_browser_in_two_datagrams_is_answered(subject: &Subject) {
    for kind in [CertificateKind::Ecdsa, CertificateKind::Rsa] {
        for order in [[0, 1], [1, 0]] {
            let parts = browser_hello();
            assert_eq!(parts.each_ref().map(Vec::len), [1175, 238]);
            let now = Instant::now();
            let mut server =
                side(subject.backend, &subject.backend.certificate(kind), DtlsRole::Server, now);
            server.datagram(now, &parts[order[0]]);
            assert!(server.outgoing().is_empty());
            server.datagram(now, &parts[order[1]]);
            let flight = server.outgoing();
            let hello = messages(&flight[0]).remove(0);
            assert_eq!(hello[0], 2, "ServerHello");
            assert_eq!(hello[MESSAGE_HEADER..][..2], [0xfe, 0xfd]);
            let suite = &hello[MESSAGE_HEADER + 2 + 32 + 1..][..2];
            let expected = if kind == CertificateKind::Ecdsa { [0xc0, 0x2b] } else { [0xc0, 0x2f] };
            assert_eq!(suite, expected);
            assert!(flight.iter().all(|datagram| datagram.len() <= 1200));
        }
    }
}

fn events_come_in_order_and_nothing_is_sealed_too_early(subject: &Subject) {
    let ours = subject.backend.certificate(CertificateKind::Ecdsa);
    let now = Instant::now();
    let mut sides = sides(subject.backend, &ours, &ours, now);
    for _ in 0..4 {
        for from in 0..2 {
            if sides[from].connected().is_none() {
                assert!(sides[from].session.seal(&mut [0; 100]).is_err());
                assert!(sides[from].session.export_keying_material("x", 10).is_err());
            }
            for datagram in sides[from].outgoing() {
                sides[1 - from].datagram(now, &datagram);
            }
        }
    }
    for side in &mut sides {
        assert!(matches!(
            side.events[..],
            [DtlsEvent::PeerCertificate(_), DtlsEvent::Connected(_)]
        ));
        let overhead = side.session.overhead();
        assert_eq!((overhead.head, overhead.tail), (21, 16));
        assert!(side.session.seal(&mut [0; 36]).is_err(), "no room");
        for empty in 37..37 + subject.shortest {
            assert!(side.session.seal(&mut vec![0; empty]).is_err(), "nothing to protect");
        }
        let least = 37 + subject.shortest;
        assert_eq!(side.session.seal(&mut vec![0; least]).expect("a payload"), least);
        assert!(side.session.seal(&mut vec![0; 16_384 + 38]).is_err(), "too long");
    }
}

/// What is the same for each property.
fn properties() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

fn arbitrary_datagrams_never_panic(subject: &Subject) {
    proptest!(properties(), |(
        garbage in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..200), 0..20),
        contents in prop::collection::vec(
            (20u8..25, 0u16..3, prop::collection::vec(0u8..20, 0..100)), 0..20),
        role in any::<bool>(),
    )| {
        let now = Instant::now();
        let role = if role { DtlsRole::Client } else { DtlsRole::Server };
        let ours = subject.backend.certificate(CertificateKind::Ecdsa);
        let mut side = side(subject.backend, &ours, role, now);
        for datagram in garbage {
            side.datagram(now, &datagram);
        }
        for (sequence, (kind, epoch, content)) in contents.into_iter().enumerate() {
            side.datagram(now, &record(kind, epoch, sequence as u64, &content));
        }
        prop_assert!(side.connected().is_none() && side.data.is_empty());
    });
}

fn arbitrary_changes_to_datagrams_never_panic(subject: &Subject) {
    proptest!(properties(), |(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        at in 0usize..6,
    )| {
        let ours = subject.backend.certificate(CertificateKind::Ecdsa);
        let mut count = 0;
        let sides = with_intruder(subject, &ours, |_, datagram| {
            count += 1;
            if count != at + 1 {
                return Vec::new();
            }
            let mut forged = datagram.to_vec();
            for (index, value) in &changes {
                let index = index.index(forged.len());
                forged[index] ^= value;
            }
            vec![forged]
        });
        if both_connected(&sides) {
            for side in &sides {
                prop_assert_eq!(side.peer_certificate(), Some(ours.der()));
            }
        }
    });
}

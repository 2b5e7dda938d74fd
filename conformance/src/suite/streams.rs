//! Streams under way: what a path loses, what is sent too fast, what nobody announced, and
//! directions that change.

use super::Case;
use super::tracks::{Linked, VIDEO, open_tracks, pair, rtp};
use crate::ffi::*;
use crate::inbox::{Event, Message, QUIET};
use crate::interop::link::Link;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Pair, Peer, c, eventually};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("of 100 packets one is lost and sent again", |lab: &Lab| sent_again(lab, 1)),
        Case::new("of 100 packets ten are lost and sent again", |lab: &Lab| sent_again(lab, 10)),
        Case::new("frames survive the loss of a packet in 100", |lab: &Lab| frames(lab, 1))
            .fixes("generic NACK"),
        Case::new("frames survive the loss of ten packets in 100", |lab: &Lab| frames(lab, 10))
            .fixes("generic NACK"),
        Case::new("packets that come twice are taken once", replayed),
        Case::new("pacing spreads a burst", pacing),
        Case::new("AV1 goes both ways of packetizing", av1),
        Case::new("negotiation changes directions", directions),
        Case::new("a flood of unknown streams harms no other", flood),
    ]
}

/// Two peers on a link, with one open track.
struct Apart {
    near: Channel,
    far: Channel,
    _peers: (Peer, Peer),
    _link: Link,
}

impl Apart {
    fn new(lab: &Lab, mut link: Link, description: &str) -> Self {
        let (a, b) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
        let near = a.track(description);
        let whole = |peer: &Peer, kind: &str| {
            assert_eq!(peer.set_local(kind), OK);
            peer.wait_gathered();
            peer.string(Getter::LOCAL_DESCRIPTION).expect("a description")
        };
        let offer = link.offer(&whole(&a, "offer")).expect("a host candidate");
        assert_eq!(b.set_remote(&offer, "offer"), OK);
        let far = b.incoming_track(0);
        let answer = link.answer(&whole(&b, "answer")).expect("a host candidate");
        assert_eq!(a.set_remote(&answer, "answer"), OK);
        near.wait_open();
        far.wait_open();
        Self { near, far, _peers: (a, b), _link: link }
    }
}

/// The sequence number of an RTP packet.
fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

/// Asks for packets of the stream 42 once more (RFC 4585 §6.2.1).
fn nack(missing: &[u16]) -> Vec<u8> {
    let mut words = vec![9u32, 42];
    words.extend(missing.iter().map(|sequence| u32::from(*sequence) << 16));
    let mut packet = vec![0x81, 205];
    packet.extend(u16::try_from(words.len()).expect("short").to_be_bytes());
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// The receiver asks for what is missing until it has everything, byte for byte.
fn sent_again(lab: &Lab, loss: u64) {
    const COUNT: u16 = 300;
    let Apart { near, far, .. } = &Apart::new(lab, Link::new(loss), VIDEO);
    assert_eq!(lab.lib.chain_nack_responder(near.id), OK);
    let packet = |n: u16| rtp(96, n, 42, 500 + usize::from(n));
    for n in 0..COUNT {
        near.send_binary(&packet(n));
    }
    let mut came = vec![None; usize::from(COUNT)];
    let mut rounds = 0;
    eventually("every packet", || {
        for message in far.messages() {
            let bytes = message.bytes();
            if bytes[1] == 96 {
                came[usize::from(sequence(bytes))] = Some(bytes.to_vec());
            }
        }
        let missing: Vec<_> = (0..COUNT).filter(|n| came[usize::from(*n)].is_none()).collect();
        // What has not come after a while is asked for, over and over: requests get lost as well.
        if !missing.is_empty() {
            std::thread::sleep(Duration::from_millis(50));
            far.send_binary(&nack(&missing));
            rounds += 1;
        }
        missing.is_empty()
    });
    let mut rows = Rows::new();
    for (n, packet_that_came) in (0..COUNT).zip(came) {
        rows.holds(format!("packet {n}"), packet_that_came.as_deref() == Some(&*packet(n)));
    }
    assert!(rounds > 0 || loss < 10, "nothing was lost");
}

/// The library itself asks for what is missing where the section announces that.
fn frames(lab: &Lab, loss: u64) {
    const COUNT: u32 = 300;
    const PACKETS: usize = 12;
    let announced = format!("{VIDEO}a=rtcp-fb:96 nack\r\n");
    let Apart { near, far, .. } = &Apart::new(lab, Link::new(loss), &announced);
    let lib = lab.lib;
    let with = Packetizing { max_fragment: 1000, ..Packetizing::default() };
    let mut rows = Rows::new();
    rows.code("sender", lib.set_packetizer(Packetizer::VP8, near.id, Some(c"n"), &with), OK);
    rows.code("responder", lib.chain_nack_responder(near.id), OK);
    rows.code("receiver", lib.by_id(ById::DEPACKETIZE_VP8, far.id), OK);
    rows.code("session", lib.by_id(ById::CHAIN_RECEIVING_SESSION, far.id), OK);
    rows.code("frames", lib.on_frame(far.id), OK);
    let content = |n: u32| {
        let seed = n.to_be_bytes();
        let length = PACKETS * 990;
        (0..length).map(|at| seed[at % 4] ^ (at % 251) as u8).collect::<Vec<_>>()
    };
    for n in 0..COUNT {
        lib.set_timestamp(near.id, n * 3000);
        near.send_binary(&content(n));
        std::thread::sleep(Duration::from_millis(5));
    }
    // A loss at the end shows when more comes; and one of these may be lost as well.
    eventually("the end", || {
        let last = COUNT + far.inbox.all().len() as u32;
        lib.set_timestamp(near.id, last * 3000);
        near.send_binary(&content(last));
        std::thread::sleep(Duration::from_millis(20));
        frames_of(far).iter().any(|(timestamp, _)| *timestamp >= COUNT * 3000)
    });
    let mut came = 0;
    for (timestamp, data) in frames_of(far) {
        let n = timestamp / 3000;
        rows.holds(format!("frame {n} is whole"), data == content(n));
        came += u32::from(n < COUNT);
    }
    // Without retransmissions about 270 and 85 of 300 would come.
    let least = if loss == 1 { 290 } else { 240 };
    rows.holds(format!("{came} of {COUNT} frames"), came >= least);
}

fn frames_of(track: &Channel) -> Vec<(u32, Vec<u8>)> {
    let frames = track.inbox.all().into_iter().filter_map(|recorded| match &recorded.event {
        Event::Frame { timestamp, data, .. } if recorded.owner == track.id => {
            Some((*timestamp, data.clone()))
        }
        _ => None,
    });
    frames.collect()
}

/// The link reorders, too.
fn replayed(lab: &Lab) {
    const COUNT: u16 = 200;
    let Apart { near, far, .. } = &Apart::new(lab, Link::new(0).doubling(), VIDEO);
    let packet = |n: u16| rtp(96, n, 42, 100);
    for n in 0..COUNT {
        near.send_binary(&packet(n));
    }
    far.wait_messages(COUNT.into());
    std::thread::sleep(QUIET);
    let mut came: Vec<_> = far.messages().iter().map(|message| message.bytes().to_vec()).collect();
    came.sort_unstable();
    let expected: Vec<_> = (0..COUNT).map(packet).collect();
    assert!(came == expected, "{} packets", came.len());
}

fn pacing(lab: &Lab) {
    const COUNT: u32 = 40;
    const SIZE: u32 = 1000;
    const BYTES_PER_SECOND: u32 = 100_000;
    const INTERVAL_MS: i32 = 20;
    let linked = Linked::new(lab.lib, lab.partner(), VIDEO);
    let mut rows = Rows::new();
    let chain = |rate, interval| lab.lib.chain_pacing(linked.near.id, rate, interval);
    rows.code("no rate", chain(0.0, INTERVAL_MS), INVALID);
    rows.code("no number", chain(f64::NAN, INTERVAL_MS), INVALID);
    rows.code("no interval", chain(1e6, 0), INVALID);
    rows.code("a negative interval", chain(1e6, -1), INVALID);
    rows.code("pacing", chain(f64::from(BYTES_PER_SECOND * 8), INTERVAL_MS), OK);
    let begin = Instant::now();
    for n in 0..COUNT {
        linked.near.send_binary(&rtp(96, n as u16, 42, SIZE as usize - 12));
    }
    let came = linked.far.wait_messages(COUNT as usize);
    let all = linked.far.inbox.all();
    let arrivals = all.iter().filter(|recorded| {
        recorded.owner == linked.far.id && matches!(recorded.event, Event::Message(_))
    });
    for (n, (message, recorded)) in (0..COUNT).zip(came.iter().zip(arrivals)) {
        rows.equal(format!("packet {n} is"), sequence(message.bytes()), n as u16);
        // At once goes what an interval may carry, and one packet on credit.
        let free = SIZE + BYTES_PER_SECOND * INTERVAL_MS as u32 / 1000;
        let due = f64::from((n * SIZE).saturating_sub(free)) / f64::from(BYTES_PER_SECOND);
        let after = recorded.at.duration_since(begin).as_secs_f64();
        rows.holds(format!("packet {n} after {after:.3} s, due at {due:.3} s"), after >= due);
    }
}

fn av1(lab: &Lab) {
    const OBU: i32 = 0;
    const TEMPORAL_UNIT: i32 = 1;
    let delimiter = [0x12, 0];
    let sequence_header = vec![0x0a, 5, 1, 2, 3, 4, 5];
    let unit = |kind: u8, length: usize| {
        let mut obu = vec![kind << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        obu.extend((0..length).map(|n| (n % 251) as u8));
        obu
    };
    // A frame of several packets, and a small one.
    let (key, delta) = (unit(6, 5000), unit(6, 200));
    let whole = |obus: &[&[u8]]| [&[&delimiter[..]], obus].concat().concat();
    let units = [whole(&[&sequence_header, &key]), whole(&[&delta])];
    let by_obu: [&[&[u8]]; 2] = [&[&sequence_header, &key], &[&delta]];
    for mode in [OBU, TEMPORAL_UNIT] {
        let linked = Linked::new(lab.lib, lab.lib, VIDEO);
        let (near, far) = (&linked.near, &linked.far);
        let with = Packetizing { obu: mode, ..Packetizing::default() };
        let mut rows = Rows::new();
        let name = format!("mode {mode}");
        rows.code(&name, lab.lib.depacketize_av1(far.id, mode), OK);
        rows.code(&name, lab.lib.depacketize_av1(far.id, 7), INVALID);
        rows.code(&name, lab.lib.on_frame(far.id), OK);
        let code = lab.lib.set_packetizer(Packetizer::AV1, near.id, Some(c"n"), &with);
        rows.code(&name, code, OK);
        for ((unit, obus), timestamp) in units.iter().zip(by_obu).zip([3000, 6000]) {
            lab.lib.set_timestamp(near.id, timestamp);
            match mode {
                TEMPORAL_UNIT => near.send_binary(unit),
                _ => obus.iter().for_each(|obu| near.send_binary(obu)),
            }
            let event = Event::Frame { timestamp, payload_type: 96, data: unit.clone() };
            far.inbox.wait_event(far.id, &event);
        }
    }
}

/// Renegotiates until both sides are stable again.
fn negotiate(pair: &Pair, offerer: &Peer) {
    let stable = |peer: &Peer| peer.inbox.count(peer.id, &Event::Signaling(Signaling::Stable));
    let before = [&pair.a, &pair.b].map(stable);
    assert_eq!(offerer.set_local("offer"), OK);
    eventually("both sides stable", || {
        [&pair.a, &pair.b].map(stable).iter().zip(before).all(|(now, before)| *now > before)
    });
}

fn directions(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let ([near], [far]) = open_tracks(&pair, [VIDEO]);
    let [a, b] = [&pair.a, &pair.b];
    let mut rows = Rows::new();
    let mut number = 0;
    // Who offers what, and which way packets go then.
    for (offerer, direction, forth, back) in [
        (a, "inactive", false, false),
        (a, "sendonly", true, false),
        (a, "recvonly", false, true),
        (a, "sendrecv", true, true),
        (b, "sendonly", false, true),
        (b, "inactive", false, false),
        (b, "sendrecv", true, true),
    ] {
        let description =
            VIDEO.replace("sendrecv", direction).replace("a=ssrc:42 cname:us\r\n", "");
        // The same track under one more identifier.
        let id = lab.lib.add_track(offerer.id, Some(&c(&description)));
        assert!(id > 0, "rtcAddTrack: {}", code_name(id));
        negotiate(&pair, offerer);
        number += 1;
        for (from, to, ssrc) in [(&near, &far, 42), (&far, &near, 43)] {
            from.send_binary(&rtp(96, number, ssrc, 10));
            // Feedback goes in any direction.
            from.send_binary(&[&[0x80, 201, 0, 1][..], &u32::from(number).to_be_bytes()].concat());
            let told = |to: &Channel| {
                let own = |message: &Message| {
                    let bytes = message.bytes();
                    bytes[1] == 201 && bytes[4..8] == u32::from(number).to_be_bytes()
                };
                to.messages().iter().any(own)
            };
            eventually("the report behind it", || told(to));
        }
        for (to, name, expected) in [(&far, "forth", forth), (&near, "back", back)] {
            let own =
                |message: &Message| message.bytes()[1] == 96 && sequence(message.bytes()) == number;
            let came = to.messages().iter().any(own);
            rows.equal(format!("{number}: {direction}, {name}"), came, expected);
        }
        rows.equal("open", (near.is_open(), far.is_open()), (true, true));
    }
}

fn flood(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let other = VIDEO.replace("mid:v", "mid:w").replace("42", "52");
    let (near, far) = open_tracks(&pair, [VIDEO, &other]);
    let known = || {
        for (n, ssrc) in [(0, 42), (1, 52)] {
            let before = far[n].messages().len();
            let mut number = 0;
            // A full socket may lose some.
            eventually("a packet of a known stream", || {
                near[n].send_binary(&rtp(96, number, ssrc, 100));
                number += 1;
                far[n].messages().len() > before
            });
        }
    };
    known();
    for ssrc in 0..5000u32 {
        // What is refused beyond a bound is refused.
        lab.lib.send_binary(near[0].id, &rtp(96, 7, 100_000 + ssrc, 20));
        if ssrc % 500 == 0 {
            known();
        }
    }
    known();
    std::thread::sleep(QUIET);
    for (track, ssrc) in far.iter().zip([42u32, 52]) {
        let own = |message: &Message| message.bytes()[8..12] == ssrc.to_be_bytes();
        assert!(track.messages().iter().all(own), "what nothing tells the track of comes nowhere");
    }
}

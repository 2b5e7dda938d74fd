//! Packets no honest peer sends.
#![allow(missing_docs)]

mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp_engine::{Association, Config, Event, SendOptions, State, inspect_packet};
use support::{
    Link, Pair, Rng, Sent, chunk, chunk_kinds, chunks, expected_tag, initial_tsn, packet,
};

const PORTS: (u16, u16) = (5000, 5000);

/// A connected pair, the verification tags that end 0 and end 1 expect, and what they sent.
fn connected(config: Config) -> (Pair, [u32; 2], Sent) {
    let (pair, seen) = Pair::overheard(11, config);
    let tags = [0, 1].map(|end| expected_tag(&seen, end));
    (pair, tags, seen)
}

/// Gives a packet to an end and collects what it says to it.
fn inject(pair: &mut Pair, end: usize, bytes: &[u8]) -> Vec<Vec<u8>> {
    let now = pair.instant();
    pair.ends[end].handle_packet(now, bytes);
    drain(&mut pair.ends[end], now)
}

fn drain(association: &mut Association, now: Instant) -> Vec<Vec<u8>> {
    let mut buffer = [0; 1500];
    let mut out = Vec::new();
    while let Some(length) = association.poll_transmit(now, &mut buffer) {
        out.push(buffer[..length].to_vec());
        assert!(out.len() < 1000, "answers without end");
    }
    out
}

fn works(pair: &mut Pair) {
    for end in 0..2 {
        assert_eq!(pair.ends[end].state(), State::Established, "{:?}", pair.events);
        let now = pair.instant();
        let sent =
            pair.ends[end].send(now, 7, 53, SendOptions::default(), Bytes::from_static(&[1; 5000]));
        assert_eq!(sent, Ok(()));
    }
    assert!(pair.run_until(Duration::from_secs(10), |p| p.ends.iter().all(|e| e.queued() == 0)));
    for end in 0..2 {
        assert_eq!(pair.ends[end].read(7).unwrap().data.len(), 5000);
    }
}

#[test]
fn packets_that_are_not_for_this_association_are_dropped_in_silence() {
    let (mut pair, tags, _) = connected(Config::default());
    let data = chunk(0, 3, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 51, 1, 2, 3, 4]);
    let abort = chunk(6, 0, &[]);
    let reflected = chunk(6, 1, &[]);
    let good = packet(PORTS, tags[0], &[&data]);
    let mut bad_crc = good.clone();
    bad_crc[8] ^= 1;
    let mut zero_crc = good.clone();
    zero_crc[8..12].fill(0);
    let cases = [
        packet(PORTS, tags[0] ^ 1, &[&data]),
        packet((5000, 5001), tags[0], &[&data]),
        packet((5001, 5000), tags[0], &[&data]),
        packet(PORTS, tags[0] ^ 1, &[&abort]),
        packet(PORTS, tags[0], &[&reflected]),
        packet(PORTS, 0, &[&data]),
        bad_crc,
        zero_crc,
        good[..12].to_vec(),
        good[..7].to_vec(),
        Vec::new(),
    ];
    for (number, case) in cases.iter().enumerate() {
        let dropped = pair.ends[0].metrics().packets_dropped;
        assert!(inject(&mut pair, 0, case).is_empty(), "case {number}");
        assert_eq!(pair.ends[0].metrics().packets_dropped, dropped + 1, "case {number}");
    }
    works(&mut pair);
}

#[test]
fn chunks_with_false_lengths_and_sacks_for_nothing_do_no_harm() {
    for interleaving in [false, true] {
        survive_false_chunks(Config { interleaving, ..Config::default() });
    }
}

fn survive_false_chunks(config: Config) {
    let (mut pair, tags, seen) = connected(config);
    let next = initial_tsn(&seen, 0);
    let cumulative = next.wrapping_sub(1).to_be_bytes();
    let far = next.wrapping_add(1 << 30).to_be_bytes();
    let mut sack = cumulative.to_vec();
    sack.extend_from_slice(&[0, 1, 0, 0]);
    let with_counts = |gaps: u16, duplicates: u16, rest: &[u8]| {
        let mut value = sack.clone();
        value.extend_from_slice(&gaps.to_be_bytes());
        value.extend_from_slice(&duplicates.to_be_bytes());
        value.extend_from_slice(rest);
        chunk(3, 0, &value)
    };
    let reversed = [0, 9, 0, 2, 0, 0, 0, 0, 255, 255, 255, 255, 0, 1, 255, 255];
    let future = [&far[..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let cases: Vec<Vec<u8>> = vec![
        vec![0, 3, 0, 0],
        vec![0, 3, 0, 3],
        vec![0, 3, 255, 255, 1, 2, 3],
        vec![3, 0, 0, 8, 1, 2, 3, 4],
        with_counts(65535, 0, &[]),
        with_counts(65535, 65535, &[0; 100]),
        with_counts(4, 0, &reversed),
        with_counts(0, 3, &[255; 12]),
        chunk(3, 0, &future),
        chunk(192, 0, &far),
        chunk(192, 0, &[cumulative, [0, 1, 0, 9]].concat()),
        chunk(194, 0, &far),
        chunk(194, 0, &[&far[..], &[0; 8]].concat()),
        chunk(194, 0, &[&cumulative[..], &[0, 1, 0, 0, 255, 255, 255, 255]].concat()),
        chunk(194, 0, &[&cumulative[..], &[255; 7]].concat()),
        chunk(7, 0, &far),
        chunk(14, 0, &[]),
        chunk(8, 0, &[]),
        chunk(11, 0, &[]),
        chunk(10, 0, &[1; 60]),
        chunk(9, 0, &[0, 3, 0, 8, 0, 0, 0, 0]),
        chunk(5, 0, &[0, 1, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8]),
        chunk(130, 0, &[0, 13, 255, 255, 0]),
        chunk(130, 0, &[0, 13, 0, 4]),
        chunk(0x3F, 0, &[1; 40]),
    ];
    for (number, case) in cases.iter().enumerate() {
        let bytes = packet(PORTS, tags[0], &[case]);
        let out = inject(&mut pair, 0, &bytes);
        assert!(out.len() <= 2, "case {number}: {out:?}");
        assert_eq!(pair.ends[0].state(), State::Established, "case {number}");
    }
    works(&mut pair);
}

#[test]
fn data_without_payload_or_of_the_wrong_kind_aborts() {
    let (data, i_data) = (|size| chunk(0, 3, &vec![0; size]), |size| chunk(64, 3, &vec![0; size]));
    let cases = [(false, i_data(20)), (false, data(12)), (true, data(20)), (true, i_data(16))];
    for (interleaving, value) in cases {
        let (mut pair, tags, _) = connected(Config { interleaving, ..Config::default() });
        let out = inject(&mut pair, 0, &packet(PORTS, tags[0], &[&value]));
        assert_eq!(out.len(), 1);
        assert_eq!(chunk_kinds(&out[0]), [6]);
        pair.flush();
        assert!(matches!(pair.take_events(0).last(), Some(Event::Aborted { by_peer: false, .. })));
    }
}

#[test]
fn a_hostile_i_forward_tsn_moves_what_it_names_and_nothing_else() {
    let config = Config { interleaving: true, ..Config::default() };
    let (mut pair, tags, seen) = connected(config);
    let first = initial_tsn(&seen, 1);
    let part = |tsn: u32, stream: u16, message: u32| {
        let mut value = first.wrapping_add(tsn).to_be_bytes().to_vec();
        value.extend_from_slice(&stream.to_be_bytes());
        value.extend_from_slice(&[0; 2]);
        value.extend_from_slice(&message.to_be_bytes());
        value.extend_from_slice(&[0, 0, 0, 53, 1]);
        packet(PORTS, tags[0], &[&chunk(64, 2, &value)])
    };
    // Beginnings on two streams, about the place where message numbers wrap.
    let numbers = [0, 1, 5, u32::MAX / 2 + 1, u32::MAX];
    for (tsn, number) in (0..).zip(numbers) {
        inject(&mut pair, 0, &part(2 * tsn, 3, number));
        inject(&mut pair, 0, &part(2 * tsn + 1, 4, number));
    }
    let each = pair.ends[0].metrics().receive_buffered / 10;
    // Up to message 1 of stream 3: 0 and 1, and what comes before these by serial arithmetic.
    let mut value = first.wrapping_add(100).to_be_bytes().to_vec();
    for (stream, flags, message) in
        [(3_u16, 0_u16, 1_u32), (3, 0, 1), (3, 1, 9), (u16::MAX, 0, 0), (u16::MAX, u16::MAX, 7)]
    {
        value.extend_from_slice(&stream.to_be_bytes());
        value.extend_from_slice(&flags.to_be_bytes());
        value.extend_from_slice(&message.to_be_bytes());
    }
    value.extend_from_slice(&[0, 4, 0, 0, 0]);
    let out = inject(&mut pair, 0, &packet(PORTS, tags[0], &[&chunk(194, 0, &value)]));
    assert_eq!(out.iter().map(|p| chunk_kinds(p)).collect::<Vec<_>>(), [[3]]);
    assert_eq!(pair.ends[0].metrics().receive_buffered, 7 * each);
    assert_eq!(pair.ends[0].state(), State::Established);
}

#[test]
fn a_flood_of_small_fragments_holds_no_more_memory_than_the_window_says() {
    let config = Config { receive_buffer: 100_000, max_message_size: 50_000, ..Config::default() };
    let (mut pair, tags, seen) = connected(config);
    let first = initial_tsn(&seen, 1);
    // Every second TSN, one byte each, each the beginning of a message on some stream.
    for number in 0..60_000_u32 {
        let mut value = first.wrapping_add(1 + number).to_be_bytes().to_vec();
        value.extend_from_slice(&((number % 1000) as u16).to_be_bytes());
        value.extend_from_slice(&[0, 0, 0, 0, 0, 51, 1]);
        let flags = if number % 2 == 0 { 2 } else { 1 };
        if number % 3 != 0 {
            let bytes = packet(PORTS, tags[0], &[&chunk(0, flags, &value)]);
            let out = inject(&mut pair, 0, &bytes);
            assert!(out.iter().map(Vec::len).sum::<usize>() <= 1172);
        }
    }
    let held = pair.ends[0].metrics().receive_buffered;
    assert!(held <= 200_000, "{held}");
    assert_eq!(pair.ends[0].state(), State::Established);
}

#[test]
fn a_flood_of_reset_requests_is_answered_one_by_one() {
    for interleaving in [false, true] {
        survive_reset_requests(Config { interleaving, ..Config::default() });
    }
}

fn survive_reset_requests(config: Config) {
    let (mut pair, tags, seen) = connected(config);
    let next = initial_tsn(&seen, 1);
    let mut answers = 0;
    for number in 0..100_000_u32 {
        let mut value = vec![0, 13, 0, 18];
        // Every third number is the one expected; the others are out of order.
        let sequence = next.wrapping_add(number / 3).wrapping_add((number % 3) * 7);
        value.extend_from_slice(&sequence.to_be_bytes());
        value.extend_from_slice(&[0; 4]);
        value.extend_from_slice(&next.wrapping_sub(1).to_be_bytes());
        value.extend_from_slice(&((number % 3000) as u16).to_be_bytes());
        let bytes = packet(PORTS, tags[0], &[&chunk(130, 0, &value)]);
        let out = inject(&mut pair, 0, &bytes);
        assert!(out.len() <= 1 && out.iter().all(|o| o.len() <= bytes.len()));
        answers += out.len();
        while pair.ends[0].poll_event().is_some() {}
    }
    assert_eq!(answers, 100_000);
    works(&mut pair);
}

#[test]
fn cookies_that_are_forged_replayed_or_stale_change_nothing() {
    let (mut pair, tags, seen) = connected(Config::default());
    let (_, echo) = seen
        .iter()
        .find(|(end, p)| *end == 1 && chunk_kinds(p).first() == Some(&10))
        .cloned()
        .expect("end 1 echoed a cookie");
    // Replayed: acknowledged again, nothing else.
    let out = inject(&mut pair, 0, &echo);
    assert_eq!(out.iter().map(|p| chunk_kinds(p)).collect::<Vec<_>>(), [[11]]);
    // Forged in any byte.
    let cookie = chunks(&echo)[0].to_vec();
    for at in 4..cookie.len() {
        let mut forged = cookie.clone();
        forged[at] ^= 0x40;
        assert!(inject(&mut pair, 0, &packet(PORTS, tags[0], &[&forged])).is_empty());
    }
    // Too old, but of the association there is: acknowledged as well.
    pair.run_for(Duration::from_secs(70));
    let out = inject(&mut pair, 0, &echo);
    assert_eq!(out.iter().map(|p| chunk_kinds(p)).collect::<Vec<_>>(), [[11]]);
    works(&mut pair);
}

#[test]
fn a_cookie_that_comes_too_late_is_answered_with_an_error_smaller_than_itself() {
    let start = Instant::now();
    let mut fresh = Association::new(Config::default(), [3; 32]);
    let value = [0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1];
    fresh.handle_packet(start, &packet(PORTS, 0, &[&chunk(1, 0, &value)]));
    let answer = drain(&mut fresh, start).remove(0);
    let tag = u32::from_be_bytes(answer[16..20].try_into().unwrap());
    // The cookie is the first parameter of the INIT-ACK.
    let length = usize::from(u16::from_be_bytes([answer[34], answer[35]]));
    let echo = packet(PORTS, tag, &[&chunk(10, 0, &answer[36..32 + length])]);
    let late = start + Duration::from_secs(61);
    fresh.handle_packet(late, &echo);
    let out = drain(&mut fresh, late);
    assert_eq!(out.iter().map(|p| chunk_kinds(p)).collect::<Vec<_>>(), [[9]]);
    assert!(out[0].len() < echo.len());
    assert_eq!(fresh.state(), State::Closed);
    fresh.handle_packet(start + Duration::from_secs(59), &echo);
    assert_eq!(fresh.state(), State::Established);
}

#[test]
fn a_peer_that_starts_anew_restarts_the_association() {
    let (mut pair, _, _) = connected(Config::default());
    let now = pair.instant();
    let big = Bytes::from(vec![1; 200_000]);
    assert_eq!(pair.ends[0].send(now, 3, 53, SendOptions::default(), big), Ok(()));
    pair.run_for(Duration::from_millis(12));
    // End 1 forgets everything and comes back.
    pair.drop_in_transit();
    pair.ends[1] = Association::new(Config::default(), [99; 32]);
    let now = pair.instant();
    pair.ends[1].connect(now);
    assert!(pair.run_until(Duration::from_secs(10), |p| {
        p.ends[1].state() == State::Established && p.events[0].contains(&Event::Restarted)
    }));
    assert_eq!(pair.ends[0].queued(), 0);
    works(&mut pair);
}

#[test]
fn before_the_cookie_no_answer_is_larger_than_its_cause_but_init_ack() {
    let now = Instant::now();
    let mut fresh = Association::new(Config::default(), [3; 32]);
    let mut value = vec![0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1];
    // Parameters to be reported back, as many as fit.
    for _ in 0..200 {
        value.extend_from_slice(&[0xC1, 0x23, 0, 4]);
    }
    let init = packet(PORTS, 0, &[&chunk(1, 0, &value)]);
    for _ in 0..100 {
        fresh.handle_packet(now, &init);
    }
    let out = drain(&mut fresh, now);
    assert!(out.len() <= 8, "{}", out.len());
    assert!(out.iter().all(|o| o.len() <= 1172 && chunk_kinds(o) == [2]));
    for kind in (0..=255_u8).filter(|kind| *kind != 1) {
        let bytes = packet(PORTS, 9, &[&chunk(kind, 0, &[0; 40])]);
        fresh.handle_packet(now, &bytes);
        assert!(drain(&mut fresh, now).is_empty(), "kind {kind}");
    }
    assert_eq!(fresh.state(), State::Closed);
}

/// A conversation with a bit of everything: the packets and the end that sent each.
fn conversation(config: &Config) -> Sent {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tap = seen.clone();
    let mut pair = Pair::new(11, [config.clone(), config.clone()], Link::default());
    let mut count = 0;
    pair.tap = Some(Box::new(move |end, packet| {
        tap.borrow_mut().push((end, packet.to_vec()));
        let carries_data = matches!(chunk_kinds(packet)[0], 0 | 64);
        count += u32::from(carries_data);
        // A gap, and a message to be skipped.
        carries_data && count == 2
    }));
    pair.connect();
    let unreliable = SendOptions { max_retransmits: Some(0), ..SendOptions::default() };
    for (stream, size) in [(1, 20), (2, 40), (1, 60)] {
        let now = pair.instant();
        let data = Bytes::from(vec![7; size]);
        assert_eq!(pair.ends[0].send(now, stream, 53, unreliable, data), Ok(()));
        pair.flush();
    }
    pair.run_for(Duration::from_secs(2));
    let now = pair.instant();
    pair.ends[0].reset_stream(now, 1);
    pair.run_for(Duration::from_secs(20));
    let now = pair.instant();
    pair.ends[0].shutdown(now);
    pair.run_for(Duration::from_secs(2));
    pair.tap = None;
    seen.take()
}

/// An end that connects and hears what the other one said in the beginning of a conversation.
fn after(config: &Config, end: usize, seen: &[(usize, Vec<u8>)]) -> (Association, Instant) {
    let mut pair = Pair::new(11, [config.clone(), config.clone()], Link::default());
    let now = pair.instant();
    pair.ends[end].connect(now);
    drain(&mut pair.ends[end], now);
    for (_, packet) in seen.iter().filter(|(from, _)| *from != end) {
        pair.ends[end].handle_packet(now, packet);
        drain(&mut pair.ends[end], now);
    }
    let [first, second] = pair.ends;
    (if end == 0 { first } else { second }, now)
}

#[test]
fn every_truncation_and_every_length_of_real_packets_is_survived() {
    for interleaving in [false, true] {
        let config = Config { interleaving, ..Config::default() };
        let seen = conversation(&config);
        let kinds: BTreeSet<u8> = seen.iter().flat_map(|(_, p)| chunk_kinds(p)).collect();
        let (data, skip) = if interleaving { (64, 194) } else { (0, 192) };
        for kind in [data, 1, 2, 3, 4, 5, 7, 8, 10, 11, 14, 130, skip] {
            assert!(kinds.contains(&kind), "no chunk of kind {kind} in {kinds:?}");
        }
        for (number, (from, bytes)) in seen.iter().enumerate() {
            for cut in 0..bytes.len() {
                let _ = inspect_packet(&bytes[..cut]);
            }
            let fresh = || after(&config, 1 - from, &seen[..number]);
            let (mut victim, now) = fresh();
            let state = victim.state();
            for at in 12..bytes.len() {
                for value in [0, 1, 3, 4, 5, 0x7F, 0x80, 0xFF] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    changed[8..12].fill(0);
                    let crc = crc32c::crc32c(&changed);
                    changed[8..12].copy_from_slice(&crc.to_le_bytes());
                    let _ = inspect_packet(&changed);
                    victim.handle_packet(now, &changed);
                    drain(&mut victim, now);
                    // What comes next is to find an association that listens.
                    if victim.state() != state {
                        victim = fresh().0;
                    }
                }
            }
        }
    }
}

/// A number that is wrong, but near what it should be.
fn near(rng: &mut Rng, base: u32) -> [u8; 4] {
    let spread = [4, 100, 40_000, 1 << 31][rng.below(4) as usize];
    base.wrapping_add(rng.below(spread) as u32).wrapping_sub(spread as u32 / 4).to_be_bytes()
}

/// What is in a DATA or I-DATA chunk.
fn random_data(rng: &mut Rng, interleaving: bool, theirs: u32) -> Vec<u8> {
    let mut value = near(rng, theirs).to_vec();
    value.extend_from_slice(&(rng.below(1100) as u16).to_be_bytes());
    if interleaving {
        value.extend_from_slice(&[0; 2]);
        value.extend_from_slice(&(rng.below(6) as u32).to_be_bytes());
        value.extend_from_slice(&(rng.below(4) as u32).to_be_bytes());
    } else {
        value.extend_from_slice(&(rng.below(6) as u16).to_be_bytes());
        value.extend_from_slice(&[0, 0, 0, 51]);
    }
    value.resize(value.len() + 1 + rng.below(900) as usize, 7);
    value
}

/// What is in a SACK chunk.
fn random_sack(rng: &mut Rng, ours: u32) -> Vec<u8> {
    let mut value = near(rng, ours).to_vec();
    value.extend_from_slice(&(rng.below(200_000) as u32).to_be_bytes());
    let (gaps, duplicates) = (rng.below(6) as u16, rng.below(3) as u16);
    value.extend_from_slice(&gaps.to_be_bytes());
    value.extend_from_slice(&duplicates.to_be_bytes());
    for _ in 0..gaps {
        value.extend_from_slice(&(rng.below(300) as u16).to_be_bytes());
        value.extend_from_slice(&(rng.below(600) as u16).to_be_bytes());
    }
    for _ in 0..duplicates {
        value.extend_from_slice(&near(rng, ours));
    }
    value
}

/// A chunk of a random kind with fields that are wrong, but near what they should be.
fn random_chunk(rng: &mut Rng, interleaving: bool, ours: u32, theirs: u32) -> Vec<u8> {
    let words = |rng: &mut Rng, count: u64| {
        let small = rng.chance(0.7);
        let bytes = (0..4 * rng.below(count))
            .map(|at| if small && at % 2 == 0 { 0 } else { rng.next() as u8 });
        bytes.collect::<Vec<u8>>()
    };
    let mut value = Vec::new();
    let kind = match rng.below(12) {
        0..=3 => {
            value = random_data(rng, interleaving, theirs);
            if interleaving { 64 } else { 0 }
        }
        4..=6 => {
            value = random_sack(rng, ours);
            3
        }
        7 => {
            value.extend_from_slice(&near(rng, theirs));
            value.extend(words(rng, 10));
            if interleaving { 194 } else { 192 }
        }
        8 => {
            value.extend_from_slice(&[0, [13, 14, 15, 16, 17][rng.below(5) as usize], 0, 18]);
            let base = if rng.chance(0.5) { theirs } else { ours };
            value.extend_from_slice(&near(rng, base));
            value.extend_from_slice(&(rng.below(3) as u32).to_be_bytes());
            value.extend_from_slice(&near(rng, theirs));
            value.extend_from_slice(&(rng.below(9) as u16).to_be_bytes());
            130
        }
        9 => {
            value.extend(words(rng, 30));
            [4, 5, 9, 10, 11, 12, 13, 15, 193, 63, 127][rng.below(11) as usize]
        }
        _ => {
            value.extend(words(rng, 8));
            [2, 4, 5, 9][rng.below(4) as usize]
        }
    };
    chunk(kind, rng.next() as u8 & 0x0F, &value)
}

#[test]
fn random_chunks_with_the_right_tag_neither_panic_nor_pile_up() {
    for seed in 0..16 {
        let interleaving = seed % 2 == 1;
        let config = Config {
            interleaving,
            receive_buffer: 100_000,
            max_message_size: 20_000,
            ..Config::default()
        };
        let (mut pair, tags, seen) = connected(config);
        let (mut ours, mut theirs) = (initial_tsn(&seen, 0), initial_tsn(&seen, 1));
        let mut rng = Rng::new(seed);
        for number in 0..4000_u32 {
            pair.now += Duration::from_micros(rng.below(20_000));
            let now = pair.instant();
            let count = 1 + rng.below(3);
            let mut random = || random_chunk(&mut rng, interleaving, ours, theirs);
            let chunks: Vec<_> = (0..count).map(|_| random()).collect();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            pair.ends[0].handle_packet(now, &packet(PORTS, tags[0], &chunks));
            pair.ends[0].handle_timeout(now);
            let stream = rng.below(8) as u16;
            let limit = rng.chance(0.5).then_some(0);
            let options = SendOptions { max_retransmits: limit, ..SendOptions::default() };
            let data = Bytes::from(vec![1; 1 + rng.below(6000) as usize]);
            let _ = pair.ends[0].send(now, stream, 53, options, data);
            if rng.chance(0.05) {
                pair.ends[0].reset_stream(now, stream);
            }
            // What it sends gives the next packets something true to be near to.
            for sent in drain(&mut pair.ends[0], now) {
                for c in support::chunks(&sent) {
                    match c[0] {
                        0 | 64 => ours = u32::from_be_bytes(c[4..8].try_into().unwrap()),
                        3 => theirs = u32::from_be_bytes(c[4..8].try_into().unwrap()),
                        _ => {}
                    }
                }
            }
            while pair.ends[0].poll_event().is_some() {}
            if rng.chance(0.2) {
                while pair.ends[0].read(stream).is_some() {}
            }
            let held = pair.ends[0].metrics().receive_buffered;
            assert!(held <= 210_000, "seed {seed}, packet {number}: {held}");
            if pair.ends[0].state() == State::Closed {
                break;
            }
        }
    }
}

#[test]
fn an_abort_reaches_the_peer_with_its_reason() {
    let (mut pair, _, _) = connected(Config::default());
    let now = pair.instant();
    pair.ends[0].abort(now, "that is enough");
    pair.run_for(Duration::from_millis(100));
    let reason = "that is enough".to_owned();
    assert_eq!(
        pair.take_events(1).last(),
        Some(&Event::Aborted { by_peer: true, reason: reason.clone() })
    );
    assert_eq!(pair.take_events(0).last(), Some(&Event::Aborted { by_peer: false, reason }));
}

#[test]
fn a_peer_that_vanished_is_noticed_with_data_and_without() {
    for data in [true, false] {
        let (mut pair, _, _) = connected(Config::default());
        pair.tap = Some(Box::new(|end, _| end == 1));
        if data {
            let now = pair.instant();
            let message = Bytes::from_static(b"hello");
            assert_eq!(pair.ends[0].send(now, 0, 51, SendOptions::default(), message), Ok(()));
        }
        let failed = pair.run_until(Duration::from_secs(300), |p| {
            p.events[0].iter().any(|e| matches!(e, Event::Failed(_)))
        });
        assert!(failed, "data {data}");
        assert_eq!(pair.ends[0].poll_timeout(), None);
    }
}

//! The corners of stream resets (RFC 6525) that two of our own ends never reach.
#![allow(missing_docs)]

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rtc_sctp_engine::{Config, Event, SendOptions};
use support::{Pair, chunk, chunks, expected_tag, initial_tsn, packet};

const PORTS: (u16, u16) = (5000, 5000);
const RECONFIG: u8 = 130;

/// A connected pair with the tag end 0 expects and the initial TSN of end 1.
fn connected() -> (Pair, u32, u32) {
    let (mut pair, seen) = Pair::overheard(4, Config::default());
    pair.take_events(0);
    (pair, expected_tag(&seen, 0), initial_tsn(&seen, 1))
}

/// The results of the reset responses that end 0 sends now.
fn responses(pair: &mut Pair) -> Vec<u8> {
    let now = pair.instant();
    let mut buffer = [0; 1500];
    let mut found = Vec::new();
    while let Some(length) = pair.ends[0].poll_transmit(now, &mut buffer) {
        for c in chunks(&buffer[..length]) {
            if c[0] == RECONFIG && c[5] == 16 {
                found.push(c[15]);
            }
        }
    }
    found
}

fn request(sequence: u32, last_tsn: u32, stream: u16) -> Vec<u8> {
    let mut value = vec![0, 13, 0, 18];
    value.extend_from_slice(&sequence.to_be_bytes());
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&last_tsn.to_be_bytes());
    value.extend_from_slice(&stream.to_be_bytes());
    chunk(RECONFIG, 0, &value)
}

#[test]
fn a_reset_waits_for_the_data_sent_before_it() {
    let (mut pair, tag, first) = connected();
    let now = pair.instant();
    let reset = packet(PORTS, tag, &[&request(first, first, 3)]);
    for _ in 0..2 {
        pair.ends[0].handle_packet(now, &reset);
        assert_eq!(responses(&mut pair), [6], "in progress");
    }
    let mut value = first.to_be_bytes().to_vec();
    value.extend_from_slice(&[0, 3, 0, 0, 0, 0, 0, 53, 1, 2, 3]);
    pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&chunk(0, 3, &value)]));
    assert_eq!(responses(&mut pair), [1], "performed, told without being asked again");
    pair.flush();
    let events = pair.take_events(0);
    assert_eq!(events, [Event::StreamReadable(3), Event::StreamResetByPeer(3)]);
    pair.ends[0].handle_packet(now, &reset);
    assert_eq!(responses(&mut pair), [1], "performed once");
    pair.flush();
    assert_eq!(pair.take_events(0), []);
    // The stream begins anew with sequence number zero.
    let mut value = first.wrapping_add(1).to_be_bytes().to_vec();
    value.extend_from_slice(&[0, 3, 0, 0, 0, 0, 0, 53, 4]);
    pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&chunk(0, 3, &value)]));
    let read: Vec<_> = std::iter::from_fn(|| pair.ends[0].read(3)).map(|m| m.data).collect();
    assert_eq!(read, [vec![1, 2, 3], vec![4]]);
}

#[test]
fn requests_out_of_order_and_of_other_kinds_are_refused() {
    let (mut pair, tag, first) = connected();
    let now = pair.instant();
    let last = first.wrapping_sub(1);
    let cases = [
        // A sequence number too far, the right one, the same again, and one to add streams.
        (request(first.wrapping_add(1), last, 1), vec![5]),
        (request(first, last, 1), vec![1]),
        (request(first, last, 1), vec![1]),
        (
            chunk(
                RECONFIG,
                0,
                &[&[0, 17, 0, 12][..], &first.wrapping_add(1).to_be_bytes(), &[0, 9, 0, 0]]
                    .concat(),
            ),
            vec![2],
        ),
        (request(first.wrapping_add(2), last, 60_000), vec![1]),
    ];
    for (number, (case, expected)) in cases.iter().enumerate() {
        pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[case]));
        assert_eq!(responses(&mut pair), *expected, "case {number}");
    }
    pair.flush();
    assert_eq!(pair.take_events(0), [Event::StreamResetByPeer(1)]);
}

/// DATA with a whole message.
fn data(tsn: u32, stream: u16, number: u16) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend_from_slice(&stream.to_be_bytes());
    value.extend_from_slice(&number.to_be_bytes());
    value.extend_from_slice(&[0, 0, 0, 53, 7]);
    chunk(0, 3, &value)
}

#[test]
fn requests_that_come_while_others_wait_are_all_performed() {
    let (mut pair, tag, first) = connected();
    let now = pair.instant();
    // Each waits for one chunk more, and is asked for twice.
    for number in 0..3_u32 {
        let asks = request(first.wrapping_add(number), first.wrapping_add(number), number as u16);
        for _ in 0..2 {
            pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&asks]));
            assert_eq!(responses(&mut pair), [6], "request {number}");
        }
    }
    for number in 0..3 {
        let tsn = first.wrapping_add(number);
        pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&data(tsn, 9, number as u16)]));
        assert_eq!(responses(&mut pair), [1], "request {number}");
    }
    pair.flush();
    let events = pair.take_events(0);
    let resets: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::StreamResetByPeer(_))).collect();
    assert_eq!(resets, [0, 1, 2].map(Event::StreamResetByPeer).iter().collect::<Vec<_>>());
    // No more wait than an honest peer has; what is refused is not performed later.
    for number in 3..40_u32 {
        let far = first.wrapping_add(1000);
        let asks = request(first.wrapping_add(number), far, number as u16);
        pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&asks]));
        assert_eq!(responses(&mut pair), [if number < 19 { 6 } else { 4 }], "request {number}");
    }
    let skip = chunk(192, 0, &first.wrapping_add(1000).to_be_bytes());
    pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&skip]));
    assert_eq!(responses(&mut pair), [1; 16]);
    pair.flush();
    assert_eq!(pair.take_events(0), (3..19).map(Event::StreamResetByPeer).collect::<Vec<_>>());
}

#[test]
fn the_peer_may_ask_for_resets_of_our_streams_by_number_or_of_all() {
    for (listed, used, expected) in [
        (vec![], vec![], vec![]),
        (vec![], vec![2, 5], vec![2, 5]),
        (vec![5], vec![2, 5], vec![5]),
        (vec![7], vec![], vec![7]),
        (vec![60_000], vec![], vec![]),
    ] {
        let (mut pair, tag, first) = connected();
        let now = pair.instant();
        for stream in &used {
            let data = Bytes::from_static(b"before");
            assert_eq!(pair.ends[0].send(now, *stream, 51, SendOptions::default(), data), Ok(()));
        }
        let mut value = vec![0, 14, 0, 8 + 2 * listed.len() as u8];
        value.extend_from_slice(&first.to_be_bytes());
        listed.iter().for_each(|stream: &u16| value.extend_from_slice(&stream.to_be_bytes()));
        let asks = packet(PORTS, tag, &[&chunk(RECONFIG, 0, &value)]);
        pair.ends[0].handle_packet(now, &asks);
        for stream in 0..8 {
            assert_eq!(pair.ends[0].is_resetting(stream), expected.contains(&stream), "{listed:?}");
        }
        let result = u8::from(!expected.is_empty());
        assert_eq!(responses(&mut pair), [result], "{listed:?} of {used:?}");
        pair.ends[0].handle_packet(now, &asks);
        assert_eq!(responses(&mut pair), [result], "the same again");
    }
}

#[test]
fn our_request_is_repeated_while_the_answer_is_in_progress_and_a_refusal_is_told() {
    for (answers, event) in [
        (vec![6, 6, 1], Event::StreamResetDone(9)),
        (vec![2], Event::StreamResetFailed(9)),
        (vec![6, 5], Event::StreamResetFailed(9)),
    ] {
        let (mut pair, tag, _) = connected();
        let now = pair.instant();
        let data = Bytes::from_static(b"before");
        assert_eq!(pair.ends[0].send(now, 9, 51, SendOptions::default(), data), Ok(()));
        pair.ends[0].reset_stream(now, 9);
        let sequence = Rc::new(RefCell::new(None));
        let seen = sequence.clone();
        pair.tap = Some(Box::new(move |end, packet| {
            let found = chunks(packet).into_iter().find(|c| end == 0 && c[0] == RECONFIG);
            if let Some(c) = found {
                *seen.borrow_mut() = Some(u32::from_be_bytes(c[8..12].try_into().unwrap()));
            }
            found.is_some()
        }));
        for answer in answers {
            assert!(!pair.events[0].contains(&event));
            let asked = pair.run_until(Duration::from_secs(20), |_| sequence.borrow().is_some());
            assert!(asked, "no request");
            let number = sequence.take().unwrap();
            let mut value = vec![0, 16, 0, 12];
            value.extend_from_slice(&number.to_be_bytes());
            value.extend_from_slice(&[0, 0, 0, answer]);
            let now = pair.instant();
            pair.ends[0].handle_packet(now, &packet(PORTS, tag, &[&chunk(RECONFIG, 0, &value)]));
            pair.flush();
        }
        assert!(pair.events[0].contains(&event), "{:?}", pair.events[0]);
        assert!(!pair.ends[0].is_resetting(9));
        let now = pair.instant();
        let data = Bytes::from_static(b"after");
        assert_eq!(pair.ends[0].send(now, 9, 51, SendOptions::default(), data), Ok(()));
    }
}

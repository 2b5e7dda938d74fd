//! Partial reliability, stream resets, flow control.
#![allow(missing_docs)]

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rtc_sctp_engine::{Config, Event, SendError, SendOptions, State};
use support::{Link, Loss, Pair, chunk_kinds, chunks};

const SECOND: Duration = Duration::from_secs(1);
const DATA: u8 = 0;
const FORWARD_TSN: u8 = 192;

fn reliable() -> SendOptions {
    SendOptions::default()
}

fn bytes(value: u8, size: usize) -> Bytes {
    Bytes::from(vec![value; size])
}

fn read_all(pair: &mut Pair, end: usize, stream: u16) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| pair.ends[end].read(stream)).map(|m| m.data).collect()
}

fn send(pair: &mut Pair, end: usize, stream: u16, options: SendOptions, data: Bytes) {
    let now = pair.instant();
    assert_eq!(pair.ends[end].send(now, stream, 53, options, data), Ok(()));
}

fn lose(pair: &mut Pair, mut when: impl FnMut(usize, &[u8]) -> bool + 'static) {
    pair.tap = Some(Box::new(move |end, packet| when(end, packet)));
}

#[test]
fn a_message_without_retransmissions_is_skipped_when_lost() {
    for (interleaving, size) in [(false, 500), (false, 5000), (true, 500), (true, 5000)] {
        let config = Config { interleaving, ..Config::default() };
        let mut pair = Pair::connected(1, [config.clone(), config], Link::default());
        let once = SendOptions { max_retransmits: Some(0), ..reliable() };
        let lost = Cell::new(false);
        let forwarded = Rc::new(Cell::new(false));
        let seen = forwarded.clone();
        lose(&mut pair, move |end, packet| {
            let kinds = chunk_kinds(packet);
            seen.set(seen.get() || kinds.contains(&FORWARD_TSN) || kinds.contains(&194));
            end == 0 && (kinds.contains(&DATA) || kinds.contains(&64)) && !lost.replace(true)
        });
        send(&mut pair, 0, 1, once, bytes(1, size));
        for value in 2..6 {
            send(&mut pair, 0, 1, once, bytes(value, size));
        }
        assert!(pair.run_until(SECOND, |p| p.ends[0].queued() == 0));
        pair.run_for(SECOND);
        let got = read_all(&mut pair, 1, 1);
        let values: Vec<u8> = got.iter().map(|m| m[0]).collect();
        // Small messages share the first packet, which was lost.
        let first = if size == 500 { 3 } else { 2 };
        assert_eq!(values, (first..6).collect::<Vec<_>>(), "size {size}");
        assert!(got.iter().all(|m| m.len() == size));
        assert!(forwarded.get());
        assert_eq!(pair.ends[0].metrics().retransmitted, 0);
        assert_eq!(pair.ends[1].metrics().receive_buffered, 0);
    }
}

#[test]
fn a_message_past_its_lifetime_is_given_up_wherever_it_is() {
    let mut pair = Pair::with(Config::default());
    pair.connect();
    lose(&mut pair, |end, packet| end == 0 && chunk_kinds(packet).contains(&DATA));
    let timed = SendOptions { lifetime: Some(Duration::from_millis(100)), ..reliable() };
    // More than the initial window: some is sent, the rest waits.
    for value in 0..50 {
        send(&mut pair, 0, 0, timed, bytes(value, 10_000));
    }
    pair.run_for(Duration::from_millis(700));
    pair.tap = None;
    assert!(pair.run_until(5 * SECOND, |p| p.ends[0].queued() == 0));
    send(&mut pair, 0, 0, reliable(), bytes(99, 3000));
    assert!(pair.run_until(5 * SECOND, |p| p.ends[0].queued() == 0));
    let got = read_all(&mut pair, 1, 0);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0], vec![99; 3000]);
    assert_eq!(pair.ends[0].metrics().abandoned_messages, 50);
    assert_eq!(pair.ends[1].metrics().receive_buffered, 0);
}

#[test]
fn unordered_messages_do_not_wait_for_a_lost_one() {
    let mut pair = Pair::with(Config::default());
    pair.connect();
    let count = Rc::new(Cell::new(0));
    let seen = count.clone();
    lose(&mut pair, move |end, packet| {
        let data = end == 0 && chunk_kinds(packet).contains(&DATA);
        seen.set(seen.get() + u32::from(data));
        data && seen.get() == 1
    });
    let unordered = SendOptions { unordered: true, ..reliable() };
    for value in 0..5 {
        send(&mut pair, 0, 4, unordered, bytes(value, 1000));
    }
    pair.run_for(Duration::from_millis(6));
    let early: Vec<u8> = read_all(&mut pair, 1, 4).iter().map(|m| m[0]).collect();
    assert_eq!(early, [1, 2, 3, 4]);
    assert!(pair.run_until(SECOND, |p| p.ends[0].queued() == 0));
    assert_eq!(read_all(&mut pair, 1, 4)[0][0], 0);
}

#[test]
fn a_reset_follows_everything_queued_and_frees_the_stream_for_reuse() {
    for loss in [0.0, 0.2] {
        let config = Config { max_retransmits: 50, ..Config::default() };
        let link = Link { loss: Loss::Random(loss), ..Link::default() };
        let mut pair = Pair::connected(5, [config.clone(), config], link);
        for round in 0..5_u8 {
            for value in 0..10 {
                send(&mut pair, 0, 2, reliable(), bytes(round * 10 + value, 20_000));
            }
            let now = pair.instant();
            pair.ends[0].reset_stream(now, 2);
            let refused = pair.ends[0].send(now, 2, 53, reliable(), bytes(0, 1));
            assert_eq!(refused, Err(SendError::StreamResetting));
            let mut got = Vec::new();
            let mut reset = false;
            let done = pair.run_until(60 * SECOND, |p| {
                got.extend(read_all(p, 1, 2));
                for event in p.take_events(1) {
                    if event == Event::StreamResetByPeer(2) {
                        got.extend(read_all(p, 1, 2));
                        assert_eq!(got.len(), 10, "the reset came before the data");
                        reset = true;
                    }
                }
                reset && p.events[0].contains(&Event::StreamResetDone(2))
            });
            assert!(done, "round {round}: {:?}", pair.events);
            pair.take_events(0);
            let values: Vec<u8> = got.iter().map(|m| m[0]).collect();
            assert_eq!(values, (round * 10..round * 10 + 10).collect::<Vec<_>>());
        }
    }
}

#[test]
fn both_ends_may_reset_many_streams_at_once() {
    let config = Config { max_retransmits: 50, ..Config::default() };
    let link = Link { loss: Loss::Random(0.1), ..Link::default() };
    let mut pair = Pair::connected(9, [config.clone(), config], link);
    for stream in 0..500 {
        for end in 0..2 {
            send(&mut pair, end, stream, reliable(), bytes(1, 10));
            let now = pair.instant();
            pair.ends[end].reset_stream(now, stream);
        }
    }
    pair.run_until(60 * SECOND, |p| {
        p.events.iter().all(|events| {
            events.iter().filter(|e| matches!(e, Event::StreamResetDone(_))).count() == 500
        })
    });
    for events in &pair.events {
        for stream in 0..500 {
            assert!(events.contains(&Event::StreamResetByPeer(stream)));
            assert!(events.contains(&Event::StreamResetDone(stream)));
        }
    }
}

#[test]
fn a_slow_reader_stops_the_sender_and_reading_starts_it_again() {
    let config = Config {
        receive_buffer: 100_000,
        max_message_size: 65_536,
        send_buffer: 4 << 20,
        ..Config::default()
    };
    let mut pair = Pair::connected(2, [config.clone(), config], Link::default());
    for value in 0..100 {
        send(&mut pair, 0, 0, reliable(), bytes(value, 20_000));
    }
    pair.run_for(10 * SECOND);
    let held = pair.ends[1].metrics().receive_buffered;
    assert!((80_000..=102_000).contains(&held), "{held}");
    assert_eq!(pair.ends[0].metrics().timeouts, 0, "{:?}", pair.ends[0].metrics());
    // A minute of closed window does not end the association.
    pair.run_for(60 * SECOND);
    assert_eq!(pair.ends[0].state(), State::Established);
    // Reading makes a window update due at once, not at the next probe.
    let mut got = 0;
    let before = pair.now;
    assert!(pair.run_until(5 * SECOND, |p| {
        got += read_all(p, 1, 0).len();
        got == 100
    }));
    assert!(pair.now - before < SECOND, "{:?}", pair.now - before);
}

#[test]
fn a_lost_window_update_is_made_up_for_by_a_probe() {
    let config = Config { receive_buffer: 65_536, max_message_size: 65_536, ..Config::default() };
    let mut pair = Pair::connected(2, [config.clone(), config], Link::default());
    for value in 0..10 {
        send(&mut pair, 0, 0, reliable(), bytes(value, 20_000));
    }
    pair.run_for(2 * SECOND);
    lose(&mut pair, |end, _| end == 1);
    let mut got = read_all(&mut pair, 1, 0).len();
    pair.flush();
    pair.tap = None;
    assert!(pair.run_until(30 * SECOND, |p| {
        got += read_all(p, 1, 0).len();
        got == 10
    }));
}

#[test]
fn a_message_over_the_limit_is_cut_and_says_so() {
    let config = Config { max_message_size: 10_000, receive_buffer: 20_000, ..Config::default() };
    let mut pair = Pair::connected(2, [Config::default(), config], Link::default());
    send(&mut pair, 0, 0, reliable(), bytes(1, 1_000_000));
    send(&mut pair, 0, 0, reliable(), bytes(2, 10_000));
    let mut got = Vec::new();
    let mut most = 0;
    assert!(pair.run_until(20 * SECOND, |p| {
        most = most.max(p.ends[1].metrics().receive_buffered);
        got.extend(std::iter::from_fn(|| p.ends[1].read(0)));
        got.len() == 2
    }));
    assert_eq!((got[0].truncated, got[0].data.len()), (true, 10_000));
    assert_eq!((got[1].truncated, got[1].data.len()), (false, 10_000));
    assert!(most < 40_000, "{most}");
}

#[test]
fn a_large_message_does_not_keep_small_ones_of_other_streams_waiting() {
    for (interleaving, most_before) in [(true, 100_000), (false, 1_100_000)] {
        let config = Config {
            interleaving,
            max_message_size: 4 << 20,
            send_buffer: 64 << 20,
            ..Config::default()
        };
        let link = Link { bandwidth: 1_000_000, ..Link::default() };
        let mut pair = Pair::connected(2, [config.clone(), config], link);
        for _ in 0..4 {
            send(&mut pair, 0, 0, reliable(), bytes(1, 1 << 20));
        }
        send(&mut pair, 0, 1, reliable(), bytes(2, 1000));
        assert!(pair.run_until(60 * SECOND, |p| p.ends[1].read(1).is_some()));
        let before = pair.ends[1].metrics().bytes_received;
        assert!(before < most_before, "interleaving {interleaving}: {before}");
    }
}

/// Parts of all of them at once would fill the window, so that none could be completed.
#[test]
fn large_messages_of_many_streams_all_come_through_a_window_that_holds_one() {
    for (loss, window) in [(0.0, 100_000), (0.0, 120_000), (0.05, 100_000), (0.05, 250_000)] {
        let config = Config {
            interleaving: true,
            max_message_size: 100_000,
            receive_buffer: window,
            send_buffer: 64 << 20,
            max_retransmits: 50,
            ..Config::default()
        };
        let link = Link { loss: Loss::Random(loss), ..Link::default() };
        let mut pair = Pair::connected(2, [config.clone(), config], link);
        let sizes = [90_000, 1500, 40_000, 20, 98_000, 5000];
        for stream in 0..8 {
            for turn in 0..sizes.len() {
                let size = sizes[(turn + usize::from(stream)) % sizes.len()];
                send(&mut pair, 0, stream, reliable(), bytes(stream as u8, size));
            }
        }
        let mut got = [0; 8];
        let all = pair.run_until(600 * SECOND, |p| {
            for stream in 0..8 {
                got[usize::from(stream)] += read_all(p, 1, stream).len();
            }
            got == [sizes.len(); 8]
        });
        assert!(all, "loss {loss}, window {window}: {got:?} {:?}", pair.ends[0].metrics());
        assert_eq!(pair.ends[0].state(), State::Established);
    }
}

#[test]
fn messages_of_the_largest_size_wait_for_no_time_out() {
    for (interleaving, size) in [(false, 20_000), (true, 20_000), (false, 4 << 20), (true, 4 << 20)]
    {
        let config = Config {
            interleaving,
            max_message_size: size,
            receive_buffer: size,
            send_buffer: 4 * size,
            ..Config::default()
        };
        let mut pair = Pair::connected(2, [config.clone(), config], Link::default());
        for value in 0..4 {
            send(&mut pair, 0, 0, reliable(), bytes(value, size));
        }
        let (mut got, begin) = (0, pair.now);
        assert!(pair.run_until(60 * SECOND, |p| {
            got += read_all(p, 1, 0).len();
            got == 4
        }));
        let took = pair.now - begin;
        assert!(took < Config::default().rto_min, "{interleaving} {size}: {took:?}");
    }
}

#[test]
fn a_stream_has_its_share_of_a_send_buffer_that_others_filled() {
    let mut pair = Pair::with(Config { stream_share: 10_000, ..Config::default() });
    let now = pair.instant();
    let offer = |pair: &mut Pair, stream, size| {
        pair.ends[0].send(now, stream, 53, reliable(), bytes(1, size))
    };
    // One stream alone has the whole buffer, and its first message may exceed it.
    assert_eq!(offer(&mut pair, 0, 2 << 20), Ok(()));
    assert_eq!(offer(&mut pair, 0, 1), Err(SendError::BufferFull));
    assert_eq!(offer(&mut pair, 1, 4000), Ok(()));
    assert_eq!(offer(&mut pair, 1, 6000), Ok(()));
    assert_eq!(offer(&mut pair, 1, 1), Err(SendError::BufferFull));
    assert_eq!(offer(&mut pair, 2, 100_000), Ok(()));
    assert_eq!(offer(&mut pair, 2, 1), Err(SendError::BufferFull));
    let mut few = Pair::with(Config { max_chunks_on_queue: 2, ..Config::default() });
    assert_eq!(offer(&mut few, 0, 1), Ok(()));
    assert_eq!(offer(&mut few, 1, 1), Ok(()));
    assert_eq!(offer(&mut few, 2, 1), Err(SendError::BufferFull));
}

#[test]
fn a_lost_tail_is_found_by_a_probe_before_the_time_out() {
    let mut pair = Pair::with(Config::default());
    pair.connect();
    send(&mut pair, 0, 0, reliable(), bytes(0, 100_000));
    assert!(pair.run_until(SECOND, |p| p.ends[0].queued() == 0));
    let count = Rc::new(RefCell::new(0));
    let seen = count.clone();
    lose(&mut pair, move |end, packet| {
        let data = end == 0 && chunk_kinds(packet).contains(&DATA);
        *seen.borrow_mut() += u32::from(data);
        data && (8..=9).contains(&*seen.borrow())
    });
    send(&mut pair, 0, 0, reliable(), bytes(1, 9 * 1144));
    let before = pair.now;
    assert!(pair.run_until(SECOND, |p| p.ends[0].queued() == 0));
    assert!(pair.now - before < Duration::from_millis(100), "{:?}", pair.now - before);
    assert_eq!(pair.ends[0].metrics().timeouts, 0);
}

#[test]
fn what_is_sent_after_a_timer_asks_for_an_acknowledgement_at_once() {
    // RFC 7053: the probe for a lost tail, and what goes out when the retransmission timer expires.
    for interleaving in [false, true] {
        let config = Config { interleaving, ..Config::default() };
        let mut pair = Pair::connected(1, [config.clone(), config], Link::default());
        send(&mut pair, 0, 0, reliable(), bytes(0, 100_000));
        assert!(pair.run_until(SECOND, |p| p.ends[0].queued() == 0));
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = asked.clone();
        lose(&mut pair, move |end, packet| {
            let data = chunks(packet).into_iter().find(|c| end == 0 && matches!(c[0], DATA | 64));
            seen.borrow_mut().extend(data.map(|chunk| chunk[1] & 8 != 0));
            data.is_some() && seen.borrow().len() < 4
        });
        send(&mut pair, 0, 0, reliable(), bytes(1, 1000));
        assert!(pair.run_until(5 * SECOND, |p| p.ends[0].queued() == 0));
        assert_eq!(*asked.borrow(), [false, true, true, true], "{interleaving}");
        assert!(pair.ends[0].metrics().timeouts > 0);
    }
}

#[test]
fn reordering_by_twenty_packets_causes_hardly_any_retransmission() {
    let config = Config { send_buffer: 16 << 20, ..Config::default() };
    let link = Link {
        bandwidth: 12_500_000,
        queue: 600_000,
        reorder: 0.1,
        // Twenty packets at 100 Mbit/s.
        reorder_by: Duration::from_millis(2),
        ..Link::default()
    };
    let mut pair = Pair::connected(2, [config.clone(), config], link);
    for _ in 0..100 {
        send(&mut pair, 0, 0, reliable(), bytes(1, 100_000));
    }
    assert!(pair.run_until(60 * SECOND, |p| {
        read_all(p, 1, 0);
        p.ends[0].queued() == 0
    }));
    let m = pair.ends[0].metrics();
    assert!(m.retransmitted < 200, "{m:?}");
}

#[test]
fn an_idle_association_survives_a_path_slower_than_its_first_time_out() {
    let link = Link { delay: Duration::from_millis(1500), ..Link::default() };
    let mut pair = Pair::connected(1, [Config::default(), Config::default()], link);
    pair.run_until(Duration::from_secs(300), |_| false);
    for end in &pair.ends {
        assert_eq!(end.state(), State::Established);
        assert_eq!(end.metrics().srtt, Duration::from_secs(3), "heartbeats measure it");
    }
}

#[test]
fn an_idle_association_is_given_up_after_six_silent_heartbeat_periods() {
    let mut pair = Pair::connected(1, [Config::default(), Config::default()], Link::default());
    pair.links.iter_mut().for_each(|link| link.loss = Loss::Random(1.0));
    pair.run_until(Duration::from_secs(60), |_| false);
    assert_eq!(pair.ends.each_ref().map(|end| end.state()), [State::Established; 2]);
    pair.run_until(Duration::from_secs(180), |_| false);
    assert_eq!(pair.ends.each_ref().map(|end| end.state()), [State::Closed; 2]);
    for events in &pair.events {
        assert!(events.iter().any(|event| matches!(event, Event::Failed(_))), "{events:?}");
    }
}

/// Round trips jump from 2 ms to 4 s, twenty times the time-out: everything is sent again and again
/// until the estimate has followed, but the peer does answer.
#[test]
fn a_path_that_becomes_slow_at_once_keeps_its_association() {
    for (sends, heartbeat) in [(true, 10), (true, 0), (false, 1), (false, 10)] {
        let config =
            Config { heartbeat_interval: Duration::from_secs(heartbeat), ..Config::default() };
        let link = Link { delay: Duration::from_millis(1), ..Link::default() };
        let mut pair = Pair::connected(1, [config.clone(), config], link);
        let (mut sent, mut received) = (0, 0);
        for second in 0..240 {
            if second == 5 {
                pair.links.iter_mut().for_each(|link| link.delay = Duration::from_secs(2));
            }
            if (sends || second < 5) && second < 200 {
                let now = pair.instant();
                let data = Bytes::from(vec![7; 20_000]);
                let taken = pair.ends[0].send(now, 0, 53, SendOptions::default(), data);
                sent += usize::from(taken.is_ok());
            }
            pair.run_for(Duration::from_secs(1));
            received += std::iter::from_fn(|| pair.ends[1].read(0)).count();
        }
        let states = pair.ends.each_ref().map(|end| end.state());
        assert_eq!(states, [State::Established; 2], "{sends} {heartbeat}: {:?}", pair.events);
        assert_eq!(sent, received, "{sends} {heartbeat}");
        let metrics = pair.ends[0].metrics();
        assert!(!sends || metrics.rto > Duration::from_secs(4), "{metrics:?}");
    }
}

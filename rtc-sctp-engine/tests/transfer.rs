//! Messages between two associations.
#![allow(missing_docs)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use rtc_sctp_engine::{Config, Event, SendOptions, State};
use support::{Link, Loss, Pair};

fn payload(number: usize, size: usize) -> Bytes {
    let mut bytes = vec![number as u8; size];
    for (at, byte) in bytes.iter_mut().enumerate().step_by(7) {
        *byte = (at * 31 + number) as u8;
    }
    Bytes::from(bytes)
}

fn read_all(pair: &mut Pair, end: usize, stream: u16) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| pair.ends[end].read(stream)).map(|m| m.data).collect()
}

#[test]
fn both_ends_connect_at_once_and_agree_on_streams() {
    let small = Config { outbound_streams: 16, max_inbound_streams: 8, ..Config::default() };
    let pair = Pair::connected(1, [Config::default(), small], Link::default());
    assert_eq!(pair.ends[0].negotiated_streams(), Some((16, 8)));
    assert_eq!(pair.ends[1].negotiated_streams(), Some((8, 16)));
    for events in &pair.events {
        assert!(matches!(events.front(), Some(Event::Connected { .. })), "{events:?}");
    }
}

#[test]
fn one_end_may_connect_alone() {
    let mut pair = Pair::with(Config::default());
    let now = pair.instant();
    pair.ends[0].connect(now);
    assert!(pair.run_until(Duration::from_secs(5), |p| {
        p.ends.iter().all(|e| e.state() == State::Established)
    }));
}

#[test]
fn a_message_in_parts_is_put_together_in_a_buffer_of_the_user_s() {
    // No allocation of the engine's own has this room.
    const MORE: usize = 12_345;
    let message_buffer = |size| Vec::with_capacity(size + MORE);
    let config = Config { message_buffer, ..Config::default() };
    let mut pair = Pair::connected(7, [config.clone(), config], Link::default());
    let data = payload(1, 65_536);
    for _ in 0..3 {
        let now = pair.instant();
        assert_eq!(pair.ends[0].send(now, 0, 51, SendOptions::default(), data.clone()), Ok(()));
    }
    let mut got = Vec::new();
    assert!(pair.run_until(Duration::from_secs(5), |p| {
        got.extend(read_all(p, 1, 0));
        got.len() == 3
    }));
    assert!(got.iter().all(|message| *message == data));
    // The size of the first was not known before.
    let room: Vec<_> = got.iter().skip(1).map(Vec::capacity).collect();
    assert_eq!(room, [data.len() + MORE; 2]);
}

#[test]
fn messages_of_every_size_arrive_in_order_under_loss() {
    for (loss, interleaving) in [(0.0, false), (0.05, false), (0.2, false), (0.1, true)] {
        let config = Config {
            interleaving,
            max_retransmits: 50,
            send_buffer: usize::MAX,
            ..Config::default()
        };
        let link = Link {
            loss: Loss::Random(loss),
            jitter: Duration::from_millis(3),
            duplicate: 0.02,
            ..Link::default()
        };
        let mut pair = Pair::connected(7, [config.clone(), config], link);
        let sizes = [1, 3, 1143, 1144, 1145, 5000, 65536, 100, 262_144, 2];
        let now = pair.instant();
        for (number, size) in sizes.iter().enumerate() {
            let stream = (number % 3) as u16;
            let sent =
                pair.ends[0].send(now, stream, 51, SendOptions::default(), payload(number, *size));
            assert_eq!(sent, Ok(()));
        }
        let mut got: [Vec<Vec<u8>>; 3] = Default::default();
        let all = pair.run_until(Duration::from_secs(120), |p| {
            for stream in 0..3 {
                got[usize::from(stream)].extend(read_all(p, 1, stream));
            }
            p.ends[0].queued() == 0 && got.iter().map(Vec::len).sum::<usize>() == sizes.len()
        });
        assert!(all, "loss {loss}: {:?}", pair.ends[0].metrics());
        for (stream, messages) in got.iter().enumerate() {
            for (at, message) in messages.iter().enumerate() {
                let number = at * 3 + stream;
                assert!(*message == payload(number, sizes[number]), "message {number}");
            }
        }
    }
}

#[test]
fn a_shutdown_flushes_what_is_queued() {
    let mut pair = Pair::connected(3, Default::default(), Link::default());
    let now = pair.instant();
    for number in 0..10 {
        let data = payload(number, 50_000);
        assert_eq!(pair.ends[0].send(now, 0, 53, SendOptions::default(), data), Ok(()));
    }
    pair.ends[0].shutdown(now);
    let mut got = Vec::new();
    pair.run_until(Duration::from_secs(20), |p| {
        got.extend(read_all(p, 1, 0));
        p.ends.iter().all(|e| e.state() == State::Closed)
    });
    got.extend(read_all(&mut pair, 1, 0));
    assert_eq!(got.len(), 10);
    for end in 0..2 {
        assert!(pair.take_events(end).contains(&Event::Shutdown));
    }
}

#[test]
fn signaled_inits_replace_the_handshake() {
    let mut pair = Pair::with(Config::default());
    let inits = [pair.ends[0].local_init(), pair.ends[1].local_init()];
    let now = pair.instant();
    assert!(!pair.ends[0].connect_with_init(now, b"not an INIT chunk at all"));
    assert!(!pair.ends[0].connect_with_init(now, &inits[1][..10]));
    for end in 0..2 {
        assert!(pair.ends[end].connect_with_init(now, &inits[1 - end]));
        assert!(!pair.ends[end].connect_with_init(now, &inits[1 - end]), "twice");
        pair.ends[end].connect(now);
        let data = payload(end, 5000);
        assert_eq!(pair.ends[end].send(now, 1, 53, SendOptions::default(), data), Ok(()));
    }
    assert!(pair.run_until(Duration::from_secs(1), |p| p.ends.iter().all(|e| e.queued() == 0)));
    for end in 0..2 {
        assert_eq!(read_all(&mut pair, end, 1), [payload(1 - end, 5000).to_vec()]);
    }
}

#[test]
fn an_association_can_move_between_threads() {
    fn sendable<T: Send>() {}
    sendable::<rtc_sctp_engine::Association>();
}

#[test]
fn extreme_settings_still_carry_messages() {
    let extremes = [
        Config {
            mtu: 0,
            max_message_size: 0,
            receive_buffer: 0,
            send_buffer: 0,
            max_chunks_on_queue: 0,
            initial_cwnd_mtus: 0,
            max_burst: 0,
            delayed_sack: Duration::ZERO,
            rto_min: Duration::ZERO,
            rto_max: Duration::ZERO,
            rto_initial: Duration::ZERO,
            heartbeat_interval: Duration::ZERO,
            outbound_streams: 0,
            max_inbound_streams: 0,
            max_retransmits: 1000,
            ..Config::default()
        },
        Config {
            max_message_size: usize::MAX,
            receive_buffer: usize::MAX,
            send_buffer: usize::MAX,
            max_chunks_on_queue: usize::MAX,
            initial_cwnd_mtus: u32::MAX,
            max_burst: u32::MAX,
            delayed_sack: Duration::MAX,
            rto_min: Duration::MAX,
            rto_max: Duration::MAX,
            rto_initial: Duration::MAX,
            heartbeat_interval: Duration::MAX,
            outbound_streams: u16::MAX,
            max_inbound_streams: u16::MAX,
            max_retransmits: u32::MAX,
            ..Config::default()
        },
    ];
    for config in extremes {
        let mut pair = Pair::connected(1, [config.clone(), config], Link::default());
        let now = pair.instant();
        assert_eq!(pair.ends[0].send(now, 0, 53, SendOptions::default(), payload(1, 700)), Ok(()),);
        assert!(pair.run_until(Duration::from_secs(5), |p| p.ends[1].read(0).is_some()));
    }
}

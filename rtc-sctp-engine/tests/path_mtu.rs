//! The search for the path MTU (RFC 8899), and what becomes of data when the path shrinks.
#![allow(missing_docs)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use rtc_sctp_engine::{Config, SendOptions};
use support::{Link, Loss, Pair, chunk_kinds};

const BASE: usize = 1172;
const HEARTBEAT: u8 = 4;
const DATA: u8 = 0;
const PAD: u8 = 132;

fn probing(max_mtu: usize) -> Config {
    Config { max_mtu, send_buffer: usize::MAX, ..Config::default() }
}

fn on_path(mtu: usize, config: Config) -> Pair {
    Pair::connected(3, [config.clone(), config], Link { mtu, ..Link::default() })
}

/// Sends messages from end 0 and reads them at end 1, until all came; says in which time.
fn transfer(pair: &mut Pair, size: usize, count: usize) -> Duration {
    let (start, now) = (pair.now, pair.instant());
    for number in 0..count {
        let data = Bytes::from(vec![number as u8; size]);
        pair.ends[0].send(now, 0, 53, SendOptions::default(), data).unwrap();
    }
    let mut next = 0;
    let done = pair.run_until(Duration::from_secs(120), |p| {
        while let Some(message) = p.ends[1].read(0) {
            assert!(message.data == vec![next as u8; size], "message {next}");
            next += 1;
        }
        next == count
    });
    assert!(done, "{next} of {count}: {:?}", pair.ends[0].metrics());
    pair.now - start
}

#[test]
fn the_search_finds_what_the_path_carries() {
    let found = |path: usize, max: usize, loss: f64| {
        let mut pair = on_path(path, probing(max));
        for link in &mut pair.links {
            link.loss = Loss::Random(loss);
        }
        pair.run_for(Duration::from_secs(60));
        assert_eq!(pair.ends[0].metrics().timeouts, 0);
        pair.ends.each_ref().map(|end| end.packet_size())
    };
    for (path, max) in [(1400, 1452), (1172, 1452), (1180, 1452), (1452, 1452), (8952, 8952)] {
        for size in found(path, max, 0.0) {
            assert!(size <= path && size + 16 > path.min(max), "{size} on a path of {path}");
        }
    }
    // Chance may make a size look too large, never too small.
    for size in found(1400, 8952, 0.2) {
        assert!((BASE..=1400).contains(&size), "{size}");
    }
    assert_eq!(found(9000, 0, 0.0), [BASE; 2], "not asked for");
    assert_eq!(found(9000, 1000, 0.0), [BASE; 2], "no more than the base");
}

#[test]
fn probes_are_heartbeats_with_padding_and_their_loss_is_no_sign_of_congestion() {
    let config = probing(1452);
    let link = Link { mtu: 1300, ..Link::default() };
    let mut pair = Pair::new(3, [config.clone(), config], link);
    let (sender, sizes) = std::sync::mpsc::channel();
    pair.tap = Some(Box::new(move |end, packet| {
        if end == 0 && packet.len() > BASE {
            assert_eq!(chunk_kinds(packet), [HEARTBEAT, PAD]);
            sender.send(packet.len()).unwrap();
        }
        false
    }));
    let window = pair.ends[0].metrics().cwnd;
    pair.connect();
    pair.run_for(Duration::from_secs(30));
    let sizes: Vec<usize> = sizes.try_iter().collect();
    assert_eq!(sizes[..3], [1452; 3], "three tries of each size: {sizes:?}");
    assert!(sizes.len() <= 20, "{sizes:?}");
    let figures = pair.ends[0].metrics();
    assert_eq!((figures.cwnd, figures.retransmitted, figures.timeouts), (window, 0, 0));
    assert!((1284..=1300).contains(&figures.packet_size), "{figures:?}");
}

#[test]
fn a_wider_path_is_found_by_the_raise_timer() {
    let mut pair = on_path(1300, probing(1452));
    pair.run_for(Duration::from_secs(60));
    for link in &mut pair.links {
        link.mtu = usize::MAX;
    }
    assert!(pair.ends[0].packet_size() <= 1300);
    pair.run_for(Duration::from_secs(660));
    assert_eq!(pair.ends[0].packet_size(), 1452);
}

#[test]
fn data_fills_large_packets_by_chunks_that_fit_the_base_size() {
    for interleaving in [false, true] {
        let mut pair = on_path(8952, Config { interleaving, ..probing(8952) });
        pair.run_for(Duration::from_secs(1));
        let (sender, sizes) = std::sync::mpsc::channel();
        pair.tap = Some(Box::new(move |end, packet| {
            if end == 0 && support::chunks(packet).iter().any(|c| [DATA, 64].contains(&c[0])) {
                let fits = |chunk: &&[u8]| chunk.len() + 12 <= BASE;
                assert!(support::chunks(packet).iter().all(fits));
                sender.send(packet.len()).unwrap();
            }
            false
        }));
        transfer(&mut pair, 65_536, 4);
        let sizes: Vec<usize> = sizes.try_iter().collect();
        let large = sizes.iter().filter(|size| **size > 8900).count();
        assert!(large * 10 >= sizes.len() * 8, "{sizes:?}");
    }
}

#[test]
fn a_path_that_shrinks_in_flight_loses_nothing_and_is_measured_anew() {
    for (loss, messages) in [(0.0, 400), (0.02, 400), (0.0, 1)] {
        let mut pair = on_path(8952, probing(8952));
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.ends[0].packet_size(), 8952);
        transfer(&mut pair, 10_000, messages);
        let now = pair.instant();
        // Under way when the path shrinks.
        for _ in 0..50 {
            let data = Bytes::from(vec![7; 10_000]);
            pair.ends[0].send(now, 1, 53, SendOptions::default(), data).unwrap();
        }
        pair.flush();
        pair.drop_in_transit();
        for link in &mut pair.links {
            link.mtu = 1200;
            link.loss = Loss::Random(loss);
        }
        let time = transfer(&mut pair, 10_000, messages);
        assert!(time < Duration::from_secs(10), "{loss}: {time:?}");
        pair.run_for(Duration::from_secs(120));
        assert_eq!(pair.ends[0].queued(), 0);
        assert_eq!(std::iter::from_fn(|| pair.ends[1].read(1)).count(), 50);
        let size = pair.ends[0].packet_size();
        assert!((BASE..=1200).contains(&size), "{size}");
    }
}

/// Small packets keep coming through, so no retransmission timer expires.
#[test]
fn a_black_hole_is_noticed_although_small_packets_pass() {
    let mut pair = on_path(1452, probing(1452));
    pair.run_for(Duration::from_secs(1));
    pair.links[0].mtu = BASE;
    for _ in 0..20 {
        let now = pair.instant();
        for size in [3000, 100] {
            let data = Bytes::from(vec![7; size]);
            pair.ends[0].send(now, 0, 53, SendOptions::default(), data).unwrap();
        }
        pair.run_for(Duration::from_millis(50));
    }
    let figures = pair.ends[0].metrics();
    assert_eq!((figures.packet_size, figures.timeouts), (BASE, 0), "{figures:?}");
}

#[test]
fn a_new_path_is_measured_from_the_base() {
    let mut pair = on_path(1452, probing(1452));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.ends[0].packet_size(), 1452);
    for link in &mut pair.links {
        link.mtu = 1300;
    }
    let now = pair.instant();
    pair.ends[0].path_changed(now);
    assert_eq!(pair.ends[0].packet_size(), BASE);
    pair.run_for(Duration::from_secs(60));
    assert!((1284..=1300).contains(&pair.ends[0].packet_size()));
}

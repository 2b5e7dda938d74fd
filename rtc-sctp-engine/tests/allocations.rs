//! In the steady state packets cost no allocations, only messages do.
#![allow(missing_docs)]

#[path = "support/counting.rs"]
mod counting;

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp_engine::{Association, Config, SendOptions, State};

/// Moves packets between two ends until neither has any, losing each `lose`th of the first end.
fn exchange(ends: &mut [Association; 2], now: Instant, packets: &mut u64, lose: u64) {
    let mut buffer = [0; 1200];
    loop {
        let mut idle = true;
        for from in 0..2 {
            while let Some(length) = ends[from].poll_transmit(now, &mut buffer) {
                idle = false;
                *packets += 1;
                if from == 1 || lose == 0 || !packets.is_multiple_of(lose) {
                    ends[1 - from].handle_packet(now, &buffer[..length]);
                }
            }
            while ends[from].poll_event().is_some() {}
        }
        if idle {
            return;
        }
    }
}

/// One of so many packets is lost, the size of messages, and the allocations per packet besides one
/// per message: behind a lost packet small messages wait in a tree, of which a node holds six.
const CASES: [(u64, usize, f64); 4] =
    [(0, 65_536, 0.03), (100, 65_536, 0.1), (0, 1024, 0.03), (100, 1024, 0.2)];

#[test]
fn a_bulk_transfer_allocates_per_message_not_per_packet() {
    for (lose, size, per_packet) in CASES {
        let mut now = Instant::now();
        let config = Config { delayed_sack: Duration::ZERO, ..Config::default() };
        let mut ends =
            [Association::new(config.clone(), [1; 32]), Association::new(config.clone(), [2; 32])];
        ends[0].connect(now);
        ends[1].connect(now);
        let mut packets = 0;
        exchange(&mut ends, now, &mut packets, 0);
        assert_eq!(ends[0].state(), State::Established);
        let data = Bytes::from(vec![1; size]);
        let (mut counted, mut messages) = (0, 0);
        for round in 0..200 {
            if round == 100 {
                (packets, messages) = (0, 0);
                counted = counting::allocations();
            }
            now += Duration::from_millis(5);
            while ends[0].send(now, 0, 53, SendOptions::default(), data.clone()).is_ok() {}
            for end in &mut ends {
                end.handle_timeout(now);
            }
            exchange(&mut ends, now, &mut packets, lose);
            while ends[1].read(0).is_some() {
                messages += 1;
            }
        }
        counted = counting::allocations() - counted;
        assert!(packets > 2000, "{packets}");
        let rate = (counted as f64 - messages as f64) / packets as f64;
        assert!(
            rate < per_packet,
            "{lose} {size}: {counted} for {packets} packets and {messages} messages"
        );
    }
}

//! In the steady state packets cost no allocations, only messages do.
#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp_engine::{Association, Config, SendOptions, State};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

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

#[test]
fn a_bulk_transfer_allocates_per_message_not_per_packet() {
    for (lose, per_packet) in [(0, 0.03), (100, 0.1)] {
        let mut now = Instant::now();
        let config = Config { delayed_sack: Duration::ZERO, ..Config::default() };
        let mut ends =
            [Association::new(config.clone(), [1; 32]), Association::new(config.clone(), [2; 32])];
        ends[0].connect(now);
        ends[1].connect(now);
        let mut packets = 0;
        exchange(&mut ends, now, &mut packets, 0);
        assert_eq!(ends[0].state(), State::Established);
        let data = Bytes::from(vec![1; 65536]);
        let (mut counted, mut messages) = (0, 0);
        for round in 0..200 {
            if round == 100 {
                (packets, messages) = (0, 0);
                counted = ALLOCATIONS.with(Cell::get);
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
        counted = ALLOCATIONS.with(Cell::get) - counted;
        assert!(packets > 2000, "{packets}");
        let rate = (counted as f64 - messages as f64) / packets as f64;
        assert!(rate < per_packet, "{counted} for {packets} packets and {messages} messages");
    }
}

//! The SCTP engine by itself: two associations in memory on one thread, both ends counted.

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::Throughput;
use rtc_sctp_engine::{Association, Config, SendOptions, State};

/// Packets handed over at once, as a batch send would.
const BATCH: usize = 48;
const STRIDE: usize = 1536;
/// Bytes of messages in one measured transfer.
const TRANSFER: usize = 1024 * 1024;

struct Pair {
    ends: [Association; 2],
    buffer: Vec<u8>,
    now: Instant,
}

impl Pair {
    fn connected() -> Self {
        let now = Instant::now();
        let mut ends = [1, 2].map(|seed| Association::new(Config::default(), [seed; 32]));
        for end in &mut ends {
            end.connect(now);
        }
        let mut pair = Self { ends, buffer: vec![0; BATCH * STRIDE], now };
        while pair.ends.iter().any(|end| end.state() != State::Established) {
            pair.carry(0);
            pair.carry(1);
        }
        pair
    }

    /// Carries one batch of packets from this end to the other.
    fn carry(&mut self, from: usize) {
        let Self { ends: [a, b], buffer, now } = self;
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        let mut lengths = [0; BATCH];
        for (slot, length) in buffer.chunks_exact_mut(STRIDE).zip(&mut lengths) {
            *length = from.poll_transmit(*now, slot).unwrap_or(0);
            if *length == 0 {
                break;
            }
        }
        let packets = buffer.chunks_exact(STRIDE).zip(lengths).filter(|(_, length)| *length > 0);
        to.handle_packets(*now, packets.map(|(slot, length)| &slot[..length]));
        while to.poll_event().is_some() {}
    }

    /// Moves one transfer's worth of messages from end 0 to end 1.
    fn transfer(&mut self, message: &Bytes) {
        let (mut sent, mut received) = (0, 0);
        while received < TRANSFER {
            // Timers and estimates are to see time pass.
            self.now += Duration::from_micros(50);
            let options = SendOptions::default();
            while sent < TRANSFER
                && self.ends[0].send(self.now, 0, 53, options, message.clone()).is_ok()
            {
                sent += message.len();
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
            self.carry(0);
            while let Some(message) = self.ends[1].read(0) {
                received += message.data.len();
            }
            self.carry(1);
        }
    }
}

fn main() {
    let mut criterion = librtc_benches::criterion();
    let mut group = criterion.benchmark_group("sctp");
    group.throughput(Throughput::Bytes(TRANSFER as u64));
    for (name, size) in [("messages of 64 KiB", 64 * 1024), ("messages of 1 KiB", 1024)] {
        let message = Bytes::from(vec![7; size]);
        let mut pair = Pair::connected();
        group.bench_function(name, |bencher| bencher.iter(|| pair.transfer(&message)));
    }
    group.finish();
    criterion.final_summary();
}

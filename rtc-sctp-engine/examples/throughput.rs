//! Prints what the engine itself costs: two associations in memory on one core, no network.
//!
//! `cargo run --release -p rtc-sctp-engine --example throughput [MiB per row]`

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp_engine::{Association, Config, SendOptions, State, ZeroChecksum};

const BATCH: usize = 48;
const STRIDE: usize = 1536;

/// Packets of one end, laid out as for a batch send.
struct Batch {
    buffer: Vec<u8>,
    lengths: Vec<usize>,
}

impl Batch {
    fn new() -> Self {
        Self { buffer: vec![0; BATCH * STRIDE], lengths: Vec::with_capacity(BATCH) }
    }

    fn fill(&mut self, from: &mut Association, now: Instant) -> usize {
        self.lengths.clear();
        for slot in self.buffer.chunks_exact_mut(STRIDE) {
            let Some(length) = from.poll_transmit(now, slot) else { break };
            self.lengths.push(length);
        }
        self.lengths.len()
    }

    fn deliver(&self, to: &mut Association, now: Instant) {
        let slots = self.buffer.chunks_exact(STRIDE).zip(&self.lengths);
        to.handle_packets(now, slots.map(|(slot, length)| &slot[..*length]));
    }
}

/// Nanoseconds this thread has run, which on a busy machine is less than the time that passed.
fn cpu_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

struct Figures {
    bytes: usize,
    packets: usize,
    sender: Duration,
    receiver: Duration,
}

fn transfer(config: &Config, message: usize, total: usize) -> Figures {
    let mut now = Instant::now();
    let mut sender = Association::new(config.clone(), [1; 32]);
    let mut receiver = Association::new(config.clone(), [2; 32]);
    let (mut forth, mut back) = (Batch::new(), Batch::new());
    sender.connect(now);
    receiver.connect(now);
    while sender.state() != State::Established || receiver.state() != State::Established {
        forth.fill(&mut sender, now);
        forth.deliver(&mut receiver, now);
        back.fill(&mut receiver, now);
        back.deliver(&mut sender, now);
    }
    let data = Bytes::from(vec![7; message]);
    let mut figures =
        Figures { bytes: 0, packets: 0, sender: Duration::ZERO, receiver: Duration::ZERO };
    let mut sent = 0;
    while figures.bytes < total {
        // Time in the model moves on so that timers and estimates see some.
        now += Duration::from_micros(50);
        let begin = Instant::now();
        while sent < total && sender.send(now, 0, 53, SendOptions::default(), data.clone()).is_ok()
        {
            sent += message;
        }
        sender.handle_timeout(now);
        let packets = forth.fill(&mut sender, now);
        figures.packets += packets;
        let middle = Instant::now();
        forth.deliver(&mut receiver, now);
        while let Some(m) = receiver.read(0) {
            figures.bytes += m.data.len();
        }
        while receiver.poll_event().is_some() {}
        receiver.handle_timeout(now);
        back.fill(&mut receiver, now);
        let end = Instant::now();
        back.deliver(&mut sender, now);
        while sender.poll_event().is_some() {}
        figures.sender += middle - begin + end.elapsed();
        figures.receiver += end - middle;
    }
    figures
}

fn main() {
    let mib: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(256);
    println!("{mib} MiB per row, batches of {BATCH} packets, both ends on one core, CPU time\n");
    println!("| messages | checksum | GB/s | packets | sender ns/packet | receiver ns/packet |");
    println!("|---|---|---|---|---|---|");
    for (name, zero_checksum) in [("CRC32c", ZeroChecksum::Never), ("zero", ZeroChecksum::Offer)] {
        for message in [100, 1024, 64 << 10, 256 << 10, 16 << 20] {
            let config = Config {
                zero_checksum,
                max_message_size: 16 << 20,
                send_buffer: 4 << 20,
                ..Config::default()
            };
            let total = if message < 1024 { mib << 16 } else { mib << 20 };
            let before = cpu_time();
            let f = transfer(&config, message, total);
            let wall = (f.sender + f.receiver).as_nanos() as f64;
            let cpu = match (before, cpu_time()) {
                (Some(before), Some(after)) => (after - before) as f64,
                _ => wall,
            };
            // Each side's share of the time, of which the processor gave us only a part.
            let share = |side: Duration| side.as_nanos() as f64 / wall * cpu / f.packets as f64;
            println!(
                "| {message} B | {name} | {:.2} | {} | {:.0} | {:.0} |",
                f.bytes as f64 / cpu,
                f.packets,
                share(f.sender),
                share(f.receiver),
            );
        }
    }
}

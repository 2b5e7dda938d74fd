//! Prints what the engine itself costs: two associations in memory on one core, no network.
//!
//! `cargo run --release -p rtc-sctp-engine --example throughput [MiB per row]`

#![allow(missing_docs)]

#[path = "../tests/support/peers.rs"]
mod peers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peers::{Dc, Peer};
use rtc_sctp_engine::{Association, Config, SendOptions, State, ZeroChecksum};

const BATCH: usize = 48;
const STRIDE: usize = 1536;
/// Bytes the messages are cut from.
const POOL: usize = 16 << 20;

/// Memory that received messages fill in the runs that keep them: two of the largest, one kept and
/// one in the making.
const FILLED: usize = 2 * POOL;

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

/// What a transfer took of the processor, in nanoseconds, or the time it took.
fn timed(transfer: impl FnOnce() -> Figures) -> (Figures, f64) {
    let before = cpu_time();
    let figures = transfer();
    let cpu = match (before, cpu_time()) {
        (Some(before), Some(after)) => (after - before) as f64,
        _ => (figures.sender + figures.receiver).as_nanos() as f64,
    };
    (figures, cpu)
}

/// The receiver keeps the last `hold` bytes of messages, as an application that uses them does: a
/// message dropped at once leaves its memory in the cache for the next one.
///
/// With `hold` = [`FILLED`] less the size of a message, messages of all sizes fill as much memory.
fn transfer(config: &Config, message: usize, total: usize, hold: usize) -> Figures {
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
    // All rows read from as much memory, so that small messages do not profit from the cache.
    let pool = Bytes::from(vec![7; POOL]);
    let mut figures =
        Figures { bytes: 0, packets: 0, sender: Duration::ZERO, receiver: Duration::ZERO };
    let (mut kept, mut held) = (VecDeque::new(), 0);
    let (mut sent, mut at) = (0, 0);
    while figures.bytes < total {
        // Time in the model moves on so that timers and estimates see some.
        now += Duration::from_micros(50);
        let begin = Instant::now();
        while sent < total {
            let data = pool.slice(at..at + message);
            if sender.send(now, 0, 53, SendOptions::default(), data).is_err() {
                break;
            }
            at = if at + 2 * message <= POOL { at + message } else { 0 };
            sent += message;
        }
        sender.handle_timeout(now);
        let packets = forth.fill(&mut sender, now);
        figures.packets += packets;
        let middle = Instant::now();
        forth.deliver(&mut receiver, now);
        while let Some(m) = receiver.read(0) {
            figures.bytes += m.data.len();
            held += m.data.len();
            kept.push_back(m.data);
            while held > hold {
                held -= kept.pop_front().map_or(held, |oldest| oldest.len());
            }
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

/// One end of rtc-sctp.
struct Other {
    endpoint: rtc_sctp::Endpoint,
    association: Option<rtc_sctp::Association>,
    peer: SocketAddr,
    connected: bool,
}

impl Other {
    fn new(ports: (u16, u16), server: bool) -> Self {
        let transport = rtc_sctp::TransportConfig::default().with_max_message_size(16 << 20);
        let server = server.then(|| Arc::new(rtc_sctp::ServerConfig::new(transport)));
        Self {
            endpoint: rtc_sctp::Endpoint::new(
                SocketAddr::from(([127, 0, 0, 1], ports.0)),
                rtc_shared::TransportProtocol::UDP,
                Arc::new(rtc_sctp::EndpointConfig::default()),
                server,
            ),
            association: None,
            peer: SocketAddr::from(([127, 0, 0, 1], ports.1)),
            connected: false,
        }
    }

    fn drive(&mut self, now: Instant, from: &mut Vec<Bytes>, to: &mut Vec<Bytes>) {
        for packet in from.drain(..) {
            match self.endpoint.handle(now, self.peer, None, packet) {
                Some((_, rtc_sctp::DatagramEvent::NewAssociation(a))) => self.association = Some(a),
                Some((_, rtc_sctp::DatagramEvent::AssociationEvent(event))) => {
                    if let Some(association) = &mut self.association {
                        association.handle_event(event);
                    }
                }
                _ => {}
            }
        }
        let Some(association) = &mut self.association else { return };
        if association.poll_timeout().is_some_and(|at| at <= now) {
            association.handle_timeout(now);
        }
        while let Some(event) = association.poll() {
            self.connected |= matches!(event, rtc_sctp::Event::Connected);
        }
        while association.poll_endpoint_event().is_some() {}
        while let Some(transmit) = association.poll_transmit(now) {
            if let rtc_sctp::Payload::RawEncode(packets) = transmit.message {
                to.extend(packets);
            }
        }
    }
}

/// The same transfer with rtc-sctp: bytes and packets.
fn transfer_other(message: usize, total: usize) -> Option<(usize, usize)> {
    let mut now = Instant::now();
    let (mut sender, mut receiver) =
        (Other::new((5000, 5001), false), Other::new((5001, 5000), true));
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    let transport = rtc_sctp::TransportConfig::default().with_max_message_size(16 << 20);
    let config = rtc_sctp::ClientConfig::new(transport);
    sender.association = Some(sender.endpoint.connect(now, config, sender.peer).ok()?.1);
    while !(sender.connected && receiver.connected) {
        sender.drive(now, &mut back, &mut forth);
        receiver.drive(now, &mut forth, &mut back);
    }
    let binary = rtc_sctp::PayloadProtocolIdentifier::Binary;
    sender.association.as_mut()?.open_stream(0, binary).ok()?;
    let data = Bytes::from(vec![7; message]);
    let mut read_buffer = vec![0; message];
    let (mut sent, mut received, mut packets) = (0, 0, 0);
    while received < total {
        now += Duration::from_micros(50);
        let mut stream = sender.association.as_mut()?.stream(0).ok()?;
        while sent < total && stream.buffered_amount().ok()? < 1 << 20 {
            stream.write_sctp(now, &data, binary).ok()?;
            sent += message;
        }
        sender.drive(now, &mut back, &mut forth);
        packets += forth.len();
        receiver.drive(now, &mut forth, &mut back);
        let association = receiver.association.as_mut()?;
        while association.accept_stream().is_some() {}
        let Ok(mut stream) = association.stream(0) else { continue };
        while let Ok(Some(chunks)) = stream.read_sctp() {
            received += chunks.read(&mut read_buffer).ok()?;
        }
    }
    Some((received, packets))
}

fn print_others(mib: usize) {
    println!("\nrtc-sctp 0.21, CRC32c\n\n| messages | GB/s | packets | both ends ns/packet |");
    println!("|---|---|---|---|");
    for message in [1024, 64 << 10, 256 << 10] {
        print_row(message, || transfer_other(message, mib << 20));
    }
    println!("\ndcsctp 0.1.16 as published, no checksum\n");
    println!("| messages | GB/s | packets | both ends ns/packet |\n|---|---|---|---|");
    for message in [1024, 64 << 10, 256 << 10] {
        // It takes a hundred times as long.
        print_row(message, || Some(transfer_dcsctp(message, mib.div_ceil(32) << 20)));
    }
}

/// Bytes and packets that two ends of dcSCTP move, with its defaults.
fn transfer_dcsctp(message: usize, total: usize) -> (usize, usize) {
    let start = Instant::now();
    let mut ends = [Dc::new(start, false), Dc::new(start, false)];
    let mut now = start;
    ends[0].connect(now);
    let (mut sent, mut received, mut packets) = (0, 0, 0);
    while received < total {
        now += Duration::from_micros(50);
        let connected = ends.iter().all(Peer::connected);
        while connected && sent < total && sent < received + (4 << 20).max(2 * message) {
            ends[0].send(now, 0, SendOptions::default(), vec![7; message]);
            sent += message;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let out = ends[from].output(now);
            packets += if from == 0 { out.len() } else { 0 };
            out.iter().for_each(|packet| ends[to].input(now, packet));
        }
        ends.iter_mut().for_each(|end| end.advance(now));
        let messages = std::mem::take(ends[1].inbox()).into_values().flatten();
        received += messages.map(|message| message.len()).sum::<usize>();
    }
    (received, packets)
}

/// A row of another implementation.
fn print_row(message: usize, transfer: impl FnOnce() -> Option<(usize, usize)>) {
    let before = cpu_time();
    let moved = transfer();
    let (Some((bytes, packets)), Some(before), Some(after)) = (moved, before, cpu_time()) else {
        println!("| {message} B | not measured | | |");
        return;
    };
    let cpu = (after - before) as f64;
    let (rate, each) = (bytes as f64 / cpu, cpu / packets as f64);
    println!("| {message} B | {rate:.3} | {packets} | {each:.0} |");
}

fn main() {
    let mib: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(256);
    println!("{mib} MiB per row, batches of {BATCH} packets, both ends on one core, CPU time\n");
    println!(
        "| messages | checksum | GB/s | GB/s, kept | packets | sender ns/packet | receiver ns/packet |"
    );
    println!("|---|---|---|---|---|---|---|");
    let kinds = [
        ("CRC32c", ZeroChecksum::Never, false),
        ("zero", ZeroChecksum::Offer, false),
        ("CRC32c, I-DATA", ZeroChecksum::Never, true),
        ("zero, I-DATA", ZeroChecksum::Offer, true),
    ];
    for (name, zero_checksum, interleaving) in kinds {
        for message in [100, 1024, 64 << 10, 256 << 10, 16 << 20] {
            let config = Config {
                zero_checksum,
                interleaving,
                max_message_size: 16 << 20,
                send_buffer: 4 << 20,
                ..Config::default()
            };
            let total = if message < 1024 { mib << 16 } else { mib << 20 };
            let (f, cpu) = timed(|| transfer(&config, message, total, 0));
            let (kept, kept_cpu) = timed(|| transfer(&config, message, total, FILLED - message));
            let wall = (f.sender + f.receiver).as_nanos() as f64;
            // Each side's share of the time, of which the processor gave us only a part.
            let share = |side: Duration| side.as_nanos() as f64 / wall * cpu / f.packets as f64;
            println!(
                "| {message} B | {name} | {:.2} | {:.2} | {} | {:.0} | {:.0} |",
                f.bytes as f64 / cpu,
                kept.bytes as f64 / kept_cpu,
                f.packets,
                share(f.sender),
                share(f.receiver),
            );
        }
    }
    print_others(mib / 2);
}

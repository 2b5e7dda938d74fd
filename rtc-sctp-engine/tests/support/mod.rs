//! Two associations on a simulated network with virtual time.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rtc_sctp_engine::{Association, Config, Event};

/// A small generator, so that a run depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }
}

/// The chunk types of a packet.
pub fn chunk_kinds(packet: &[u8]) -> Vec<u8> {
    chunks(packet).into_iter().map(|chunk| chunk[0]).collect()
}

/// The chunks of a packet, padding excluded.
pub fn chunks(packet: &[u8]) -> Vec<&[u8]> {
    let mut at = 12;
    let mut found = Vec::new();
    while at + 4 <= packet.len() {
        let length = usize::from(u16::from_be_bytes([packet[at + 2], packet[at + 3]]));
        found.push(&packet[at..at + length]);
        at += length.next_multiple_of(4);
    }
    found
}

/// A packet with a correct checksum.
pub fn packet(ports: (u16, u16), tag: u32, chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&ports.0.to_be_bytes());
    bytes.extend_from_slice(&ports.1.to_be_bytes());
    bytes.extend_from_slice(&tag.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    for chunk in chunks {
        bytes.extend_from_slice(chunk);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let crc = crc32c::crc32c(&bytes);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A chunk.
pub fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    bytes.extend_from_slice(&((value.len() + 4) as u16).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// How packets get lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Random(f64),
    /// Gilbert-Elliott: (good to bad, bad to good, loss when bad).
    Bursts(f64, f64, f64),
}

/// One direction of a network.
#[derive(Clone, Debug)]
pub struct Link {
    pub delay: Duration,
    /// Added to the delay of each packet, evenly spread between zero and this. Reorders.
    pub jitter: Duration,
    /// Largest packet carried, bytes.
    pub mtu: usize,
    /// Bytes per second; 0 for no limit.
    pub bandwidth: u64,
    /// Bytes that may wait for the bottleneck.
    pub queue: u64,
    pub loss: Loss,
    pub duplicate: f64,
    /// Share of packets held back by up to `reorder_by` further packets' worth of time.
    pub reorder: f64,
    pub reorder_by: Duration,
    /// Share of packets that find the receiving host busy for up to `stall_for`; all that follow
    /// wait with them.
    pub stall: f64,
    pub stall_for: Duration,
    pub stalled_until: Duration,
    pub bad: bool,
    pub free_at: Duration,
    pub dropped: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            mtu: usize::MAX,
            bandwidth: 0,
            queue: u64::MAX,
            loss: Loss::Random(0.0),
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            stall: 0.0,
            stall_for: Duration::ZERO,
            stalled_until: Duration::ZERO,
            bad: false,
            free_at: Duration::ZERO,
            dropped: 0,
        }
    }
}

impl Link {
    /// When a packet sent at `now` arrives; none, one or two times.
    pub fn carry(&mut self, rng: &mut Rng, now: Duration, size: usize) -> Vec<Duration> {
        if size > self.mtu {
            self.dropped += 1;
            return Vec::new();
        }
        let lost = match self.loss {
            Loss::Random(p) => rng.chance(p),
            Loss::Bursts(to_bad, to_good, p) => {
                self.bad = if self.bad { !rng.chance(to_good) } else { rng.chance(to_bad) };
                self.bad && rng.chance(p)
            }
        };
        let mut leaves = now;
        if self.bandwidth > 0 {
            let start = self.free_at.max(now);
            let backlog = (start - now).as_secs_f64() * self.bandwidth as f64;
            if backlog > self.queue as f64 {
                self.dropped += 1;
                return Vec::new();
            }
            // Headers of DTLS, UDP and IP count too.
            let wire = (size + 65) as f64;
            self.free_at = start + Duration::from_secs_f64(wire / self.bandwidth as f64);
            leaves = self.free_at;
        }
        if lost {
            self.dropped += 1;
            return Vec::new();
        }
        let mut arrivals = Vec::with_capacity(1);
        for _ in 0..=u32::from(rng.chance(self.duplicate)) {
            let jitter = Duration::from_nanos(rng.below(self.jitter.as_nanos() as u64 + 1));
            let mut at = leaves + self.delay + jitter;
            if rng.chance(self.reorder) {
                at += Duration::from_nanos(rng.below(self.reorder_by.as_nanos() as u64 + 1));
            }
            if self.stall > 0.0 && rng.chance(self.stall) {
                let busy = Duration::from_nanos(rng.below(self.stall_for.as_nanos() as u64 + 1));
                self.stalled_until = self.stalled_until.max(at + busy);
            }
            arrivals.push(at.max(self.stalled_until));
        }
        arrivals
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InTransit {
    at: Duration,
    order: u64,
    to: usize,
    packet: Vec<u8>,
}

/// Sees each packet sent and says whether to lose it.
pub type Tap = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// Packets and the end that sent each.
pub type Sent = Vec<(usize, Vec<u8>)>;

/// The verification tag that an end expects, as its INIT says.
pub fn expected_tag(sent: &Sent, end: usize) -> u32 {
    word_of_init(sent, end, 16)
}

/// The TSN that an end begins with, as its INIT says.
pub fn initial_tsn(sent: &Sent, end: usize) -> u32 {
    word_of_init(sent, end, 28)
}

fn word_of_init(sent: &Sent, end: usize, at: usize) -> u32 {
    let is_init = |(from, packet): &&(usize, Vec<u8>)| *from == end && chunk_kinds(packet) == [1];
    let (_, init) = sent.iter().find(is_init).unwrap();
    u32::from_be_bytes(init[at..at + 4].try_into().unwrap())
}

/// Two associations and the network between them. Index 0 and 1 are the two ends.
pub struct Pair {
    pub start: Instant,
    pub now: Duration,
    pub ends: [Association; 2],
    /// `links[i]` carries what end `i` sends.
    pub links: [Link; 2],
    pub events: [VecDeque<Event>; 2],
    pub rng: Rng,
    transit: BinaryHeap<Reverse<InTransit>>,
    order: u64,
    pub packets: [u64; 2],
    /// Called for each packet that is sent: end and bytes. The packet is lost when it says so.
    pub tap: Option<Tap>,
}

impl Pair {
    pub fn new(seed: u64, config: [Config; 2], link: Link) -> Self {
        let [a, b] = config;
        let seed_of = |end: u8| {
            let mut bytes = [end; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            bytes
        };
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            ends: [Association::new(a, seed_of(1)), Association::new(b, seed_of(2))],
            links: [link.clone(), link],
            events: [VecDeque::new(), VecDeque::new()],
            rng: Rng::new(seed + 1),
            transit: BinaryHeap::new(),
            order: 0,
            packets: [0; 2],
            tap: None,
        }
    }

    pub fn with(config: Config) -> Self {
        Self::new(1, [config.clone(), config], Link::default())
    }

    /// A pair that has gone through its handshake.
    pub fn connected(seed: u64, config: [Config; 2], link: Link) -> Self {
        let mut pair = Self::new(seed, config, link);
        pair.connect();
        pair
    }

    /// A pair that has gone through its handshake and has nothing more to say for now, and all that
    /// was sent.
    pub fn overheard(seed: u64, config: Config) -> (Self, Sent) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let tap = seen.clone();
        let mut pair = Self::new(seed, [config.clone(), config], Link::default());
        pair.tap = Some(Box::new(move |end, packet| {
            tap.borrow_mut().push((end, packet.to_vec()));
            false
        }));
        pair.connect();
        pair.run_for(Duration::from_millis(100));
        pair.tap = None;
        (pair, seen.take())
    }

    pub fn connect(&mut self) {
        let now = self.instant();
        self.ends[0].connect(now);
        self.ends[1].connect(now);
        let up = self.run_until(Duration::from_secs(60), |pair| {
            pair.ends.iter().all(|end| end.state() == rtc_sctp_engine::State::Established)
        });
        assert!(up, "the handshake did not complete: {:?}", self.events);
    }

    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Sends what both ends have to send and collects their events.
    pub fn flush(&mut self) {
        let now = self.instant();
        let mut buffer = [0_u8; 9000];
        for end in 0..2 {
            while let Some(length) = self.ends[end].poll_transmit(now, &mut buffer) {
                self.packets[end] += 1;
                if self.tap.as_mut().is_some_and(|tap| tap(end, &buffer[..length])) {
                    continue;
                }
                for at in self.links[end].carry(&mut self.rng, self.now, length) {
                    self.order += 1;
                    self.transit.push(Reverse(InTransit {
                        at,
                        order: self.order,
                        to: 1 - end,
                        packet: buffer[..length].to_vec(),
                    }));
                }
            }
            while let Some(event) = self.ends[end].poll_event() {
                self.events[end].push_back(event);
            }
        }
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Duration> {
        let timers = self.ends.iter().filter_map(Association::poll_timeout);
        let timer = timers.map(|at| at.saturating_duration_since(self.start)).min();
        let arrival = self.transit.peek().map(|Reverse(p)| p.at);
        timer.into_iter().chain(arrival).min().map(|at| at.max(self.now))
    }

    /// Lets the next thing happen, at most until `limit`. False when nothing is left to happen.
    pub fn step(&mut self, limit: Duration) -> bool {
        self.flush();
        let Some(next) = self.next_at() else { return false };
        if next > limit {
            self.now = limit;
            return false;
        }
        self.now = self.now.max(next);
        let now = self.instant();
        while self.transit.peek().is_some_and(|Reverse(p)| p.at <= self.now) {
            if let Some(Reverse(p)) = self.transit.pop() {
                self.ends[p.to].handle_packet(now, &p.packet);
            }
        }
        for end in &mut self.ends {
            end.handle_timeout(now);
        }
        self.flush();
        true
    }

    /// Runs until the condition holds; false when `limit` of time passed first.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut idle = 0_u32;
        loop {
            self.flush();
            if done(self) {
                return true;
            }
            let before = self.now;
            if !self.step(end) {
                return done(self);
            }
            idle = if self.now == before { idle + 1 } else { 0 };
            assert!(idle < 200_000, "time stands still at {before:?}");
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Throws away what is on its way.
    pub fn drop_in_transit(&mut self) {
        self.transit.clear();
    }

    pub fn take_events(&mut self, end: usize) -> Vec<Event> {
        self.events[end].drain(..).collect()
    }
}

/// Bytes received by each of several bulk transfers from end 0 to end 1 that share a bottleneck.
/// Each starts at its time; what is received before `from` does not count.
pub fn share(
    mut pairs: Vec<(Pair, Duration)>,
    mut bottleneck: Link,
    from: Duration,
    until: Duration,
) -> Vec<usize> {
    let mut received = vec![0; pairs.len()];
    let data = bytes::Bytes::from(vec![7; 65536]);
    for (pair, at) in &mut pairs {
        pair.links[1] = Link { bandwidth: 0, loss: Loss::Random(0.0), ..bottleneck.clone() };
        pair.now = *at;
        let now = pair.instant();
        pair.ends[0].connect(now);
        pair.ends[1].connect(now);
    }
    loop {
        let next = pairs.iter().enumerate().map(|(number, (pair, start))| {
            // Before its first packet a pair has nothing to wait for but its start.
            (if pair.packets == [0; 2] { *start } else { pair.next_at().unwrap_or(until) }, number)
        });
        let Some((at, number)) = next.min() else { return received };
        if at >= until {
            return received;
        }
        let (pair, _) = &mut pairs[number];
        std::mem::swap(&mut pair.links[0], &mut bottleneck);
        pair.step(at);
        let now = pair.instant();
        let options = rtc_sctp_engine::SendOptions::default();
        while pair.ends[0].send(now, 0, 53, options, data.clone()).is_ok() {}
        while let Some(message) = pair.ends[1].read(0) {
            if at >= from {
                received[number] += message.data.len();
            }
        }
        pair.flush();
        std::mem::swap(&mut pair.links[0], &mut bottleneck);
    }
}

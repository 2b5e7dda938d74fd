//! Two SCTP associations over a link that loses, repeats, delays, damages and forges packets.
//! Before that the parser alone reads the input as a packet, down to its last parameter.
//!
//! Both accept packets without a checksum, so that damaged ones are looked into. Nothing may
//! panic, and no single step may make an association send without end. As long as the script has
//! neither damaged nor forged a packet, what arrives must be what was sent, and in the end a link
//! without faults must deliver all that is reliable.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::{Link, Script, damage};
use rtc_sctp_engine::{
    Association, Config, Message, SendOptions, State, ZeroChecksum, inspect_packet,
};

const MTU: usize = 1172;
const STREAMS: u16 = 16;
/// Rounds within which everything must have arrived over a link without faults.
const SETTLING: usize = 400;
/// Steps of a script; further ones are left out.
const STEPS: usize = 400;
/// More packets than a window full of data makes.
const ENDLESS: usize = 5000;

fuzz_target!(|bytes: &[u8]| {
    let _ = inspect_packet(bytes);
    let mut script = Script::new(bytes);
    let mut pair = Pair::new(script.byte());
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        pair.step(&mut script);
    }
    pair.settle();
});

struct Pair {
    now: Instant,
    sides: [Association; 2],
    /// The verification tags that the sides expect, as seen on the link.
    tags: [[u8; 4]; 2],
    link: Link,
    /// What was sent towards each side, and how much of it arrived.
    journals: [Journal; 2],
    /// No packet was damaged or forged, and nobody ended the association.
    is_honest: bool,
}

impl Pair {
    fn new(flags: u8) -> Self {
        let config = |tiny: bool| Config {
            mtu: MTU,
            max_message_size: if tiny { 100 } else { 65_536 },
            receive_buffer: if tiny { 2000 } else { 131_072 },
            send_buffer: 131_072,
            outbound_streams: STREAMS,
            max_inbound_streams: STREAMS,
            zero_checksum: ZeroChecksum::Offer,
            interleaving: flags & 1 != 0,
            ..Config::default()
        };
        let now = Instant::now();
        let sides = [
            Association::new(config(flags & 2 != 0), [1; 32]),
            Association::new(config(flags & 4 != 0), [2; 32]),
        ];
        let mut pair = Self {
            now,
            sides,
            tags: [[0; 4]; 2],
            link: Link::default(),
            journals: Default::default(),
            is_honest: true,
        };
        pair.sides[0].connect(now);
        if flags & 8 == 0 {
            pair.sides[1].connect(now);
        }
        pair.collect();
        if flags & 16 == 0 {
            pair.exchange();
        }
        pair
    }

    /// Puts what the associations want to send onto the link.
    fn collect(&mut self) {
        let mut packet = [0; MTU];
        for from in 0..2 {
            for count in 0.. {
                assert!(count < ENDLESS, "an association sends without end");
                let Some(length) = self.sides[from].poll_transmit(self.now, &mut packet) else {
                    break;
                };
                let to = 1 - from;
                if let Some(&[a, b, c, d]) = packet.get(4..8)
                    && [a, b, c, d] != [0; 4]
                {
                    self.tags[to] = [a, b, c, d];
                }
                self.link.send(to, &packet[..length]);
            }
            while self.sides[from].poll_event().is_some() {}
        }
    }

    fn deliver(&mut self, to: usize, packet: &[u8]) {
        self.sides[to].handle_packet(self.now, packet);
        self.collect();
    }

    /// Delivers everything, some rounds long.
    fn exchange(&mut self) {
        for _ in 0..64 {
            let mut is_quiet = true;
            for to in 0..2 {
                if let Some(packet) = self.link.receive(to) {
                    self.deliver(to, &packet);
                    is_quiet = false;
                }
            }
            if is_quiet {
                break;
            }
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        let side = usize::from(choice >> 7);
        match choice & 0x0f {
            0 => self.exchange(),
            1 => {
                if let Some(packet) = self.link.receive(side) {
                    self.deliver(side, &packet);
                }
            }
            2 => drop(self.link.receive(side)),
            3 => self.link.delay(side),
            4 => {
                if let Some(packet) = self.link.peek(side) {
                    self.deliver(side, &packet);
                }
            }
            5 => {
                if let Some(mut packet) = self.link.receive(side) {
                    self.is_honest = false;
                    damage(&mut packet, script);
                    without_checksum(&mut packet);
                    self.deliver(side, &packet);
                }
            }
            6 => self.forge(side, script.bytes()),
            7 => {
                self.is_honest = false;
                self.deliver(side, script.bytes());
            }
            8 | 9 => self.send(side, script),
            10 => self.read(side),
            11 => {
                let stream = u16::from(script.byte());
                self.sides[side].reset_stream(self.now, stream);
                self.collect();
            }
            12 | 13 => self.pass(Duration::from_millis(10 * u64::from(script.byte()))),
            14 => {
                let at = self.sides[side].poll_timeout();
                self.pass(at.map_or(Duration::ZERO, |at| at.saturating_duration_since(self.now)));
            }
            _ => self.end(side, script.byte()),
        }
    }

    /// Delivers chunks in a packet that the side must take for the peer's.
    fn forge(&mut self, to: usize, chunks: &[u8]) {
        self.is_honest = false;
        let mut packet = vec![0x13, 0x88, 0x13, 0x88];
        packet.extend(self.tags[to]);
        packet.extend([0; 4]);
        packet.extend(chunks);
        self.deliver(to, &packet);
    }

    fn send(&mut self, from: usize, script: &mut Script<'_>) {
        let stream = u16::from(script.byte());
        let how = script.byte();
        let options = SendOptions {
            unordered: how & 1 != 0,
            lifetime: (how & 2 != 0).then_some(Duration::from_millis(u64::from(how))),
            max_retransmits: (how & 4 != 0).then_some(u32::from(how >> 6)),
        };
        let length = usize::from(script.word() & 0x3fff);
        let journal = &mut self.journals[1 - from];
        let data = journal.text(length);
        let side = &mut self.sides[from];
        if side.send(self.now, stream, u32::from(how), options, data.into()).is_ok() {
            journal.sent.push(Sent { stream, options, length, has_arrived: false });
        }
        self.collect();
    }

    fn read(&mut self, side: usize) {
        for stream in 0..STREAMS {
            while let Some(message) = self.sides[side].read(stream) {
                if self.is_honest {
                    self.journals[side].check(&message);
                }
            }
        }
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        self.collect();
    }

    /// Lets the associations finish over a link without faults.
    fn settle(&mut self) {
        for _ in 0..SETTLING {
            self.exchange();
            self.read(0);
            self.read(1);
            let is_done = self.sides.iter().all(|side| side.queued() == 0);
            if !self.is_honest || is_done {
                break;
            }
            let next = self.sides.iter().filter_map(Association::poll_timeout).min();
            self.pass(next.map_or(Duration::ZERO, |at| at.saturating_duration_since(self.now)));
        }
        let is_up = |side: &Association| side.state() == State::Established;
        if self.is_honest && self.sides.iter().all(is_up) {
            for journal in &self.journals {
                journal.check_complete();
            }
        }
    }

    fn end(&mut self, side: usize, how: u8) {
        self.is_honest &= !matches!(how, 1 | 2);
        match how {
            1 => self.sides[side].shutdown(self.now),
            2 => self.sides[side].abort(self.now, "scripted"),
            _ => {}
        }
        let _ = self.sides[side].metrics();
        self.collect();
    }
}

fn without_checksum(packet: &mut [u8]) {
    if let Some(checksum) = packet.get_mut(8..12) {
        checksum.fill(0);
    }
}

/// The messages sent in one direction.
#[derive(Default)]
struct Journal {
    sent: Vec<Sent>,
}

struct Sent {
    stream: u16,
    options: SendOptions,
    length: usize,
    has_arrived: bool,
}

impl Sent {
    fn is_reliable(&self) -> bool {
        self.options.lifetime.is_none() && self.options.max_retransmits.is_none()
    }
}

impl Journal {
    /// The text of the next message: its number, repeated.
    fn text(&self, length: usize) -> Vec<u8> {
        let number = (self.sent.len() as u32).to_be_bytes();
        number.into_iter().cycle().take(length).collect()
    }

    /// A message arrived: it is whole, it comes once, and if it is ordered, after every reliable
    /// ordered one that was sent before it on its stream.
    fn check(&mut self, message: &Message) {
        let Some(number) = message.data.first_chunk() else { return };
        let number = u32::from_be_bytes(*number) as usize;
        let sent = &self.sent[number];
        assert_eq!((sent.stream, sent.options.unordered), (message.stream, message.unordered));
        assert!(!sent.has_arrived, "message {number} arrives twice");
        assert!(message.truncated || message.data.len() == sent.length, "message {number} is cut");
        assert!(
            message.data.iter().zip(self.text_of(number)).all(|(a, b)| *a == b),
            "message {number} is damaged"
        );
        if !message.unordered {
            let is_before = |(index, other): (usize, &Sent)| {
                let is_ordered = other.stream == message.stream && !other.options.unordered;
                // Shorter ones have no number, so that their arrival is not seen.
                let is_seen = other.length >= 4;
                let is_missing = index < number && other.is_reliable() && !other.has_arrived;
                let is_late = index > number && other.has_arrived;
                is_ordered && is_seen && (is_missing || is_late)
            };
            let misplaced = self.sent.iter().enumerate().any(is_before);
            assert!(!misplaced, "message {number} arrives out of order");
        }
        self.sent[number].has_arrived = true;
    }

    fn text_of(&self, number: usize) -> impl Iterator<Item = u8> {
        (number as u32).to_be_bytes().into_iter().cycle()
    }

    fn check_complete(&self) {
        for (number, sent) in self.sent.iter().enumerate() {
            let is_expected = sent.is_reliable() && sent.length >= 4;
            assert!(sent.has_arrived || !is_expected, "message {number} does not arrive");
        }
    }
}

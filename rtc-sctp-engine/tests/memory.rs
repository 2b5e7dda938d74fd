//! What a peer makes an association hold, measured.
#![allow(missing_docs)]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::held;
use rtc_sctp_engine::{Config, State};
use support::{Pair, chunk, chunks, expected_tag, initial_tsn, packet};

const PORTS: (u16, u16) = (5000, 5000);
const SACK: u8 = 3;
const WINDOW: usize = 1 << 20;
const MESSAGE: usize = 1 << 18;
/// What an association holds besides what waits in it: queues of events, answers and the like.
const BESIDES: usize = 64 * 1024;

/// A connected end with a peer that says what a test wants.
struct Victim {
    pair: Pair,
    tag: u32,
    /// The next TSN of the peer.
    tsn: u32,
    interleaving: bool,
    /// What the association held before.
    before: i64,
}

/// A fragment as a peer may make it up.
#[derive(Clone, Copy, Default)]
struct Fragment {
    stream: u16,
    message: u32,
    number: u32,
    beginning: bool,
    ending: bool,
}

impl Victim {
    fn new(interleaving: bool) -> Self {
        let config = Config {
            interleaving,
            receive_buffer: WINDOW,
            max_message_size: MESSAGE,
            ..Config::default()
        };
        let (pair, seen) = Pair::overheard(4, config);
        let (tag, tsn) = (expected_tag(&seen, 0), initial_tsn(&seen, 1));
        drop(seen);
        let mut victim = Self { pair, tag, tsn, interleaving, before: 0 };
        victim.settle();
        victim.before = held();
        victim
    }

    /// Gives the victim a fragment with the next TSN; nothing is kept of what it answers.
    fn say(&mut self, fragment: Fragment, payload: &[u8]) {
        let Fragment { stream, message, number, beginning, ending } = fragment;
        let flags = u8::from(ending) | u8::from(beginning) << 1;
        let mut value = self.tsn.to_be_bytes().to_vec();
        value.extend_from_slice(&stream.to_be_bytes());
        if self.interleaving {
            let shared = if beginning { 53 } else { number };
            value.extend_from_slice(&[0; 2]);
            value.extend_from_slice(&message.to_be_bytes());
            value.extend_from_slice(&shared.to_be_bytes());
        } else {
            value.extend_from_slice(&(message as u16).to_be_bytes());
            value.extend_from_slice(&53_u32.to_be_bytes());
        }
        value.extend_from_slice(payload);
        self.tsn = self.tsn.wrapping_add(1);
        let kind = if self.interleaving { 64 } else { 0 };
        let bytes = packet(PORTS, self.tag, &[&chunk(kind, flags, &value)]);
        let now = self.pair.instant();
        self.pair.ends[0].handle_packet(now, &bytes);
        self.settle();
    }

    /// Takes what the victim has to say and do; the window it advertised last, if it did.
    fn settle(&mut self) -> Option<u32> {
        let now = self.pair.instant();
        let mut buffer = [0; 1500];
        let mut window = None;
        while let Some(length) = self.pair.ends[0].poll_transmit(now, &mut buffer) {
            for sack in chunks(&buffer[..length]).iter().filter(|chunk| chunk[0] == SACK) {
                window = Some(u32::from_be_bytes(sack[8..12].try_into().unwrap()));
            }
        }
        while self.pair.ends[0].poll_event().is_some() {}
        window
    }

    /// Says a message of many bytes in fragments.
    fn say_long(&mut self, stream: u16, message: u32, size: usize) {
        let fragments: Vec<usize> = (0..size).step_by(1100).collect();
        for (number, at) in (0..).zip(&fragments) {
            let payload = vec![7; 1100.min(size - at)];
            let ending = at + payload.len() == size;
            let fragment = Fragment { stream, message, number, beginning: number == 0, ending };
            self.say(fragment, &payload);
        }
    }

    /// Gives up everything said so far, of which no message is above `message`; the window that
    /// this opens.
    fn skip(&mut self, streams: u16, message: u32) -> u32 {
        let mut value = self.tsn.wrapping_sub(1).to_be_bytes().to_vec();
        for stream in 0..streams {
            value.extend_from_slice(&stream.to_be_bytes());
            if self.interleaving {
                value.extend_from_slice(&[0; 2]);
                value.extend_from_slice(&message.to_be_bytes());
            } else {
                value.extend_from_slice(&(message as u16).to_be_bytes());
            }
        }
        let kind = if self.interleaving { 194 } else { 192 };
        let bytes = packet(PORTS, self.tag, &[&chunk(kind, 0, &value)]);
        let now = self.pair.instant();
        self.pair.ends[0].handle_packet(now, &bytes);
        self.settle().expect("a SACK answers")
    }

    /// Bytes held on the heap since the beginning.
    fn held(&self) -> usize {
        usize::try_from(held() - self.before).unwrap_or(0)
    }

    fn charged(&self) -> usize {
        self.pair.ends[0].metrics().receive_buffered
    }
}

#[test]
fn what_small_messages_and_parts_of_them_take_is_charged() {
    for interleaving in [false, true] {
        for streams in [1, 10, 1000] {
            // Whole, ahead of a missing one, and without an end.
            for (first, ending) in [(0, true), (1, true), (0, false)] {
                let mut victim = Victim::new(interleaving);
                for number in 0..3000 {
                    let (stream, message) = ((number % streams) as u16, first + number / streams);
                    let fragment = Fragment {
                        stream,
                        message,
                        beginning: true,
                        ending,
                        ..Fragment::default()
                    };
                    victim.say(fragment, &[1]);
                }
                let (held, charged) = (victim.held(), victim.charged());
                let case = format!("{interleaving}, {streams}, from {first}, whole {ending}");
                assert!(charged >= 3000 && held <= charged, "{case}: {held} for {charged}");
            }
        }
    }
}

/// What a flood consists of: the fragment of this number, and how many bytes it has.
type Flood = fn(u32) -> (Fragment, usize);

/// Beginnings of messages that have no end.
fn beginnings(number: u32) -> (Fragment, usize) {
    let (stream, message) = ((number % 100) as u16, number / 100);
    (Fragment { stream, message, beginning: true, ..Fragment::default() }, 1)
}

/// Messages of two bytes in two fragments.
fn halves(number: u32) -> (Fragment, usize) {
    let (message, half) = (1 + number / 2, number % 2);
    let (beginning, ending) = (half == 0, half == 1);
    (Fragment { stream: 0, message, number: half, beginning, ending }, 1)
}

/// Middles of messages, of many sizes, that fit nowhere.
fn middles(number: u32) -> (Fragment, usize) {
    let (stream, message) = ((number % 100) as u16, number / 100);
    let size = 1 + (number * 37 % 1100) as usize;
    (Fragment { stream, message, number: 5, ..Fragment::default() }, size)
}

#[test]
fn floods_hold_no_more_memory_than_the_windows_say_and_the_window_opens_again() {
    let floods: [(&str, Flood); 3] =
        [("beginnings", beginnings), ("halves", halves), ("middles", middles)];
    for interleaving in [false, true] {
        for (name, flood) in floods {
            let mut victim = Victim::new(interleaving);
            // For messages like this one room is reserved from now on.
            victim.say_long(0, 0, MESSAGE);
            assert_eq!(victim.pair.ends[0].read(0).unwrap().data.len(), MESSAGE);
            for number in 0..20_000 {
                let (fragment, size) = flood(number);
                victim.say(fragment, &vec![1; size]);
            }
            let (held, charged) = (victim.held(), victim.charged());
            let case = format!("{interleaving}, {name}: {held} for {charged}");
            assert!((WINDOW..=2 * WINDOW).contains(&charged), "{case}");
            // Buffers may have twice the room that they use, and so much is reserved in advance.
            assert!(held <= charged + WINDOW + MESSAGE + BESIDES, "{case}");
            assert_eq!(victim.pair.ends[0].state(), State::Established);

            while victim.pair.ends[0].read(0).is_some() {}
            let window = victim.skip(100, 20_000);
            assert_eq!((victim.charged(), window), (0, WINDOW as u32), "{case}");
            assert!(victim.held() <= BESIDES, "{case}: then {}", victim.held());
            victim.say_long(7, 20_001, MESSAGE);
            assert_eq!(victim.pair.ends[0].read(7).unwrap().data.len(), MESSAGE, "{case}");
        }
    }
}

#[test]
fn a_small_message_does_not_keep_the_room_of_the_large_one_before_it() {
    for interleaving in [false, true] {
        let mut victim = Victim::new(interleaving);
        for number in 0..20 {
            victim.say_long(0, number, MESSAGE);
            assert_eq!(victim.pair.ends[0].read(0).unwrap().data.len(), MESSAGE);
            // It waits for the first one of its stream.
            for (half, ending) in [(0, false), (1, true)] {
                let (message, beginning) = (1 + number, !ending);
                victim.say(Fragment { stream: 1, message, number: half, beginning, ending }, &[1]);
            }
        }
        let (held, charged) = (victim.held(), victim.charged());
        assert!(held <= charged + BESIDES, "{interleaving}: {held} for {charged}");
    }
}

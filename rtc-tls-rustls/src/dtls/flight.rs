//! Sending a flight of handshake messages until it is answered (RFC 6347 §4.2.4).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::codec::put_u24;
use super::messages::HEADER as MESSAGE_HEADER;
use super::record::{self, Sealer, TAG};

/// First wait for an answer, as long as nothing is known of the path. RFC 6347 §4.2.4.1 proposes
/// a second for lack of knowledge; behind ICE the path is known to work and usually quick, and a
/// needless repetition costs a kilobyte.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Bounds of the wait: the lower once the round trip is known, the upper so that even two losses
/// in a row late in the handshake cost less than a second. It may be shorter than the round trip:
/// an answer to an earlier copy counts as well.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// From this repetition on, every other one goes in small datagrams, in case the path drops large
/// ones (RFC 6347 §4.1.1.1).
const SMALL_FROM: u32 = 4;
/// Bytes that every path takes: the IPv4 minimum of 576 less IP, UDP and TURN headers.
const SMALL_MTU: usize = 500;
/// Bytes below which an MTU is not believed.
const SMALLEST_MTU: usize = 200;
/// A fragment of a message is not begun for less room than this.
const WORTHWHILE: usize = 32;

/// One entry of a flight.
pub(super) enum Item {
    /// A handshake message in one fragment, header and body.
    Message {
        /// 0 goes unprotected, 1 protected.
        epoch: u16,
        /// Header and body.
        bytes: Vec<u8>,
    },
    /// ChangeCipherSpec, which is no handshake message.
    ChangeCipherSpec,
}

/// What numbers and protects outgoing records.
#[derive(Default)]
pub(super) struct Outbound {
    /// Next sequence number of epoch 0.
    next_sequence: u64,
    /// Protection of epoch 1.
    pub(super) sealer: Option<Sealer>,
}

impl Outbound {
    /// Appends a record to `datagram`; false when it cannot be protected.
    pub(super) fn push(
        &mut self,
        datagram: &mut Vec<u8>,
        kind: u8,
        epoch: u16,
        parts: [&[u8]; 2],
    ) -> bool {
        let start = datagram.len();
        let sealer = self.sealer.as_mut().filter(|_| epoch > 0);
        let head = sealer.as_ref().map_or(record::HEADER, |sealer| sealer.head());
        datagram.resize(start + head, 0);
        for part in parts {
            datagram.extend_from_slice(part);
        }
        match sealer {
            Some(sealer) => {
                datagram.resize(datagram.len() + TAG, 0);
                let sealed = sealer.seal(kind, &mut datagram[start..]);
                if !sealed {
                    datagram.truncate(start);
                }
                sealed
            }
            None => {
                let length = datagram.len() - start - head;
                record::Header::write(&mut datagram[start..], kind, 0, self.next_sequence, length);
                self.next_sequence += 1;
                true
            }
        }
    }

    /// Bytes that a record of `epoch` adds to its content.
    fn overhead(&self, epoch: u16) -> usize {
        match &self.sealer {
            Some(sealer) if epoch > 0 => sealer.head() + TAG,
            _ => record::HEADER,
        }
    }
}

/// The flight that waits for an answer, with its timer.
pub(super) struct Flight {
    items: Vec<Item>,
    mtu: usize,
    /// The wait to begin with.
    base: Duration,
    /// The wait that is running.
    wait: Duration,
    repetitions: u32,
    first_sent: Option<Instant>,
    last_sent: Option<Instant>,
    /// When to send again.
    due: Option<Instant>,
}

impl Flight {
    pub(super) fn new(mtu: usize) -> Self {
        Self {
            items: Vec::new(),
            mtu: mtu.max(SMALLEST_MTU),
            base: FIRST_WAIT,
            wait: FIRST_WAIT,
            repetitions: 0,
            first_sent: None,
            last_sent: None,
            due: None,
        }
    }

    /// When to call [`Self::repeat`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The flight was answered: learns the round trip and stops the timer.
    pub(super) fn answered(&mut self, now: Instant) {
        if let (0, Some(sent)) = (self.repetitions, self.first_sent) {
            let round_trip = now.saturating_duration_since(sent);
            self.base = (2 * round_trip).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        }
        self.due = None;
    }

    /// Sends a new flight. With `awaited`, until it is answered; otherwise only once and when the
    /// peer asks by repeating itself.
    pub(super) fn start(
        &mut self,
        items: Vec<Item>,
        awaited: bool,
        now: Instant,
        outbound: &mut Outbound,
        queue: &mut VecDeque<Vec<u8>>,
    ) {
        self.items = items;
        self.repetitions = 0;
        self.wait = self.base;
        self.first_sent = Some(now);
        self.transmit(now, self.mtu, outbound, queue);
        self.due = awaited.then(|| now + self.wait);
    }

    /// Sends the flight again, since no answer came in time.
    pub(super) fn repeat(
        &mut self,
        now: Instant,
        outbound: &mut Outbound,
        queue: &mut VecDeque<Vec<u8>>,
    ) {
        self.repetitions += 1;
        let small = self.repetitions >= SMALL_FROM && self.repetitions.is_multiple_of(2);
        let mtu = if small { self.mtu.min(SMALL_MTU) } else { self.mtu };
        self.transmit(now, mtu, outbound, queue);
        self.wait = (2 * self.wait).min(LONGEST_WAIT);
        self.due = Some(now + self.wait);
    }

    /// Sends the flight again, since the peer repeated its own; not more often than makes sense.
    pub(super) fn repeat_for_peer(
        &mut self,
        now: Instant,
        outbound: &mut Outbound,
        queue: &mut VecDeque<Vec<u8>>,
    ) {
        let recently = |sent: Instant| now.saturating_duration_since(sent) < SHORTEST_WAIT / 2;
        if self.items.is_empty() || self.last_sent.is_some_and(recently) {
            return;
        }
        self.repetitions += 1;
        self.transmit(now, self.mtu, outbound, queue);
        self.due = self.due.map(|_| now + self.wait);
    }

    fn transmit(
        &mut self,
        now: Instant,
        mtu: usize,
        outbound: &mut Outbound,
        queue: &mut VecDeque<Vec<u8>>,
    ) {
        self.last_sent = Some(now);
        // What was not even fetched need not be there twice.
        queue.clear();
        let mut datagram = Vec::new();
        for item in &self.items {
            match item {
                Item::ChangeCipherSpec => {
                    if datagram.len() + record::HEADER + 1 > mtu {
                        queue.push_back(std::mem::take(&mut datagram));
                    }
                    outbound.push(&mut datagram, record::CHANGE_CIPHER_SPEC, 0, [&[1], &[]]);
                }
                Item::Message { epoch, bytes } => {
                    fragment(&mut datagram, mtu, *epoch, bytes, outbound, queue);
                }
            }
        }
        if !datagram.is_empty() {
            queue.push_back(datagram);
        }
    }
}

/// Appends a message to `datagram`, moving full datagrams to `queue`.
fn fragment(
    datagram: &mut Vec<u8>,
    mtu: usize,
    epoch: u16,
    message: &[u8],
    outbound: &mut Outbound,
    queue: &mut VecDeque<Vec<u8>>,
) {
    let Some((header, mut body)) = message.split_at_checked(MESSAGE_HEADER) else { return };
    let mut offset = 0;
    loop {
        let room = mtu.saturating_sub(datagram.len() + outbound.overhead(epoch) + MESSAGE_HEADER);
        if !datagram.is_empty() && room < body.len().clamp(1, WORTHWHILE) {
            queue.push_back(std::mem::take(datagram));
            continue;
        }
        let (content, rest) = body.split_at(body.len().min(room.max(1)));
        let mut fragment_header = header[..6].to_vec();
        put_u24(&mut fragment_header, offset);
        put_u24(&mut fragment_header, content.len());
        outbound.push(datagram, record::HANDSHAKE, epoch, [&fragment_header, content]);
        offset += content.len();
        body = rest;
        if body.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtls::messages::message;
    use crate::dtls::reassembly::Reassembler;

    #[test]
    fn datagrams_keep_to_the_mtu_and_carry_every_message() {
        for mtu in [200, 201, 500, 1200, 1500] {
            let messages: Vec<_> = [0usize, 1, 100, 150, 700, 3000, 0, 12]
                .into_iter()
                .enumerate()
                .map(|(i, length)| message(i as u8, i as u16, |out| out.extend(vec![7; length])))
                .collect();
            let mut items: Vec<_> = messages
                .iter()
                .map(|bytes| Item::Message { epoch: 0, bytes: bytes.clone() })
                .collect();
            items.insert(4, Item::ChangeCipherSpec);
            let (mut outbound, mut queue) = (Outbound::default(), VecDeque::new());
            let now = Instant::now();
            Flight::new(mtu).start(items, true, now, &mut outbound, &mut queue);

            let mut reassembler = Reassembler::default();
            for datagram in queue {
                assert!(datagram.len() <= mtu, "{} bytes for an MTU of {mtu}", datagram.len());
                let mut rest = &datagram[..];
                while let Some(header) = record::Header::read(rest) {
                    let content = &rest[record::HEADER..][..header.length];
                    if header.kind == record::HANDSHAKE {
                        reassembler.push(0, content);
                    }
                    rest = &rest[record::HEADER + header.length..];
                }
                assert!(rest.is_empty());
            }
            for message in &messages {
                assert_eq!(reassembler.next().map(|found| found.bytes), Some(&message[..]));
                reassembler.advance();
            }
        }
    }

    #[test]
    fn waits_double_from_a_tenth_of_a_second_up_to_four() {
        let start = Instant::now();
        let (mut outbound, mut queue) = (Outbound::default(), VecDeque::new());
        let mut flight = Flight::new(1200);
        flight.start(vec![Item::ChangeCipherSpec], true, start, &mut outbound, &mut queue);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..6 {
            let due = flight.due().expect("the timer runs");
            waits.push((due - now).as_millis());
            now = due;
            flight.repeat(now, &mut outbound, &mut queue);
        }
        assert_eq!(waits, [100, 200, 400, 400, 400, 400]);
    }

    #[test]
    fn a_quick_answer_shortens_the_next_wait() {
        let now = Instant::now();
        let (mut outbound, mut queue) = (Outbound::default(), VecDeque::new());
        let mut flight = Flight::new(1200);
        flight.start(vec![Item::ChangeCipherSpec], true, now, &mut outbound, &mut queue);
        let now = now + Duration::from_millis(2);
        flight.answered(now);
        assert_eq!(flight.due(), None);
        flight.start(vec![Item::ChangeCipherSpec], true, now, &mut outbound, &mut queue);
        assert_eq!(flight.due(), Some(now + SHORTEST_WAIT));
    }
}

//! Putting packets in order and finding frames among them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Beginning;
use crate::rtp::Header;
use crate::sequence;

/// Packets that wait at most, and their bytes.
const MAX_PACKETS: usize = 8192;
const MAX_BYTES: usize = super::MAX_FRAME;
/// A packet this far from the last frame starts the stream anew.
const MAX_DROPOUT: u64 = 3000;
/// A packet this far behind may be a retransmission; one behind that starts the stream anew.
const MAX_MISORDER: u64 = 3000;

/// The packets of a stream, waiting for those that complete their frames.
///
/// A frame ends at a marker or where the timestamp changes, and begins behind the previous one.
/// Missing packets are waited for; when that was in vain, whole frames are left out, and with them
/// those of which nothing tells whether what is missing belonged to them.
#[derive(Debug)]
pub struct Assembler {
    packets: BTreeMap<u64, Waiting>,
    /// What the packets keep in memory.
    bytes: usize,
    /// The highest number so far.
    highest: Option<u64>,
    next: Next,
    /// The number behind a packet that was much too late.
    restart: Option<u64>,
    /// Packets from the front up to this number are there, and none of them ends the frame.
    scanned: u64,
    max_wait: Duration,
    deadline: Option<Instant>,
    lost: u64,
}

#[derive(Debug)]
struct Waiting {
    payload: Bytes,
    held: usize,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    beginning: Beginning,
    arrival: Instant,
}

/// Where the next frame begins.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// With any packet that a frame may begin with: the stream has just been joined.
    Anywhere,
    /// With this number.
    At(u64),
    /// Behind a frame that was left out as far as this number: where the timestamp changes if
    /// nothing is missing between, or else with a packet that certainly begins a frame.
    Behind(u64, u32),
}

impl Next {
    fn is(self, number: u64, head: &Waiting) -> bool {
        match self {
            Self::Anywhere => head.beginning != Beginning::No,
            Self::At(next) => number == next,
            Self::Behind(last, timestamp) => {
                head.beginning == Beginning::Certain
                    || (number == last + 1 && head.timestamp != timestamp)
            }
        }
    }

    /// Whether this number is behind it.
    fn is_before(self, number: u64) -> bool {
        match self {
            Self::Anywhere => true,
            Self::At(next) => number >= next,
            Self::Behind(last, _) => number > last,
        }
    }
}

/// A frame whose packets are all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The payloads, in order, empty ones left out.
    pub payloads: Vec<Bytes>,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// The payload type of the first packet.
    pub payload_type: u8,
}

/// What the packets at the front make.
enum Front {
    /// A frame that ends with this number.
    Frame(u64),
    /// A frame that misses packets; the time since which later ones are here.
    Gap(Instant),
    /// The beginning of a frame of which more may come, or nothing.
    Open,
}

impl Assembler {
    /// Missing packets are waited for during `max_wait`.
    pub fn new(max_wait: Duration) -> Self {
        Self {
            packets: BTreeMap::new(),
            bytes: 0,
            highest: None,
            next: Next::Anywhere,
            restart: None,
            scanned: 0,
            max_wait,
            deadline: None,
            lost: 0,
        }
    }

    /// Takes a packet, of which `payload` keeps `held` bytes in memory.
    pub fn push(
        &mut self,
        header: &Header,
        payload: Bytes,
        held: usize,
        beginning: Beginning,
        now: Instant,
    ) {
        let number = match self.highest {
            Some(highest) => sequence::extend(highest, header.sequence),
            None => sequence::first(header.sequence),
        };
        if !self.is_expected(number) {
            return;
        }
        self.highest = self.highest.max(Some(number));
        let Entry::Vacant(place) = self.packets.entry(number) else { return };
        self.bytes += held;
        place.insert(Waiting {
            payload,
            held,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            marker: header.marker,
            beginning,
            arrival: now,
        });
        self.scanned = self.scanned.min(number);
        while self.packets.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            self.give_up();
        }
    }

    /// Whether a packet with this number is of use. A sender that starts over is followed.
    fn is_expected(&mut self, number: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        let is_far = number > highest + MAX_DROPOUT || number + MAX_MISORDER < highest;
        if !is_far {
            self.restart = None;
            return self.next.is_before(number);
        }
        // One stray packet does not count, a second one behind it does.
        if self.restart.replace(number + 1) != Some(number) {
            return false;
        }
        self.lost += u64::from(!self.packets.is_empty());
        self.packets.clear();
        self.bytes = 0;
        self.next = Next::Anywhere;
        self.highest = None;
        self.restart = None;
        self.scanned = 0;
        true
    }

    /// The next frame, in order. To be asked until there is none, after each packet and when
    /// [`Self::poll_timeout`] is due.
    pub fn poll(&mut self, now: Instant) -> Option<Frame> {
        self.deadline = None;
        loop {
            match self.front() {
                Front::Frame(end) => return Some(self.take(end)),
                Front::Open => return None,
                Front::Gap(since) => {
                    let deadline = since + self.max_wait;
                    if now < deadline {
                        self.deadline = Some(deadline);
                        return None;
                    }
                    self.give_up();
                }
            }
        }
    }

    /// When waiting for a missing packet ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Frames left out since this was asked before.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn front(&mut self) -> Front {
        self.drop_rest();
        let Some((&first, head)) = self.packets.first_key_value() else { return Front::Open };
        if !self.next.is(first, head) {
            return Front::Gap(head.arrival);
        }
        let (timestamp, mut expected) = (head.timestamp, first.max(self.scanned));
        for (&number, packet) in self.packets.range(expected..) {
            if number != expected {
                self.scanned = expected;
                return Front::Gap(packet.arrival);
            }
            if packet.timestamp != timestamp {
                return Front::Frame(number - 1);
            }
            if packet.marker {
                return Front::Frame(number);
            }
            expected = number + 1;
        }
        self.scanned = expected;
        Front::Open
    }

    /// Takes the frame at the front, which ends with this number.
    fn take(&mut self, end: u64) -> Frame {
        let mut frame = Frame { payloads: Vec::new(), timestamp: 0, payload_type: 0 };
        let behind = self.packets.split_off(&(end + 1));
        for (position, packet) in
            std::mem::replace(&mut self.packets, behind).into_values().enumerate()
        {
            if position == 0 {
                frame.timestamp = packet.timestamp;
                frame.payload_type = packet.payload_type;
            }
            self.bytes -= packet.held;
            if !packet.payload.is_empty() {
                frame.payloads.push(packet.payload);
            }
        }
        self.next = Next::At(end + 1);
        frame
    }

    /// Leaves out what is missing at the front, which is not waited for any longer, and the frame
    /// behind it unless that certainly begins there.
    fn give_up(&mut self) {
        let Some((&first, head)) = self.packets.first_key_value() else { return };
        self.lost += 1;
        if head.beginning == Beginning::Certain && !self.next.is(first, head) {
            self.next = Next::At(first);
        } else {
            self.drop_frame();
        }
    }

    /// Takes out the packets at the front as far as they are of one frame.
    fn drop_frame(&mut self) {
        let Some((_, head)) = self.packets.first_key_value() else { return };
        let timestamp = head.timestamp;
        while let Some(entry) = self.packets.first_entry() {
            if entry.get().timestamp != timestamp {
                return;
            }
            let (number, packet) = entry.remove_entry();
            self.bytes -= packet.held;
            if packet.marker {
                self.next = Next::At(number + 1);
                return;
            }
            self.next = Next::Behind(number, timestamp);
        }
    }

    /// Takes out what comes later of a frame that was left out.
    fn drop_rest(&mut self) {
        if let Next::Behind(last, timestamp) = self.next
            && let Some((&first, head)) = self.packets.first_key_value()
            && (first, head.timestamp) == (last + 1, timestamp)
            && head.beginning != Beginning::Certain
        {
            self.drop_frame();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(100);

    struct Stream {
        assembler: Assembler,
        start: Instant,
    }

    impl Stream {
        fn new() -> Self {
            Self { assembler: Assembler::new(WAIT), start: Instant::now() }
        }

        /// A packet of frame `timestamp`; the payload is its number.
        fn push(&mut self, sequence: u16, timestamp: u32, marker: bool, begins: bool, at: u64) {
            let beginning = if begins { Beginning::Certain } else { Beginning::No };
            self.push_one(sequence, timestamp, marker, beginning, at);
        }

        fn push_one(
            &mut self,
            sequence: u16,
            timestamp: u32,
            marker: bool,
            beginning: Beginning,
            at: u64,
        ) {
            let header = Header { marker, payload_type: 96, sequence, timestamp, ssrc: 1 };
            let payload = Bytes::copy_from_slice(&sequence.to_be_bytes());
            let now = self.start + Duration::from_millis(at);
            self.assembler.push(&header, payload, 20, beginning, now);
        }

        fn poll(&mut self, at: u64) -> Vec<(u32, usize)> {
            let now = self.start + Duration::from_millis(at);
            std::iter::from_fn(|| self.assembler.poll(now))
                .map(|frame| (frame.timestamp, frame.payloads.len()))
                .collect()
        }
    }

    #[test]
    fn frames_end_at_markers_and_at_new_timestamps() {
        let mut stream = Stream::new();
        stream.push(65_534, 1, false, true, 0);
        assert!(stream.poll(0).is_empty());
        stream.push(65_535, 1, true, false, 0);
        assert_eq!(stream.poll(0), [(1, 2)]);
        stream.push(0, 2, false, true, 0);
        stream.push(1, 3, true, true, 0);
        assert_eq!(stream.poll(0), [(2, 1), (3, 1)]);
        assert_eq!(stream.assembler.take_lost(), 0);
    }

    #[test]
    fn packets_may_come_in_any_order_and_twice() {
        let mut stream = Stream::new();
        stream.push(1, 1, true, true, 0);
        assert_eq!(stream.poll(0), [(1, 1)]);
        for sequence in [4, 3, 3, 2, 1, 2] {
            stream.push(sequence, 2, sequence == 4, sequence == 2, 0);
        }
        assert_eq!(stream.poll(0), [(2, 3)]);
        stream.push(3, 2, false, false, 0);
        assert!(stream.poll(500).is_empty() && stream.assembler.packets.is_empty());
    }

    #[test]
    fn a_missing_packet_is_waited_for_but_not_for_ever() {
        let mut stream = Stream::new();
        stream.push(1, 1, true, true, 0);
        stream.push(2, 2, false, true, 10);
        stream.push(4, 2, true, false, 20);
        stream.push(5, 3, true, true, 30);
        assert_eq!(stream.poll(30), [(1, 1)]);
        assert_eq!(
            stream.assembler.poll_timeout(),
            Some(stream.start + Duration::from_millis(20) + WAIT)
        );
        stream.push(3, 2, false, false, 50);
        assert_eq!(stream.poll(50), [(2, 3), (3, 1)]);
        stream.push(6, 4, false, true, 60);
        stream.push(8, 4, true, false, 60);
        stream.push(9, 5, true, true, 60);
        assert!(stream.poll(159).is_empty());
        assert_eq!(stream.poll(160), [(5, 1)], "frame 4 is left out");
        assert_eq!(stream.assembler.take_lost(), 1);
        assert_eq!(stream.assembler.bytes, 0);
    }

    #[test]
    fn whole_frames_may_be_missing() {
        let mut stream = Stream::new();
        stream.push(1, 1, true, true, 0);
        stream.push(5, 3, false, true, 0);
        stream.push(6, 3, true, false, 0);
        assert_eq!(stream.poll(0), [(1, 1)]);
        assert_eq!(stream.poll(100), [(3, 2)]);
        // The beginning of frame 5 is missing as well.
        stream.push(8, 5, true, false, 200);
        stream.push(9, 6, true, true, 200);
        assert_eq!(stream.poll(300), [(6, 1)]);
    }

    /// Every packet may begin a frame, as that of a NAL unit does: sequence number, timestamp,
    /// marker.
    #[test]
    fn nothing_is_taken_for_a_frame_that_may_miss_its_beginning() {
        for (what, packets, expected, lost) in [
            (
                "the first packet of a frame is missing",
                &[(1, 1, true), (3, 2, false), (4, 2, true), (5, 3, false), (6, 3, true)][..],
                &[(1, 1), (3, 2)][..],
                1,
            ),
            (
                "the last one is missing: the next frame may have begun with it",
                &[(1, 1, true), (2, 2, false), (4, 3, true), (5, 4, true)],
                &[(1, 1), (4, 1)],
                2,
            ),
            (
                "one amid a frame without a marker",
                &[(1, 1, true), (2, 2, false), (4, 2, false), (5, 3, true)],
                &[(1, 1), (3, 1)],
                1,
            ),
            (
                "two gaps in a frame",
                &[(1, 1, true), (2, 2, false), (4, 2, false), (6, 2, true), (7, 3, true)],
                &[(1, 1), (3, 1)],
                1,
            ),
            (
                "markers alone tell frames apart",
                &[(1, 1, true), (2, 1, false), (4, 1, true), (5, 1, false), (6, 1, true)],
                &[(1, 1), (1, 2)],
                1,
            ),
            (
                "a whole frame is missing",
                &[(1, 1, true), (3, 3, false), (4, 3, true), (5, 4, true)],
                &[(1, 1), (4, 1)],
                1,
            ),
        ] {
            let mut stream = Stream::new();
            for (sequence, timestamp, marker) in packets {
                stream.push_one(*sequence, *timestamp, *marker, Beginning::Possible, 0);
            }
            let mut frames = stream.poll(0);
            // Each frame that is left out may be waited for.
            frames.extend((1..4).flat_map(|round| stream.poll(round * 100)));
            assert_eq!(frames, expected, "{what}");
            assert_eq!(stream.assembler.take_lost(), lost, "{what}");
            assert_eq!(stream.assembler.bytes, 0, "{what}");
        }
    }

    #[test]
    fn what_comes_later_of_a_frame_left_out_is_dropped_at_once() {
        let mut stream = Stream::new();
        stream.push_one(1, 1, true, Beginning::Possible, 0);
        stream.push_one(2, 2, false, Beginning::Possible, 0);
        stream.push_one(4, 2, false, Beginning::Possible, 0);
        assert_eq!(stream.poll(100), [(1, 1)]);
        for (sequence, timestamp, marker) in [(5, 2, false), (6, 2, true), (7, 3, true)] {
            stream.push_one(sequence, timestamp, marker, Beginning::Possible, 200);
        }
        assert_eq!(stream.poll(200), [(3, 1)]);
        assert_eq!(stream.assembler.take_lost(), 1);
    }

    #[test]
    fn a_stream_is_joined_at_the_beginning_of_a_frame() {
        let mut stream = Stream::new();
        stream.push(7, 1, true, false, 0);
        stream.push(8, 2, true, true, 0);
        assert!(stream.poll(0).is_empty(), "the beginning may be late");
        stream.push(6, 1, false, true, 10);
        assert_eq!(stream.poll(10), [(1, 2), (2, 1)]);
    }

    #[test]
    fn a_sender_that_starts_over_is_followed() {
        for restart in [30_000, 62_000] {
            let mut stream = Stream::new();
            stream.push(1_000, 1, true, true, 0);
            assert_eq!(stream.poll(0), [(1, 1)]);
            stream.push(restart, 2, true, true, 0);
            assert!(stream.poll(0).is_empty(), "one may be a stray");
            stream.push(restart + 1, 3, true, true, 0);
            assert_eq!(stream.poll(0), [(3, 1)], "{restart}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = Stream::new();
        stream.push(0, 0, true, true, 0);
        assert_eq!(stream.poll(0).len(), 1);
        for number in 0..40_000_u32 {
            // Each frame lacks its second packet.
            stream.push((2 * number + 1) as u16, number, false, true, 0);
            stream.poll(0);
            assert!(stream.assembler.packets.len() <= MAX_PACKETS);
        }
        // What counts is the packets, not the little payload they may have.
        let mut stream = Stream::new();
        let packet = Bytes::from(vec![0; 60_000]);
        for sequence in 0..1_000 {
            let header = Header { sequence, ssrc: 1, ..Header::default() };
            let payload = packet.slice(59_999..);
            let beginning = Beginning::certain_if(sequence == 0);
            stream.assembler.push(&header, payload, packet.len(), beginning, stream.start);
            assert!(stream.assembler.packets.len() * packet.len() <= MAX_BYTES);
        }
    }
}

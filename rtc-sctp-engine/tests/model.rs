//! Random schedules against a model of what must arrive.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rtc_sctp_engine::{
    Association, Config, CongestionControl, Event, SendError, SendOptions, State,
};
use support::{Link, Loss, Pair};

const STREAMS: u16 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// End, stream, size, unordered, limit of retransmissions, lifetime in milliseconds.
    Send(usize, u16, usize, bool, Option<u32>, Option<u64>),
    Reset(usize, u16),
    Wait(u64),
    /// From now on the end reads nothing.
    Stall(usize),
    Resume(usize),
    /// Nothing gets through in either direction for this long.
    Blackout(u64),
    /// The end loses all it knows and connects again (RFC 9260 §5.2).
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![3 => 1..200_usize, 2 => 1000..6000_usize, 1 => 20_000..150_000_usize];
    let limit = prop_oneof![3 => Just(None), 1 => (0..3_u32).prop_map(Some)];
    let life = prop_oneof![5 => Just(None), 1 => (1..300_u64).prop_map(Some)];
    prop_oneof![
        10 => (0..2_usize, 0..STREAMS, size, any::<bool>(), limit, life)
            .prop_map(|(e, s, z, u, l, t)| Step::Send(e, s, z, u, l, t)),
        1 => (0..2_usize, 0..STREAMS).prop_map(|(e, s)| Step::Reset(e, s)),
        4 => (0..400_u64).prop_map(Step::Wait),
        1 => (0..2_usize).prop_map(Step::Stall),
        2 => (0..2_usize).prop_map(Step::Resume),
        1 => (0..900_u64).prop_map(Step::Blackout),
        1 => (0..2_usize).prop_map(Step::Restart),
    ]
}

#[derive(Clone, Debug)]
struct Conditions {
    loss: f64,
    delay: u64,
    jitter: u64,
    duplicate: f64,
    bandwidth: u64,
    interleaving: bool,
    control: CongestionControl,
    receive_buffer: usize,
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (
        prop_oneof![Just(0.0), 0.0..0.2],
        1..300_u64,
        0..30_u64,
        prop_oneof![Just(0.0), 0.0..0.2],
        prop_oneof![Just(0), 100_000..10_000_000_u64],
        any::<bool>(),
        prop_oneof![
            Just(CongestionControl::Rfc9260),
            Just(CongestionControl::Cubic),
            Just(CongestionControl::Adaptive)
        ],
        prop_oneof![Just(200_000_usize), Just(1 << 20)],
    )
        .prop_map(
            |(loss, delay, jitter, duplicate, bandwidth, interleaving, control, receive_buffer)| {
                Conditions {
                    loss,
                    delay,
                    jitter,
                    duplicate,
                    bandwidth,
                    interleaving,
                    control,
                    receive_buffer,
                }
            },
        )
}

/// What one end sent on one stream since its last reset, by number.
#[derive(Clone, Debug, Default)]
struct Sent {
    number: u32,
    size: usize,
    unordered: bool,
    reliable: bool,
    arrived: bool,
}

/// Everything of one direction.
#[derive(Debug, Default)]
struct Direction {
    next: u32,
    /// Stream to what was sent on it.
    sent: BTreeMap<u16, Vec<Sent>>,
    /// Highest ordered number that arrived on each stream.
    ordered: BTreeMap<u16, u32>,
    stalled: bool,
    wanted_resets: u32,
    seen_resets: u32,
    done_resets: u32,
}

fn message(number: u32, size: usize) -> Bytes {
    let mut bytes: Vec<u8> = (0..size.max(4)).map(|at| (at as u32 * 13 + number) as u8).collect();
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Bytes::from(bytes)
}

impl Direction {
    /// What is not there yet need not come any more.
    fn forget(&mut self) {
        self.sent.values_mut().flatten().for_each(|sent| sent.reliable = false);
        (self.wanted_resets, self.seen_resets, self.done_resets) = (0, 0, 0);
    }
}

struct Model {
    pair: Pair,
    config: Config,
    /// How often an end has started, for seeds.
    starts: u8,
    /// The ends that were told that the other one has restarted.
    told: [bool; 2],
    /// `directions[i]` is what end `i` sends.
    directions: [Direction; 2],
}

impl Model {
    fn new(c: &Conditions, seed: u64) -> Self {
        let config = Config {
            interleaving: c.interleaving,
            congestion_control: c.control,
            receive_buffer: c.receive_buffer,
            max_message_size: 150_000,
            max_retransmits: 1000,
            send_buffer: 4 << 20,
            rto_max: Duration::from_secs(2),
            ..Config::default()
        };
        let link = Link {
            delay: Duration::from_millis(c.delay),
            jitter: Duration::from_millis(c.jitter),
            loss: Loss::Random(c.loss),
            duplicate: c.duplicate,
            bandwidth: c.bandwidth,
            queue: 100_000,
            ..Link::default()
        };
        let mut pair = Pair::new(seed, [config.clone(), config.clone()], link);
        let now = pair.instant();
        pair.ends[0].connect(now);
        pair.ends[1].connect(now);
        Self { pair, config, starts: 2, told: [false; 2], directions: Default::default() }
    }

    fn take(&mut self) -> Result<(), TestCaseError> {
        for end in 0..2 {
            let direction = &mut self.directions[1 - end];
            for stream in 0..STREAMS {
                while !direction.stalled
                    && let Some(m) = self.pair.ends[end].read(stream)
                {
                    prop_assert!(!m.truncated);
                    let number = u32::from_be_bytes(m.data[..4].try_into().unwrap());
                    let list = direction.sent.entry(stream).or_default();
                    let found = list.iter_mut().find(|s| s.number == number);
                    let Some(sent) = found else {
                        return Err(TestCaseError::fail(format!("message {number} never sent")));
                    };
                    prop_assert!(!sent.arrived, "message {} twice", number);
                    prop_assert_eq!(&m.data[..], &message(number, sent.size)[..]);
                    prop_assert_eq!(m.unordered, sent.unordered);
                    sent.arrived = true;
                    if !sent.unordered {
                        let last = direction.ordered.insert(stream, number);
                        prop_assert!(last.is_none_or(|last| last < number), "out of order");
                    }
                }
            }
            for event in self.pair.take_events(end) {
                match event {
                    Event::StreamResetByPeer(_) => self.directions[1 - end].seen_resets += 1,
                    Event::StreamResetDone(_) => self.directions[end].done_resets += 1,
                    Event::Restarted => self.told[end] = true,
                    Event::StreamReadable(_) | Event::BufferSpace(_) | Event::Connected { .. } => {}
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, time: Duration) -> Result<(), TestCaseError> {
        let end = self.pair.now + time;
        loop {
            let more = self.pair.step(end);
            self.take()?;
            if !more {
                self.pair.flush();
                return Ok(());
            }
        }
    }

    fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now = self.pair.instant();
        match *step {
            Step::Send(end, stream, size, unordered, max_retransmits, life) => {
                let direction = &mut self.directions[end];
                let number = direction.next;
                let options = SendOptions {
                    unordered,
                    max_retransmits,
                    lifetime: life.map(Duration::from_millis),
                };
                let data = message(number, size);
                match self.pair.ends[end].send(now, stream, 53, options, data) {
                    Ok(()) => {
                        direction.next += 1;
                        let reliable = max_retransmits.is_none() && life.is_none();
                        direction.sent.entry(stream).or_default().push(Sent {
                            number,
                            size,
                            unordered,
                            reliable,
                            arrived: false,
                        });
                    }
                    Err(SendError::BufferFull | SendError::StreamResetting) => {}
                    Err(other) => return Err(TestCaseError::fail(format!("{other}"))),
                }
            }
            Step::Reset(end, stream) => {
                // A second reset while one is under way is the same reset.
                if !self.pair.ends[end].is_resetting(stream) {
                    self.pair.ends[end].reset_stream(now, stream);
                    self.directions[end].wanted_resets += 1;
                }
            }
            Step::Wait(milliseconds) => self.run(Duration::from_millis(milliseconds))?,
            Step::Stall(end) => self.directions[1 - end].stalled = true,
            Step::Resume(end) => self.directions[1 - end].stalled = false,
            Step::Blackout(milliseconds) => {
                self.pair.tap = Some(Box::new(|_, _| true));
                self.run(Duration::from_millis(milliseconds))?;
                self.pair.tap = None;
            }
            Step::Restart(end) => self.restart(end)?,
        }
        Ok(())
    }

    /// What the other end has read, or may read, stays; everything else is forgotten.
    fn restart(&mut self, end: usize) -> Result<(), TestCaseError> {
        if self.pair.ends.iter().any(|end| end.state() != State::Established) {
            return Ok(());
        }
        self.take()?;
        self.starts += 1;
        self.pair.ends[end] = Association::new(self.config.clone(), [self.starts; 32]);
        let now = self.pair.instant();
        self.pair.ends[end].connect(now);
        self.told = [false; 2];
        self.directions.iter_mut().for_each(Direction::forget);
        for _ in 0..200 {
            self.run(Duration::from_millis(100))?;
            if self.told[1 - end] && self.pair.ends[end].state() == State::Established {
                self.directions.iter_mut().for_each(Direction::forget);
                return Ok(());
            }
        }
        Err(TestCaseError::fail("the peer does not notice the restart"))
    }

    /// Lets everything come to rest and checks that nothing reliable is missing.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for direction in &mut self.directions {
            direction.stalled = false;
        }
        for _ in 0..400 {
            self.run(Duration::from_secs(1))?;
            let resets = self.directions.iter().all(|d| d.wanted_resets == d.done_resets);
            if resets && self.pair.ends.iter().all(|end| end.queued() == 0) {
                break;
            }
        }
        self.run(Duration::from_secs(2))?;
        for end in 0..2 {
            let metrics = self.pair.ends[end].metrics();
            prop_assert_eq!(self.pair.ends[end].queued(), 0, "{:?}", metrics);
            prop_assert_eq!(metrics.in_flight, 0);
            let held = self.pair.ends[1 - end].metrics().receive_buffered;
            prop_assert_eq!(held, 0, "end {} holds bytes", 1 - end);
            let direction = &self.directions[end];
            prop_assert_eq!(direction.wanted_resets, direction.done_resets);
            prop_assert_eq!(direction.wanted_resets, direction.seen_resets);
            for sent in direction.sent.values().flatten() {
                prop_assert!(sent.arrived || !sent.reliable, "message {} missing", sent.number);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn reliable_messages_arrive_ordered_ones_in_order_and_none_twice(
        conditions in conditions(),
        steps in prop::collection::vec(step(), 1..60),
        seed in any::<u32>(),
    ) {
        let mut model = Model::new(&conditions, u64::from(seed));
        for step in &steps {
            model.apply(step)?;
        }
        model.settle()?;
    }
}

//! Two peer cores on a simulated network with virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::dtls::{NULL, certificate};
use crate::backend::dtls::DtlsBackend;
use crate::backend::ice::{IceEvent, IceParameters};
use crate::channel::{Channel as _, DataChannel, Message};
use crate::config::{Configuration, DataChannelInit};
use crate::error::Result;
use crate::peer::core::PeerCore;
use crate::peer::events::{IceCommand, Output, PeerEvent};
use crate::peer::transport::TransmitBuffer;
use crate::sdp::{Description, DescriptionKind};
use crate::state::{ConnectionState, IceState};

/// A description as of one who knows nothing of `a=sctp-init`.
pub(super) fn without_init(sdp: &str) -> String {
    sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=sctp-init")).collect()
}

/// A small generator, so that a run depends on its seed alone (xorshift64*).
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How the network treats datagrams, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    pub(super) delay_ms: u64,
    /// Added to each delay, up to this; reorders.
    pub(super) jitter_ms: u64,
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) damage_percent: u64,
    /// Largest datagram carried, bytes; 0 for no limit.
    pub(super) mtu: usize,
}

/// A configuration for paths that lose a fifth: the association must not give up by bad luck.
pub(super) fn patient() -> Configuration {
    let mut config = Configuration::default();
    config.sctp.max_retransmits = 50;
    config.sctp.rto_max = Duration::from_secs(2);
    config
}

/// A channel that both ends make on a stream, without a message about it.
pub(super) fn negotiated(stream: u16) -> DataChannelInit {
    DataChannelInit { negotiated: true, stream: Some(stream), ..DataChannelInit::default() }
}

pub(super) struct End {
    pub(super) core: PeerCore,
    pub(super) events: Vec<PeerEvent>,
    /// Channels that the other end created, in the order of their coming.
    pub(super) incoming: Vec<Arc<DataChannel>>,
    /// The application does not take them.
    pub(super) deaf: bool,
    /// Addresses of these, and of the channels that this end created and keeps.
    known: HashSet<usize>,
    own: Vec<Arc<DataChannel>>,
    pub(super) commands: Vec<IceCommand>,
    /// Datagrams that this end sent.
    pub(super) sent: usize,
}

impl End {
    pub(super) fn new(
        name: &str,
        config: Configuration,
        backend: &'static dyn DtlsBackend,
    ) -> Self {
        let mut seed = [7; 32];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        let mut core = PeerCore::new(Weak::new(), Arc::new(config), backend, seed);
        let ice = IceParameters {
            ufrag: format!("{name}ufrag"),
            pwd: format!("{name}-password-of-twenty-two-characters"),
            ..IceParameters::default()
        };
        core.set_identity(ice, certificate(name));
        Self {
            core,
            events: Vec::new(),
            incoming: Vec::new(),
            deaf: false,
            known: HashSet::new(),
            own: Vec::new(),
            commands: Vec::new(),
            sent: 0,
        }
    }

    /// Takes the news, as the shell would, and runs the callbacks of channels.
    pub(super) fn take_news(&mut self) {
        self.commands.extend(self.core.take_commands());
        let mut output = Output::default();
        self.core.take_news(&mut output);
        self.events.extend(output.events);
        for channel in self.core.channels() {
            if self.known.insert(Arc::as_ptr(&channel).addr()) {
                if !self.deaf {
                    self.core.intake.remove(&channel);
                }
                self.incoming.push(channel);
            }
        }
        for bell in output.bells {
            bell.run();
        }
    }

    pub(super) fn states(&self) -> Vec<ConnectionState> {
        let state = |event: &PeerEvent| match event {
            PeerEvent::Connection(state) => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct InTransit {
    at: Duration,
    order: u64,
    to: usize,
    datagram: Vec<u8>,
}

/// Both ends and the network between them.
pub(super) struct Network {
    start: Instant,
    pub(super) now: Duration,
    pub(super) ends: [End; 2],
    pub(super) link: Link,
    /// Descriptions keep their `a=sctp-init`.
    pub(super) signals_init: bool,
    rng: Rng,
    transit: BinaryHeap<Reverse<InTransit>>,
    order: u64,
    buffer: TransmitBuffer,
}

impl Network {
    pub(super) fn new(seed: u64, configs: [Configuration; 2], link: Link) -> Self {
        let [a, b] = configs;
        Self::of([End::new("a", a, &NULL), End::new("b", b, &NULL)], seed, link)
    }

    pub(super) fn of(ends: [End; 2], seed: u64, link: Link) -> Self {
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            ends,
            link,
            // Damage passes the null cipher, and packets of ends that know each other's INIT have
            // no checksum to find it by.
            signals_init: link.damage_percent == 0,
            rng: Rng::new(seed),
            transit: BinaryHeap::new(),
            order: 0,
            buffer: TransmitBuffer::default(),
        }
    }

    /// Two connected ends on a perfect link, with one channel that end 0 created.
    pub(super) fn connected() -> (Self, [Arc<DataChannel>; 2]) {
        Self::connected_with([Configuration::default(), Configuration::default()])
    }

    pub(super) fn connected_with(configs: [Configuration; 2]) -> (Self, [Arc<DataChannel>; 2]) {
        let mut network = Self::new(1, configs, Link { delay_ms: 1, ..Link::default() });
        let channel = network.create(0, "first", DataChannelInit::default());
        network.connect();
        assert!(network.run_until(10, |n| channel.is_open() && !n.ends[1].incoming.is_empty()));
        let other = Arc::clone(&network.ends[1].incoming[0]);
        (network, [channel, other])
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + self.now
    }

    pub(super) fn create(
        &mut self,
        end: usize,
        label: &str,
        init: DataChannelInit,
    ) -> Arc<DataChannel> {
        self.try_create(end, label, init).unwrap()
    }

    pub(super) fn try_create(
        &mut self,
        end: usize,
        label: &str,
        init: DataChannelInit,
    ) -> Result<Arc<DataChannel>> {
        let now = self.instant();
        let channel = self.ends[end].core.create_channel(now, label.into(), init)?;
        self.ends[end].known.insert(Arc::as_ptr(&channel).addr());
        self.ends[end].own.push(Arc::clone(&channel));
        self.flush();
        Ok(channel)
    }

    pub(super) fn send(
        &mut self,
        end: usize,
        channel: &Arc<DataChannel>,
        message: impl Into<Message>,
    ) -> Result<()> {
        let now = self.instant();
        let result = self.ends[end].core.send_message(now, channel, message.into());
        self.flush();
        result
    }

    /// Takes a message as the application would.
    pub(super) fn receive(&mut self, end: usize, channel: &Arc<DataChannel>) -> Option<Message> {
        let throttled = channel.port.is_throttled();
        let message = channel.receive()?;
        if throttled && !channel.port.is_throttled() {
            let (now, stream) = (self.instant(), channel.stream().unwrap());
            self.ends[end].core.resume_stream(now, stream);
            self.flush();
        }
        Some(message)
    }

    pub(super) fn receive_all(&mut self, end: usize, channel: &Arc<DataChannel>) -> Vec<Message> {
        std::iter::from_fn(|| self.receive(end, channel)).collect()
    }

    pub(super) fn close_channel(&mut self, end: usize, channel: &Arc<DataChannel>) -> bool {
        let now = self.instant();
        let closed = self.ends[end].core.close_channel(now, channel);
        self.flush();
        closed
    }

    pub(super) fn close(&mut self, end: usize) {
        let now = self.instant();
        self.ends[end].core.close(now);
        self.flush();
    }

    /// Exchanges offer (of end 0) and answer.
    pub(super) fn negotiate(&mut self) {
        for (from, kind) in [(0, DescriptionKind::Offer), (1, DescriptionKind::Answer)] {
            let now = self.instant();
            self.ends[from].core.set_local_description(now, kind).unwrap();
            let mut text = self.ends[from].core.local_description().unwrap().to_sdp();
            if !self.signals_init {
                text = without_init(&text);
            }
            let description = Description::parse(&text, kind).unwrap();
            self.ends[1 - from].core.set_remote_description(now, description).unwrap();
        }
    }

    /// Negotiates, and has ICE find its path.
    pub(super) fn connect(&mut self) {
        self.negotiate();
        for end in 0..2 {
            self.find_path(end);
        }
    }

    pub(super) fn find_path(&mut self, end: usize) {
        let now = self.instant();
        for state in [IceState::Checking, IceState::Connected] {
            self.ends[end].core.handle_ice_event(now, IceEvent::State(state));
        }
        self.flush();
    }

    /// Gives `end` a datagram at once.
    pub(super) fn inject(&mut self, end: usize, mut datagram: Vec<u8>) {
        let now = self.instant();
        self.ends[end].core.handle_datagram(now, &mut datagram);
        self.ends[end].core.handle_sctp_events(now);
        self.flush();
    }

    /// Takes news and puts datagrams on the network.
    pub(super) fn flush(&mut self) {
        let now = self.instant();
        for from in 0..2 {
            self.ends[from].take_news();
            while self.ends[from].core.poll_transmit(now, &mut self.buffer) {
                let datagrams: Vec<Vec<u8>> = self
                    .buffer
                    .batches()
                    .flat_map(|(batch, segment)| batch.chunks(segment))
                    .map(<[u8]>::to_vec)
                    .collect();
                for datagram in datagrams {
                    self.ends[from].sent += 1;
                    self.carry(1 - from, datagram);
                }
            }
        }
    }

    fn carry(&mut self, to: usize, datagram: Vec<u8>) {
        let too_large = self.link.mtu > 0 && datagram.len() > self.link.mtu;
        if too_large || self.rng.percent(self.link.loss_percent) {
            return;
        }
        for _ in 0..=u8::from(self.rng.percent(self.link.duplicate_percent)) {
            let mut datagram = datagram.clone();
            if self.rng.percent(self.link.damage_percent) && datagram[0] == 23 {
                let at = self.rng.below(datagram.len() as u64 - 13) as usize + 13;
                datagram[at] ^= 0x55;
            }
            let delay = self.link.delay_ms + self.rng.below(self.link.jitter_ms + 1);
            self.order += 1;
            let at = self.now + Duration::from_millis(delay);
            self.transit.push(Reverse(InTransit { at, order: self.order, to, datagram }));
        }
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.transit.peek().map(|Reverse(next)| next.at);
        let timers = self.ends.iter().filter_map(|end| end.core.poll_timeout());
        let timers = timers.map(|at| at.saturating_duration_since(self.start));
        timers.chain(arrival).min().map(|at| at.max(self.now))
    }

    /// Lets time pass until the next thing happens; false when nothing will.
    fn step(&mut self) -> bool {
        let Some(next) = self.next_event() else { return false };
        self.now = next;
        let now = self.instant();
        while self.transit.peek().is_some_and(|Reverse(first)| first.at <= self.now) {
            let Some(Reverse(mut first)) = self.transit.pop() else { break };
            let core = &mut self.ends[first.to].core;
            core.handle_datagram(now, &mut first.datagram);
            core.handle_sctp_events(now);
        }
        for end in &mut self.ends {
            if end.core.poll_timeout().is_some_and(|at| at <= now) {
                end.core.handle_timeout(now);
            }
        }
        self.flush();
        true
    }

    /// Runs until `done`, for so many virtual seconds at most; says whether it was done.
    pub(super) fn run_until(&mut self, seconds: u64, done: impl Fn(&Self) -> bool) -> bool {
        self.run_within(Duration::from_secs(seconds), done)
    }

    fn run_within(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        self.flush();
        let deadline = self.now + time;
        while !done(self) {
            if self.next_event().is_none_or(|at| at > deadline) {
                self.now = deadline;
                return done(self);
            }
            self.step();
        }
        true
    }

    /// Runs for so many virtual seconds.
    pub(super) fn run(&mut self, seconds: u64) {
        self.run_until(seconds, |_| false);
    }

    /// Runs for so many virtual milliseconds.
    pub(super) fn run_for_ms(&mut self, milliseconds: u64) {
        self.run_within(Duration::from_millis(milliseconds), |_| false);
    }
}

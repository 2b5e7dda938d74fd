//! The engine against other implementations, in memory.
#![allow(missing_docs)]

mod support;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dcsctp::api::{
    self as dc, DcSctpSocket, SocketEvent, SocketState, SocketTime,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS,
};
use rtc_sctp_engine::{Association, Config, Event, SendOptions, State, ZeroChecksum};
use support::{Link, Loss, Rng};

/// Messages by stream, in the order they were read.
type Inbox = BTreeMap<u16, Vec<Vec<u8>>>;

/// An implementation of SCTP.
trait Peer {
    fn connect(&mut self, now: Instant);
    fn connected(&self) -> bool;
    fn input(&mut self, now: Instant, packet: &[u8]);
    fn advance(&mut self, now: Instant);
    fn timeout(&self) -> Option<Instant>;
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>>;
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool;
    fn reset(&mut self, now: Instant, stream: u16);
    fn inbox(&mut self) -> &mut Inbox;
    /// Streams the other side reset.
    fn resets(&self) -> &[u16];
    fn shutdown(&mut self, now: Instant);
    fn closed(&self) -> bool;
}

struct Ours {
    association: Association,
    inbox: Inbox,
    resets: Vec<u16>,
    events: Vec<Event>,
}

impl Ours {
    fn new(config: Config) -> Self {
        Self {
            association: Association::new(config, [5; 32]),
            inbox: Inbox::new(),
            resets: Vec::new(),
            events: Vec::new(),
        }
    }

    fn take(&mut self) {
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::StreamReadable(stream) => {
                    while let Some(m) = self.association.read(stream) {
                        self.inbox.entry(stream).or_default().push(m.data);
                    }
                }
                Event::StreamResetByPeer(stream) => self.resets.push(stream),
                _ => {}
            }
            self.events.push(event);
        }
    }
}

impl Peer for Ours {
    fn connect(&mut self, now: Instant) {
        self.association.connect(now);
    }
    fn connected(&self) -> bool {
        self.association.state() == State::Established
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        self.association.handle_packet(now, packet);
        self.take();
    }
    fn advance(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.take();
    }
    fn timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut buffer = [0; 1500];
        let next = || {
            let length = self.association.poll_transmit(now, &mut buffer)?;
            Some(buffer[..length].to_vec())
        };
        std::iter::from_fn(next).collect()
    }
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool {
        self.association.send(now, stream, 53, options, Bytes::from(data)).is_ok()
    }
    fn reset(&mut self, now: Instant, stream: u16) {
        self.association.reset_stream(now, stream);
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
    }
    fn closed(&self) -> bool {
        self.association.state() == State::Closed
    }
}

/// dcSCTP, the implementation of Chrome.
struct Dc {
    socket: Box<dyn DcSctpSocket>,
    epoch: Instant,
    out: Vec<Vec<u8>>,
    inbox: Inbox,
    resets: Vec<u16>,
}

impl Dc {
    fn new(epoch: Instant, interleaving: bool) -> Self {
        let options = dc::Options {
            mtu: 1172,
            max_message_size: 1 << 20,
            enable_message_interleaving: interleaving,
            max_send_buffer_size: 64 << 20,
            per_stream_send_queue_limit: 64 << 20,
            zero_checksum_alternate_error_detection_method:
                ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS,
            ..dc::Options::default()
        };
        Self {
            socket: dcsctp::new_socket("dc", &options),
            epoch,
            out: Vec::new(),
            inbox: Inbox::new(),
            resets: Vec::new(),
        }
    }

    fn tell(&mut self, now: Instant) {
        self.socket.advance_time(SocketTime::zero() + (now - self.epoch));
    }

    fn take(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.out.push(packet),
                SocketEvent::OnIncomingStreamReset(ids) => {
                    self.resets.extend(ids.iter().map(|id| id.0));
                }
                _ => {}
            }
        }
        while let Some(message) = self.socket.get_next_message() {
            self.inbox.entry(message.stream_id.0).or_default().push(message.payload);
        }
    }
}

impl Peer for Dc {
    fn connect(&mut self, now: Instant) {
        self.tell(now);
        self.socket.connect();
    }
    fn connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        self.tell(now);
        self.socket.handle_input(packet);
        self.take();
    }
    fn advance(&mut self, now: Instant) {
        self.tell(now);
        self.take();
    }
    fn timeout(&self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at < SocketTime::infinite_future()).then(|| self.epoch + (at - SocketTime::zero()))
    }
    fn output(&mut self, _: Instant) -> Vec<Vec<u8>> {
        self.take();
        std::mem::take(&mut self.out)
    }
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool {
        self.tell(now);
        let options = dc::SendOptions {
            unordered: options.unordered,
            lifetime: options.lifetime,
            max_retransmissions: options.max_retransmits.map(|n| n as u16),
            lifecycle_id: None,
        };
        let message = dc::Message::new(dc::StreamId(stream), dc::PpId(53), data);
        self.socket.send(message, &options).is_ok()
    }
    fn reset(&mut self, now: Instant, stream: u16) {
        self.tell(now);
        let _ = self.socket.reset_streams(&[dc::StreamId(stream)]);
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        self.tell(now);
        self.socket.shutdown();
    }
    fn closed(&self) -> bool {
        self.socket.state() == SocketState::Closed
    }
}

/// rtc-sctp of webrtc-rs.
struct Rtc {
    endpoint: rtc_sctp::Endpoint,
    address: SocketAddr,
    handle: Option<rtc_sctp::AssociationHandle>,
    association: Option<rtc_sctp::Association>,
    connected: bool,
    out: Vec<Vec<u8>>,
    inbox: Inbox,
    resets: Vec<u16>,
    lost: bool,
}

impl Rtc {
    fn new() -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 5000));
        let transport = rtc_sctp::TransportConfig::default().with_max_message_size(1 << 20);
        let server = rtc_sctp::ServerConfig::new(transport);
        Self {
            endpoint: rtc_sctp::Endpoint::new(
                local,
                rtc_shared::TransportProtocol::UDP,
                Arc::new(rtc_sctp::EndpointConfig::default()),
                Some(Arc::new(server)),
            ),
            address: SocketAddr::from(([127, 0, 0, 1], 5001)),
            handle: None,
            association: None,
            connected: false,
            out: Vec::new(),
            inbox: Inbox::new(),
            resets: Vec::new(),
            lost: false,
        }
    }

    fn take(&mut self, now: Instant) {
        let Some(association) = &mut self.association else { return };
        while let Some(event) = association.poll() {
            match event {
                rtc_sctp::Event::Connected => self.connected = true,
                rtc_sctp::Event::AssociationLost { .. } => self.lost = true,
                rtc_sctp::Event::Stream(rtc_sctp::StreamEvent::Stopped { id, .. }) => {
                    self.resets.push(id);
                }
                _ => {}
            }
        }
        while association.accept_stream().is_some() {}
        for id in association.stream_ids() {
            let Ok(mut stream) = association.stream(id) else { continue };
            while let Ok(Some(chunks)) = stream.read_sctp() {
                let mut data = vec![0; chunks.len()];
                let _ = chunks.read(&mut data);
                self.inbox.entry(id).or_default().push(data);
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(handle) = self.handle {
                self.endpoint.handle_event(handle, event);
            }
        }
        while let Some(transmit) = association.poll_transmit(now) {
            if let rtc_sctp::Payload::RawEncode(packets) = transmit.message {
                self.out.extend(packets.iter().map(|p| p.to_vec()));
            }
        }
    }
}

impl Peer for Rtc {
    fn connect(&mut self, now: Instant) {
        let transport = rtc_sctp::TransportConfig::default().with_max_message_size(1 << 20);
        let config = rtc_sctp::ClientConfig::new(transport);
        if let Ok((handle, association)) = self.endpoint.connect(now, config, self.address) {
            self.handle = Some(handle);
            self.association = Some(association);
        }
        self.take(now);
    }
    fn connected(&self) -> bool {
        self.connected
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        let bytes = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(now, self.address, None, bytes) {
            Some((handle, rtc_sctp::DatagramEvent::NewAssociation(association))) => {
                self.handle = Some(handle);
                self.association = Some(association);
            }
            Some((_, rtc_sctp::DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.take(now);
    }
    fn advance(&mut self, now: Instant) {
        if let Some(association) = &mut self.association
            && association.poll_timeout().is_some_and(|at| at <= now)
        {
            association.handle_timeout(now);
        }
        self.take(now);
    }
    fn timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.take(now);
        std::mem::take(&mut self.out)
    }
    fn send(&mut self, now: Instant, id: u16, options: SendOptions, data: Vec<u8>) -> bool {
        let Some(association) = &mut self.association else { return false };
        let binary = rtc_sctp::PayloadProtocolIdentifier::Binary;
        let _ = association.open_stream(id, binary);
        let Ok(mut stream) = association.stream(id) else { return false };
        let (kind, value) = match options.max_retransmits {
            Some(n) => (rtc_sctp::ReliabilityType::Rexmit, n),
            None => (rtc_sctp::ReliabilityType::Reliable, 0),
        };
        let _ = stream.set_reliability_params(options.unordered, kind, value);
        stream.write_sctp(now, &Bytes::from(data), binary).is_ok()
    }
    fn reset(&mut self, now: Instant, id: u16) {
        if let Some(Ok(mut stream)) = self.association.as_mut().map(|a| a.stream(id)) {
            let _ = stream.close(now);
        }
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            let _ = association.shutdown();
        }
        self.take(now);
    }
    fn closed(&self) -> bool {
        self.lost || self.association.as_ref().is_some_and(rtc_sctp::Association::is_closed)
    }
}

/// Arrival, order of sending, receiving end and bytes of a packet.
type InTransit = (Duration, u64, usize, Vec<u8>);

struct Net<'a> {
    ours: Ours,
    peer: &'a mut dyn Peer,
    start: Instant,
    now: Duration,
    links: [Link; 2],
    rng: Rng,
    transit: BinaryHeap<Reverse<InTransit>>,
    order: u64,
    /// Packets without a checksum that each end sent.
    unchecked: [u32; 2],
}

impl<'a> Net<'a> {
    fn new(config: Config, peer: &'a mut dyn Peer, start: Instant, loss: f64) -> Self {
        let link =
            Link { loss: Loss::Random(loss), jitter: Duration::from_millis(1), ..Link::default() };
        Self {
            ours: Ours::new(config),
            peer,
            start,
            now: Duration::ZERO,
            links: [link.clone(), link],
            rng: Rng::new(3),
            transit: BinaryHeap::new(),
            order: 0,
            unchecked: [0; 2],
        }
    }

    fn flush(&mut self) {
        let now = self.start + self.now;
        for (end, packets) in [self.ours.output(now), self.peer.output(now)].into_iter().enumerate()
        {
            for packet in packets {
                self.unchecked[end] += u32::from(packet[8..12] == [0; 4]);
                for at in self.links[end].carry(&mut self.rng, self.now, packet.len()) {
                    self.order += 1;
                    self.transit.push(Reverse((at, self.order, 1 - end, packet.clone())));
                }
            }
        }
    }

    fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.flush();
            if done(self) {
                return true;
            }
            let timers = [self.ours.timeout(), self.peer.timeout()];
            let timers = timers.into_iter().flatten();
            let timer = timers.map(|at| at.saturating_duration_since(self.start)).min();
            let arrival = self.transit.peek().map(|Reverse((at, ..))| *at);
            let Some(next) = timer.into_iter().chain(arrival).min() else { return false };
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            let now = self.start + self.now;
            while self.transit.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
                let Some(Reverse((_, _, to, packet))) = self.transit.pop() else { break };
                let to: &mut dyn Peer = if to == 0 { &mut self.ours } else { self.peer };
                to.input(now, &packet);
            }
            self.ours.advance(now);
            self.peer.advance(now);
        }
    }

    fn end(&mut self, end: usize) -> &mut dyn Peer {
        if end == 0 { &mut self.ours } else { self.peer }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Ours,
    Theirs,
    Both,
}

fn start(net: &mut Net<'_>, opening: Opening) {
    let now = net.start;
    if opening != Opening::Theirs {
        net.ours.connect(now);
    }
    if opening != Opening::Ours {
        net.peer.connect(now);
    }
    let up = net.run_until(Duration::from_secs(60), |n| n.ours.connected() && n.peer.connected());
    assert!(up, "{opening:?}: no connection: {:?}", net.ours.events);
}

/// Messages of many sizes both ways on three streams.
fn exchange(net: &mut Net<'_>, name: &str) {
    let sizes = [1, 100, 1143, 1144, 1145, 3000, 65_536, 250_000, 7];
    for from in 0..2 {
        for (number, size) in sizes.iter().enumerate() {
            let now = net.start + net.now;
            let data: Vec<u8> = (0..*size).map(|at| (at * 7 + number) as u8).collect();
            let stream = (number % 3) as u16;
            assert!(net.end(from).send(now, stream, SendOptions::default(), data), "{name}");
        }
    }
    let count = |inbox: &Inbox| inbox.values().map(Vec::len).sum::<usize>();
    let all = net.run_until(Duration::from_secs(300), |n| {
        (0..2).all(|end| count(n.end(end).inbox()) == sizes.len())
    });
    let counts = [count(net.ours.inbox()), count(net.peer.inbox())];
    assert!(all, "{name}: {counts:?} {:?}", net.ours.association.metrics());
    for end in 0..2 {
        for (stream, messages) in std::mem::take(net.end(end).inbox()) {
            for (at, message) in messages.iter().enumerate() {
                let number = at * 3 + usize::from(stream);
                assert_eq!(message.len(), sizes[number], "{name}: message {number}");
                let intact = message.iter().enumerate().all(|(i, b)| *b == (i * 7 + number) as u8);
                assert!(intact, "{name}: message {number}");
            }
        }
    }
}

fn config() -> Config {
    Config {
        max_message_size: 1 << 20,
        max_retransmits: 30,
        send_buffer: 64 << 20,
        ..Config::default()
    }
}

#[test]
fn messages_pass_between_dcsctp_and_us() {
    let start_at = Instant::now();
    for opening in [Opening::Ours, Opening::Theirs, Opening::Both] {
        for loss in [0.0, 0.03] {
            for interleaving in [false, true] {
                let mut peer = Dc::new(start_at, interleaving);
                let config = Config { interleaving, ..config() };
                let mut net = Net::new(config, &mut peer, start_at, loss);
                start(&mut net, opening);
                let name = format!("{opening:?}, loss {loss}, interleaving {interleaving}");
                exchange(&mut net, &name);
            }
        }
    }
}

#[test]
fn messages_pass_between_rtc_sctp_and_us() {
    for opening in [Opening::Ours, Opening::Theirs, Opening::Both] {
        for loss in [0.0, 0.03] {
            let start_at = Instant::now();
            let mut peer = Rtc::new();
            let mut net = Net::new(config(), &mut peer, start_at, loss);
            start(&mut net, opening);
            exchange(&mut net, &format!("{opening:?}, loss {loss}"));
        }
    }
}

#[test]
fn the_checksum_is_left_out_only_as_far_as_the_peer_accepts_it() {
    let cases = [
        (ZeroChecksum::Never, false),
        (ZeroChecksum::WhenPeerOffers, true),
        (ZeroChecksum::Offer, true),
    ];
    for (zero_checksum, used) in cases {
        let start_at = Instant::now();
        let mut peer = Dc::new(start_at, false);
        let config = Config { zero_checksum, ..config() };
        let mut net = Net::new(config.clone(), &mut peer, start_at, 0.0);
        // The answer to their INIT is where we may declare it without having offered it.
        start(&mut net, Opening::Theirs);
        exchange(&mut net, &format!("{zero_checksum:?}"));
        assert_eq!(net.unchecked[0] > 0, used, "{zero_checksum:?}");
        // rtc-sctp knows nothing of it.
        let mut peer = Rtc::new();
        let mut net = Net::new(config, &mut peer, start_at, 0.0);
        start(&mut net, Opening::Ours);
        exchange(&mut net, &format!("{zero_checksum:?}"));
        assert_eq!(net.unchecked, [0, 0], "{zero_checksum:?}");
    }
}

fn peers(start: Instant) -> Vec<(&'static str, Box<dyn Peer>)> {
    vec![
        ("dcsctp", Box::new(Dc::new(start, false))),
        ("dcsctp interleaving", Box::new(Dc::new(start, true))),
        ("rtc-sctp", Box::new(Rtc::new())),
    ]
}

#[test]
fn streams_are_reset_both_ways_and_used_again() {
    for loss in [0.0, 0.05] {
        let start_at = Instant::now();
        for (name, mut peer) in peers(start_at) {
            // rtc-sctp sends on a stream before its reset is acknowledged, which only goes well
            // when nothing is lost.
            if name == "rtc-sctp" && loss > 0.0 {
                continue;
            }
            let config = Config { interleaving: name.ends_with("interleaving"), ..config() };
            let mut net = Net::new(config, &mut *peer, start_at, loss);
            start(&mut net, Opening::Ours);
            for round in 0..3_usize {
                let now = net.start + net.now;
                for end in 0..2 {
                    assert!(net.end(end).send(now, 4, SendOptions::default(), vec![9; 30_000]));
                }
                assert!(
                    net.run_until(Duration::from_secs(60), |n| {
                        (0..2).all(|end| n.end(end).inbox().get(&4).map_or(0, Vec::len) > round)
                    }),
                    "{name}: messages of round {round}: {:?} {:?}",
                    net.ours.inbox.get(&4).map(Vec::len),
                    net.peer.inbox().get(&4).map(Vec::len),
                );
                let now = net.start + net.now;
                net.ours.reset(now, 4);
                net.peer.reset(now, 4);
                let both = net.run_until(Duration::from_secs(60), |n| {
                    let done = |e: &&Event| matches!(e, Event::StreamResetDone(4));
                    n.ours.resets.len() > round && n.ours.events.iter().filter(done).count() > round
                });
                assert!(both, "{name}, loss {loss}, round {round}: {:?}", net.ours.events);
                net.run_until(Duration::from_secs(2), |_| false);
            }
            if !name.starts_with("rtc") {
                assert_eq!(net.peer.resets(), [4, 4, 4], "{name}");
            }
        }
    }
}

#[test]
fn unreliable_messages_are_skipped_by_either_side() {
    let start_at = Instant::now();
    for (name, mut peer) in peers(start_at) {
        let config = Config { interleaving: name.ends_with("interleaving"), ..config() };
        let mut net = Net::new(config, &mut *peer, start_at, 0.0);
        start(&mut net, Opening::Ours);
        for link in &mut net.links {
            link.loss = Loss::Random(0.1);
        }
        let once =
            SendOptions { max_retransmits: Some(0), unordered: false, ..SendOptions::default() };
        for number in 0..300_u32 {
            let now = net.start + net.now;
            for end in 0..2 {
                let mut data = vec![0; 2000];
                data[..4].copy_from_slice(&number.to_be_bytes());
                assert!(net.end(end).send(now, 2, once, data));
            }
            net.run_until(Duration::from_millis(20), |_| false);
        }
        for link in &mut net.links {
            link.loss = Loss::Random(0.0);
        }
        // A last message must come through everything that was skipped.
        for end in 0..2 {
            let now = net.start + net.now;
            assert!(net.end(end).send(now, 2, SendOptions::default(), vec![255; 10]));
        }
        let last = net.run_until(Duration::from_secs(60), |n| {
            (0..2).all(|end| {
                let inbox = n.end(end).inbox().get(&2);
                inbox.and_then(|m| m.last()).is_some_and(|m| m.len() == 10)
            })
        });
        let inboxes: Vec<usize> =
            (0..2).map(|end| net.end(end).inbox().get(&2).map_or(0, Vec::len)).collect();
        assert!(last, "{name}: {inboxes:?} {:?}", net.ours.association.metrics());
        for end in 0..2 {
            let inbox = &net.end(end).inbox()[&2];
            assert!((150..300).contains(&inbox.len()), "{name}: {}", inbox.len());
            let numbers: Vec<&[u8]> = inbox.iter().map(|m| &m[..4]).collect();
            assert!(numbers.is_sorted(), "{name}: out of order");
        }
    }
}

#[test]
fn either_side_may_shut_down() {
    for who in 0..2 {
        let start_at = Instant::now();
        for (name, mut peer) in peers(start_at) {
            // rtc-sctp neither flushes before its SHUTDOWN nor takes the answer to it.
            if name == "rtc-sctp" && who == 1 {
                continue;
            }
            let config = Config { interleaving: name.ends_with("interleaving"), ..config() };
            let mut net = Net::new(config, &mut *peer, start_at, 0.0);
            start(&mut net, Opening::Both);
            let now = net.start + net.now;
            assert!(net.end(who).send(now, 0, SendOptions::default(), vec![1; 100_000]));
            net.end(who).shutdown(now);
            let over =
                net.run_until(Duration::from_secs(20), |n| n.ours.closed() && n.peer.closed());
            assert!(over, "{name}, {who}: {:?}", net.ours.events);
            assert_eq!(net.end(1 - who).inbox()[&0][0].len(), 100_000, "{name}, {who}");
        }
    }
}

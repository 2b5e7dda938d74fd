//! The engine against other implementations, in memory.
#![allow(missing_docs)]

#[path = "support/peers.rs"]
mod peers;
mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use peers::{Dc, Inbox, Ours, Peer, Rtc};
use rtc_sctp_engine::{Config, Event, SendOptions, ZeroChecksum};
use support::{Link, Loss, Rng};

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

/// As a peer connection has it: interleaving is offered, and used when the other end offers it.
fn config() -> Config {
    Config {
        interleaving: true,
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
            for (ours, theirs) in [(false, true), (true, false), (true, true)] {
                let mut peer = Dc::new(start_at, theirs);
                let config = Config { interleaving: ours, ..config() };
                let mut net = Net::new(config, &mut peer, start_at, loss);
                start(&mut net, opening);
                let name = format!("{opening:?}, loss {loss}, interleaving {ours} {theirs}");
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
fn others_answer_probes_for_the_path_mtu_and_take_packets_of_several_chunks() {
    let start_at = Instant::now();
    for (name, mut peer) in peers(start_at) {
        let config = Config { max_mtu: 1452, ..config() };
        let mut net = Net::new(config, &mut *peer, start_at, 0.0);
        for link in &mut net.links {
            link.mtu = 1400;
        }
        start(&mut net, Opening::Ours);
        // rtc-sctp throws a packet with a chunk that it does not know away, so its path looks narrow.
        let knows_padding = name != "rtc-sctp";
        let found = |n: &mut Net<'_>| n.ours.association.packet_size() > 1384;
        assert_eq!(net.run_until(Duration::from_secs(60), found), knows_padding, "{name}");
        exchange(&mut net, name);
        assert!(net.ours.association.packet_size() <= 1400, "{name}");
    }
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
            let mut net = Net::new(config(), &mut *peer, start_at, loss);
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
        let mut net = Net::new(config(), &mut *peer, start_at, 0.0);
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
            let mut net = Net::new(config(), &mut *peer, start_at, 0.0);
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

//! What was sent arrives: two cores on links that lose, repeat, reorder and damage, against a
//! model of what each channel promises.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::network::{End, Link, Network, Rng, negotiated, patient};
use crate::channel::{Channel as _, DataChannel, Message, MessageKind};
use crate::config::{Configuration, DataChannelInit, Reliability, ReliabilityLimit};
use crate::peer::core::Closing;
use crate::peer::transport::{LINGER, PARTING};
use crate::state::ConnectionState;

const MAX_MESSAGE: usize = 64 * 1024;

#[derive(Clone, Debug)]
struct ChannelPlan {
    creator: usize,
    reliability: Reliability,
    negotiated: bool,
    /// Created after ICE found its path rather than before.
    late: bool,
    /// Which end closes it once everything has been sent.
    closer: Option<usize>,
}

#[derive(Clone, Debug)]
struct SendPlan {
    channel: prop::sample::Index,
    end: usize,
    size: usize,
    text: bool,
    /// Virtual time to let pass first.
    wait_ms: u64,
}

#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    link: Link,
    channels: Vec<ChannelPlan>,
    sends: Vec<SendPlan>,
    /// Which end closes the connection at the end.
    closer: Option<usize>,
}

/// One channel at both ends, and what was sent by and received at each.
struct Tested {
    plan: ChannelPlan,
    handles: [Option<Arc<DataChannel>>; 2],
    sent: [Vec<Message>; 2],
    received: [Vec<Message>; 2],
}

fn reliability() -> impl Strategy<Value = Reliability> {
    let limit = prop_oneof![
        3 => Just(ReliabilityLimit::Reliable),
        1 => (0..2000_u32).prop_map(ReliabilityLimit::Lifetime),
        1 => (0..3_u32).prop_map(ReliabilityLimit::Retransmits),
    ];
    (any::<bool>(), limit).prop_map(|(unordered, limit)| Reliability { unordered, limit })
}

fn channel_plan() -> impl Strategy<Value = ChannelPlan> {
    let closer = proptest::option::of(0..2_usize);
    (0..2_usize, reliability(), any::<bool>(), any::<bool>(), closer).prop_map(
        |(creator, reliability, negotiated, late, closer)| ChannelPlan {
            creator,
            reliability,
            negotiated,
            // The ends cannot agree on a moment later than the beginning.
            late: late && !negotiated,
            closer,
        },
    )
}

fn send_plan() -> impl Strategy<Value = SendPlan> {
    let size = prop_oneof![
        2 => 0..3_usize,
        4 => 3..1000_usize,
        4 => 1000..5000_usize,
        1 => MAX_MESSAGE - 1..=MAX_MESSAGE,
    ];
    let wait_ms = prop_oneof![3 => Just(0), 1 => 0..500_u64];
    (any::<prop::sample::Index>(), 0..2_usize, size, any::<bool>(), wait_ms).prop_map(
        |(channel, end, size, text, wait_ms)| SendPlan { channel, end, size, text, wait_ms },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (1..=300_u64, 0..=300_u64, 0..=20_u64, 0..=20_u64, 0..=3_u64).prop_map(
        |(delay_ms, jitter_ms, loss_percent, duplicate_percent, damage_percent)| Link {
            delay_ms,
            jitter_ms,
            loss_percent,
            duplicate_percent,
            damage_percent,
            mtu: 0,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        any::<u64>(),
        link(),
        prop::collection::vec(channel_plan(), 1..6),
        prop::collection::vec(send_plan(), 0..40),
        proptest::option::of(0..2_usize),
    )
        .prop_map(|(seed, link, channels, sends, closer)| Plan {
            seed,
            link,
            channels,
            sends,
            closer,
        })
}

/// A message whose bytes tell which one it is, as far as its size allows.
fn message(rng: &mut Rng, size: usize, text: bool) -> Message {
    let data: Vec<u8> = (0..size).map(|_| b' ' + rng.below(90) as u8).collect();
    match text {
        true => Message::text(String::from_utf8(data).unwrap()),
        false => Message::binary(data),
    }
}

/// Creates the channels of one moment; a channel's index is its label.
fn create(network: &mut Network, tested: &mut [Tested], late: bool) {
    for (index, tested) in tested.iter_mut().enumerate() {
        if tested.plan.late != late {
            continue;
        }
        let plan = &tested.plan;
        let init = DataChannelInit {
            reliability: plan.reliability,
            negotiated: plan.negotiated,
            stream: plan.negotiated.then_some(100 + index as u16),
            protocol: b"test".to_vec(),
        };
        for end in 0..2 {
            if plan.negotiated || end == plan.creator {
                let channel = network.create(end, &index.to_string(), init.clone());
                tested.handles[end] = Some(channel);
            }
        }
    }
}

/// Adopts channels that came in, and takes what can be received.
fn collect(network: &mut Network, tested: &mut [Tested]) {
    for end in 0..2 {
        for channel in network.ends[end].incoming.clone() {
            let index: usize = std::str::from_utf8(channel.label()).unwrap().parse().unwrap();
            let slot = &mut tested[index].handles[end];
            if let Some(known) = slot {
                assert!(Arc::ptr_eq(known, &channel), "channel {index} came in twice");
            }
            assert_eq!(channel.protocol(), b"test");
            assert_eq!(channel.reliability(), tested[index].plan.reliability);
            *slot = Some(channel);
        }
        for tested in tested.iter_mut() {
            if let Some(channel) = &tested.handles[end] {
                tested.received[end].extend(network.receive_all(end, channel));
            }
        }
    }
}

fn counted(messages: &[Message]) -> HashMap<(MessageKind, &[u8]), usize> {
    let mut counts = HashMap::new();
    for message in messages {
        *counts.entry((message.kind, &message.data[..])).or_default() += 1;
    }
    counts
}

fn is_subsequence(part: &[Message], whole: &[Message]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|message| whole.any(|other| other == message))
}

impl Tested {
    fn new(plan: &ChannelPlan) -> Self {
        Self {
            plan: plan.clone(),
            handles: [None, None],
            sent: [Vec::new(), Vec::new()],
            received: [Vec::new(), Vec::new()],
        }
    }

    /// Whether everything that `from` sent must arrive.
    fn is_complete(&self, from: usize, connection_closer: Option<usize>) -> bool {
        self.plan.reliability.limit == ReliabilityLimit::Reliable
            && [self.plan.closer, connection_closer].iter().flatten().all(|end| *end == from)
    }

    fn check(&self, from: usize, connection_closer: Option<usize>) -> TestCaseResult {
        let (sent, received) = (&self.sent[from], &self.received[1 - from]);
        let reliable = self.plan.reliability.limit == ReliabilityLimit::Reliable;
        if self.is_complete(from, connection_closer) {
            prop_assert_eq!(sent.len(), received.len(), "from {}: {:?}", from, self.plan);
        }
        if self.plan.reliability.unordered {
            let sent = counted(sent);
            for (message, count) in counted(received) {
                let expected = sent.get(&message).copied().unwrap_or_default();
                prop_assert!(count <= expected, "{} bytes: too often", message.1.len());
            }
        } else if reliable {
            prop_assert!(sent.starts_with(received), "from {}: {:?}", from, self.plan);
        } else {
            prop_assert!(is_subsequence(received, sent), "from {}: {:?}", from, self.plan);
        }
        Ok(())
    }
}

/// Runs until nothing more is to be expected.
fn settle(network: &mut Network, tested: &mut [Tested], closer: Option<usize>) -> bool {
    for _ in 0..1500 {
        collect(network, tested);
        let all_received = tested.iter().all(|tested| {
            (0..2).all(|from| {
                !tested.is_complete(from, closer)
                    || tested.received[1 - from].len() >= tested.sent[from].len()
            })
        });
        let all_closed = tested.iter().filter(|tested| tested.plan.closer.is_some()).all(|t| {
            t.handles.iter().flatten().all(|channel| {
                channel.is_closed()
                    && channel.stream().is_none_or(|stream| {
                        network.ends.iter().all(|end| !end.core.streams.contains_key(&stream))
                    })
            })
        });
        let ended = network.ends.iter().all(|end| end.core.is_closed());
        if all_received && all_closed && (ended || closer.is_none()) {
            return true;
        }
        if ended {
            return false;
        }
        network.run(1);
    }
    false
}

fn run(plan: &Plan) -> TestCaseResult {
    let config = Configuration { max_message_size: MAX_MESSAGE, ..patient() };
    let mut network = Network::new(plan.seed, [config.clone(), config], plan.link);
    let mut tested: Vec<Tested> = plan.channels.iter().map(Tested::new).collect();
    create(&mut network, &mut tested, false);
    // So that there is something to negotiate.
    let extra = network.create(0, "0", negotiated(99));
    network.connect();
    let connected = network.run_until(60, |network| {
        network.ends.iter().all(|end| end.core.connection() == ConnectionState::Connected)
    });
    prop_assert!(connected, "not connected: {:?}", network.ends.each_ref().map(End::states));
    prop_assert!(extra.is_open());
    create(&mut network, &mut tested, true);
    let mut rng = Rng::new(plan.seed);
    for send in &plan.sends {
        network.run_for_ms(send.wait_ms);
        collect(&mut network, &mut tested);
        let tested = send.channel.get_mut(&mut tested);
        let Some(channel) = tested.handles[send.end].clone() else { continue };
        let message = message(&mut rng, send.size, send.text);
        // A channel without a stream refuses; that is no promise broken.
        if network.send(send.end, &channel, message.clone()).is_err() {
            prop_assert!(channel.stream().is_none());
            continue;
        }
        tested.sent[send.end].push(message);
    }
    for tested in &tested {
        if let Some(end) = tested.plan.closer
            && let Some(channel) = &tested.handles[end]
        {
            prop_assert!(network.close_channel(end, channel));
            prop_assert!(!network.close_channel(end, channel));
        }
    }
    if let Some(end) = plan.closer {
        network.close(end);
    }
    // A channel that its closer does not know yet stays open.
    for tested in &mut tested {
        if tested.plan.closer.is_some_and(|end| tested.handles[end].is_none()) {
            tested.plan.closer = None;
        }
    }
    let settled = settle(&mut network, &mut tested, plan.closer);
    for tested in &tested {
        for from in 0..2 {
            tested.check(from, plan.closer)?;
        }
    }
    prop_assert!(settled, "channels or connection did not end");
    let last = match plan.closer {
        Some(_) => [ConnectionState::Disconnected, ConnectionState::Closed].as_slice(),
        None => [ConnectionState::Connecting, ConnectionState::Connected].as_slice(),
    };
    for end in &network.ends {
        prop_assert!(end.states().ends_with(last), "{:?}", end.states());
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig { cases: 32, max_shrink_iters: 300, ..ProptestConfig::default() },
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn channels_keep_their_promises_on_bad_links(plan in plan()) {
        run(&plan)?;
    }
}

#[test]
fn messages_of_every_size_up_to_the_maximum_arrive_whole() {
    let (mut network, [near, far]) = Network::connected();
    let max = network.ends[0].core.remote_max_message_size();
    assert_eq!(max, Configuration::default().max_message_size);
    let mut rng = Rng::new(5);
    for size in [0, 1, 2, 1155, 1156, 1157, 16 * 1024, 65_535, 65_536, max - 1, max] {
        for text in [false, true] {
            let message = message(&mut rng, size, text);
            network.send(0, &near, message.clone()).unwrap();
            network.run(1);
            assert_eq!(network.receive_all(1, &far), [message], "{size} bytes, text: {text}");
        }
    }
    let error = network.send(0, &near, vec![0; max + 1]).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
}

#[test]
fn a_thousand_channels_open_and_carry_a_message_each() {
    let (mut network, _) = Network::connected();
    let channels: Vec<_> = (0..1000)
        .map(|i| network.create(i % 2, &format!("{i}"), DataChannelInit::default()))
        .collect();
    for (i, channel) in channels.iter().enumerate() {
        network.send(i % 2, channel, format!("{i}").as_str()).unwrap();
    }
    network.run(5);
    for end in 0..2 {
        let arrived = network.ends[end].incoming.clone();
        let arrived: Vec<_> = arrived.iter().filter(|c| c.label() != b"first").collect();
        assert_eq!(arrived.len(), 500);
        for channel in arrived {
            let [message] = &network.receive_all(end, channel)[..] else { panic!("{channel:?}") };
            assert_eq!(&message.data[..], channel.label());
        }
    }
    assert!(channels.iter().all(|channel| channel.is_open()));
}

#[test]
fn a_closing_connection_sends_what_is_queued_first() {
    let (mut network, [near, far]) = Network::connected();
    let message = vec![7; 200_000];
    for _ in 0..20 {
        network.send(0, &near, message.clone()).unwrap();
    }
    assert!(near.buffered_amount() > 0);
    network.close(0);
    assert!(near.is_open(), "open until the association ends");
    assert!(network.try_create(0, "late", DataChannelInit::default()).is_err());
    assert!(network.run_until(60, |n| n.ends.iter().all(|end| end.core.is_closed())));
    assert_eq!(network.receive_all(1, &far).len(), 20);
    assert!(near.is_closed() && far.is_closed());
}

#[test]
fn the_side_that_closes_leaves_the_last_word_to_its_peer() {
    let (mut network, [near, _]) = Network::connected();
    network.send(0, &near, vec![7; 200_000]).unwrap();
    network.close(0);
    assert!(network.run_until(60, |n| n.ends[1].core.is_closed()));
    assert!(!network.ends[0].core.is_closed(), "its close_notify may overtake what SCTP delivers");
    let start = network.now;
    assert!(network.run_until(60, |n| n.ends[0].core.is_closed()));
    assert!(network.now - start < PARTING, "the peer's close_notify is enough");
}

#[test]
fn the_last_word_of_a_silent_peer_is_not_waited_for_long() {
    let (mut network, _) = Network::connected();
    network.close(0);
    assert!(network.run_until(60, |n| n.ends[0].core.closing == Closing::Parting));
    network.link.loss_percent = 100;
    let start = network.now;
    assert!(network.run_until(60, |n| n.ends[0].core.is_closed()));
    assert_eq!(network.now - start, PARTING);
}

#[test]
fn an_aborted_connection_ends_at_once_at_both_ends() {
    let (mut network, [near, far]) = Network::connected();
    network.send(0, &near, "last words?").unwrap();
    let now = network.instant();
    network.ends[0].core.abort(now);
    network.flush();
    assert!(network.ends[0].core.is_closed() && near.is_closed());
    assert!(network.run_until(1, |n| n.ends[1].core.is_closed()));
    assert!(far.is_closed());
    let [.., before, last] = network.ends[1].states()[..] else { panic!("states are missing") };
    assert_eq!((before, last), (ConnectionState::Disconnected, ConnectionState::Closed));
    let sent = network.ends.each_ref().map(|end| end.sent);
    network.run(60);
    assert_eq!(network.ends.each_ref().map(|end| end.sent), sent, "nothing follows the end");
}

#[test]
fn a_closing_connection_does_not_wait_for_ever_for_a_silent_peer() {
    let (mut network, [near, _]) = Network::connected();
    network.send(0, &near, vec![1; 100_000]).unwrap();
    network.link.loss_percent = 100;
    network.close(0);
    assert!(network.run_until(120, |n| n.ends[0].core.is_closed()));
    assert!(near.is_closed());
}

#[test]
fn a_closing_connection_takes_its_time_on_a_slow_path() {
    let link = Link { delay_ms: 1500, ..Link::default() };
    let mut network = Network::new(1, Default::default(), link);
    let [near, far] = [0, 1].map(|end| network.create(end, "", negotiated(0)));
    network.connect();
    assert!(network.run_until(60, |_| near.is_open() && far.is_open()));
    let start = network.now;
    for _ in 0..10 {
        network.send(0, &near, vec![1; 50_000]).unwrap();
    }
    network.close(0);
    assert!(network.run_until(3600, |n| n.ends[1].core.is_closed()));
    assert!(network.now > start + LINGER, "{:?} is no test", network.now - start);
    assert_eq!(network.receive_all(1, &far).len(), 10);
}

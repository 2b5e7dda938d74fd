//! The channel model: streams, DCEP, queues, closing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use rtc_sctp_engine::{SendError, SendOptions};

use super::network::{Link, Network, negotiated, patient};
use super::scripted::Scripted;
use crate::backend::dtls::DtlsRole;
use crate::channel::{Channel as _, DataChannel, Message};
use crate::config::{
    CONNECTION_QUEUE_BYTES, Configuration, DataChannelInit, RECEIVE_QUEUE_BYTES,
    RECEIVE_QUEUE_MESSAGES,
};
use crate::dcep;
use crate::error::ErrorKind;
use crate::peer::channels::MAX_PARTIAL_BYTES;
use crate::peer::intake::{MAX_CHANNELS, MAX_NAMES};
use crate::state::ConnectionState;

fn on_stream(stream: u16) -> DataChannelInit {
    DataChannelInit { stream: Some(stream), ..DataChannelInit::default() }
}

fn errors_of(channel: &Arc<DataChannel>) -> Arc<Mutex<Vec<String>>> {
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&errors);
    channel.on_error(Some(Arc::new(move |text: &str| seen.lock().push(text.to_owned()))));
    errors
}

// Streams.

#[test]
fn the_dtls_client_uses_even_streams_and_the_server_odd_ones() {
    for (role, expected) in [(DtlsRole::Client, [0, 2, 6, 4]), (DtlsRole::Server, [1, 3, 5, 4])] {
        let plain = DataChannelInit::default;
        let (_, channels) = Scripted::connected(
            role,
            &[plain(), plain(), plain(), negotiated(4)],
            rtc_sctp_engine::Config::default(),
        );
        assert_eq!(channels.iter().map(|c| c.stream().unwrap()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_stream_is_used_again_once_both_ends_have_reset_it() {
    let (mut network, [near, far]) = Network::connected();
    let stream = near.stream();
    network.close_channel(0, &near);
    let next = network.create(0, "next", DataChannelInit::default());
    assert_ne!(next.stream(), stream, "the reset is not complete");
    network.run(1);
    assert!(far.is_closed() && next.is_open());
    let again = network.create(0, "again", DataChannelInit::default());
    assert_eq!(again.stream(), stream);
    network.run(1);
    network.send(0, &again, "hello").unwrap();
    network.run(1);
    let other = Arc::clone(network.ends[1].incoming.last().unwrap());
    assert_eq!(network.receive_all(1, &other), [Message::text("hello")]);
    assert!(network.receive_all(1, &far).is_empty());
}

#[test]
fn a_stream_whose_reset_is_refused_ends_its_channel_and_is_not_used_again() {
    let (mut network, [near, _far]) = Network::connected();
    let stream = near.stream().unwrap();
    let now = network.instant();
    let core = &mut network.ends[0].core;
    core.close_channel(now, &near);
    core.handle_reset_refused(now, stream);
    assert!(near.is_closed() && !core.streams.contains_key(&stream));
    for label in ["next", "after"] {
        let next = network.create(0, label, DataChannelInit::default());
        assert_ne!(next.stream(), Some(stream));
        assert!(network.run_until(5, |_| next.is_open()));
    }
    let chosen = DataChannelInit { stream: Some(stream), ..Default::default() };
    assert!(network.try_create(0, "chosen", chosen).is_err());
}

#[test]
fn channels_get_the_lowest_streams_that_are_free() {
    let (mut network, [first, _far]) = Network::connected();
    let channels: Vec<_> =
        (0..20).map(|n| network.create(0, &n.to_string(), DataChannelInit::default())).collect();
    network.run(1);
    let streams: Vec<_> = channels.iter().map(|channel| channel.stream().unwrap()).collect();
    let expected: Vec<_> = (1..=20).map(|n| first.stream().unwrap() + 2 * n).collect();
    assert_eq!(streams, expected);
    for at in [7, 3] {
        network.close_channel(0, &channels[at]);
    }
    network.run(1);
    for at in [3, 7] {
        let again = network.create(0, "again", DataChannelInit::default());
        assert_eq!(again.stream().unwrap(), streams[at]);
    }
    let next = network.create(0, "next", DataChannelInit::default());
    assert_eq!(next.stream().unwrap(), streams[19] + 2);
}

/// The peer may use the stream again before the confirmation of our reset arrives.
#[test]
fn streams_are_used_again_and_again_on_bad_links() {
    for seed in 0..30 {
        let link = Link { delay_ms: 10, jitter_ms: 60, loss_percent: 25, ..Link::default() };
        let mut network = Network::new(seed, [patient(), patient()], link);
        network.create(0, "keep", negotiated(500));
        network.create(1, "keep", negotiated(500));
        network.connect();
        assert!(network.run_until(60, |n| n.ends.iter().all(|end| end.core.sctp_connected)));
        for round in 0..6 {
            let label = round.to_string();
            let near = network.create(0, &label, DataChannelInit::default());
            assert_eq!(near.stream(), Some(1));
            let arrived = |n: &Network| {
                let last = n.ends[1].incoming.last().cloned();
                last.filter(|channel| channel.label() == label.as_bytes())
            };
            let open = network.run_until(60, |n| near.is_open() && arrived(n).is_some());
            assert!(open, "seed {seed}, round {round}");
            let far = arrived(&network).unwrap();
            network.send(0, &near, "there").unwrap();
            network.send(1, &far, "back").unwrap();
            assert!(network.run_until(60, |_| far.available_amount() == 5));
            assert!(network.run_until(60, |_| near.available_amount() == 4));
            match round % 2 {
                0 => network.close_channel(0, &near),
                _ => network.close_channel(1, &far),
            };
            let free = network.run_until(60, |n| !n.ends[0].core.streams.contains_key(&1));
            assert!(free && near.is_closed() && far.is_closed(), "seed {seed}, round {round}");
        }
    }
}

#[test]
fn a_chosen_stream_must_be_free_and_not_too_high() {
    let mut network = Network::new(1, Default::default(), Link::default());
    let first = network.create(0, "", on_stream(7));
    for connected in [false, true] {
        for init in [on_stream(7), negotiated(7), on_stream(65_535)] {
            let error = network.try_create(0, "", init.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{connected}: {init:?}");
        }
        if !connected {
            network.connect();
            network.run(1);
            assert!(first.is_open());
        }
    }
    network.create(0, "", on_stream(65_533));
    for (label, protocol) in [(65_536, 0), (0, 65_536)] {
        let init = DataChannelInit { protocol: vec![0; protocol], ..Default::default() };
        let error = network.try_create(0, &"x".repeat(label), init).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn when_streams_run_out_the_first_channels_open_and_the_rest_close_with_an_error() {
    let few = rtc_sctp_engine::Config { max_inbound_streams: 8, ..Default::default() };
    let mut wanted = vec![DataChannelInit::default(); 6];
    wanted.push(on_stream(9));
    let (mut scripted, channels) = Scripted::connected(DtlsRole::Server, &wanted, few);
    assert_eq!(scripted.end.core.connection(), ConnectionState::Connected);
    assert_eq!(scripted.end.core.max_stream(), 7);
    let streams: Vec<_> = channels.iter().map(|c| c.stream()).collect();
    assert_eq!(streams[..4], [Some(1), Some(3), Some(5), Some(7)]);
    for stream in [1, 3, 5, 7] {
        scripted.say(stream, 50, &[2]);
    }
    for (index, channel) in channels.iter().enumerate() {
        assert_eq!(channel.is_open(), index < 4, "{index}");
        assert_eq!(channel.is_closed(), index >= 4, "{index}");
    }
    assert_eq!(scripted.errors.lock().len(), 3);
    let (core, now) = (&mut scripted.end.core, scripted.now);
    let error = core.create_channel(now, Vec::new(), DataChannelInit::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failure);
    let error = core.create_channel(now, Vec::new(), on_stream(8)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(core.create_channel(now, Vec::new(), negotiated(6)).is_ok());
}

#[test]
fn the_peer_refuses_a_channel_on_a_stream_that_is_not_its_openers() {
    let (mut network, _) = Network::connected();
    let wrong = network.create(0, "wrong", on_stream(2));
    network.run(1);
    assert!(wrong.is_closed());
    assert_eq!(network.ends[1].incoming.len(), 1);
    assert!(!network.ends[0].core.streams.contains_key(&2));
}

// DCEP.

#[test]
fn an_open_on_one_of_our_streams_is_refused() {
    let (mut scripted, own) = Scripted::server();
    scripted.say(1, 50, &[2]);
    assert!(own.is_open());
    assert!(scripted.open(3).is_none());
    assert!(scripted.was_reset(3));
    assert!(scripted.open(1).is_none());
    assert!(scripted.was_reset(1));
    assert!(own.is_closed(), "its stream is gone");
}

#[test]
fn a_second_open_on_a_stream_closes_its_channel() {
    let (mut scripted, own) = Scripted::server();
    let channel = scripted.open(4).unwrap();
    assert!(channel.is_open());
    for _ in 0..3 {
        assert!(scripted.open(4).is_none());
    }
    scripted.say(4, 51, b"to nobody");
    assert!(channel.is_closed() && channel.receive().is_none());
    assert_eq!(scripted.hear(4), [(50, vec![2])], "one channel was accepted");
    assert!(scripted.was_reset(4) && !own.is_closed());
}

/// As [`Scripted::server`], with every stream there is, and an application that takes no channels.
fn deaf_server() -> (Scripted, Arc<DataChannel>) {
    let all = rtc_sctp_engine::Config {
        outbound_streams: u16::MAX,
        max_inbound_streams: u16::MAX,
        ..Default::default()
    };
    let (mut scripted, channels) =
        Scripted::connected(DtlsRole::Server, &[DataChannelInit::default()], all);
    scripted.end.deaf = true;
    let [channel] = channels.try_into().unwrap();
    (scripted, channel)
}

/// Opens a channel with names of some length on each of the streams; nothing is read meanwhile.
fn open_all(scripted: &mut Scripted, streams: impl Iterator<Item = u16>, names: usize) {
    let open = dcep::Open { label: vec![b'x'; names], ..Default::default() };
    let open: Bytes = dcep::Message::Open(open).encode().unwrap().into();
    for stream in streams {
        let (now, options) = (scripted.now, SendOptions::default());
        while let Err(error) = scripted.sctp.send(now, stream, 50, options, open.clone()) {
            assert_eq!(error, SendError::BufferFull);
            scripted.exchange();
        }
    }
    scripted.pump(1);
}

/// Has the application take the channels that wait for it; how many.
fn take_all(scripted: &mut Scripted, from: usize) -> usize {
    let waiting = scripted.end.incoming[from..].to_vec();
    for channel in &waiting {
        scripted.end.core.hand_over(scripted.now, channel);
    }
    scripted.pump(1);
    waiting.len()
}

#[test]
fn channels_that_nobody_takes_are_limited_and_come_once_somebody_does() {
    // The bytes of a label, and how many such channels wait at most.
    for (names, limit) in [(0, MAX_CHANNELS), (65_535, MAX_NAMES / 65_535 + 1)] {
        let (mut scripted, own) = deaf_server();
        let before = scripted.end.incoming.len();
        let count = limit + 20;
        open_all(&mut scripted, (0..count as u16).map(|n| 2 * n), names);
        assert_eq!(scripted.end.incoming.len() - before, limit);
        // The peer gives up one that was let in, and one that was not.
        let (first, last) = (0, 2 * (count as u16 - 1));
        for stream in [first, last] {
            scripted.sctp.reset_stream(scripted.now, stream);
        }
        scripted.pump(1);
        scripted.say(1, 50, &[2]);
        assert!(own.is_open(), "other channels go on");
        // One for one.
        let channel = Arc::clone(&scripted.end.incoming[before]);
        scripted.end.core.hand_over(scripted.now, &channel);
        scripted.pump(1);
        assert_eq!(scripted.end.incoming.len() - before, limit + 1);
        assert_eq!(take_all(&mut scripted, before + 1), limit);
        let channels = &scripted.end.incoming[before..];
        assert_eq!(channels.len(), count);
        let closed: Vec<_> = channels.iter().filter(|channel| channel.is_closed()).collect();
        assert_eq!(
            closed.iter().map(|c| c.stream()).collect::<Vec<_>>(),
            [Some(first), Some(last)]
        );
        assert!(scripted.was_reset(first) && scripted.was_reset(last));
    }
}

#[test]
fn a_stream_opened_again_and_again_makes_no_more_channels_than_are_taken() {
    let (mut scripted, _) = deaf_server();
    let before = scripted.end.incoming.len();
    open_all(&mut scripted, (0..MAX_CHANNELS as u16 - 2).map(|n| 2 * n), 0);
    let stream = 2 * MAX_CHANNELS as u16;
    for _ in 0..5 {
        open_all(&mut scripted, std::iter::once(stream), 0);
        scripted.sctp.reset_stream(scripted.now, stream);
        scripted.pump(5);
    }
    assert_eq!(scripted.end.incoming.len() - before, MAX_CHANNELS);
}

#[test]
fn data_on_a_stream_without_a_channel_has_it_reset() {
    let (mut scripted, own) = Scripted::server();
    for stream in [0, 3, 1000] {
        scripted.say(stream, 51, b"nobody listens");
        assert!(scripted.was_reset(stream));
    }
    scripted.say(1, 50, &[2]);
    assert!(own.is_open());
}

#[test]
fn messages_before_the_ack_wait_for_the_channel_to_open() {
    let (mut scripted, own) = Scripted::server();
    scripted.say(1, 53, b"early");
    assert!(!own.is_open());
    assert_eq!(own.available_amount(), 5);
    scripted.say(1, 50, &[2]);
    assert!(own.is_open());
    assert_eq!(own.receive(), Some(Message::binary(&b"early"[..])));
}

#[test]
fn nothing_overtakes_the_open_of_an_unordered_channel() {
    let mut init = DataChannelInit::default();
    init.reliability.unordered = true;
    let (mut scripted, own) =
        Scripted::connected(DtlsRole::Server, &[init], rtc_sctp_engine::Config::default());
    let send = |scripted: &mut Scripted, text: &str| {
        scripted.end.core.send_message(scripted.now, &own[0], text.into()).unwrap();
        scripted.pump(1);
        let message = std::iter::from_fn(|| scripted.sctp.read(1)).last().unwrap();
        (message.ppid, message.unordered)
    };
    assert_eq!(send(&mut scripted, "before the ACK"), (51, false));
    scripted.say(1, 50, &[2]);
    assert_eq!(send(&mut scripted, "after the ACK"), (51, true));
}

/// A stream, an identifier and a payload, mostly close to what means something.
fn utterance() -> impl Strategy<Value = (u16, u32, Vec<u8>)> {
    let stream = prop_oneof![0..6_u16, 0..1024_u16];
    let ppid = prop_oneof![50..58_u32, any::<u32>()];
    let control = (prop_oneof![Just(3), Just(2), any::<u8>()], any::<[u8; 3]>(), 0..3_u8).prop_map(
        |(kind, rest, length)| {
            vec![kind, rest[0] & 0x83, 0, 0, 0, 0, 0, 1, 0, length, 0, 1, b'x', b'y', rest[1]]
        },
    );
    let data = prop_oneof![control, prop::collection::vec(any::<u8>(), 1..40)];
    (stream, ppid, data)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn garbage_on_any_stream_harms_no_other_channel(
        said in prop::collection::vec(utterance(), 1..60),
    ) {
        let (mut scripted, channels) = Scripted::connected(
            DtlsRole::Server,
            &[negotiated(1000)],
            rtc_sctp_engine::Config::default(),
        );
        for (stream, ppid, data) in said {
            if stream != 1000 {
                let (now, options) = (scripted.now, SendOptions::default());
                // A stream that the core has refused takes nothing more.
                let _ = scripted.sctp.send(now, stream, ppid, options, data.into());
                scripted.exchange();
            }
        }
        prop_assert_eq!(scripted.end.core.connection(), ConnectionState::Connected);
        prop_assert!(channels[0].is_open());
        scripted.say(1000, 51, b"still here");
        prop_assert_eq!(channels[0].receive(), Some(Message::text("still here")));
    }
}

// Payloads.

#[test]
fn every_payload_identifier_has_its_meaning() {
    let (mut scripted, _) = Scripted::server();
    let channel = scripted.open(0).unwrap();
    for (ppid, expected) in [
        (51, Some(Message::text("x"))),
        (53, Some(Message::binary(&b"x"[..]))),
        (56, Some(Message::text(""))),
        (57, Some(Message::binary(Bytes::new()))),
        (0, None),
        (49, None),
        (55, None),
        (58, None),
        (u32::MAX, None),
    ] {
        scripted.say(0, ppid, b"x");
        assert_eq!(channel.receive(), expected, "{ppid}");
    }
    assert!(channel.is_open());
}

#[test]
fn messages_in_deprecated_parts_are_joined_for_each_stream() {
    let (mut scripted, _) = Scripted::server();
    let [a, b] = [0, 2].map(|stream| scripted.open(stream).unwrap());
    for (stream, ppid, part) in [
        (0, 54, "one "),
        (2, 52, "1"),
        (0, 54, "two "),
        (2, 52, "2"),
        (0, 51, "three"),
        (2, 53, "3"),
        (0, 51, "whole"),
    ] {
        scripted.say(stream, ppid, part.as_bytes());
    }
    assert_eq!(a.receive(), Some(Message::text("one two three")));
    assert_eq!(a.receive(), Some(Message::text("whole")));
    assert_eq!(b.receive(), Some(Message::binary(&b"123"[..])));
    assert_eq!((a.receive(), b.receive()), (None, None));
}

#[test]
fn parts_do_not_add_up_to_more_than_the_maximum() {
    let (mut scripted, _) = Scripted::server();
    let channel = scripted.open(0).unwrap();
    let max = Configuration::default().max_message_size;
    let errors = errors_of(&channel);
    for _ in 0..4 {
        scripted.say(0, 52, &vec![1; max / 4]);
    }
    assert!(channel.is_open());
    scripted.say(0, 53, b"x");
    assert!(channel.is_closed() && channel.receive().is_none());
    assert_eq!(errors.lock().len(), 1);
    assert!(scripted.was_reset(0));
    assert_eq!(scripted.end.core.partial_bytes, 0);
}

#[test]
fn parts_on_many_streams_are_held_in_bounds() {
    let (mut scripted, _) = Scripted::server();
    let part = Configuration::default().max_message_size;
    let full = MAX_PARTIAL_BYTES / part;
    let channels: Vec<_> = (0..=full as u16).map(|i| scripted.open(2 * i).unwrap()).collect();
    // Most of it is put there directly, to save time.
    for stream in 0..full as u16 - 1 {
        let core = &mut scripted.end.core;
        core.streams.get_mut(&(2 * stream)).unwrap().partial = vec![1; part];
        core.partial_bytes += part;
    }
    scripted.say(2 * (full as u16 - 1), 52, &vec![1; part]);
    assert_eq!(scripted.end.core.partial_bytes, MAX_PARTIAL_BYTES);
    scripted.say(2 * full as u16, 53, b"whole messages pass");
    assert_eq!(channels[full].available_amount(), 19);
    scripted.say(2 * full as u16, 52, b"one too many");
    assert!(channels[full].is_closed());
    assert!(channels[..full].iter().all(|channel| channel.is_open()));
    assert!(scripted.open(0).is_none());
    assert_eq!(scripted.end.core.partial_bytes, MAX_PARTIAL_BYTES - part);
}

#[test]
fn a_message_above_the_maximum_closes_its_channel_with_an_error() {
    let (mut scripted, other) = Scripted::server();
    scripted.say(1, 50, &[2]);
    let channel = scripted.open(0).unwrap();
    let errors = errors_of(&channel);
    scripted.say(0, 53, b"before");
    scripted.say(0, 53, &vec![1; Configuration::default().max_message_size + 1]);
    assert!(channel.is_closed());
    assert_eq!(errors.lock().len(), 1);
    assert!(scripted.was_reset(0));
    assert_eq!(channel.receive(), Some(Message::binary(&b"before"[..])));
    assert_eq!(channel.receive(), None);
    assert!(other.is_open());
}

// Queues.

#[test]
fn a_channel_that_nobody_reads_holds_its_peer_back_and_then_goes_on() {
    let (mut network, [near, far]) = Network::connected();
    const COUNT: u32 = 8000;
    for i in 0..COUNT {
        let mut data = vec![0; 1000];
        data[..4].copy_from_slice(&i.to_be_bytes());
        network.send(0, &near, data).unwrap();
    }
    network.run(10);
    assert_eq!(far.available_amount(), RECEIVE_QUEUE_MESSAGES * 1000);
    assert!(near.buffered_amount() > 500_000, "{}", near.buffered_amount());
    for i in 0..COUNT {
        let message = match network.receive(1, &far) {
            Some(message) => message,
            None => {
                network.run(1);
                network.receive(1, &far).unwrap_or_else(|| panic!("stopped at {i}"))
            }
        };
        assert_eq!(message.data[..4], i.to_be_bytes());
    }
    assert!(network.receive(1, &far).is_none());
    assert_eq!(near.buffered_amount(), 0);
}

#[test]
fn a_channel_holds_its_peer_back_at_16_mib() {
    let (mut network, [near, far]) = Network::connected();
    // Most of it is put there directly, to save time.
    let block = Bytes::from(vec![0; 1024 * 1024]);
    for _ in 0..RECEIVE_QUEUE_BYTES / block.len() - 1 {
        far.port.push_received(Message::binary(block.clone()));
    }
    let message = vec![1; 256 * 1024];
    for _ in 0..8 {
        network.send(0, &near, message.clone()).unwrap();
    }
    network.run(5);
    assert_eq!(far.available_amount(), RECEIVE_QUEUE_BYTES);
    while far.port.is_throttled() {
        network.receive(1, &far).unwrap();
    }
    network.run(1);
    assert_eq!(far.available_amount(), RECEIVE_QUEUE_BYTES / 2 + 4 * message.len());
}

/// Queues blocks of 1 MiB in a channel for as long as it has room, as if they had come.
fn fill(channel: &DataChannel, block: &Bytes) -> usize {
    let stream = channel.stream().unwrap();
    while channel.has_room(stream) {
        channel.port.push_received(Message::binary(block.clone()));
    }
    channel.available_amount()
}

#[test]
fn channels_that_nobody_reads_leave_room_for_those_that_are_read() {
    const MIB: usize = 1024 * 1024;
    let (mut scripted, _) = Scripted::server();
    let block = Bytes::from(vec![0; MIB]);
    let unread: Vec<_> = (0..100).map(|n| scripted.open(2 * n).unwrap()).collect();
    let held: Vec<_> = unread[..6].iter().map(|c| fill(c, &block) / MIB).collect();
    assert_eq!(held, [16, 16, 16, 8, 4, 2], "of 64 MiB");
    let read = scripted.open(300).unwrap();
    for round in 0..20 {
        scripted.say(300, 53, &vec![round; 200_000]);
        let message = read.receive().map(|message| message.data);
        assert_eq!(message, Some(vec![round; 200_000].into()));
    }
    // When even the smallest shares are taken, what is left comes as soon as anybody reads.
    let held: usize = unread.iter().map(|channel| fill(channel, &block)).sum();
    assert!((CONNECTION_QUEUE_BYTES - MIB..CONNECTION_QUEUE_BYTES + MIB).contains(&held));
    scripted.say(300, 51, b"waits");
    scripted.say(2, 51, b"waits as well");
    assert_eq!(read.available_amount(), 0);
    unread[5].receive().unwrap();
    scripted.end.core.resume_stream(scripted.now, 10);
    assert_eq!(read.receive(), Some(Message::text("waits")));
    assert_eq!(unread[1].available_amount(), 16 * MIB);
    // So it does when a channel is deleted.
    fill(&read, &block);
    scripted.say(202, 50, &dcep::Message::Open(dcep::Open::default()).encode().unwrap());
    scripted.say(202, 51, b"once more");
    let last = Arc::clone(scripted.end.incoming.last().unwrap());
    assert_eq!((last.stream(), last.available_amount()), (Some(202), 0));
    unread[0].delete();
    scripted.end.core.resume_stream(scripted.now, 0);
    assert_eq!(last.receive(), Some(Message::text("once more")));
}

#[test]
fn a_throttled_channel_that_closes_lets_the_others_go_on() {
    for closer in [0, 1] {
        let (mut network, [near, far]) = Network::connected();
        let [other, other_far] = [0, 1].map(|end| network.create(end, "other", negotiated(100)));
        for _ in 0..4000 {
            network.send(0, &near, vec![1; 1000]).unwrap();
        }
        network.run(10);
        assert_eq!(far.available_amount(), RECEIVE_QUEUE_MESSAGES * 1000);
        match closer {
            0 => network.close_channel(0, &near),
            _ => network.close_channel(1, &far),
        };
        if closer == 0 {
            // All of it was promised, so it has to be read.
            for _ in 0..10 {
                network.run(1);
                network.receive_all(1, &far);
            }
        }
        network.send(0, &other, "hello").unwrap();
        network.run(5);
        assert_eq!(network.receive(1, &other_far), Some(Message::text("hello")), "{closer}");
        network.run(5);
        assert!(near.is_closed() && far.is_closed());
        assert!(!network.ends[0].core.streams.contains_key(&1), "the stream is free again");
    }
}

#[test]
fn what_a_closed_channel_received_can_still_be_read() {
    for end_connection in [false, true] {
        let (mut network, [near, far]) = Network::connected();
        for _ in 0..3000 {
            network.send(0, &near, "unread").unwrap();
        }
        match end_connection {
            true => network.close(0),
            false => assert!(network.close_channel(0, &near)),
        }
        network.run(5);
        let mut count = 0;
        while network.receive(1, &far).is_some() {
            count += 1;
        }
        assert_eq!(count, 3000, "connection: {end_connection}");
        assert!(far.is_closed());
        assert!(far.send("no".into()).is_err());
    }
}

#[test]
fn the_buffered_amount_falls_to_its_threshold_once_for_each_time_it_rose_above() {
    let (mut network, [near, far]) = Network::connected();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    near.set_buffered_amount_low_threshold(300_000);
    near.on_buffered_amount_low(Some(Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    })));
    for rise in 1..=3 {
        for i in 0..12_usize {
            network.send(0, &near, vec![1; 200_000]).unwrap();
            let queued = (i + 1).saturating_sub(6) * 200_000;
            assert!(near.buffered_amount() >= queued, "{i}: {}", near.buffered_amount());
        }
        while network.receive_all(1, &far).is_empty() || near.buffered_amount() > 0 {
            network.run(1);
        }
        assert_eq!(count.load(Ordering::Relaxed), rise);
        network.run(5);
        network.receive_all(1, &far);
    }
    // Not above the threshold: no news.
    for _ in 0..6 {
        network.send(0, &near, vec![1; 200_000]).unwrap();
    }
    assert!(near.buffered_amount() <= 300_000);
    network.run(5);
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert_eq!(near.buffered_amount(), 0);
}

// Closing.

#[test]
fn a_channel_closes_at_both_ends_after_what_was_queued() {
    for closer in [0, 1] {
        let (mut network, channels) = Network::connected();
        let [near, far] = [&channels[closer], &channels[1 - closer]];
        let closed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&closed);
        far.on_closed(Some(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        })));
        for _ in 0..20 {
            network.send(closer, near, vec![1; 200_000]).unwrap();
        }
        assert!(network.close_channel(closer, near));
        assert!(near.is_closed() && !far.is_closed());
        let error = network.send(closer, near, "more").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failure);
        network.run(10);
        assert_eq!(network.receive_all(1 - closer, far).len(), 20);
        assert!(far.is_closed());
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        let open = network.ends.iter().map(|end| end.core.streams.len()).sum::<usize>();
        assert_eq!(open, 0);
        assert!(network.ends.iter().all(|end| !end.core.is_closed()));
    }
}

#[test]
fn both_ends_may_close_a_channel_at_once() {
    let (mut network, [near, far]) = Network::connected();
    network.send(0, &near, vec![1; 100_000]).unwrap();
    network.send(1, &far, vec![1; 100_000]).unwrap();
    network.close_channel(0, &near);
    network.close_channel(1, &far);
    network.run(10);
    assert!(network.ends.iter().all(|end| end.core.streams.is_empty()));
}

#[test]
fn channels_that_never_opened_close_with_their_connection() {
    let mut network = Network::new(1, Default::default(), Link::default());
    let channel = network.create(0, "", DataChannelInit::default());
    let error = network.send(0, &channel, "too early").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failure);
    network.close(0);
    assert!(channel.is_closed());
    assert_eq!(network.ends[0].states(), [ConnectionState::Closed]);
}

#[test]
fn a_channel_closed_before_the_connection_is_never_opened() {
    let mut network = Network::new(1, Default::default(), Link::default());
    let closed = network.create(0, "closed", DataChannelInit::default());
    let kept = network.create(0, "kept", DataChannelInit::default());
    assert!(network.close_channel(0, &closed));
    network.connect();
    network.run(1);
    assert!(kept.is_open() && closed.is_closed());
    let labels: Vec<_> = network.ends[1].incoming.iter().map(|c| c.label().to_vec()).collect();
    assert_eq!(labels, [b"kept".to_vec()]);
}

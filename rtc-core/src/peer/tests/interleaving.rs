//! A large message, or many of them, does not keep the messages of other channels waiting
//! (RFC 8260).

use std::sync::Arc;

use rtc_sctp_engine::Event;

use super::network::{Link, Network, negotiated};
use super::scripted::Scripted;
use crate::backend::dtls::DtlsRole;
use crate::channel::{Channel as _, DataChannel};
use crate::config::Configuration;

const MIB: usize = 1 << 20;

/// Two ends with `count` channels, on a path of a tenth of a second.
fn connected(count: u16) -> (Network, [Vec<Arc<DataChannel>>; 2]) {
    let config = Configuration { max_message_size: 16 * MIB, ..Configuration::default() };
    let link = Link { delay_ms: 50, ..Link::default() };
    let mut network = Network::new(1, [config.clone(), config], link);
    let channels =
        [0, 1].map(|end| (0..count).map(|n| network.create(end, "", negotiated(n))).collect());
    network.connect();
    assert!(network.run_until(10, |n| n.ends.iter().all(|end| end.core.sctp_connected)));
    network.run(1);
    (network, channels)
}

#[test]
fn small_messages_overtake_large_ones_of_other_channels() {
    for (size, count) in [(16 * MIB, 1), (MIB, 16), (64 * 1024, 256)] {
        let (mut network, [near, far]) = connected(2);
        for number in 0..count {
            network.send(0, &near[0], vec![number as u8; size]).unwrap();
        }
        network.run_for_ms(120);
        // They share the path, of which not much is used yet.
        for length in [1, 100, 5000, 30_000, 10] {
            network.send(0, &near[1], vec![7; length]).unwrap();
        }
        network.run_for_ms(400);
        let got: Vec<_> =
            network.receive_all(1, &far[1]).iter().map(|message| message.data.len()).collect();
        assert_eq!(got, [1, 100, 5000, 30_000, 10], "behind {count} of {size}");
        let left = network.ends[0].core.stream_queued(0) + near[0].buffered_amount();
        assert!(left > 8 * MIB, "{left} of {count} of {size} are left");
        for number in 0..count {
            assert!(network.run_until(20, |_| far[0].available_amount() > 0), "{number}");
            let message = network.receive(1, &far[0]).unwrap();
            assert!(message.data.len() == size && message.data[size / 2] == number as u8);
        }
    }
}

#[test]
fn large_messages_of_many_channels_all_arrive_though_no_window_holds_them() {
    let (mut network, [near, far]) = connected(8);
    for channel in &near {
        for size in [3 * MIB, 1500, 300_000] {
            network.send(0, channel, vec![1; size]).unwrap();
        }
    }
    for channel in &far {
        for size in [3 * MIB, 1500, 300_000] {
            let some = network.run_until(60, |_| channel.available_amount() > 0);
            assert!(some, "{} bytes on {:?}", size, channel.stream());
            assert_eq!(network.receive(1, channel).unwrap().data.len(), size);
        }
    }
}

#[test]
fn a_peer_that_does_not_offer_it_gets_whole_messages_in_turn() {
    for interleaving in [false, true] {
        let config = rtc_sctp_engine::Config { interleaving, ..Default::default() };
        let (mut scripted, channels) =
            Scripted::connected(DtlsRole::Server, &[negotiated(0), negotiated(1)], config);
        for (channel, size) in [(0, 200_000), (1, 20_000)] {
            let message = vec![5; size].into();
            scripted.end.core.send_message(scripted.now, &channels[channel], message).unwrap();
        }
        scripted.pump(1);
        let is_readable = |event: &&Event| matches!(event, Event::StreamReadable(_));
        let first = scripted.events.iter().find(is_readable);
        assert_eq!(first, Some(&Event::StreamReadable(interleaving.into())));
        scripted.say(1, 53, &[9; 100_000]);
        assert_eq!(channels[1].receive().unwrap().data.len(), 100_000);
    }
}

//! The path MTU: what is sent stays within it, and follows it.

use super::network::{Link, Network};
use crate::channel::Channel as _;
use crate::config::{Configuration, DataChannelInit, MAX_MTU};

/// IPv6 and UDP headers, bytes.
const HEADERS: usize = 48;

/// Two connected ends that probe for `max_mtu`, on a path of `mtu`.
fn network(max_mtu: usize, mtu: usize) -> Network {
    let config = Configuration { max_mtu, ..Configuration::default() };
    let link = Link { delay_ms: 1, mtu: mtu - HEADERS, ..Link::default() };
    let mut network = Network::new(1, [config.clone(), config], link);
    let channel = network.create(0, "x", DataChannelInit::default());
    network.connect();
    assert!(network.run_until(10, |n| channel.is_open() && !n.ends[1].incoming.is_empty()));
    network.run(60);
    network
}

fn packet_size(network: &Network) -> usize {
    network.ends[0].core.association_metrics().unwrap().packet_size
}

#[test]
fn probing_counts_the_overhead_of_records_and_finds_what_the_path_carries() {
    for (max_mtu, mtu) in [(1500, 1500), (1500, 1400), (9000, 9000), (9000, 1280), (MAX_MTU, 9000)]
    {
        let network = network(max_mtu, mtu);
        let overhead = network.ends[0].core.overhead;
        let most = mtu - HEADERS - overhead.head - overhead.tail;
        let found = packet_size(&network);
        assert!(found <= most && found + 20 > most.min(max_mtu), "{found} of {most}");
    }
}

#[test]
fn nothing_beyond_the_mtu_is_sent_unless_probing_was_asked_for() {
    for max_mtu in [0, 1280] {
        assert_eq!(packet_size(&network(max_mtu, 9000)), 1172);
    }
}

#[test]
fn data_goes_on_when_the_path_shrinks() {
    let mut network = network(9000, 9000);
    let [near, far] = [&network.ends[0].core, &network.ends[1].core].map(|core| {
        let channel = core.channels().remove(0);
        assert!(channel.is_open());
        channel
    });
    for round in 0..3 {
        network.send(0, &near, vec![round; 200_000]).unwrap();
        if round == 1 {
            network.run_for_ms(2);
            network.link.mtu = 1280 - HEADERS;
        }
        assert!(
            network.run_until(20, |n| n.ends[0].core.stream_queued(near.stream().unwrap()) == 0)
        );
        let got = network.receive_all(1, &far);
        assert!(got.len() == 1 && *got[0].data == *vec![round; 200_000], "round {round}");
    }
    assert_eq!(packet_size(&network), 1172);
}

#[test]
fn probing_beyond_all_sense_is_refused() {
    let config = Configuration { max_mtu: MAX_MTU + 1, ..Configuration::default() };
    assert!(config.validate().is_err());
}

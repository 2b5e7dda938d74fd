//! What the figures of the association say while data is on its way.

use super::network::{Link, Network};
use crate::channel::Channel as _;

#[test]
fn there_are_no_figures_before_there_is_an_association() {
    let network = Network::new(1, Default::default(), Link::default());
    assert_eq!(network.ends[0].core.association_metrics(), None);
}

#[test]
fn the_figures_follow_a_transfer() {
    let (mut network, [near, far]) = Network::connected();
    let stream = near.stream().unwrap();
    let size = 200_000;
    network.send(0, &near, vec![7; size]).unwrap();
    let metrics = |n: &Network, end: usize| n.ends[end].core.association_metrics().unwrap();

    let begun = metrics(&network, 0);
    assert_eq!(begun.slow_start_threshold, None, "nothing was lost yet");
    // The window may be exceeded by less than a packet.
    let most = begun.congestion_window + 1172;
    assert!(begun.in_flight > 0 && begun.in_flight < most, "{begun:?}");
    assert!(begun.peer_window > 0 && begun.queued == size, "{begun:?}");
    assert_eq!(network.ends[0].core.stream_queued(stream), size);
    assert_eq!(network.ends[0].core.stream_queued(stream + 2), 0);

    assert!(network.run_until(10, |n| n.ends[0].core.stream_queued(stream) == 0));
    let (sent, received) = (metrics(&network, 0), metrics(&network, 1));
    assert_eq!((sent.in_flight, sent.queued, sent.retransmitted), (0, 0, 0));
    let time = sent.round_trip_time.unwrap();
    assert!(sent.min_round_trip_time.unwrap() <= time && time < sent.retransmission_timeout);
    assert!(sent.bytes.0 >= size as u64 && received.bytes.1 == sent.bytes.0, "{received:?}");
    assert_eq!(far.receive().unwrap().data.len(), size);
}

#[test]
fn what_a_lossy_network_costs_is_counted() {
    let (mut network, [near, _far]) = Network::connected();
    network.link.loss_percent = 10;
    network.send(0, &near, vec![7; 200_000]).unwrap();
    let stream = near.stream().unwrap();
    assert!(network.run_until(60, |n| n.ends[0].core.stream_queued(stream) == 0));
    let figures = network.ends[0].core.association_metrics().unwrap();
    assert!(figures.retransmitted > 0, "{figures:?}");
    assert!(figures.packets.0 > 200_000 / 1172, "{figures:?}");
}

//! Associations without a handshake: `a=sctp-init` in both descriptions.

use std::time::Duration;

use super::network::{Link, Network, without_init};
use crate::config::DataChannelInit;
use crate::sdp::{Description, DescriptionKind};
use crate::state::ConnectionState::Connected;

const LINK: Link = Link {
    delay_ms: 10,
    jitter_ms: 0,
    loss_percent: 0,
    duplicate_percent: 0,
    damage_percent: 0,
    mtu: 0,
};

/// Makes the answer that is delivered out of the offer and the answer.
type Change = dyn Fn(&str, &str) -> String;

fn network() -> Network {
    let mut network = Network::new(1, Default::default(), LINK);
    network.create(0, "first", DataChannelInit::default());
    network
}

/// Exchanges descriptions, the answer changed, and connects.
fn connect(network: &mut Network, change: &Change) {
    let now = network.instant();
    let [a, b] = &mut network.ends;
    a.core.set_local_description(now, DescriptionKind::Offer).unwrap();
    let offer = a.core.local_description().unwrap().to_sdp();
    let parsed = Description::parse(&offer, DescriptionKind::Offer).unwrap();
    b.core.set_remote_description(now, parsed).unwrap();
    b.core.set_local_description(now, DescriptionKind::Answer).unwrap();
    let answer = change(&offer, &b.core.local_description().unwrap().to_sdp());
    let parsed = Description::parse(&answer, DescriptionKind::Answer).unwrap();
    a.core.set_remote_description(now, parsed).unwrap();
    network.find_path(0);
    network.find_path(1);
}

/// Virtual time until the other end has the channel.
fn time_to_channel(network: &mut Network) -> Duration {
    let begun = network.now;
    assert!(network.run_until(10, |n| !n.ends[1].incoming.is_empty()));
    network.now - begun
}

#[test]
fn the_handshake_is_left_out_when_both_descriptions_have_an_init() {
    let mut plain = network();
    plain.signals_init = false;
    plain.connect();
    let with_handshake = time_to_channel(&mut plain);

    let mut signaled = network();
    signaled.connect();
    let without = time_to_channel(&mut signaled);
    // INIT, INIT-ACK, COOKIE-ECHO, COOKIE-ACK, of which the end that opens waits for all.
    assert!(without + Duration::from_millis(20) <= with_handshake, "{without:?}");
    assert_eq!(signaled.ends[0].states().last(), Some(&Connected));
}

fn init(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("a=sctp-init:")).unwrap()
}

#[test]
fn answers_that_lack_repeat_or_garble_the_init_lead_to_a_handshake() {
    let without = |_: &str, answer: &str| without_init(answer);
    // As libdatachannel up to 0.24 answers.
    let echo = |offer: &str, answer: &str| answer.replace(init(answer), init(offer));
    let garbage = |_: &str, answer: &str| answer.replace(init(answer), "AAAA");
    let no_base64 = |_: &str, answer: &str| answer.replace(init(answer), "%%%%");
    let changes: [&Change; 4] = [&without, &echo, &garbage, &no_base64];
    for (number, change) in changes.into_iter().enumerate() {
        let mut network = network();
        // The end that answers is one that knows nothing of it either.
        connect(&mut network, change);
        let answered = &mut network.ends[1].core;
        assert!(!answered.sctp_connected, "{number}");
        let remote = answered.remote.take().unwrap();
        let plain = without_init(&remote.to_sdp());
        answered.remote = Some(Description::parse(&plain, DescriptionKind::Offer).unwrap());
        time_to_channel(&mut network);
    }
}

#[test]
fn every_offer_of_a_connection_signals_the_same_init() {
    let mut network = network();
    network.connect();
    time_to_channel(&mut network);
    let first = network.ends[0].core.local_description().unwrap().to_sdp();
    let again = network.ends[0].core.compose(DescriptionKind::Offer).unwrap().to_sdp();
    assert_eq!(init(&first), init(&again));
    let other = network.ends[1].core.local_description().unwrap().to_sdp();
    assert_ne!(init(&first), init(&other));
}

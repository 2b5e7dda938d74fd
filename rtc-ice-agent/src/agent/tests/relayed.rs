//! Pairs of agents of which some can only be reached through a TURN server.

use proptest::prelude::*;
use rtc_core::backend::IceRole::{Controlled, Controlling};
use stun_types::attribute::ErrorCode;
use stun_types::message::Message;
use turn_server_proto::types::AddressFamily;

use super::net::{A, B, NatKind, Net, Node, TURN_SERVER};
use super::*;

const HOST_A_IPV6: &str = "[2001:db8:a::1]:5000";
const HOST_B_IPV6: &str = "[2001:db8:b::1]:6000";
const PASSWORD: &str = "password";

/// Two sides that cannot reach each other directly.
fn symmetric_nats(seed: u64) -> Net {
    let a = Node::new(Controlling, 1, &["10.0.0.1:5000"])
        .behind(NatKind::Symmetric, "203.0.113.1:40000");
    let b = Node::new(Controlled, 2, &["10.0.0.1:6000"])
        .behind(NatKind::Symmetric, "203.0.113.2:50000");
    Net::new(seed, a, b)
}

fn relay_candidates(net: &Net, side: usize) -> Vec<Candidate> {
    let all = net.nodes[side].candidates();
    all.into_iter().filter(|c| c.kind == CandidateKind::Relayed).collect()
}

fn is_gathered(net: &Net, side: usize) -> bool {
    net.nodes[side].events.iter().any(|(_, event)| *event == AgentEvent::GatheringDone)
}

#[test]
fn a_relay_on_either_side_or_both_connects_what_nats_separate() {
    for loss in [0.0, 0.1] {
        for (relay_a, relay_b) in [(true, false), (false, true), (true, true)] {
            let mut net = symmetric_nats(5);
            net.loss = loss;
            for (side, relayed) in [(A, relay_a), (B, relay_b)] {
                if relayed {
                    net.gather_relayed(side, PASSWORD);
                } else {
                    // The server lets in only addresses that the other side knows to ask for.
                    net.gather(side, true);
                }
            }
            assert!(net.run_until(LONG, |net| is_gathered(net, A) && is_gathered(net, B)));
            for (side, relayed) in [(A, relay_a), (B, relay_b)] {
                let candidates = relay_candidates(&net, side);
                assert_eq!(candidates.len(), usize::from(relayed));
                for candidate in candidates {
                    assert_eq!(candidate.extensions, "raddr 0.0.0.0 rport 0");
                    assert_eq!(candidate.priority >> 24, 0);
                }
            }
            net.signal_to(B);
            net.signal_to(A);
            for side in [A, B] {
                net.nodes[side].agent.end_of_remote_candidates(net.now);
            }
            let completed = net.run_until_both(LONG, IceState::Completed);
            assert!(completed, "loss {loss}, relays {relay_a} {relay_b}");
            assert_data_flows(&mut net);
            if loss == 0.0 {
                // Allocation, permission and channel are refreshed for longer than each lasts.
                net.run_for(Duration::from_secs(3600));
                assert_data_flows(&mut net);
            }
        }
    }
}

#[test]
fn relay_only_uses_nothing_but_the_relay() {
    let a = Node::new(Controlling, 1, &[HOST_A]);
    let b = Node::new(Controlled, 2, &[HOST_B]);
    let mut net = Net::new(1, a, b);
    let config = AgentConfig { role: Controlling, relay_only: true, seed: [3; 32] };
    net.nodes[A].agent = Agent::new(config);
    net.gather_relayed(A, PASSWORD);
    net.gather(B, false);
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    let kinds: Vec<_> = net.nodes[A].candidates().into_iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [CandidateKind::Relayed]);
    net.signal_to(B);
    net.signal_to(A);
    net.nodes[A].agent.end_of_remote_candidates(net.now);
    assert!(net.run_until_both(LONG, IceState::Completed));
    let pair = net.nodes[B].agent.selected_pair().unwrap();
    assert_eq!(pair.address, net.relayed[0], "B talks to the relay");
    assert_data_flows(&mut net);
}

/// Two sides that have found a direct pair, though one has a relay.
fn connected_beside_a_relay() -> Net {
    let mut net = pair_of_hosts(1);
    net.gather_relayed(A, PASSWORD);
    net.gather(B, false);
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    net.signal_to(B);
    net.signal_to(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
    net
}

#[test]
fn a_direct_pair_wins_and_the_relay_is_given_back() {
    let mut net = connected_beside_a_relay();
    let pair = net.nodes[A].agent.selected_pair().unwrap();
    assert_eq!((pair.local.kind, pair.relay), (CandidateKind::Host, None));
    net.run_for(Duration::from_secs(6));
    let sent = net.nodes[A].sent;
    net.run_for(Duration::from_secs(3600));
    let checks = (net.nodes[A].sent - sent) as f64 / 3600.0;
    assert!(checks <= 2.0 / 4.0, "consent checks and answers only, not {checks} per second");
}

#[test]
fn wrong_credentials_and_silent_servers_end_gathering_without_a_candidate() {
    let mut net = pair_of_hosts(1);
    net.gather_relayed(A, "wrong");
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    assert!(net.elapsed() < Duration::from_secs(1), "the server refuses at once");
    assert_eq!(relay_candidates(&net, A), []);
    assert!(net.nodes[A].sent <= 10);

    let mut net = pair_of_hosts(1);
    net.dead.push(TURN_SERVER.parse().unwrap());
    net.gather_relayed(A, PASSWORD);
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    assert_eq!(net.elapsed(), Duration::from_millis(23_500));
    assert_eq!(net.nodes[A].sent, 6);
}

/// Two relay-only sides with hosts of both families.
fn relay_only_with_ipv6(seed: u64, grants: &[AddressFamily]) -> Net {
    let a = Node::new(Controlling, 1, &[HOST_A, HOST_A_IPV6]);
    let b = Node::new(Controlled, 2, &[HOST_B, HOST_B_IPV6]);
    let mut net = Net::new(seed, a, b);
    net.grants = grants.to_vec();
    for (side, role) in [(A, Controlling), (B, Controlled)] {
        let config = AgentConfig { role, relay_only: true, seed: [side as u8 + 3; 32] };
        net.nodes[side].agent = Agent::new(config);
        net.gather_relayed(side, PASSWORD);
    }
    net.watch(TURN_SERVER);
    assert!(net.run_until(LONG, |net| is_gathered(net, A) && is_gathered(net, B)));
    net
}

fn is_ipv6(candidate: &Candidate) -> bool {
    candidate.host.contains(':')
}

#[test]
fn ipv6_relays_are_asked_for_where_there_is_ipv6_and_cost_no_ipv4_relay() {
    const V4: AddressFamily = AddressFamily::IPV4;
    const V6: AddressFamily = AddressFamily::IPV6;
    let both = &[HOST_A, HOST_A_IPV6];
    // Hosts, what the server grants, how it refuses both at once; the relays, the round trips.
    let cases: [(&[&str], &[_], _, &[bool], u32); 13] = [
        (&[HOST_A], &[V4, V6], None, &[false], 2),
        (&[HOST_A], &[V4], None, &[false], 2),
        (&[HOST_A], &[V6], None, &[], 2),
        (both, &[V4], None, &[false], 2),
        (both, &[V4, V6], None, &[false, true], 2),
        (both, &[V6], None, &[true], 2),
        (both, &[], None, &[], 6),
        (both, &[V4, V6], Some(440), &[false], 4),
        (both, &[V4], Some(400), &[false], 4),
        (both, &[V4], Some(420), &[false], 4),
        (both, &[V4], Some(508), &[false], 4),
        (both, &[V6], Some(440), &[true], 6),
        (both, &[V6], Some(508), &[true], 6),
    ];
    for (hosts, grants, refuses_both_by, expected, round_trips) in cases {
        let a = Node::new(Controlling, 1, hosts);
        let mut net = Net::new(1, a, Node::new(Controlled, 2, &[HOST_B]));
        (net.grants, net.refuses_both_by) = (grants.to_vec(), refuses_both_by);
        net.gather_relayed(A, PASSWORD);
        assert!(net.run_until(LONG, |net| is_gathered(net, A)));
        let mut families: Vec<_> = relay_candidates(&net, A).iter().map(is_ipv6).collect();
        families.sort_unstable();
        let case = format!("{hosts:?}, {grants:?}, {refuses_both_by:?}");
        assert_eq!(families, expected, "{case}");
        // The pause that the state machine makes between requests may come on top of it.
        let pauses = Duration::from_millis(50) * round_trips / 2;
        assert!(net.elapsed() <= 2 * net.delay * round_trips + pauses, "{case}");
        if net.refuses_both_by.is_none() && !expected.is_empty() {
            assert!(net.elapsed() <= plain_gathering(), "{case}: it takes longer");
        }
    }
}

#[test]
fn a_server_is_asked_by_a_family_that_the_host_has() {
    let (v4, v6) = ("198.51.100.9:3478", "[2001:db8:ffff::9]:3478");
    let cases: [(&[&str], &[&str], _); 9] = [
        (&[HOST_A], &[v6, v4], Some(v4)),
        (&[HOST_A], &[v6], Some(v6)),
        (&[HOST_A_IPV6], &[v4, v6], Some(v6)),
        (&[HOST_A_IPV6], &[v4], Some(v4)),
        (&[HOST_A, HOST_A_IPV6], &[v6, v4], Some(v4)),
        (&[HOST_A, HOST_A_IPV6], &[v6], Some(v6)),
        // Nothing but loopback, which is not told of.
        (&[], &[v6, v4], Some(v4)),
        (&[], &[v6], Some(v6)),
        (&[HOST_A], &[], None),
    ];
    for (hosts, found, expected) in cases {
        let a = Node::new(Controlling, 1, hosts);
        let mut net = Net::new(1, a, Node::new(Controlled, 2, &[HOST_B]));
        net.gather(A, false);
        let found: Vec<_> = found.iter().map(|address| address.parse().unwrap()).collect();
        let chosen = net.nodes[A].agent.turn_address(&found);
        assert_eq!(chosen, expected.map(|address| address.parse().unwrap()), "{hosts:?} {found:?}");
    }
}

/// How long gathering takes where nothing but an IPv4 relay is asked for and granted.
fn plain_gathering() -> Duration {
    let mut net = pair_of_hosts(1);
    net.gather_relayed(A, PASSWORD);
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    net.elapsed()
}

#[test]
fn relays_are_paired_within_their_family() {
    let both = [AddressFamily::IPV4, AddressFamily::IPV6];
    for (grants, loss) in [(&both[1..], 0.0), (&both[1..], 0.1), (&both[..], 0.0), (&both, 0.1)] {
        let mut net = relay_only_with_ipv6(7, grants);
        net.loss = loss;
        net.signal_to(B);
        net.signal_to(A);
        for side in [A, B] {
            net.nodes[side].agent.end_of_remote_candidates(net.now);
        }
        assert!(net.run_until_both(LONG, IceState::Completed), "{grants:?}, loss {loss}");
        for side in [A, B] {
            let agent = &net.nodes[side].agent;
            assert!(!agent.pairs.is_empty());
            for pair in &agent.pairs {
                let remote = agent.remote_candidates[pair.remote].address;
                assert_eq!(agent.bases[pair.base].address.is_ipv4(), remote.is_ipv4());
            }
            let pair = agent.selected_pair().unwrap();
            let kinds = [pair.local.kind, pair.remote.kind];
            assert_eq!(kinds, [CandidateKind::Relayed, CandidateKind::Relayed]);
            // The family of the better priority wins where nothing is lost.
            assert!(loss > 0.0 || pair.base.is_ipv6());
        }
        assert_data_flows(&mut net);
        if loss == 0.0 {
            net.run_for(Duration::from_secs(3600));
            assert_data_flows(&mut net);
        }
        assert_nothing_refused(&net);
    }
}

/// The server would refuse a permission for a peer of another family (443), and a second channel of
/// one number (400).
fn assert_nothing_refused(net: &Net) {
    for answer in &net.watched {
        let answer = Message::from_bytes(answer).ok();
        let error = answer.and_then(|answer| answer.attribute::<ErrorCode>().ok());
        assert!(error.is_none_or(|error| [401, 438].contains(&error.code())));
    }
}

#[test]
fn a_restart_may_change_the_family_of_the_relays_in_use() {
    let mut net = relay_only_with_ipv6(8, &[AddressFamily::IPV4, AddressFamily::IPV6]);
    for ipv6 in [true, false, true] {
        for side in [B, A] {
            net.give_parameters(side);
            for candidate in net.nodes[1 - side].candidates() {
                if is_ipv6(&candidate) == ipv6 {
                    net.give_candidate(side, &candidate);
                }
            }
            net.nodes[side].agent.end_of_remote_candidates(net.now);
        }
        assert!(net.run_until_both(LONG, IceState::Completed));
        // Nothing is taken from the old path any more.
        net.run_for(Duration::from_secs(60));
        for side in [A, B] {
            assert_eq!(net.nodes[side].agent.selected_pair().unwrap().base.is_ipv6(), ipv6);
        }
        assert_data_flows(&mut net);
        for side in [A, B] {
            net.nodes[side].events.clear();
            net.nodes[side].agent.restart(net.now).unwrap();
            net.nodes[side].agent.end_of_servers(net.now);
        }
        net.run_for(Duration::from_secs(1));
    }
    assert_nothing_refused(&net);
}

#[test]
fn a_relay_that_was_given_back_is_not_told_of_again() {
    let mut net = connected_beside_a_relay();
    net.run_for(Duration::from_secs(20));
    assert_eq!(relay_candidates(&net, A).len(), 1);
    net.nodes[A].events.clear();
    net.nodes[A].agent.restart(net.now).unwrap();
    net.nodes[A].agent.end_of_servers(net.now);
    net.run_for(Duration::from_secs(1));
    assert_eq!(relay_candidates(&net, A), []);
}

#[test]
fn closing_gives_the_allocation_back() {
    let mut net = pair_of_hosts(1);
    net.gather_relayed(A, PASSWORD);
    net.run_for(Duration::from_secs(1));
    let agent = &mut net.nodes[A].agent;
    agent.close(net.now);
    let last = agent.poll_transmit().expect("a refresh with no lifetime");
    assert_eq!(last.remote, TURN_SERVER.parse().unwrap());
    assert_eq!(agent.poll_transmit(), None);
    assert_eq!(agent.poll_timeout(), None);
}

#[test]
fn what_a_relay_passes_from_strangers_is_dropped() {
    let mut net = symmetric_nats(5);
    net.gather_relayed(A, PASSWORD);
    net.gather_relayed(B, PASSWORD);
    net.run_for(Duration::from_secs(2));
    net.signal_to(B);
    net.signal_to(A);
    net.run_until_both(LONG, IceState::Completed);
    let relayed = net.relayed[0];
    for datagram in [b"\x16 data".to_vec(), vec![0, 1, 0, 0], vec![0x40, 0, 0, 4, 1, 2, 3, 4]] {
        // From a stranger's address, and from a stranger behind the peer's own address.
        net.inject("198.51.100.66:666", relayed, datagram.clone());
        net.inject("203.0.113.2:50099", relayed, datagram);
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.nodes[A].data, Vec::<Vec<u8>>::new());
    assert_data_flows(&mut net);
}

/// What the server answers to a request without and to one with credentials, without FINGERPRINT.
fn server_answers() -> Vec<Vec<u8>> {
    let mut net = pair_of_hosts(1);
    net.watch(TURN_SERVER);
    net.gather_relayed(A, PASSWORD);
    net.run_for(Duration::from_secs(1));
    net.watched.into_iter().map(without_fingerprint).collect()
}

fn without_fingerprint(mut answer: Vec<u8>) -> Vec<u8> {
    let fingerprint = answer.len() - 8;
    if answer[fingerprint..].starts_with(&[0x80, 0x28, 0, 4]) {
        answer.truncate(fingerprint);
        let length = u16::try_from(answer.len() - 20).unwrap();
        answer[2..4].copy_from_slice(&length.to_be_bytes());
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_answer_of_a_server_panics(
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        code in prop::sample::select(vec![None, Some(0), Some(1), Some(38), Some(20), Some(86)]),
        class in prop::sample::select(vec![4, 5]),
        with_ipv6 in any::<bool>(),
    ) {
        let answers = server_answers();
        let mut net = pair_of_hosts(1);
        let (server, local) = (TURN_SERVER.parse().unwrap(), HOST_A.parse().unwrap());
        net.dead.push(server);
        let hosts = [local, HOST_A_IPV6.parse().unwrap()];
        let hosts = if with_ipv6 { &hosts[..] } else { &hosts[..1] };
        net.nodes[A].agent.gather(net.now, hosts, hosts);
        net.nodes[A].agent.add_turn_server(net.now, Carrier::Udp, server, "user", PASSWORD);
        net.nodes[A].agent.end_of_servers(net.now);
        let mut sent = 0;
        for which in order {
            let agent = &mut net.nodes[A].agent;
            let Some(request) = std::iter::from_fn(|| agent.poll_transmit()).last() else { break };
            sent += 1;
            let mut answer = answers[which.index(answers.len())].clone();
            for (at, value) in &changes {
                let at = at.index(answer.len());
                answer[at] = *value;
            }
            answer[8..20].copy_from_slice(&request.contents[8..20]);
            // The first ERROR-CODE, which comes first: the last two digits and the first.
            if let (Some(code), Some(place)) = (code, answer.get_mut(26..28)) {
                place.copy_from_slice(&[class, code]);
            }
            net.now += Duration::from_millis(10);
            agent.handle_datagram(net.now, local, server, &answer);
        }
        prop_assert!(sent <= 12, "{sent} requests");
        net.run_for(Duration::from_secs(30));
        prop_assert!(is_gathered(&net, A));
        prop_assert!(net.nodes[A].sent < 40);
    }
}

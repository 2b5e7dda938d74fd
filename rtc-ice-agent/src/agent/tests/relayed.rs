//! Pairs of agents of which some can only be reached through a TURN server.

use proptest::prelude::*;
use rtc_core::backend::IceRole::{Controlled, Controlling};

use super::net::{A, B, NatKind, Net, Node, TURN_SERVER};
use super::*;

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

#[test]
fn a_direct_pair_wins_and_the_relay_is_given_back() {
    let mut net = pair_of_hosts(1);
    net.gather_relayed(A, PASSWORD);
    net.gather(B, false);
    assert!(net.run_until(LONG, |net| is_gathered(net, A)));
    net.signal_to(B);
    net.signal_to(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
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
    ) {
        let answers = server_answers();
        let mut net = pair_of_hosts(1);
        let (server, local) = (TURN_SERVER.parse().unwrap(), HOST_A.parse().unwrap());
        net.dead.push(server);
        net.nodes[A].agent.gather(net.now, &[local], &[local]);
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
            // The last two digits of the first ERROR-CODE, which comes first.
            if let (Some(code), Some(place)) = (code, answer.get_mut(27)) {
                *place = code;
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

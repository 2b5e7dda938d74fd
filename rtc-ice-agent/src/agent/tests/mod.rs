//! Pairs of agents on a simulated network.

use std::time::Duration;

use rtc_core::backend::IceRole::{Controlled, Controlling};
use rtc_core::candidate::CandidateKind;
use rtc_core::state::IceState;

use super::*;

mod hostile;
mod net;
mod relayed;
mod restarted;

use net::{A, B, NatKind, Net, Node};

const HOST_A: &str = "192.0.2.1:5000";
const HOST_B: &str = "192.0.2.2:6000";
const LONG: Duration = Duration::from_secs(120);

fn pair_of_hosts(seed: u64) -> Net {
    let a = Node::new(Controlling, 1, &[HOST_A]);
    let b = Node::new(Controlled, 2, &[HOST_B]);
    Net::new(seed, a, b)
}

fn assert_data_flows(net: &mut Net) {
    let loss = std::mem::replace(&mut net.loss, 0.0);
    for side in [A, B] {
        net.nodes[1 - side].data.clear();
        net.send_data(side, b"\x16 data");
        net.run_for(Duration::from_millis(100));
        assert_eq!(net.nodes[1 - side].data, [b"\x16 data"], "from side {side}");
    }
    net.loss = loss;
}

#[test]
fn hosts_complete_within_two_round_trips() {
    let mut net = pair_of_hosts(1);
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    // A check and its answer, then the nominating check and its answer.
    assert_eq!(net.elapsed(), 4 * net.delay);
    for node in &net.nodes {
        assert_eq!(node.states(), [IceState::Checking, IceState::Connected, IceState::Completed]);
    }
    let pair = net.nodes[A].agent.selected_pair().unwrap();
    assert_eq!((pair.local.kind, pair.remote.kind), (CandidateKind::Host, CandidateKind::Host));
    assert_data_flows(&mut net);
}

#[test]
fn checking_is_reported_before_the_peer_is_known_and_lasts_for_ever() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    assert_eq!(net.nodes[A].states(), [IceState::Checking]);
    net.run_for(Duration::from_secs(100_000));
    assert_eq!(net.nodes[A].states(), [IceState::Checking]);
    assert_eq!(net.nodes[A].sent, 0);
    net.gather(B, false);
    net.signal_to(B);
    net.signal_to(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
}

#[test]
fn candidates_come_before_checking_in_order_of_priority() {
    let a = Node::new(Controlling, 1, &[HOST_A, "[2001:db8::1]:5001", "192.0.2.9:5000"]);
    let mut net = Net::new(1, a, Node::new(Controlled, 2, &[HOST_B]));
    net.gather(A, true);
    net.run_for(Duration::from_secs(60));
    let node = &net.nodes[A];
    let text: Vec<_> = node
        .candidates()
        .iter()
        .map(|c| (c.foundation.clone(), c.priority, c.host.clone(), c.extensions.clone()))
        .collect();
    let host = |f: &str, p, h: &str| (f.to_owned(), p, h.to_owned(), String::new());
    assert_eq!(
        text,
        [
            host("2", 2_116_026_111, "2001:db8::1"),
            host("1", 2_114_977_791, "192.0.2.1"),
            host("3", 2_114_977_279, "192.0.2.9"),
        ],
        "and no server-reflexive candidate that equals a host candidate"
    );
    let checking =
        node.events.iter().position(|(_, e)| *e == AgentEvent::State(IceState::Checking));
    assert_eq!(checking, Some(3));
    let (_, last) = node.events.last().unwrap();
    assert_eq!(*last, AgentEvent::GatheringDone);
}

#[test]
fn every_loss_rate_and_role_completes_and_carries_data() {
    for loss in [0.0, 0.05, 0.1, 0.2, 0.3] {
        for seed in 0..40 {
            for roles in [(Controlling, Controlled), (Controlled, Controlling)] {
                let a = Node::new(roles.0, 1, &[HOST_A, "[2001:db8::1]:5000"]);
                let b = Node::new(roles.1, 2, &[HOST_B, "[2001:db8::2]:6000"]);
                let mut net = Net::new(seed, a, b);
                net.loss = loss;
                net.connect();
                let completed = net.run_until_both(LONG, IceState::Completed);
                assert!(completed, "loss {loss}, seed {seed}, roles {roles:?}");
                assert_data_flows(&mut net);
                // RFC 7675 allows one check in 4 s, six or seven in the life of a consent: no
                // protection from every loss rate, but from this one.
                if loss <= 0.05 {
                    net.run_for(Duration::from_secs(300));
                    assert_data_flows(&mut net);
                }
            }
        }
    }
}

#[test]
fn role_conflicts_are_resolved_whoever_has_the_larger_tie_breaker() {
    for (a, b) in [(Controlling, Controlling), (Controlled, Controlled)] {
        for seed in 1..20 {
            let a = Node::new(a, seed, &[HOST_A]);
            let b = Node::new(b, seed + 100, &[HOST_B]);
            let mut net = Net::new(seed.into(), a, b);
            net.loss = if seed % 2 == 0 { 0.1 } else { 0.0 };
            net.connect();
            assert!(net.run_until_both(LONG, IceState::Completed), "seed {seed}");
            let roles = net.nodes.each_ref().map(|node| node.agent.role());
            assert_ne!(roles[A], roles[B]);
            assert_data_flows(&mut net);
        }
    }
}

#[test]
fn a_lite_peer_is_controlled() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.gather(B, false);
    net.nodes[A].agent.role = Controlled;
    let remote = IceParameters { lite: true, ..net.nodes[B].parameters() };
    net.nodes[A].agent.set_remote_parameters(net.now, &remote).unwrap();
    assert_eq!(net.nodes[A].agent.role(), Controlling);
}

#[test]
fn checks_that_arrive_before_the_description_are_answered_and_returned_later() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.gather(B, false);
    net.signal_to(B);
    net.run_for(Duration::from_millis(300));
    assert_eq!(net.nodes[B].agent.state(), IceState::Connected, "A answers with its password");
    assert_eq!(net.nodes[A].agent.state(), IceState::Checking);

    // Early data passes: B has proved that it is there.
    net.send_data(B, b"\x16 hello");
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.nodes[A].data, [b"\x16 hello"]);

    // No candidate is needed, for the peer is known from its checks.
    let begun = net.elapsed();
    net.give_parameters(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert_eq!(net.elapsed() - begun, 4 * net.delay);
    let pair = net.nodes[A].agent.selected_pair().unwrap();
    assert_eq!(pair.remote.kind, CandidateKind::PeerReflexive);

    // The candidate that is signalled in the end is the same pair.
    let candidate = net.nodes[B].candidates().remove(0);
    net.give_candidate(A, &candidate);
    assert_eq!(net.nodes[A].agent.selected_pair().unwrap().remote, candidate);
}

#[test]
fn trickled_candidates_are_checked_when_they_come() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.gather(B, false);
    net.give_parameters(A);
    net.give_parameters(B);
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.nodes[A].agent.state(), IceState::Checking);
    let begun = net.elapsed();
    let candidate = net.nodes[B].candidates().remove(0);
    net.give_candidate(A, &candidate);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert_eq!(net.elapsed() - begun, 4 * net.delay);
}

#[test]
fn peers_behind_nats_connect_over_reflexive_candidates() {
    let cases = [
        (NatKind::PortRestricted, Some(NatKind::PortRestricted)),
        (NatKind::PortRestricted, None),
        (NatKind::Symmetric, None),
        (NatKind::PortRestricted, Some(NatKind::PortRestricted)),
    ];
    for (seed, (nat_a, nat_b)) in cases.into_iter().enumerate() {
        for roles in [(Controlling, Controlled), (Controlled, Controlling)] {
            let a = Node::new(roles.0, 1, &["10.0.0.1:5000"]).behind(nat_a, "203.0.113.1:40000");
            let b = match nat_b {
                Some(kind) => {
                    Node::new(roles.1, 2, &["10.0.0.1:6000"]).behind(kind, "203.0.113.2:50000")
                }
                None => Node::new(roles.1, 2, &[HOST_B]),
            };
            let mut net = Net::new(seed as u64, a, b);
            net.gather(A, true);
            net.gather(B, true);
            net.run_for(Duration::from_secs(1));
            let reflexive = net.nodes[A].candidates().pop().unwrap();
            assert_eq!(reflexive.kind, CandidateKind::ServerReflexive);
            assert_eq!(reflexive.extensions, "raddr 0.0.0.0 rport 0");
            assert_eq!(reflexive.host, "203.0.113.1");
            net.signal_to(B);
            net.signal_to(A);
            assert!(net.run_until_both(LONG, IceState::Completed), "{nat_a:?} {nat_b:?}");
            let pair = net.nodes[A].agent.selected_pair().unwrap();
            assert_ne!(pair.local.kind, CandidateKind::Host);
            assert_eq!(pair.local.host, "203.0.113.1");
            assert_data_flows(&mut net);
        }
    }
}

#[test]
fn a_silent_stun_server_delays_neither_checks_nor_the_end_of_gathering_for_ever() {
    let mut net = pair_of_hosts(1);
    net.dead.push(net::STUN_SERVER.parse().unwrap());
    net.gather(A, true);
    net.gather(B, false);
    net.signal_to(B);
    net.signal_to(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert!(net.elapsed() < Duration::from_millis(100));
    let gathered = |net: &Net| {
        net.nodes[A].events.iter().any(|(_, event)| *event == AgentEvent::GatheringDone)
    };
    assert!(net.run_until(LONG, gathered));
    assert_eq!(net.elapsed(), Duration::from_millis(23_500));
}

#[test]
fn a_server_whose_name_is_never_resolved_ends_gathering_too() {
    let mut net = pair_of_hosts(1);
    let hosts = [HOST_A.parse().unwrap()];
    net.nodes[A].agent.gather(net.now, &hosts, &[]);
    net.run_for(Duration::from_millis(23_400));
    assert_eq!(net.nodes[A].events.len(), 2);
    net.run_for(Duration::from_millis(200));
    assert_eq!(net.nodes[A].events.last().unwrap().1, AgentEvent::GatheringDone);
}

#[test]
fn bindings_to_stun_servers_are_kept_alive_while_the_answer_is_awaited() {
    let a = Node::new(Controlling, 1, &["10.0.0.1:5000"])
        .behind(NatKind::PortRestricted, "203.0.113.1:40000");
    let mut net = Net::new(1, a, Node::new(Controlled, 2, &[HOST_B]));
    net.gather(A, true);
    net.run_for(Duration::from_secs(151));
    assert_eq!(net.nodes[A].sent, 11, "one request, then one every 15 s");
    assert_eq!(net.nodes[A].candidates().len(), 2);
}

#[test]
fn checks_without_an_answer_fail_when_patience_ends() {
    let mut net = pair_of_hosts(1);
    net.dead.push(HOST_B.parse().unwrap());
    net.gather(A, false);
    net.gather(B, false);
    net.run_for(Duration::from_secs(5));
    net.signal_to(A);
    net.run_for(Duration::from_secs(60));
    assert_eq!(net.nodes[A].states(), [IceState::Checking, IceState::Failed]);
    assert_eq!(net.nodes[A].reached(IceState::Failed), Some(Duration::from_millis(44_500)));
    assert_eq!(net.nodes[A].sent, 7, "RFC 8489 retransmission");
    assert_eq!(net.nodes[A].agent.poll_timeout(), None);
}

#[test]
fn a_peer_without_candidates_fails_when_patience_ends() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.give_parameters(A);
    net.run_for(Duration::from_secs(60));
    assert_eq!(net.nodes[A].reached(IceState::Failed), Some(Duration::from_millis(39_500)));
}

#[test]
fn a_candidate_that_comes_late_is_still_given_its_time() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.gather(B, false);
    net.give_parameters(A);
    net.give_parameters(B);
    net.run_for(Duration::from_secs(39));
    let candidate = net.nodes[B].candidates().remove(0);
    net.give_candidate(A, &candidate);
    assert!(net.run_until_both(LONG, IceState::Completed));
}

#[test]
fn lost_consent_ends_in_failure_thirty_seconds_after_the_last_answer() {
    for side in [A, B] {
        let mut net = pair_of_hosts(7);
        net.connect();
        assert!(net.run_until_both(LONG, IceState::Completed));
        net.run_for(Duration::from_secs(60));
        assert_data_flows(&mut net);
        net.dead.push([HOST_A, HOST_B][1 - side].parse().unwrap());
        let (begun, sent) = (net.elapsed(), net.nodes[side].sent);
        net.run_for(Duration::from_secs(60));
        let failed = net.nodes[side].reached(IceState::Failed).expect("consent expires") - begun;
        assert!((24.0..=30.1).contains(&failed.as_secs_f64()), "{failed:?}");
        assert!((5..=8).contains(&(net.nodes[side].sent - sent)), "no more than consent checks");
        assert_eq!(net.nodes[side].agent.selected_pair(), None);
        assert_eq!(
            net.nodes[side].agent.handle_datagram(
                net.now,
                HOST_A.parse().unwrap(),
                HOST_B.parse().unwrap(),
                b"\x16",
            ),
            Received::Drop
        );
    }
}

#[test]
fn a_better_pair_that_may_still_succeed_is_waited_for_two_seconds() {
    let a = Node::new(Controlling, 1, &[HOST_A, "[2001:db8::1]:5000"]);
    let b = Node::new(Controlled, 2, &[HOST_B, "[2001:db8::2]:6000"]);
    let mut net = Net::new(1, a, b);
    net.dead.push("[2001:db8::2]:6000".parse().unwrap());
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    let connected = net.nodes[A].reached(IceState::Connected).unwrap();
    assert_eq!(connected, 2 * net.delay);
    let completed = net.nodes[A].reached(IceState::Completed).unwrap();
    assert_eq!(completed - connected, Duration::from_secs(2) + 2 * net.delay);
    assert_eq!(net.nodes[A].agent.selected_pair().unwrap().base, HOST_A.parse().unwrap());
}

#[test]
fn ipv6_is_preferred_when_both_families_work() {
    let a = Node::new(Controlling, 1, &[HOST_A, "[2001:db8::1]:5000"]);
    let b = Node::new(Controlled, 2, &[HOST_B, "[2001:db8::2]:6000"]);
    let mut net = Net::new(1, a, b);
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    for node in &net.nodes {
        assert!(node.agent.selected_pair().unwrap().base.is_ipv6());
    }
}

#[test]
fn a_peer_that_can_only_be_reached_from_its_own_checks_is_reached() {
    // B's candidates say nothing true; A hears B's checks from elsewhere.
    let a = Node::new(Controlling, 1, &[HOST_A]);
    let b = Node::new(Controlled, 2, &["10.9.9.9:6000"])
        .behind(NatKind::Symmetric, "203.0.113.2:50000");
    let mut net = Net::new(1, a, b);
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    let pair = net.nodes[A].agent.selected_pair().unwrap();
    assert_eq!(pair.remote.kind, CandidateKind::PeerReflexive);
    assert_eq!(pair.remote.host, "203.0.113.2");
    assert_data_flows(&mut net);
}

#[test]
fn a_request_to_an_address_without_candidate_makes_a_base_of_it() {
    let a = Node::new(Controlling, 1, &[HOST_A, "192.0.2.77:5000"]);
    let b = Node::new(Controlled, 2, &[HOST_B]);
    let mut net = Net::new(1, a, b);
    // A's socket receives on both addresses but A announces one only.
    net.nodes[A].agent.gather(net.now, &[HOST_A.parse().unwrap()], &[]);
    net.nodes[A].agent.end_of_servers(net.now);
    net.dead.push(HOST_A.parse().unwrap());
    net.gather(B, false);
    net.give_parameters(A);
    net.give_parameters(B);
    let mut candidate = net.nodes[A].candidates().remove(0);
    candidate.host = "192.0.2.77".to_owned();
    net.give_candidate(B, &candidate);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert_eq!(net.nodes[A].agent.selected_pair().unwrap().base.to_string(), "192.0.2.77:5000");
}

#[test]
fn changed_remote_credentials_are_refused_and_equal_ones_are_not() {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.give_parameters(A);
    net.give_parameters(A);
    let mut other = net.nodes[B].parameters();
    other.pwd.push('x');
    let error = net.nodes[A].agent.set_remote_parameters(net.now, &other).unwrap_err();
    assert_eq!(error.kind(), rtc_core::ErrorKind::InvalidArgument);
}

#[test]
fn relay_only_gathers_checks_and_answers_nothing_without_a_relay() {
    let mut net = pair_of_hosts(1);
    let config = AgentConfig { role: Controlling, relay_only: true, seed: [3; 32] };
    net.nodes[A].agent = Agent::new(config);
    net.connect();
    // B knows nothing of A's address but guesses it.
    let guess = candidates::candidate(
        CandidateKind::Host,
        Transport::Udp,
        HOST_A.parse().unwrap(),
        "1".to_owned(),
        1,
    );
    net.give_candidate(B, &guess);
    net.run_for(LONG);
    let node = &net.nodes[A];
    assert_eq!(node.sent, 0);
    assert_eq!(node.candidates(), []);
    assert_eq!(node.states(), [IceState::Checking, IceState::Failed]);
    assert_eq!(node.events.iter().filter(|(_, e)| *e == AgentEvent::GatheringDone).count(), 1);
}

#[test]
fn a_destination_that_the_system_cannot_send_to_is_not_waited_for() {
    let a = Node::new(Controlling, 1, &[HOST_A, "[2001:db8::1]:5000"]);
    let b = Node::new(Controlled, 2, &[HOST_B, "[2001:db8::2]:6000"]);
    let mut net = Net::new(1, a, b);
    let dead: SocketAddr = "[2001:db8::2]:6000".parse().unwrap();
    net.dead.push(dead);
    net.connect();
    let local = "[2001:db8::1]:5000".parse().unwrap();
    net.nodes[A].agent.handle_send_failure(net.now, local, dead);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert_eq!(net.nodes[A].reached(IceState::Completed), Some(4 * net.delay));
}

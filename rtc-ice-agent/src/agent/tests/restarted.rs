//! ICE restarts.

use rtc_core::backend::IceRole::{Controlled, Controlling};

use super::net::{A, B, NatKind, Net, Node, TURN_SERVER};
use super::*;

fn completed() -> Net {
    let mut net = pair_of_hosts(3);
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    net
}

/// Restarts one side, and tells the other nothing yet.
fn restart(net: &mut Net, side: usize) {
    let now = net.now;
    net.nodes[side].events.clear();
    net.nodes[side].agent.restart(now).unwrap();
    net.nodes[side].agent.end_of_servers(now);
    net.run_for(Duration::ZERO);
}

#[test]
fn both_sides_find_a_new_path_while_data_goes_on() {
    for loss in [0.0, 0.1] {
        let mut net = completed();
        net.loss = loss;
        let old = net.nodes.each_ref().map(|node| node.parameters());
        restart(&mut net, A);
        assert_data_flows(&mut net);
        restart(&mut net, B);
        assert_data_flows(&mut net);
        for side in [A, B] {
            assert_ne!(net.nodes[side].parameters(), old[side]);
            assert_eq!(net.nodes[side].states(), [IceState::Checking]);
            assert_eq!(net.nodes[side].candidates().len(), 1);
        }
        net.signal_to(B);
        assert_data_flows(&mut net);
        net.signal_to(A);
        assert!(net.run_until_both(LONG, IceState::Completed), "loss {loss}");
        for node in &net.nodes {
            let expected = [IceState::Checking, IceState::Connected, IceState::Completed];
            assert_eq!(node.states(), expected);
        }
        assert_data_flows(&mut net);
        // The old path is forgotten, the new one kept.
        net.loss = 0.0;
        net.run_for(Duration::from_secs(120));
        assert!(net.nodes.iter().all(|node| node.agent.previous.is_none()));
        assert_data_flows(&mut net);
    }
}

#[test]
fn a_restart_that_is_never_answered_leaves_the_old_path() {
    let mut net = completed();
    restart(&mut net, A);
    net.run_for(Duration::from_secs(600));
    assert_data_flows(&mut net);
    assert_eq!(net.nodes[A].agent.state(), IceState::Checking);
    assert_eq!(net.nodes[B].agent.state(), IceState::Completed);
    // Its consent still counts.
    net.dead.push(HOST_B.parse().unwrap());
    net.run_for(Duration::from_secs(40));
    assert_eq!(net.nodes[A].agent.selected_pair(), None);
}

#[test]
fn a_failed_connection_comes_back_by_a_restart() {
    let mut net = completed();
    net.dead.push(HOST_B.parse().unwrap());
    net.run_for(Duration::from_secs(60));
    assert!(net.nodes.iter().all(|node| node.agent.state() == IceState::Failed));
    net.dead.clear();
    restart(&mut net, A);
    restart(&mut net, B);
    net.signal_to(B);
    net.signal_to(A);
    assert!(net.run_until_both(LONG, IceState::Completed));
    assert_data_flows(&mut net);
}

#[test]
fn restarts_through_a_relay_keep_or_renew_the_allocation() {
    for idle_for in [Duration::ZERO, Duration::from_secs(20)] {
        let a = Node::new(Controlling, 1, &["10.0.0.1:5000"])
            .behind(NatKind::Symmetric, "203.0.113.1:40000");
        let b = Node::new(Controlled, 2, &["10.0.0.1:6000"])
            .behind(NatKind::Symmetric, "203.0.113.2:50000");
        let mut net = Net::new(9, a, b);
        net.gather_relayed(A, "password");
        net.gather_relayed(B, "password");
        net.run_for(Duration::from_secs(2));
        for round in 0..3 {
            net.signal_to(B);
            net.signal_to(A);
            for side in [A, B] {
                net.nodes[side].agent.end_of_remote_candidates(net.now);
            }
            assert!(net.run_until_both(LONG, IceState::Completed), "round {round}");
            // One of the two relays is given back after some seconds.
            net.run_for(idle_for);
            assert_data_flows(&mut net);
            for side in [A, B] {
                let now = net.now;
                net.nodes[side].events.clear();
                let agent = &mut net.nodes[side].agent;
                agent.restart(now).unwrap();
                agent.add_turn_server(
                    now,
                    Carrier::Udp,
                    TURN_SERVER.parse().unwrap(),
                    "user",
                    "password",
                );
                agent.end_of_servers(now);
            }
            net.run_for(Duration::from_secs(2));
            for side in [A, B] {
                let relayed = |c: &Candidate| c.kind == CandidateKind::Relayed;
                let candidates = net.nodes[side].candidates();
                assert_eq!(candidates.iter().filter(|c| relayed(c)).count(), 1, "round {round}");
            }
        }
    }
}

#[test]
fn an_agent_that_has_not_begun_or_has_ended_cannot_restart() {
    let mut net = pair_of_hosts(1);
    let now = net.now;
    assert!(net.nodes[A].agent.restart(now).is_err());
    net.gather(A, false);
    net.nodes[A].agent.close(now);
    assert!(net.nodes[A].agent.restart(now).is_err());
}

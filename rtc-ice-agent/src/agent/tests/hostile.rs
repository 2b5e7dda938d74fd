//! Datagrams that an attacker, or a peer without good will, may send.

use std::net::SocketAddr;

use proptest::prelude::*;
use rtc_core::backend::IceRole::{self, Controlled, Controlling};

use super::net::{A, B, Net, Node};
use super::*;
use crate::stun::{self, Binding, Check, Class, Key};

const ATTACKER: &str = "198.51.100.66:666";

/// A check of B to A as it would be sent, with something changed.
struct Forged {
    username: (String, String),
    pwd: String,
    role: IceRole,
    tie_breaker: u64,
    use_candidate: bool,
}

impl Forged {
    fn check_of_b(net: &Net) -> Self {
        let (a, b) = (net.nodes[A].parameters(), net.nodes[B].parameters());
        Self {
            username: (a.ufrag, b.ufrag),
            pwd: a.pwd,
            role: Controlled,
            tie_breaker: 1,
            use_candidate: false,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let check = Check {
            id: 7.into(),
            username: (&self.username.0, &self.username.1),
            priority: 1_862_270_975,
            role: self.role,
            tie_breaker: self.tie_breaker,
            use_candidate: self.use_candidate,
        };
        check.encode(&Key::new(&self.pwd)).unwrap()
    }
}

fn host_a() -> SocketAddr {
    HOST_A.parse().unwrap()
}

/// What A answers to a datagram from the attacker, at once.
fn answers(net: &mut Net, datagram: &[u8]) -> Vec<AgentTransmit> {
    let agent = &mut net.nodes[A].agent;
    agent.handle_datagram(net.now, host_a(), ATTACKER.parse().unwrap(), datagram);
    std::iter::from_fn(|| agent.poll_transmit()).collect()
}

fn completed() -> Net {
    let mut net = pair_of_hosts(1);
    net.connect();
    assert!(net.run_until_both(LONG, IceState::Completed));
    net
}

/// A knows B's credentials; nothing has been sent.
fn ready() -> Net {
    let mut net = pair_of_hosts(1);
    net.gather(A, false);
    net.give_parameters(A);
    net
}

#[test]
fn nobody_without_the_password_is_answered() {
    type Change = fn(&mut Forged);
    let cases: [(&str, Change, bool); 6] = [
        ("genuine", |_| {}, true),
        ("wrong password", |f| f.pwd.push('x'), false),
        ("wrong receiver", |f| f.username.0.push('x'), false),
        ("wrong sender", |f| f.username.1.push('x'), false),
        ("exchanged names", |f| std::mem::swap(&mut f.username.0, &mut f.username.1), false),
        (
            "nomination with a wrong password",
            |f| {
                f.use_candidate = true;
                f.pwd.clear();
            },
            false,
        ),
    ];
    for (name, change, answered) in cases {
        let mut net = ready();
        let mut forged = Forged::check_of_b(&net);
        change(&mut forged);
        assert_eq!(!answers(&mut net, &forged.encode()).is_empty(), answered, "{name}");
        let data = net.nodes[A].agent.accepts_data(ATTACKER.parse().unwrap());
        assert_eq!(data, answered, "{name}");
    }
}

#[test]
fn a_check_cut_off_or_changed_anywhere_is_not_answered() {
    let mut net = ready();
    let genuine = Forged::check_of_b(&net).encode();
    for length in 0..genuine.len() {
        assert_eq!(answers(&mut net, &genuine[..length]), [], "cut off at {length}");
    }
    // What follows MESSAGE-INTEGRITY and is not FINGERPRINT has to be ignored (RFC 8489 §14.5).
    let fingerprint_type = genuine.len() - 8..genuine.len() - 6;
    for index in (0..genuine.len()).filter(|index| !fingerprint_type.contains(index)) {
        for bit in 0..8 {
            let mut changed = genuine.clone();
            changed[index] ^= 1 << bit;
            assert_eq!(answers(&mut net, &changed), [], "bit {bit} of byte {index}");
        }
    }
    let longer = [genuine.as_slice(), &[0; 4]].concat();
    assert_eq!(answers(&mut net, &longer), []);
    assert_eq!(answers(&mut net, &genuine).len(), 2, "the answer and the triggered check");
}

#[test]
fn fingerprint_may_be_missing_but_not_wrong() {
    let mut net = ready();
    let genuine = Forged::check_of_b(&net).encode();
    let (without, _) = genuine.split_at(genuine.len() - 8);
    let mut without = without.to_vec();
    let length = u16::try_from(without.len() - 20).unwrap();
    without[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(answers(&mut net, &without).len(), 2);
}

#[test]
fn attributes_past_the_end_or_twice_are_refused() {
    let mut net = ready();
    let genuine = Forged::check_of_b(&net).encode();
    // Every field that could be an attribute's length, made as large as it can be.
    for index in (20..genuine.len()).step_by(4) {
        for length in [0xFFFF_u16, 0xFFFC, 0x8000, 0x0100] {
            let mut changed = genuine.clone();
            changed[index + 2..index + 4].copy_from_slice(&length.to_be_bytes());
            let sent = answers(&mut net, &changed);
            assert!(sent.is_empty() || changed == genuine, "length {length:#x} at {index}");
        }
    }
    let integrity = genuine[genuine.len() - 32..genuine.len() - 8].to_vec();
    let mut twice = genuine[..genuine.len() - 8].to_vec();
    twice.extend(&integrity);
    let length = u16::try_from(twice.len() - 20).unwrap();
    twice[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(answers(&mut net, &twice), []);
    let mut many = genuine[..20].to_vec();
    many.extend([0x80, 0x01, 0, 0].repeat(1000));
    many[2..4].copy_from_slice(&4000_u16.to_be_bytes());
    assert_eq!(answers(&mut net, &many), []);
}

#[test]
fn an_answer_is_never_larger_than_the_check() {
    for role in [Controlled, Controlling] {
        let mut net = ready();
        let mut check = Forged::check_of_b(&net);
        check.role = role;
        let check = check.encode();
        let answer = answers(&mut net, &check).remove(0);
        assert!(answer.contents.len() <= check.len(), "{role:?}");
    }
}

#[test]
fn indications_and_unknown_methods_are_not_answered() {
    let mut net = ready();
    let genuine = Forged::check_of_b(&net).encode();
    for kind in [[0x00, 0x11], [0x00, 0x03], [0x01, 0x01], [0x01, 0x11], [0x3F, 0xFF]] {
        let mut other = genuine.clone();
        other[..2].copy_from_slice(&kind);
        assert_eq!(answers(&mut net, &other), [], "{kind:?}");
    }
}

#[test]
fn answers_to_nothing_asked_change_nothing() {
    let mut net = completed();
    let before = net.nodes[A].agent.selected_pair();
    let key = Key::new(&net.nodes[B].parameters().pwd);
    let mapped = ATTACKER.parse().unwrap();
    for id in [0_u128, 1, u128::MAX] {
        let success = stun::success(id.into(), mapped, &key).unwrap();
        let error = stun::error(id.into(), stun::ROLE_CONFLICT, &key).unwrap();
        assert_eq!(answers(&mut net, &success), []);
        assert_eq!(answers(&mut net, &error), []);
    }
    assert_eq!(net.nodes[A].agent.selected_pair(), before);
    assert_eq!(net.nodes[A].agent.role(), Controlling);
}

#[test]
fn a_forged_answer_to_a_check_under_way_is_ignored() {
    let mut net = ready();
    let candidate = candidates::candidate(
        CandidateKind::Host,
        Transport::Udp,
        HOST_B.parse().unwrap(),
        "1".to_owned(),
        2_000_000_000,
    );
    let agent = &mut net.nodes[A].agent;
    agent.add_remote_candidate(net.now, &candidate, HOST_B.parse().unwrap());
    let check = agent.poll_transmit().unwrap();
    let id = Binding::decode(&check.contents).unwrap().transaction_id();
    let wrong = Key::new("not the password of B!");
    let mapped = HOST_A.parse().unwrap();
    for forged in [
        stun::success(id, mapped, &wrong).unwrap(),
        stun::error(id, stun::ROLE_CONFLICT, &wrong).unwrap(),
        stun::error(id, stun::BAD_REQUEST, &wrong).unwrap(),
        stun::server_answer(id, mapped),
    ] {
        let source = HOST_B.parse().unwrap();
        let received = agent.handle_datagram(net.now, host_a(), source, &forged);
        assert_eq!(received, Received::Drop);
        assert_eq!((agent.state(), agent.role()), (IceState::Checking, Controlling));
    }
    // An answer from elsewhere than the check went to is no proof of a path (RFC 8445 §7.2.5.2.1).
    let right = Key::new(&net.nodes[B].parameters().pwd);
    let answer = stun::success(id, mapped, &right).unwrap();
    assert_eq!(answers(&mut net, &answer), []);
    assert_eq!(net.nodes[A].agent.state(), IceState::Checking);
}

#[test]
fn nomination_by_the_controlled_side_is_ignored() {
    let mut net = completed();
    let before = net.nodes[A].agent.selected_pair();
    let forged = Forged { use_candidate: true, ..Forged::check_of_b(&net) };
    let answers = answers(&mut net, &forged.encode());
    assert_eq!(answers.len(), 1, "an answer, no check of our own");
    assert_eq!(net.nodes[A].agent.selected_pair(), before);
}

#[test]
fn the_controlled_side_cannot_hurry_a_nomination() {
    let a = Node::new(Controlling, 1, &[HOST_A, "[2001:db8::1]:5000"]);
    let b = Node::new(Controlled, 2, &[HOST_B, "[2001:db8::2]:6000"]);
    let mut net = Net::new(1, a, b);
    net.dead.push("[2001:db8::2]:6000".parse().unwrap());
    net.connect();
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.nodes[A].agent.state(), IceState::Connected);
    let forged = Forged { use_candidate: true, ..Forged::check_of_b(&net) }.encode();
    net.inject(HOST_B, host_a(), forged);
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.nodes[A].agent.state(), IceState::Connected);
}

#[test]
fn data_from_a_candidate_that_has_proved_nothing_is_dropped() {
    let mut net = ready();
    let agent = &mut net.nodes[A].agent;
    let peer = HOST_B.parse().unwrap();
    let kind = CandidateKind::Host;
    let candidate =
        candidates::candidate(kind, Transport::Udp, peer, "1".to_owned(), 2_000_000_000);
    agent.add_remote_candidate(net.now, &candidate, peer);
    let received = agent.handle_datagram(net.now, host_a(), peer, b"\x16 data");
    assert_eq!(received, Received::Drop);
}

#[test]
fn role_conflicts_with_extreme_tie_breakers_end_in_one_answer_each() {
    for tie_breaker in [0, 1, u64::MAX] {
        let mut net = ready();
        let ours = net.nodes[A].agent.tie_breaker;
        for tie_breaker in [tie_breaker, ours] {
            let mut forged = Forged::check_of_b(&net);
            (forged.role, forged.tie_breaker) = (net.nodes[A].agent.role(), tie_breaker);
            let answers = answers(&mut net, &forged.encode());
            let class = Binding::decode(&answers[0].contents).unwrap().class();
            assert!(matches!(class, Class::Success | Class::Error));
        }
    }
    let mut net = ready();
    let mut equal = Forged::check_of_b(&net);
    (equal.role, equal.tie_breaker) = (Controlling, net.nodes[A].agent.tie_breaker);
    let answers = answers(&mut net, &equal.encode());
    let error = Binding::decode(&answers[0].contents).unwrap().error_code();
    assert_eq!(error, Some(stun::ROLE_CONFLICT), "the larger or equal tie-breaker keeps its role");
}

#[test]
fn a_flood_of_candidates_makes_a_bounded_number_of_checks() {
    let mut net = ready();
    let agent = &mut net.nodes[A].agent;
    for index in 0..10_000_u32 {
        let [_, b, c, d] = index.to_be_bytes();
        let address = SocketAddr::from(([198, 18 + b, c, d], 1024));
        let kind = CandidateKind::Host;
        let candidate =
            candidates::candidate(kind, Transport::Udp, address, index.to_string(), index);
        agent.add_remote_candidate(net.now, &candidate, address);
    }
    net.run_for(Duration::from_secs(1));
    let first = net.nodes[A].sent;
    assert!(first <= 30, "{first} in the first second");
    net.run_for(Duration::from_secs(59));
    let all = net.nodes[A].sent;
    assert!(all <= 60 * 40, "{all} in a minute");
    net.run_for(Duration::from_secs(200));
    assert_eq!(net.nodes[A].agent.state(), IceState::Failed);
}

#[test]
fn a_flood_of_checks_from_many_addresses_is_answered_but_bounded() {
    let mut net = ready();
    let check = Forged::check_of_b(&net).encode();
    let agent = &mut net.nodes[A].agent;
    for index in 0..10_000_u32 {
        let [_, b, c, d] = index.to_be_bytes();
        let source = SocketAddr::from(([198, 18 + b, c, d], 1024));
        agent.handle_datagram(net.now, host_a(), source, &check);
    }
    let transmits: Vec<_> = std::iter::from_fn(|| agent.poll_transmit()).collect();
    let requests = transmits
        .iter()
        .filter(|t| Binding::decode(&t.contents).unwrap().class() == Class::Request)
        .count();
    assert_eq!(transmits.len() - requests, 10_000, "one answer each");
    assert!(requests <= 30, "{requests} checks triggered");
    assert!(agent.pairs.len() <= 512 && agent.remote_candidates.len() <= 256);
}

#[test]
fn junk_does_not_slow_an_honest_session() {
    let mut net = pair_of_hosts(1);
    net.connect();
    let honest = Forged::check_of_b(&net);
    let wrong = Forged { pwd: "wrong".to_owned(), ..honest }.encode();
    while net.elapsed() < Duration::from_millis(100) {
        for datagram in [wrong.clone(), b"\x16\xfe\xfd junk".to_vec(), vec![0; 20], vec![]] {
            net.inject(ATTACKER, host_a(), datagram);
        }
        net.run_for(Duration::from_millis(1));
    }
    assert_eq!(net.nodes[A].reached(IceState::Completed), Some(4 * net.delay));
    assert_eq!(net.nodes[A].data, Vec::<Vec<u8>>::new(), "no data from unproved addresses");
}

proptest! {
    #[test]
    fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut net = ready();
        answers(&mut net, &datagram);
    }

    #[test]
    fn no_message_with_stun_framing_panics_or_is_answered(
        kind in any::<u16>(),
        attributes in proptest::collection::vec(
            (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40)),
            0..12,
        ),
    ) {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(&value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut datagram = (kind & 0x3FFF).to_be_bytes().to_vec();
        datagram.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        datagram.extend([0x21, 0x12, 0xA4, 0x42]);
        datagram.extend([9; 12]);
        datagram.extend(body);
        let mut net = ready();
        prop_assert_eq!(answers(&mut net, &datagram), []);
    }
}

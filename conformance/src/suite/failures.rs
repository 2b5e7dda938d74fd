//! Connections that must not come about, and connections that break.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::peer::{Pair, Peer};
use crate::sdp;
use std::process::Command;
use std::time::Duration;

/// Within what time a connection without a path has failed, with reserve: upstream gives up checks
/// after 39.5 s, and a silent peer after 30 s with libjuice and 40 s with libnice.
const GIVEN_UP: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a false fingerprint in the offer fails both sides", false_offer).fixes("B-51"),
        Case::new("a false fingerprint in the answer fails both sides", false_answer).fixes("B-51"),
        Case::new("a false fingerprint for an RSA certificate fails as well", false_rsa)
            .fixes("B-51"),
        Case::new("wrong ICE passwords never connect", wrong_password).limit(120),
        Case::new("candidates nobody answers fail in the end", nobody_there).limit(120),
        Case::new("a connection whose network dies fails in the end", network_dies).limit(150),
        Case::new("a failed connection is closed and stays so", failed_is_closed),
    ]
}

/// Connects with descriptions bent on the way; returns the two peers and the near channel.
fn connect_bent(
    lib: Lib,
    config: &Config,
    bend_offer: impl Fn(&str) -> String,
    bend_answer: impl Fn(&str) -> String,
) -> (Peer, Peer, crate::peer::Channel) {
    let manual = Config { manual: true, ..config.clone() };
    let (a, b) = (Peer::with(lib, &manual), Peer::with(lib, &manual));
    let near = a.channel("x");
    assert_eq!(b.set_remote(&bend_offer(&a.describe("offer")), "offer"), OK);
    let answer = b.describe("answer");
    assert_eq!(a.set_remote(&bend_answer(&answer), "answer"), OK);
    a.wait_gathered();
    for (candidate, _) in a.candidates() {
        b.add_candidate(&candidate);
    }
    b.wait_gathered();
    for (candidate, _) in b.candidates() {
        a.add_candidate(&candidate);
    }
    (a, b, near)
}

fn same(sdp: &str) -> String {
    sdp.to_owned()
}

fn other_fingerprint(sdp: &str) -> String {
    let line = sdp::attribute(sdp, "fingerprint").unwrap_or_default();
    let (last, rest) = (&line[line.len() - 1..], &line[..line.len() - 1]);
    let changed = if last == "0" { "1" } else { "0" };
    sdp::replaced(sdp, "a=fingerprint", &format!("a=fingerprint:{rest}{changed}"))
}

/// The side that sees the lie has to fail; the other side at least has to end.
fn refused(judge: &Peer, other: &Peer, near: &crate::peer::Channel) {
    judge.wait_state(State::Failed);
    judge.wait_state(State::Closed);
    other.wait_state(State::Closed);
    for peer in [judge, other] {
        assert!(!peer.states().contains(&State::Connected), "{:?}", peer.states());
        let last = peer.states().last().copied();
        assert_eq!(last, Some(State::Closed));
    }
    assert_eq!(near.count(&Event::Open), 0);
    assert!(!near.is_open());
}

fn false_offer(lab: &Lab) {
    let (a, b, near) = connect_bent(lab.lib, &Config::loopback(), other_fingerprint, same);
    refused(&b, &a, &near);
}

fn false_answer(lab: &Lab) {
    let (a, b, near) = connect_bent(lab.lib, &Config::loopback(), same, other_fingerprint);
    refused(&a, &b, &near);
}

fn false_rsa(lab: &Lab) {
    let config = Config { certificate: 2, ..Config::loopback() };
    let (a, b, near) = connect_bent(lab.lib, &config, other_fingerprint, same);
    refused(&b, &a, &near);
    let (a, b, near) = connect_bent(lab.lib, &config, same, other_fingerprint);
    refused(&a, &b, &near);
}

fn wrong_password(lab: &Lab) {
    let bend = |sdp: &str| sdp::replaced(sdp, "a=ice-pwd", "a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let (a, b, near) = connect_bent(lab.lib, &Config::loopback(), bend, bend);
    for peer in [&a, &b] {
        peer.inbox.wait_list("the failure", GIVEN_UP, |events| {
            let closed = Event::State(State::Closed);
            events.iter().any(|r| r.owner == peer.id && r.event == closed).then_some(())
        });
        assert!(peer.states().contains(&State::Failed), "{:?}", peer.states());
        assert!(!peer.states().contains(&State::Connected), "{:?}", peer.states());
    }
    assert!(!near.is_open());
}

fn nobody_there(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    assert_eq!(peer.add_candidate("candidate:1 1 UDP 2122252543 127.0.0.1 9 typ host"), OK);
    peer.inbox.wait_list("the failure", GIVEN_UP, |events| {
        let closed = Event::State(State::Closed);
        events.iter().any(|r| r.event == closed).then_some(())
    });
    let expected = [State::Connecting, State::Failed, State::Closed];
    assert_eq!(peer.states(), expected);
    let ice = |r: &crate::inbox::Recorded| matches!(r.event, Event::IceState(IceState::Failed));
    assert!(peer.inbox.all().iter().any(|r| ice(r)), "ICE did not report its failure");
}

fn network_dies(lab: &Lab) {
    lab.need_interfaces();
    let pair = Pair::configured(lab.lib, &Config::default());
    let (near, far) = pair.open("x");
    pair.wait_connected();
    // Both ends of the pair are local, so their packets take the loopback interface.
    let down = Command::new("ip").args(["link", "set", "lo", "down"]).status();
    assert!(down.is_ok_and(|status| status.success()), "the interface stays up");
    // The real library with libnice takes longer where it cannot even send: 82 s.
    let patience = GIVEN_UP * 3 / 2;
    for (peer, channel) in [(&pair.a, &near), (&pair.b, &far)] {
        peer.inbox.wait_list("the failure", patience, |events| {
            let closed = Event::State(State::Closed);
            events.iter().any(|r| r.owner == peer.id && r.event == closed).then_some(())
        });
        channel.wait_closed();
        let states = peer.states();
        assert!(
            states.contains(&State::Failed) || states.contains(&State::Disconnected),
            "{states:?}"
        );
    }
}

fn failed_is_closed(lab: &Lab) {
    let (a, b, near) = connect_bent(lab.lib, &Config::loopback(), other_fingerprint, same);
    b.wait_state(State::Closed);
    a.wait_state(State::Closed);
    for peer in [&a, &b] {
        let code = peer.set_local("offer");
        assert!(code == OK || code == FAILURE, "{}", code_name(code));
        peer.inbox.never_again("no new life", |r| matches!(r.event, Event::State(_)));
    }
    assert_eq!(lab.lib.send_text(near.id, c"x"), FAILURE);
}

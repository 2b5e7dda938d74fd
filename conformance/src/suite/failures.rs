//! Connections that must not come about, and connections that break.

use super::Case;
use crate::backends::CHECKING;
use crate::ffi::*;
use crate::inbox::Event;
use crate::interop::agent::Agent;
use crate::interop::own;
use crate::lab::Lab;
use crate::peer::{Channel, Pair, Peer};
use crate::{sdp, sys};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// How much later than it should be something may be noticed on a busy machine.
const LATE: Duration = Duration::from_secs(15);

/// Sooner no peer is given up: it may be about to answer.
const EARLY: Duration = Duration::from_secs(15);

/// What fails at once does not wait for the end of the handshake, which is after 30 s.
const AT_ONCE: Duration = Duration::from_secs(10);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a false fingerprint in the offer fails both sides", false_offer).fixes("B-51"),
        Case::new("a false fingerprint in the answer fails both sides", false_answer).fixes("B-51"),
        Case::new("a false fingerprint for an RSA certificate fails as well", false_rsa)
            .fixes("B-51"),
        Case::new("wrong ICE passwords never connect", wrong_password).limit(120),
        Case::new("candidates nobody answers fail in the end", nobody_there).limit(120),
        Case::new("a connection whose network dies fails in the end", network_dies).limit(150),
        Case::new("a peer that falls silent fails the connection", |lab| {
            peer_goes(lab, sys::stop_group)
        })
        .limit(150),
        Case::new("a peer process that is killed fails the connection", |lab| {
            peer_goes(lab, sys::kill_group)
        })
        .limit(150),
        Case::new("a peer that acknowledges nothing is given up", nothing_acknowledged).limit(150),
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

/// Waits until a peer connection is closed.
fn wait_closed(peer: &Peer, patience: Duration) {
    peer.inbox.wait_list("the end", patience, |events| {
        let closed = Event::State(State::Closed);
        events.iter().any(|r| r.owner == peer.id && r.event == closed).then_some(())
    });
}

/// Both sides have to fail, and soon: the one that sees the lie, and the other one, which is told.
fn refused(judge: &Peer, other: &Peer, near: &Channel) {
    for peer in [judge, other] {
        peer.wait_state(State::Closed);
        assert_eq!(peer.states(), [State::Connecting, State::Failed, State::Closed]);
        let connected = peer.inbox.wait_event(peer.id, &Event::IceState(IceState::Connected));
        let failed = peer.inbox.wait_event(peer.id, &Event::State(State::Failed));
        let took = failed.saturating_duration_since(connected);
        assert!(took < AT_ONCE, "it failed {took:?} after ICE had connected");
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
        wait_closed(peer, CHECKING + LATE);
        assert_eq!(peer.states(), [State::Connecting, State::Failed, State::Closed]);
    }
    assert!(!near.is_open());
}

fn nobody_there(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    assert_eq!(peer.add_candidate("candidate:1 1 UDP 2122252543 127.0.0.1 9 typ host"), OK);
    wait_closed(&peer, CHECKING + LATE);
    let expected = [State::Connecting, State::Failed, State::Closed];
    assert_eq!(peer.states(), expected);
    let ice = |r: &crate::inbox::Recorded| matches!(r.event, Event::IceState(IceState::Failed));
    assert!(peer.inbox.all().iter().any(|r| ice(r)), "ICE did not report its failure");
}

/// How long a peer may be silent, with reserve. The real library takes longer with libnice where
/// there are many addresses: 82 s.
fn silence(lab: &Lab) -> Duration {
    match lab.lib.is_real() {
        true => Duration::from_secs(90),
        false => lab.ice.silence + LATE,
    }
}

fn network_dies(lab: &Lab) {
    lab.need_interfaces();
    let pair = Pair::configured(lab.lib, &Config::default());
    let (near, far) = pair.open("x");
    pair.wait_connected();
    // Both ends of the pair are local, so their packets take the loopback interface.
    let down = Command::new("ip").args(["link", "set", "lo", "down"]).status();
    assert!(down.is_ok_and(|status| status.success()), "the interface stays up");
    let patience = silence(lab);
    for (peer, channel) in [(&pair.a, &near), (&pair.b, &far)] {
        wait_closed(peer, patience);
        channel.wait_closed();
        let states = peer.states();
        assert!(
            states.contains(&State::Failed) || states.contains(&State::Disconnected),
            "{states:?}"
        );
    }
}

/// A connection with another process over which messages went both ways.
fn with_other_process(lab: &Lab) -> (Peer, Channel, Agent) {
    lab.need_interfaces();
    let peer = Peer::with(lab.lib, &Config { manual: true, ..Config::default() });
    let near = peer.channel("x");
    peer.describe("offer");
    peer.wait_gathered();
    let sdp = peer.string(Getter::LOCAL_DESCRIPTION).expect("a description");
    let mut other = own::command(None)
        .and_then(|command| Agent::start("peer", command, &std::env::temp_dir()))
        .expect("another process");
    let answer = other.tell(&json!({ "do": "answer", "sdp": sdp }));
    let answer = answer.and_then(|()| other.description("answer")).expect("an answer");
    assert_eq!(peer.set_remote(&answer, "answer"), OK);
    near.wait_open();
    near.send_text(c"there?");
    other.expect_on("text", "x").expect("the message");
    other.tell(&json!({ "do": "text", "label": "x", "text": "yes" })).expect("told");
    near.wait_messages(1);
    peer.wait_state(State::Connected);
    // Until everything is acknowledged: otherwise it would be SCTP that gives up first.
    peer.inbox.fall_quiet();
    (peer, near, other)
}

fn peer_goes(lab: &Lab, happens: fn(u32)) {
    let (peer, near, other) = with_other_process(lab);
    let begun = Instant::now();
    happens(other.id());
    wait_closed(&peer, silence(lab));
    let expected = [State::Connecting, State::Connected, State::Failed, State::Closed];
    assert_eq!(peer.states(), expected);
    let took = begun.elapsed();
    assert!(took > EARLY, "it was given up after {took:?}");
    near.wait_closed();
}

/// SCTP gives up before ICE does, after 12.6 s of retransmissions.
fn nothing_acknowledged(lab: &Lab) {
    let (peer, near, other) = with_other_process(lab);
    sys::stop_group(other.id());
    near.send_text(c"still there?");
    wait_closed(&peer, silence(lab));
    let expected = [State::Connecting, State::Connected, State::Disconnected, State::Closed];
    assert_eq!(peer.states(), expected);
    near.wait_closed();
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

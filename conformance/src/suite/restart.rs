//! ICE restarts, which are an extension of ours: `rtcRestartIce` and `rtcSetIceRecoveryTimeout`.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::skip;
use crate::peer::{Pair, Peer, Signalling, eventually};
use crate::sdp;
use std::ffi::c_int;
use std::process::Command;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("new credentials find a new path and harm no channel", keeps_channels)
            .fixes("B-38"),
        Case::new("connections that share a port restart by themselves", on_shared_ports)
            .fixes("B-38"),
        Case::new("restarts by both sides at once find one path", both_at_once).fixes("B-38"),
        Case::new("a failed connection comes back by a restart", comes_back)
            .fixes("B-38")
            .limit(150),
        Case::new("a restart in the wrong state is refused", wrong_state).fixes("rtcRestartIce"),
    ]
}

/// Demands a library and an ICE backend that can restart.
fn need_restart(lab: &Lab) {
    if lab.lib.table.rtcRestartIce.is_none() {
        skip("not supported: there is no rtcRestartIce");
    }
    lab.need_ice(lab.ice.restart, "ICE restart");
}

fn credentials(peer: &Peer) -> [Option<String>; 2] {
    let sdp = peer.string(Getter::LOCAL_DESCRIPTION).unwrap_or_default();
    ["ice-ufrag", "ice-pwd"].map(|name| sdp::attribute(&sdp, name).map(str::to_owned))
}

fn keeps_channels(lab: &Lab) {
    need_restart(lab);
    let pair = Pair::new(lab.lib);
    let (near, far) = pair.open("x");
    pair.wait_connected();
    for (round, restarting) in [&pair.a, &pair.b, &pair.a].into_iter().enumerate() {
        restart(lab, &pair, restarting);
        near.send_text(c"to");
        far.send_text(c"fro");
        far.wait_messages(round + 1);
        near.wait_messages(round + 1);
    }
    never_interrupted(&pair);
}

fn on_shared_ports(lab: &Lab) {
    need_restart(lab);
    lab.need_udp_mux();
    let shared = |port| Config { udp_mux: true, ports: (port, port), ..Config::loopback() };
    let open = |theirs: &Config| {
        let sides = [&shared(47_202), theirs].map(|config| Peer::with(lab.lib, config));
        let [ours, theirs] = sides;
        let pair = Pair::of(ours, theirs, Signalling::Trickle);
        let (near, far) = pair.open("x");
        pair.wait_connected();
        (pair, near, far)
    };
    // Theirs share no port, share one, and share it with one that does not restart.
    let pairs = [&Config::loopback(), &shared(47_203), &shared(47_203)].map(open);
    for round in 1..=3 {
        for (pair, _, _) in &pairs[..2] {
            restart(lab, pair, if round == 2 { &pair.b } else { &pair.a });
        }
        for (_, near, far) in &pairs {
            near.send_text(c"to");
            far.send_text(c"fro");
            far.wait_messages(round);
            near.wait_messages(round);
        }
    }
    pairs.iter().for_each(|(pair, _, _)| never_interrupted(pair));
}

/// Has one side restart, and waits until both have found a path with new credentials.
fn restart(lab: &Lab, pair: &Pair, restarting: &Peer) {
    let sides = [&pair.a, &pair.b];
    let before = sides.map(credentials);
    let rounds = sides.map(gathered);
    assert_eq!(lab.lib.restart_ice(restarting.id), OK);
    for (peer, before) in sides.into_iter().zip(before) {
        eventually("new credentials", || {
            credentials(peer).iter().zip(&before).all(|(new, old)| new != old)
        });
    }
    for (peer, before) in sides.into_iter().zip(rounds) {
        eventually("gathering anew", || gathered(peer) > before);
        peer.wait_signaling(Signaling::Stable);
    }
    eventually("the new path", || {
        let completed = |peer: &&Peer| last_ice_state(peer) == Some(IceState::Completed);
        sides.iter().all(completed)
    });
}

fn never_interrupted(pair: &Pair) {
    for peer in [&pair.a, &pair.b] {
        let bad = [State::Disconnected, State::Failed, State::Closed];
        assert!(!peer.states().iter().any(|state| bad.contains(state)), "{:?}", peer.states());
    }
}

/// Each side has made its offer before it sees the other one's, takes it back and answers; then it
/// refuses the other one's answer, for which there is no offer any more.
fn both_at_once(lab: &Lab) {
    need_restart(lab);
    let mut pair = Pair::new(lab.lib);
    let (near, far) = pair.open("x");
    pair.wait_connected();
    let completed = |peer: &Peer| last_ice_state(peer) == Some(IceState::Completed);
    eventually("the first path", || completed(&pair.a) && completed(&pair.b));
    pair.unwire();
    let before = [&pair.a, &pair.b].map(credentials);
    for peer in [&pair.a, &pair.b] {
        peer.inbox.clear();
        assert_eq!(lab.lib.restart_ice(peer.id), OK);
        peer.wait_signaling(Signaling::HaveLocalOffer);
    }
    pair.rewire();
    let sides = [&pair.a, &pair.b];
    for (peer, before) in sides.into_iter().zip(&before) {
        assert_eq!(peer.wait_description(1).0, "answer");
        peer.wait_signaling(Signaling::Stable);
        let differ = credentials(peer).iter().zip(before).all(|(new, old)| new != old);
        assert!(differ, "{before:?} are still in use");
    }
    eventually("the new path", || sides.into_iter().all(completed));
    near.send_text(c"to");
    far.wait_messages(1);
    far.send_text(c"fro");
    near.wait_messages(1);
    for peer in sides {
        assert!(peer.states().is_empty(), "{:?}", peer.states());
    }
    // Nor is it the old path that goes on until the peer's consent for it ends.
    assert_eq!(lab.lib.restart_ice(pair.b.id), OK);
    eventually("another path", || sides.into_iter().all(|peer| gathered(peer) > 1));
    eventually("another path", || sides.into_iter().all(completed));
    far.send_text(c"again");
    near.wait_messages(2);
}

/// How often it has gathered.
fn gathered(peer: &Peer) -> usize {
    peer.inbox.count(peer.id, &Event::Gathering(Gathering::Complete))
}

fn last_ice_state(peer: &Peer) -> Option<IceState> {
    let state = |event: &Event| match event {
        Event::IceState(state) => Some(*state),
        _ => None,
    };
    peer.inbox.all().iter().rev().find_map(|r| state(&r.event))
}

/// Switches the interface that connects the addresses of the private network.
fn loopback(state: &str) {
    let status = Command::new("ip").args(["link", "set", "lo", state]).status();
    assert!(status.is_ok_and(|status| status.success()), "the interface does not go {state}");
}

fn comes_back(lab: &Lab) {
    need_restart(lab);
    lab.need_interfaces();
    let pair = Pair::configured(lab.lib, &Config::default());
    let sides = [&pair.a, &pair.b];
    for peer in sides {
        assert_eq!(lab.lib.set_ice_recovery(peer.id, 60_000), OK);
    }
    let (near, far) = pair.open("x");
    pair.wait_connected();
    loopback("down");
    let reached = |peer: &Peer, state: State, count: usize| {
        let what = format!("{state:?} for the {count}. time");
        peer.inbox.wait_list(&what, Duration::from_secs(60), |events| {
            let wanted =
                events.iter().filter(|r| r.owner == peer.id && r.event == Event::State(state));
            (wanted.count() >= count).then_some(())
        });
    };
    sides.iter().for_each(|peer| reached(peer, State::Failed, 1));
    near.send_text(c"written while there was no path");
    loopback("up");
    assert_eq!(lab.lib.restart_ice(pair.a.id), OK);
    sides.iter().for_each(|peer| reached(peer, State::Connected, 2));
    far.wait_messages(1);
    far.send_text(c"answered");
    near.wait_messages(1);
    assert!(near.is_open() && far.is_open());
}

fn wrong_state(lab: &Lab) {
    need_restart(lab);
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    let restart = |what: &str, expected: c_int| {
        let code = lab.lib.restart_ice(peer.id);
        assert_eq!(code, expected, "{what}: {}", code_name(code));
    };
    restart("before any description", FAILURE);
    peer.describe("offer");
    restart("before the peer is known", FAILURE);
    peer.close();
    peer.wait_state(State::Closed);
    restart("after the end", FAILURE);
    assert_eq!(lab.lib.restart_ice(peer.id + 1000), INVALID);
    assert_eq!(lab.lib.set_ice_recovery(peer.id + 1000, 1), INVALID);
}

//! Connecting, staying connected, closing.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::{Lab, on_loopback};
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, Peer, Signalling, eventually};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("callbacks come in the documented order", order),
        Case::new("no state comes twice in a row and none is NEW", no_repetition),
        Case::new("addresses are IP and port and mirror each other", addresses),
        Case::new("IPv6 addresses are written without brackets", ipv6_addresses),
        Case::new("peers meet on ordinary interfaces", interfaces),
        Case::new("descriptions gathered whole connect as well", whole),
        Case::new("an offer nobody answers stays connecting", unanswered),
        Case::new("connecting never loses a second", no_stall).fixes("B-2").limit(240).alone(),
        Case::new("many pairs connect at the same time", many_at_once).limit(180),
        Case::new("one peer connects with many", star).limit(180),
        Case::new("closing runs through disconnected to closed on both sides", close_sequence),
        Case::new("closing twice is harmless", close_twice),
        Case::new("closing a fresh peer connection reports closed", close_fresh),
        Case::new("closing while connecting ends closed", close_while_connecting),
        Case::new("deleting tells the other side", delete_tells),
        Case::new("deleting does not wait for the network", delete_is_quick).alone(),
        Case::new("closing delivers everything sent before", close_flushes).limit(120),
        Case::new("channels outlive their deleted peer connection", channels_outlive),
        Case::new("channels that never opened are closed with their connection", never_opened)
            .fixes("B-4"),
        Case::new("both sides may be deleted at the same time", both_deleted),
        Case::new("the highest stream is at least 1023", max_stream),
        Case::new("callbacks may be unset while connected", unset),
    ]
}

fn events(peer: &Peer) -> Vec<Event> {
    let all = peer.inbox.all();
    all.iter().filter(|r| r.owner == peer.id).map(|r| r.event.clone()).collect()
}

/// Adds rows demanding that the events come in this order, each where it is present at all.
fn in_order(rows: &mut Rows, side: &str, peer: &Peer, chain: &[Event]) {
    let events = events(peer);
    let mut last: Option<(usize, &Event)> = None;
    for event in chain {
        let place = events.iter().position(|found| found == event);
        rows.holds(format!("{side}: {event:?} is there"), place.is_some());
        if let (Some(place), Some((before, name))) = (place, last) {
            rows.holds(format!("{side}: {event:?} after {name:?}"), place > before);
        }
        last = place.map(|place| (place, event)).or(last);
    }
}

fn order(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for peer in [&connected.a, &connected.b] {
        peer.wait_gathered();
    }
    let mut rows = Rows::new();
    let gathering =
        [Event::Gathering(Gathering::InProgress), Event::Gathering(Gathering::Complete)];
    let ice = [Event::IceState(IceState::Checking), Event::IceState(IceState::Connected)];
    let states = [Event::State(State::Connecting), Event::State(State::Connected)];
    let ice_first = [Event::IceState(IceState::Connected), Event::State(State::Connected)];
    for (side, peer) in [("offerer", &connected.a), ("answerer", &connected.b)] {
        for chain in [&gathering, &ice, &states, &ice_first] {
            in_order(&mut rows, side, peer, chain);
        }
    }
    let offerer = [Event::Signaling(Signaling::HaveLocalOffer), gathering[0].clone()];
    in_order(&mut rows, "offerer", &connected.a, &offerer);
    let answerer = [
        Event::Signaling(Signaling::HaveRemoteOffer),
        Event::Signaling(Signaling::Stable),
        gathering[0].clone(),
    ];
    in_order(&mut rows, "answerer", &connected.b, &answerer);
    rows.holds("is it open inside the data channel callback", connected.far.is_open());
}

fn no_repetition(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.a.close();
    connected.a.wait_state(State::Closed);
    connected.b.wait_state(State::Closed);
    let mut rows = Rows::new();
    for peer in [&connected.a, &connected.b] {
        let events = events(peer);
        let states: Vec<_> = events.iter().filter(|e| matches!(e, Event::State(_))).collect();
        let ice: Vec<_> = events.iter().filter(|e| matches!(e, Event::IceState(_))).collect();
        for list in [&states, &ice] {
            rows.holds(format!("{list:?}"), list.windows(2).all(|two| two[0] != two[1]));
        }
        rows.holds("no NEW", !states.contains(&&Event::State(State::New)));
        rows.equal("the last state", states.last(), Some(&&Event::State(State::Closed)));
        rows.equal("the last ICE state", ice.last(), Some(&&Event::IceState(IceState::Closed)));
    }
}

fn addresses(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let address = |peer: &Peer, getter| peer.string(getter).expect("an address");
    let (a, b) = (&connected.a, &connected.b);
    assert_eq!(address(a, Getter::LOCAL_ADDRESS), address(b, Getter::REMOTE_ADDRESS));
    assert_eq!(address(b, Getter::LOCAL_ADDRESS), address(a, Getter::REMOTE_ADDRESS));
    let local = address(a, Getter::LOCAL_ADDRESS);
    let (host, port) = local.rsplit_once(':').expect("an address and a port");
    assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{local}");
    assert!(!on_loopback() || host == "127.0.0.1", "{local}");
}

fn ipv6_addresses(lab: &Lab) {
    lab.need_bind_address();
    let config = Config { bind: Some(c"::1".to_owned()), ..Config::default() };
    let pair = Pair::configured(lab.lib, &config);
    let (near, far) = pair.open("x");
    near.send_text(c"six");
    far.wait_messages(1);
    let local = pair.a.string(Getter::LOCAL_ADDRESS).expect("an address");
    let port = local.strip_prefix("::1:").and_then(|port| port.parse::<u16>().ok());
    assert!(port.is_some_and(|port| port > 0), "{local}");
}

fn interfaces(lab: &Lab) {
    lab.need_interfaces();
    let pair = Pair::configured(lab.lib, &Config::default());
    let (near, far) = pair.open("x");
    near.send_text(c"met");
    far.wait_messages(1);
    let local = pair.a.string(Getter::LOCAL_ADDRESS).expect("an address");
    assert!(local.starts_with("10.99.0.") || local.starts_with("fd99:"), "{local}");
}

fn whole(lab: &Lab) {
    let pair = Pair::of(Peer::new(lab.lib), Peer::new(lab.lib), Signalling::Whole);
    let (near, far) = pair.open("x");
    near.send_text(c"there");
    far.wait_messages(1);
}

fn unanswered(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let _channel = peer.channel("x");
    peer.wait_gathered();
    peer.inbox.never("nothing ends", |r| match r.event {
        Event::State(state) => state != State::Connecting,
        _ => false,
    });
}

/// One after the other; those are returned that took a second longer than most: a handshake began
/// whose first flight was lost and repeated then.
fn stalled(lib: Lib, count: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = Vec::with_capacity(count);
    for _ in 0..count {
        let pair = Pair::new(lib);
        let begun = Instant::now();
        let (_near, _far) = pair.open("x");
        took.push(begun.elapsed());
    }
    took.sort();
    let usual = took[count / 2];
    took.into_iter().filter(|took| *took > usual + STALL).collect()
}

/// What is lost in DTLS is repeated after one second.
const STALL: Duration = Duration::from_millis(900);

fn no_stall(lab: &Lab) {
    let first = stalled(lab.lib, 200);
    if !first.is_empty() {
        // A busy machine may have been in the way, once.
        let second = stalled(lab.lib, 200);
        assert!(second.is_empty(), "of 200 connections these took long: {first:?}, {second:?}");
    }
}

fn many_at_once(lab: &Lab) {
    let pairs: Vec<_> = (0..16).map(|_| Pair::new(lab.lib)).collect();
    let near: Vec<_> = pairs.iter().map(|pair| pair.a.channel("x")).collect();
    for (pair, near) in pairs.iter().zip(&near) {
        near.wait_open();
        let far = pair.b.incoming(0);
        near.send_text(c"crowd");
        far.wait_messages(1);
    }
}

fn star(lab: &Lab) {
    let mut pairs: Vec<(Pair, Channel, Channel)> = Vec::new();
    for _ in 0..8 {
        let pair = Pair::new(lab.lib);
        let (near, far) = pair.open("x");
        pairs.push((pair, near, far));
    }
    for (_, near, far) in &pairs {
        near.send_text(c"to all");
        far.wait_messages(1);
        far.send_text(c"from all");
    }
    for (_, near, _) in &pairs {
        near.wait_messages(1);
    }
}

fn close_sequence(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.a.close();
    let chain = [
        Event::State(State::Connected),
        Event::State(State::Disconnected),
        Event::State(State::Closed),
    ];
    let mut rows = Rows::new();
    for (side, peer) in [("near", &connected.a), ("far", &connected.b)] {
        peer.wait_state(State::Closed);
        peer.inbox.wait_event(peer.id, &Event::IceState(IceState::Closed));
        in_order(&mut rows, side, peer, &chain);
        rows.holds(format!("{side}: no failure"), !peer.states().contains(&State::Failed));
    }
    for channel in [&connected.near, &connected.far] {
        channel.wait_closed();
        rows.holds("the channel is closed", channel.is_closed() && !channel.is_open());
        rows.equal("closed callbacks", channel.count(&Event::Closed), 1);
        rows.code("sending", lab.lib.send_binary(channel.id, b"x"), FAILURE);
    }
}

fn close_twice(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.a.close();
    connected.a.close();
    connected.a.wait_state(State::Closed);
    connected.a.close();
    connected.b.wait_state(State::Closed);
    connected.b.close();
    let closed = Event::State(State::Closed);
    assert_eq!(connected.a.inbox.count(connected.a.id, &closed), 1);
    assert_eq!(connected.b.inbox.count(connected.b.id, &closed), 1);
}

fn close_fresh(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    peer.close();
    peer.wait_state(State::Closed);
    assert_eq!(peer.states(), [State::Closed]);
}

fn close_while_connecting(lab: &Lab) {
    for wait in [Event::Gathering(Gathering::InProgress), Event::State(State::Connecting)] {
        let pair = Pair::new(lab.lib);
        let near = pair.a.channel("x");
        pair.a.inbox.wait_event(pair.a.id, &wait);
        pair.a.close();
        pair.a.wait_state(State::Closed);
        pair.b.close();
        pair.b.wait_state(State::Closed);
        assert!(!near.is_open());
    }
}

fn delete_tells(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    assert_eq!(connected.a.delete(), OK);
    connected.far.wait_closed();
    connected.b.wait_state(State::Disconnected);
    connected.b.wait_state(State::Closed);
    eventually("the near channel to be closed", || connected.near.is_closed());
}

fn delete_is_quick(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let data = vec![7; 200_000];
    for _ in 0..20 {
        connected.near.send_binary(&data);
    }
    let begun = Instant::now();
    assert_eq!(connected.a.delete(), OK);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "rtcDeletePeerConnection took {took:?}");
}

fn close_flushes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let data = vec![7; 200_000];
    for _ in 0..20 {
        connected.near.send_binary(&data);
    }
    connected.a.close();
    let messages = connected.far.wait_messages(20);
    assert!(messages.iter().all(|message| message.bytes() == data), "a damaged message");
    connected.far.wait_closed();
    connected.b.wait_state(State::Closed);
    connected.a.wait_state(State::Closed);
}

fn channels_outlive(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let stream = connected.near.stream();
    assert_eq!(connected.a.delete(), OK);
    let near = &connected.near;
    eventually("the channel to be closed", || near.is_closed());
    let mut rows = Rows::new();
    rows.equal("label", lab.lib.string(Getter::LABEL, near.id).as_deref(), Ok("test"));
    rows.equal("stream", near.stream(), stream);
    rows.code("sending", lab.lib.send_binary(near.id, b"x"), FAILURE);
    rows.equal("open", near.is_open(), false);
    eventually("the limit without a connection", || near.by_id(ById::MAX_MESSAGE_SIZE) == 65_536);
    near.disown();
    rows.code("rtcDelete", near.by_id(ById::DELETE), OK);
    rows.code("again", near.by_id(ById::DELETE), INVALID);
}

fn never_opened(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    peer.wait_gathered();
    peer.close();
    peer.wait_state(State::Closed);
    channel.wait_closed();
    assert!(channel.is_closed());
}

fn both_deleted(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (a, b) = (&connected.a, &connected.b);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(a.delete(), OK));
        scope.spawn(|| assert_eq!(b.delete(), OK));
    });
    eventually("both channels closed", || connected.near.is_closed() && connected.far.is_closed());
}

fn max_stream(lab: &Lab) {
    let fresh = Peer::new(lab.lib);
    let connected = Connected::new(lab.lib);
    let mut rows = Rows::new();
    for (name, id) in [("fresh", fresh.id), ("connected", connected.a.id)] {
        let highest = lab.lib.by_id(ById::MAX_STREAM, id);
        rows.holds(format!("{name}: {highest}"), (1023..=65_534).contains(&highest));
    }
}

fn unset(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for slot in Slot::PEER {
        let code = lab.lib.listen(*slot, connected.a.id, false);
        assert!(code == OK || (*slot == Slot::Track && code == NOT_AVAIL), "{slot:?}: {code}");
    }
    connected.a.inbox.settle();
    let seen = connected.a.inbox.all().iter().filter(|r| r.owner == connected.a.id).count();
    connected.a.close();
    connected.b.wait_state(State::Closed);
    connected.near.wait_closed();
    let after = connected.a.inbox.all().iter().filter(|r| r.owner == connected.a.id).count();
    assert_eq!(after, seen, "callbacks that had been unset");
}

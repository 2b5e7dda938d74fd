//! Closing and deleting channels, seen from both sides.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, Peer, Signalling};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("closing calls the closed callback before it returns", synchronous),
        Case::new("closing either side closes both", both_close),
        Case::new("closing twice is harmless and calls nothing twice", twice),
        Case::new("messages sent before closing arrive before the close", flushes).limit(120),
        Case::new("a stream is free again when both sides have closed it", reuse),
        Case::new("both sides may close at the same time", at_once),
        Case::new("deleting an open channel closes it on the other side", delete_closes),
        Case::new("the generic delete does the same as the specific one", generic_delete),
        Case::new("deleting a closed channel is fine", delete_closed),
        Case::new("a channel closed before it opened stays closed", close_unopened),
        Case::new("a channel deleted before it opened is never seen", delete_unopened),
        Case::new("closing one channel leaves the others alone", independent),
        Case::new("channels open and close hundreds of times on one connection", churn).limit(180),
    ]
}

fn synchronous(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = &connected.near;
    assert_eq!(near.by_id(ById::CLOSE), OK);
    let mut rows = Rows::new();
    rows.equal("closed callbacks on return", near.count(&Event::Closed), 1);
    rows.equal("is closed", near.is_closed(), true);
    rows.equal("is open", near.is_open(), false);
    rows.code("sending", lab.lib.send_text(near.id, c"x"), FAILURE);
    rows.equal("label", lab.lib.string(Getter::LABEL, near.id).as_deref(), Ok("test"));
}

fn closed_both(one: &Channel, other: &Channel) {
    one.wait_closed();
    other.wait_closed();
    assert!(one.is_closed() && other.is_closed());
    assert!(!one.is_open() && !other.is_open());
    assert_eq!((one.count(&Event::Closed), other.count(&Event::Closed)), (1, 1));
}

fn both_close(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = connected.open("second");
    assert_eq!(far.by_id(ById::CLOSE), OK);
    closed_both(&near, &far);
    assert_eq!(connected.near.by_id(ById::CLOSE), OK);
    closed_both(&connected.near, &connected.far);
    assert!(!connected.a.states().contains(&State::Disconnected), "the connection lives on");
}

fn twice(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for _ in 0..3 {
        assert_eq!(connected.near.by_id(ById::CLOSE), OK);
    }
    connected.far.wait_closed();
    assert_eq!(connected.far.by_id(ById::CLOSE), OK);
    closed_both(&connected.near, &connected.far);
}

fn flushes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let data = vec![3; 200_000];
    for _ in 0..20 {
        connected.near.send_binary(&data);
    }
    assert_eq!(connected.near.by_id(ById::CLOSE), OK);
    connected.far.wait_closed();
    let all = connected.far.inbox.all();
    let own: Vec<_> = all.iter().filter(|r| r.owner == connected.far.id).collect();
    let messages = own.iter().filter(|r| matches!(r.event, Event::Message(_))).count();
    assert_eq!(messages, 20);
    let last = own.iter().rposition(|r| matches!(r.event, Event::Message(_)));
    let closed = own.iter().position(|r| r.event == Event::Closed);
    assert!(last < closed, "closed came before the last message");
}

fn reuse(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = connected.open("second");
    let stream = near.stream();
    assert_eq!(near.by_id(ById::CLOSE), OK);
    closed_both(&near, &far);
    // The stream is free once the peer's own reset has been acknowledged, which no event tells.
    let (mut rounds, mut last) = (0, stream + 1);
    while last != stream {
        assert!(rounds < 50, "stream {stream} is not used again");
        rounds += 1;
        let (again, opposite) = connected.open(&format!("again {rounds}"));
        last = again.stream();
        assert_eq!(again.by_id(ById::CLOSE), OK);
        closed_both(&again, &opposite);
    }
}

fn at_once(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for round in 0..20 {
        let (near, far) = connected.open(&format!("r{round}"));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(near.by_id(ById::CLOSE), OK));
            scope.spawn(|| assert_eq!(far.by_id(ById::CLOSE), OK));
        });
        closed_both(&near, &far);
    }
}

fn delete_closes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = connected.open("second");
    assert_eq!(near.delete(), OK);
    far.wait_closed();
    assert_eq!(near.count(&Event::Closed), 1, "closed is called during deletion");
    assert_eq!(connected.far.delete(), OK);
    connected.near.wait_closed();
}

fn generic_delete(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = &connected.near;
    near.disown();
    assert_eq!(near.by_id(ById::DELETE), OK);
    near.inbox.forbid(near.id, false);
    connected.far.wait_closed();
    let mut rows = Rows::new();
    rows.equal("closed callbacks", near.count(&Event::Closed), 1);
    rows.code("again", near.by_id(ById::DELETE), INVALID);
    rows.code("the other", near.by_id(ById::DELETE_DC), INVALID);
}

fn delete_closed(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    assert_eq!(connected.near.by_id(ById::CLOSE), OK);
    assert_eq!(connected.near.delete(), OK);
    connected.far.wait_closed();
    assert_eq!(connected.far.delete(), OK);
    assert_eq!(connected.near.count(&Event::Closed), 1);
    assert_eq!(connected.far.count(&Event::Closed), 1);
}

fn close_unopened(lab: &Lab) {
    let near = Peer::new(lab.lib);
    let doomed = near.channel("doomed");
    let other = near.channel("other");
    assert_eq!(doomed.by_id(ById::CLOSE), OK);
    assert!(doomed.is_closed());
    // Only now: a connection may take less than a millisecond.
    let _pair = Pair::of(near, Peer::new(lab.lib), Signalling::Trickle);
    other.wait_open();
    assert!(doomed.is_closed() && !doomed.is_open());
    assert_eq!(doomed.count(&Event::Open), 0);
}

fn delete_unopened(lab: &Lab) {
    let near = Peer::new(lab.lib);
    let doomed = near.channel("doomed");
    let other = near.channel("other");
    assert_eq!(doomed.delete(), OK);
    let pair = Pair::of(near, Peer::new(lab.lib), Signalling::Trickle);
    other.wait_open();
    let far = pair.b.incoming_named("other");
    other.send_text(c"x");
    far.wait_messages(1);
}

fn independent(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = connected.open("second");
    let (third, opposite) = connected.open("third");
    assert_eq!(near.by_id(ById::CLOSE), OK);
    closed_both(&near, &far);
    for (from, to) in [(&third, &opposite), (&connected.near, &connected.far)] {
        from.send_text(c"alive");
        to.wait_messages(1);
        to.send_text(c"and well");
        from.wait_messages(1);
    }
}

fn churn(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for round in 0..300 {
        let (near, far) = connected.open(&format!("r{round}"));
        near.send_binary(&[round as u8; 100]);
        assert_eq!(far.wait_messages(1)[0].bytes(), [round as u8; 100]);
        let (closing, other) = if round % 2 == 0 { (&near, &far) } else { (&far, &near) };
        assert_eq!(closing.by_id(ById::CLOSE), OK);
        other.wait_closed();
        assert_eq!((near.delete(), far.delete()), (OK, OK));
    }
}

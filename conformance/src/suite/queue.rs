//! Receiving without a callback: the queue behind rtcReceiveMessage.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Message};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, eventually};
use std::sync::{Arc, Mutex};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("an empty queue has nothing available", empty_queue),
        Case::new("the available amount is the sum of what waits", amount),
        Case::new("a NULL buffer tells the size and takes nothing", peek),
        Case::new("messages are taken whole and in order", take),
        Case::new("a buffer too small takes nothing", too_small),
        Case::new("a buffer too small is told the size it should have", too_small_size)
            .fixes("B-6"),
        Case::new("the sign of the given size is ignored", negative_size),
        Case::new("what was received can be read after the channel closed", after_close),
        Case::new(
            "available comes when the first message waits and not again until it is empty",
            available,
        ),
        Case::new("available also comes while a message callback is set", available_with_callback),
        Case::new("setting the message callback delivers what waits at once", late_callback),
        Case::new("unsetting the message callback lets messages wait", unset_callback),
        Case::new("thousands of unread messages all wait in the end", back_pressure).limit(120),
        Case::new("a full queue holds up no other connection", full_queue_elsewhere)
            .fixes("B-5")
            .limit(120),
        Case::new("deleting an unread channel sets the others free", unread_deleted)
            .fixes("B-5")
            .limit(120),
        Case::new("the queue is read from many threads", many_readers)
            .fixes("many readers of one queue"),
        Case::new("the queue is drained inside the available callback", drained_inside),
    ]
}

/// A connected pair whose far channel has every callback but the message callback.
fn quiet_pair(lib: Lib) -> Connected {
    quiet(Pair::new(lib))
}

/// Connects this pair like that.
pub(super) fn quiet(pair: Pair) -> Connected {
    let slots: Vec<_> =
        Slot::CHANNEL.iter().copied().filter(|slot| *slot != Slot::Message).collect();
    pair.b.inbox.adopt(&slots);
    Connected::over(pair)
}

fn wait_available(channel: &Channel, amount: i32) {
    eventually(&format!("{amount} bytes available"), || {
        channel.by_id(ById::AVAILABLE_AMOUNT) == amount
    });
}

fn take_one(channel: &Channel) -> (Received, Vec<u8>) {
    let mut buffer = vec![0xaa; 1 << 19];
    let received = channel.lib.receive(channel.id, Some(&mut buffer), 1 << 19);
    (received, buffer)
}

fn empty_queue(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    let mut rows = Rows::new();
    rows.equal("available", far.by_id(ById::AVAILABLE_AMOUNT), 0);
    for size in [0, 5, -5] {
        let mut buffer = [0xaa; 8];
        let received = lab.lib.receive(far.id, Some(&mut buffer), size);
        rows.equal(format!("size {size}"), received, Received(NOT_AVAIL, size.abs()));
        rows.equal("the buffer", buffer, [0xaa; 8]);
    }
    rows.equal("NULL", lab.lib.receive(far.id, None, 9), Received(NOT_AVAIL, 9));
}

fn amount(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    connected.near.send_binary(&[1; 100]);
    wait_available(far, 100);
    connected.near.send_binary(b"");
    connected.near.send_text(c"");
    connected.near.send_text(c"12345");
    wait_available(far, 105);
    take_one(far);
    assert_eq!(far.by_id(ById::AVAILABLE_AMOUNT), 5);
    for _ in 0..3 {
        eventually("the next message", || take_one(far).0.0 == OK);
    }
    assert_eq!(far.by_id(ById::AVAILABLE_AMOUNT), 0);
}

fn peek(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    connected.near.send_binary(b"binary");
    connected.near.send_text(c"text");
    wait_available(far, 10);
    let mut rows = Rows::new();
    for size in [0, 1, -1, 1000] {
        rows.equal(format!("binary, {size}"), lab.lib.receive(far.id, None, size), Received(OK, 6));
    }
    rows.equal("nothing was taken", far.by_id(ById::AVAILABLE_AMOUNT), 10);
    let (received, buffer) = take_one(far);
    rows.equal("the message", (received, &buffer[..6]), (Received(OK, 6), &b"binary"[..]));
    rows.equal("text", lab.lib.receive(far.id, None, 0), Received(OK, -5));
    rows.equal("text again", lab.lib.receive(far.id, None, 0), Received(OK, -5));
    rows.equal("nothing was taken", far.by_id(ById::AVAILABLE_AMOUNT), 4);
}

fn take(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    near.send_text(c"text");
    near.send_binary(b"binary");
    near.send_text(c"");
    near.send_binary(b"");
    near.send_binary(&[7; 200_000]);
    wait_available(far, 200_010);
    let mut rows = Rows::new();
    for (sign, expected) in
        [(-5, &b"text\0"[..]), (6, b"binary"), (-1, b"\0"), (0, b""), (200_000, &[7; 200_000])]
    {
        let (received, buffer) = take_one(far);
        rows.equal(format!("size {sign}"), received, Received(OK, sign));
        rows.holds(format!("bytes of {sign}"), buffer[..expected.len()] == *expected);
        rows.equal(format!("beyond {sign}"), buffer[expected.len()], 0xaa);
    }
    rows.equal("the end", take_one(far).0.0, NOT_AVAIL);
}

fn too_small(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    connected.near.send_binary(b"binary");
    connected.near.send_text(c"text");
    wait_available(far, 10);
    let mut rows = Rows::new();
    for size in [0, 1, 5, -5] {
        let mut buffer = [0xaa; 8];
        let Received(code, _) = lab.lib.receive(far.id, Some(&mut buffer), size);
        rows.code(format!("binary, {size}"), code, TOO_SMALL);
        rows.equal("the buffer", buffer, [0xaa; 8]);
    }
    let mut exact = [0; 6];
    let received = lab.lib.receive(far.id, Some(&mut exact), 6);
    rows.equal("exact", (received, &exact), (Received(OK, 6), b"binary"));
    let mut short = [0xaa; 4];
    let Received(code, _) = lab.lib.receive(far.id, Some(&mut short), 4);
    rows.code("no room for the terminator", code, TOO_SMALL);
    let mut exact = [0; 5];
    let received = lab.lib.receive(far.id, Some(&mut exact), 5);
    rows.equal("exact text", (received, &exact), (Received(OK, -5), b"text\0"));
}

fn too_small_size(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    connected.near.send_binary(b"binary");
    connected.near.send_text(c"text");
    wait_available(far, 10);
    let mut rows = Rows::new();
    let received = lab.lib.receive(far.id, Some(&mut [0; 3]), 3);
    rows.equal("binary", received, Received(TOO_SMALL, 6));
    take_one(far);
    let received = lab.lib.receive(far.id, Some(&mut [0; 3]), 3);
    rows.equal("text", received, Received(TOO_SMALL, -5));
}

fn negative_size(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    connected.near.send_binary(b"binary");
    wait_available(far, 6);
    let mut buffer = [0; 16];
    let received = lab.lib.receive(far.id, Some(&mut buffer), -16);
    assert_eq!((received, &buffer[..6]), (Received(OK, 6), &b"binary"[..]));
}

fn after_close(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    for n in 0..500u32 {
        near.send_binary(&n.to_be_bytes());
    }
    wait_available(far, 2000);
    assert_eq!(near.by_id(ById::CLOSE), OK);
    far.wait_closed();
    for n in 0..500u32 {
        let (received, buffer) = take_one(far);
        assert_eq!((received, &buffer[..4]), (Received(OK, 4), &n.to_be_bytes()[..]));
    }
    assert_eq!(take_one(far).0.0, NOT_AVAIL);
}

fn available(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    let count = || far.count(&Event::Available);
    near.send_binary(b"one");
    far.inbox.wait_event(far.id, &Event::Available);
    near.send_binary(b"two");
    wait_available(far, 6);
    far.inbox.settle();
    assert_eq!(count(), 1, "not again while messages wait");
    take_one(far);
    near.send_binary(b"three");
    wait_available(far, 8);
    far.inbox.settle();
    assert_eq!(count(), 1, "not again until the queue was empty");
    take_one(far);
    take_one(far);
    near.send_binary(b"four");
    eventually("the second call", || count() == 2);
}

fn available_with_callback(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.near.send_text(c"x");
    connected.far.wait_messages(1);
    connected.far.inbox.wait_event(connected.far.id, &Event::Available);
}

fn late_callback(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    near.send_text(c"first");
    near.send_binary(b"second");
    near.send_text(c"third");
    wait_available(far, 16);
    // By then the open callback has returned, which comes before any message.
    far.inbox.wait_event(far.id, &Event::Available);
    far.listen(&[Slot::Message]);
    let expected =
        [Message::text("first"), Message::Binary(b"second".to_vec()), Message::text("third")];
    assert_eq!(far.messages(), expected, "delivered inside rtcSetMessageCallback");
    near.send_text(c"fourth");
    far.wait_messages(4);
}

fn unset_callback(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    near.send_text(c"called");
    far.wait_messages(1);
    assert_eq!(lab.lib.listen(Slot::Message, far.id, false), OK);
    near.send_text(c"waits");
    wait_available(far, 5);
    assert_eq!(far.messages().len(), 1);
    assert_eq!(take_one(far).0, Received(OK, -6));
    near.send_text(c"waits too");
    wait_available(far, 9);
    far.listen(&[Slot::Message]);
    assert_eq!(far.messages().len(), 2);
}

fn back_pressure(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    let count = 5000u32;
    let mut data = vec![0; 1000];
    for n in 0..count {
        data[..4].copy_from_slice(&n.to_be_bytes());
        near.send_binary(&data);
    }
    for n in 0..count {
        let mut buffer = vec![0; 2000];
        eventually("the next message", || {
            lab.lib.receive(far.id, Some(&mut buffer), 2000) == Received(OK, 1000)
        });
        assert_eq!(buffer[..4], n.to_be_bytes());
    }
    assert_eq!(take_one(far).0.0, NOT_AVAIL);
}

fn full_queue_elsewhere(lab: &Lab) {
    let stuffed: Vec<_> = (0..6).map(|_| quiet_pair(lab.lib)).collect();
    for pair in &stuffed {
        for _ in 0..3000 {
            pair.near.send_binary(&[1; 100]);
        }
    }
    for pair in &stuffed {
        pair.far.inbox.wait_event(pair.far.id, &Event::Available);
    }
    let free = Connected::new(lab.lib);
    free.near.send_text(c"through");
    free.far.wait_messages(1);
}

fn unread_deleted(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let (other, far_other) = connected.open("other");
    // More than the queue and the window of SCTP hold together.
    for _ in 0..3000 {
        connected.near.send_binary(&[1; 16_384]);
    }
    let far = &connected.far;
    let mut waiting = -1;
    // Nothing tells that it is full: it is when no more has come for a while.
    eventually("the queue to be full", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let before = std::mem::replace(&mut waiting, far.by_id(ById::AVAILABLE_AMOUNT));
        before == waiting
    });
    far.delete();
    other.send_text(c"through");
    wait_available(&far_other, 7);
}

fn many_readers(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let far = &connected.far;
    for n in 0..800u32 {
        connected.near.send_binary(&n.to_be_bytes());
    }
    wait_available(far, 3200);
    let read_all = || {
        let mut own = Vec::new();
        let mut buffer = [0; 4];
        while lab.lib.receive(far.id, Some(&mut buffer), 4) == Received(OK, 4) {
            own.push(u32::from_be_bytes(buffer));
        }
        own
    };
    let mut all: Vec<u32> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read_all)).collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("a reader")).collect()
    });
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..800), "{} messages", all.len());
}

fn drained_inside(lab: &Lab) {
    let connected = quiet_pair(lab.lib);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let store = taken.clone();
    connected.b.inbox.hook(move |inbox, recorded| {
        if recorded.event != Event::Available {
            return;
        }
        let mut buffer = [0; 8];
        let mut store = store.lock().expect("the list");
        while inbox.lib.receive(recorded.owner, Some(&mut buffer), 8) == Received(OK, 4) {
            store.push(u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]));
        }
    });
    for n in 0..2000u32 {
        connected.near.send_binary(&n.to_be_bytes());
    }
    eventually("everything to be taken", || taken.lock().expect("the list").len() == 2000);
    assert!(taken.lock().expect("the list").iter().copied().eq(0..2000));
}

//! Sending faster than the network: the buffered amount and its low mark.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("an idle channel has nothing buffered", idle),
        Case::new("the buffered amount grows with what is sent and falls to nothing", grows),
        Case::new("the low callback comes once when the buffer runs empty", once_at_zero),
        Case::new("the low callback comes at the threshold", at_threshold),
        Case::new("changing the threshold calls nothing by itself", changing_threshold),
        Case::new("a threshold below zero disables the callback or is invalid", negative_threshold),
        Case::new("the low callback may send", sends_from_callback).limit(120),
        Case::new("a low callback set late is called if it was missed", missed),
    ]
}

fn buffered(channel: &Channel) -> i32 {
    channel.by_id(ById::BUFFERED_AMOUNT)
}

/// A connected pair whose far side does not read, so that what is sent stays buffered.
fn stuck_pair(lib: Lib) -> Connected {
    let pair = Pair::new(lib);
    pair.b.inbox.adopt(&[Slot::Open, Slot::Closed]);
    Connected::over(pair)
}

/// Sends until more than `amount` stays buffered; returns how many messages that took.
fn fill(channel: &Channel, amount: i32) -> usize {
    let data = vec![5; 60_000];
    let mut sent = 0;
    while buffered(channel) <= amount {
        assert!(sent < 4000, "nothing gets buffered");
        channel.send_binary(&data);
        sent += 1;
    }
    sent
}

/// Reads until nothing is left to come.
fn drain(connected: &Connected, count: usize) {
    let mut buffer = vec![0; 60_000];
    for _ in 0..count {
        eventually("the next message", || {
            connected.far.lib.receive(connected.far.id, Some(&mut buffer), 60_000).0 == OK
        });
    }
}

fn idle(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let mut rows = Rows::new();
    for channel in [&connected.near, &connected.far] {
        rows.equal("buffered", buffered(channel), 0);
    }
    connected.near.send_text(c"x");
    connected.far.wait_messages(1);
    rows.equal("afterwards", buffered(&connected.near), 0);
}

fn grows(lab: &Lab) {
    let connected = stuck_pair(lab.lib);
    let sent = fill(&connected.near, 1_000_000);
    let amount = buffered(&connected.near);
    assert!(amount as usize <= sent * 60_000, "{amount} buffered of {sent} messages");
    drain(&connected, sent);
    eventually("an empty buffer", || buffered(&connected.near) == 0);
}

/// Fills, drains, and returns how often the low callback came after the last filling.
fn cycle(connected: &Connected, level: i32) -> usize {
    let lows = || connected.near.count(&Event::BufferedAmountLow);
    let threshold_plus = level + 500_000;
    let mut sent = 0;
    let before = loop {
        sent += fill(&connected.near, threshold_plus);
        // What crossed while the channel filled is told before the count begins.
        connected.near.inbox.fall_quiet();
        let before = lows();
        // Nothing has crossed since if the amount is still above.
        if buffered(&connected.near) > level {
            break before;
        }
    };
    drain(connected, sent);
    eventually("an empty buffer", || buffered(&connected.near) == 0);
    eventually("the low callback", || lows() > before);
    connected.near.inbox.fall_quiet();
    lows() - before
}

fn once_at_zero(lab: &Lab) {
    let connected = stuck_pair(lab.lib);
    for round in 0..3 {
        assert_eq!(cycle(&connected, 0), 1, "round {round}");
    }
}

fn at_threshold(lab: &Lab) {
    let connected = stuck_pair(lab.lib);
    let level = 300_000;
    assert_eq!(lab.lib.set_low_threshold(connected.near.id, level), OK);
    let seen = Arc::new(AtomicUsize::new(0));
    // The last call counts: while the channel is filled, more may be sent before a call runs.
    let last = seen.clone();
    connected.a.inbox.hook(move |inbox, recorded| {
        if recorded.event == Event::BufferedAmountLow {
            let amount = inbox.lib.by_id(ById::BUFFERED_AMOUNT, recorded.owner);
            last.store(amount as usize, Ordering::SeqCst);
        }
    });
    assert_eq!(cycle(&connected, level), 1);
    let seen = seen.load(Ordering::SeqCst);
    assert!(seen <= level as usize, "called with {seen} buffered");
}

fn changing_threshold(lab: &Lab) {
    let connected = stuck_pair(lab.lib);
    let sent = fill(&connected.near, 500_000);
    let before = connected.near.count(&Event::BufferedAmountLow);
    for level in [1 << 30, 0, 100, i32::MAX] {
        assert_eq!(lab.lib.set_low_threshold(connected.near.id, level), OK);
    }
    connected
        .near
        .inbox
        .never("no call", |_| connected.near.count(&Event::BufferedAmountLow) > before);
    drain(&connected, sent);
}

fn negative_threshold(lab: &Lab) {
    let connected = stuck_pair(lab.lib);
    let code = lab.lib.set_low_threshold(connected.near.id, -1);
    Rows::new().codes("-1", code, &[OK, INVALID]);
    assert!(connected.near.is_open());
}

fn sends_from_callback(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let left = AtomicUsize::new(200);
    connected.a.inbox.hook(move |inbox, recorded| {
        if recorded.event != Event::BufferedAmountLow {
            return;
        }
        let data = vec![9; 100_000];
        let more = |left: usize| left.checked_sub(1);
        // A quick library may have sent all twenty before the last is handed over: then nothing is
        // buffered, and no callback would follow.
        let buffered = || inbox.lib.by_id(ById::BUFFERED_AMOUNT, recorded.owner);
        for sent in 0.. {
            if sent >= 20 && buffered() > 0 {
                return;
            }
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
                return;
            }
            assert_eq!(inbox.lib.send_binary(recorded.owner, &data), OK);
        }
    });
    // More than fits below the library, so that the buffer fills and empties at least once.
    for _ in 0..30 {
        connected.near.send_binary(&vec![9; 100_000]);
    }
    let all = connected.far.wait_messages(230);
    assert!(all.iter().all(|message| message.bytes().len() == 100_000));
}

fn missed(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    pair.b.inbox.adopt(&[Slot::Open, Slot::Closed]);
    let near = pair.a.bare_channel("x", &Init::default());
    near.listen(&[Slot::Open]);
    near.wait_open();
    let far = pair.b.incoming_named("x");
    far.wait_open();
    let sent = fill(&near, 500_000);
    let mut buffer = vec![0; 60_000];
    for _ in 0..sent {
        eventually("the next message", || {
            lab.lib.receive(far.id, Some(&mut buffer), 60_000).0 == OK
        });
    }
    eventually("an empty buffer", || buffered(&near) == 0);
    near.listen(&[Slot::BufferedAmountLow]);
    assert_eq!(near.count(&Event::BufferedAmountLow), 1, "called inside the setter");
}

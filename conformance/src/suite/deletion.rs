//! Deletion from anywhere at any time: it waits for running callbacks and silences the rest.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, Recorded};
use crate::lab::Lab;
use crate::peer::{Connected, Pair, Peer, eventually, wait_while};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a channel may be deleted inside each of its callbacks", channel_inside)
            .limit(180),
        Case::new("a peer connection may be deleted inside each of its callbacks", peer_inside)
            .limit(180),
        Case::new(
            "a peer connection may be deleted inside its channel's callbacks",
            peer_inside_channel,
        )
        .limit(180),
        Case::new("a peer connection may be closed inside each of its callbacks", close_inside)
            .limit(180),
        Case::new("deleting a channel waits for its running callback", channel_waits),
        Case::new("deleting a peer connection waits for its running callback", peer_waits),
        Case::new("unsetting a callback waits for it to return", unset_waits),
        Case::new("a channel deleted inside its message callback gets no further message", no_more),
        Case::new(
            "messages that wait when their connection is deleted are delivered",
            waiting_messages,
        )
        .fixes("available behind a callback"),
        Case::new("deleting from two threads succeeds once", two_threads),
        Case::new("deleting in the middle of a flood leaves silence", flood).limit(180),
        Case::new("callbacks deleting each other's channels do not deadlock", crosswise)
            .fixes("crosswise deletion"),
        Case::new("callbacks deleting each other's peers do not deadlock", crosswise_peers)
            .fixes("crosswise deletion"),
        Case::new("the other side of a deletion inside a callback notices", other_side),
    ]
}

/// Which callbacks a test acts in.
type Trigger = (&'static str, fn(&Event) -> bool);

const PEER_TRIGGERS: &[Trigger] = &[
    ("local description", |event| matches!(event, Event::LocalDescription { .. })),
    ("local candidate", |event| matches!(event, Event::LocalCandidate { .. })),
    ("connecting", |event| *event == Event::State(State::Connecting)),
    ("connected", |event| *event == Event::State(State::Connected)),
    ("ICE checking", |event| *event == Event::IceState(IceState::Checking)),
    ("ICE connected", |event| *event == Event::IceState(IceState::Connected)),
    ("gathering", |event| *event == Event::Gathering(Gathering::InProgress)),
    ("gathered", |event| *event == Event::Gathering(Gathering::Complete)),
    ("have local offer", |event| *event == Event::Signaling(Signaling::HaveLocalOffer)),
    ("stable", |event| *event == Event::Signaling(Signaling::Stable)),
];

const CHANNEL_TRIGGERS: &[Trigger] = &[
    ("open", |event| *event == Event::Open),
    ("available", |event| *event == Event::Available),
    ("message", |event| matches!(event, Event::Message(_))),
    ("closed", |event| *event == Event::Closed),
];

/// Acts once, in the first callback the trigger accepts; tells when it has returned.
fn once(
    peer: &Peer,
    trigger: Trigger,
    act: impl Fn(&Inbox, &Recorded) + Send + Sync + 'static,
) -> Arc<AtomicBool> {
    let (begun, done) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let finished = done.clone();
    peer.inbox.hook(move |inbox, recorded| {
        if trigger.1(&recorded.event) && !begun.swap(true, Ordering::SeqCst) {
            act(inbox, recorded);
            finished.store(true, Ordering::SeqCst);
        }
    });
    done
}

fn channel_inside(lab: &Lab) {
    for trigger in CHANNEL_TRIGGERS {
        let pair = Pair::new(lab.lib);
        let done = once(&pair.a, *trigger, |inbox, recorded| {
            let code = inbox.lib.by_id(ById::DELETE_DC, recorded.owner);
            assert_eq!(code, OK, "rtcDeleteDataChannel inside a callback");
            if recorded.event != Event::Closed {
                inbox.forbid(recorded.owner, true);
            }
        });
        let near = pair.a.channel("x");
        near.disown();
        let far = pair.b.incoming_named("x");
        match trigger.0 {
            "available" | "message" => {
                far.wait_open();
                for _ in 0..20 {
                    lab.lib.send_text(far.id, c"x");
                }
            }
            "closed" => assert_eq!(far.by_id(ById::CLOSE), OK),
            _ => {}
        }
        eventually(&format!("deletion inside {}", trigger.0), || done.load(Ordering::SeqCst));
        far.wait_closed();
        let (alive, opposite) = pair.open("after");
        alive.send_text(c"alive");
        opposite.wait_messages(1);
    }
}

fn peer_inside(lab: &Lab) {
    for trigger in PEER_TRIGGERS {
        let pair = Pair::new(lab.lib);
        let peer_id = pair.a.id;
        pair.a.disown();
        let done = once(&pair.a, *trigger, move |inbox, _| {
            let code = inbox.lib.by_id(ById::DELETE_PC, peer_id);
            assert_eq!(code, OK, "rtcDeletePeerConnection inside a callback");
            inbox.forbid(peer_id, true);
        });
        // The callbacks may come, and delete the peer, before this call returns.
        let near = lab.lib.create_dc(peer_id, Some(c"x"));
        eventually(&format!("deletion inside {}", trigger.0), || done.load(Ordering::SeqCst));
        assert_eq!(lab.lib.by_id(ById::DELETE_PC, peer_id), INVALID);
        if near > 0 {
            assert_eq!(lab.lib.by_id(ById::DELETE_DC, near), OK);
        }
    }
}

fn peer_inside_channel(lab: &Lab) {
    for trigger in CHANNEL_TRIGGERS {
        let pair = Pair::new(lab.lib);
        let peer_id = pair.a.id;
        pair.a.disown();
        let done = once(&pair.a, *trigger, move |inbox, _| {
            let code = inbox.lib.by_id(ById::DELETE_PC, peer_id);
            assert_eq!(code, OK, "rtcDeletePeerConnection inside a channel callback");
            inbox.forbid(peer_id, true);
        });
        let near = pair.a.channel("x");
        let far = pair.b.incoming_named("x");
        if trigger.0 != "closed" {
            lab.lib.send_text(far.id, c"x");
        } else {
            assert_eq!(far.by_id(ById::CLOSE), OK);
        }
        eventually(&format!("deletion inside {}", trigger.0), || done.load(Ordering::SeqCst));
        far.wait_closed();
        pair.b.wait_state(State::Closed);
        eventually("the near channel to be closed", || near.is_closed());
    }
}

fn close_inside(lab: &Lab) {
    for trigger in PEER_TRIGGERS.iter().chain(CHANNEL_TRIGGERS) {
        let pair = Pair::new(lab.lib);
        let peer_id = pair.a.id;
        let done = once(&pair.a, *trigger, move |inbox, _| {
            let code = inbox.lib.by_id(ById::CLOSE_PC, peer_id);
            assert_eq!(code, OK, "rtcClosePeerConnection inside a callback");
        });
        let near = lab.lib.create_dc(peer_id, Some(c"x"));
        if near > 0 {
            Slot::CHANNEL.iter().for_each(|slot| {
                lab.lib.listen(*slot, near, true);
            });
        }
        if CHANNEL_TRIGGERS.contains(trigger) {
            let far = pair.b.incoming_named("x");
            lab.lib.send_text(far.id, c"x");
            if trigger.0 == "closed" {
                assert_eq!(far.by_id(ById::CLOSE), OK);
            }
        }
        eventually(&format!("closing inside {}", trigger.0), || done.load(Ordering::SeqCst));
        pair.a.wait_state(State::Closed);
    }
}

/// How long a callback lingers, so that a deletion finds it running.
pub(super) const LINGER: Duration = Duration::from_millis(300);

/// Makes callbacks of a kind linger, and counts them.
fn linger(inbox: &Inbox, is_meant: fn(&Event) -> bool) -> Arc<AtomicUsize> {
    let entered = Arc::new(AtomicUsize::new(0));
    let count = entered.clone();
    inbox.hook(move |_, recorded| {
        if is_meant(&recorded.event) {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(LINGER);
        }
    });
    entered
}

fn channel_waits(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let entered = linger(&connected.b.inbox, |event| matches!(event, Event::Message(_)));
    for _ in 0..10 {
        connected.near.send_text(c"x");
    }
    eventually("a running callback", || entered.load(Ordering::SeqCst) > 0);
    // `delete` itself checks that no callback runs when it returns or starts afterwards.
    assert_eq!(connected.far.delete(), OK);
    let before = entered.load(Ordering::SeqCst);
    connected.near.wait_closed();
    assert_eq!(entered.load(Ordering::SeqCst), before);
}

fn peer_waits(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let begins = |event: &Event| *event == Event::Gathering(Gathering::InProgress);
    let entered = linger(&pair.a.inbox, begins);
    let _near = pair.a.channel("x");
    eventually("a running callback", || entered.load(Ordering::SeqCst) > 0);
    assert_eq!(pair.a.delete(), OK);
}

fn unset_waits(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let entered = linger(&connected.b.inbox, |event| matches!(event, Event::Message(_)));
    for _ in 0..10 {
        connected.near.send_text(c"x");
    }
    eventually("a running callback", || entered.load(Ordering::SeqCst) > 0);
    assert_eq!(lab.lib.listen(Slot::Message, connected.far.id, false), OK);
    let all = connected.far.inbox.all();
    // Those of the connection may run still, and the one that tells of available messages, which is
    // set: it comes while the first message lingers.
    let running = |r: &&Arc<Recorded>| {
        r.owner == connected.far.id
            && r.event != Event::Available
            && !r.returned.load(Ordering::SeqCst)
    };
    assert_eq!(all.iter().filter(running).count(), 0, "a callback still runs after it was unset");
    assert_eq!(entered.load(Ordering::SeqCst), connected.far.messages().len());
}

fn no_more(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.far.disown();
    let far_id = connected.far.id;
    connected.b.inbox.hook(move |inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            assert_eq!(inbox.lib.by_id(ById::DELETE_DC, far_id), OK);
            inbox.forbid(far_id, true);
        }
    });
    for _ in 0..50 {
        lab.lib.send_text(connected.near.id, c"x");
    }
    connected.near.wait_closed();
    assert_eq!(connected.far.messages().len(), 1);
}

fn waiting_messages(lab: &Lab) {
    const COUNT: usize = 1000;
    let pair = Pair::new(lab.lib);
    let connection = pair.b.id;
    pair.b.disown();
    once(
        &pair.b,
        ("message", |event| matches!(event, Event::Message(_))),
        move |inbox, recorded| {
            let (lib, channel) = (inbox.lib, recorded.owner);
            eventually("the other messages to wait", || {
                lib.by_id(ById::AVAILABLE_AMOUNT, channel) == 4 * (COUNT as i32 - 1)
            });
            assert_eq!(lib.by_id(ById::DELETE_PC, connection), OK);
            eventually("the channel to be closed", || lib.test(Predicate::IS_CLOSED, channel));
            // The library may have forgotten the connection by then, or not.
            std::thread::sleep(Duration::from_millis(200));
        },
    );
    let (near, far) = pair.open("x");
    for n in 0..COUNT {
        near.send_binary(&(n as u32).to_be_bytes());
    }
    far.wait_closed();
    assert_eq!(far.messages().len(), COUNT);
}

fn two_threads(lab: &Lab) {
    for _ in 0..10 {
        let connected = Connected::new(lab.lib);
        for (function, id) in
            [(ById::DELETE_DC, connected.near.id), (ById::DELETE_PC, connected.a.id)]
        {
            let wins = AtomicI32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| match lab.lib.by_id(function, id) {
                        OK => drop(wins.fetch_add(1, Ordering::SeqCst)),
                        other => assert_eq!(other, INVALID),
                    });
                }
            });
            assert_eq!(wins.load(Ordering::SeqCst), 1, "{}", function.name);
        }
        connected.near.disown();
        connected.a.disown();
    }
}

fn flood(lab: &Lab) {
    for round in 0..10 {
        let connected = Connected::new(lab.lib);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let small = connected.near.by_id(ById::BUFFERED_AMOUNT) < 1 << 20;
                    if small && lab.lib.send_binary(connected.near.id, &[1; 2000]) != OK {
                        break;
                    }
                }
            });
            connected.far.wait_messages(200);
            match round % 4 {
                0 => assert_eq!(connected.far.delete(), OK),
                1 => assert_eq!(connected.b.delete(), OK),
                2 => assert_eq!(connected.near.delete(), OK),
                _ => assert_eq!(connected.a.delete(), OK),
            }
            stop.store(true, Ordering::SeqCst);
        });
    }
}

/// Lets two callbacks meet, so that both run when either acts.
fn meet(here: &AtomicBool, there: &AtomicBool) {
    here.store(true, Ordering::SeqCst);
    wait_while(Duration::from_secs(5), || !there.load(Ordering::SeqCst));
}

fn crosswise_of(lab: &Lab, function: ById, target: fn(&Connected) -> i32) {
    let pairs = [Connected::new(lab.lib), Connected::new(lab.lib)];
    let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let done = Arc::new(AtomicUsize::new(0));
    for here in 0..2 {
        let (flags, done) = (flags.clone(), done.clone());
        let victim = target(&pairs[1 - here]);
        pairs[here].b.inbox.hook(move |inbox, recorded| {
            if matches!(recorded.event, Event::Message(_)) {
                meet(&flags[here], &flags[1 - here]);
                assert_eq!(inbox.lib.by_id(function, victim), OK);
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for pair in &pairs {
        pair.far.disown();
        pair.b.disown();
        pair.near.send_text(c"now");
    }
    eventually("both deletions", || done.load(Ordering::SeqCst) == 2);
    for pair in &pairs {
        pair.near.wait_closed();
    }
}

fn crosswise(lab: &Lab) {
    crosswise_of(lab, ById::DELETE_DC, |pair| pair.far.id);
}

fn crosswise_peers(lab: &Lab) {
    crosswise_of(lab, ById::DELETE_PC, |pair| pair.b.id);
}

fn other_side(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let peer_id = connected.b.id;
    connected.b.disown();
    connected.b.inbox.hook(move |inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            inbox.lib.by_id(ById::DELETE_PC, peer_id);
        }
    });
    connected.near.send_text(c"delete yourself");
    connected.near.wait_closed();
    connected.a.wait_state(State::Closed);
}

//! User pointers, stored events, and what callbacks may rely on.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, PATIENCE};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, Peer, Signalling, eventually, wait_while};
use crate::sdp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("user pointers start as documented and are read back", user_pointers),
        Case::new("a callback gets the user pointer of that moment", pointer_of_the_moment),
        Case::new("an unknown id remembers no user pointer", unknown_pointer)
            .fixes("user pointers"),
        Case::new("an open missed is told when the callback is set", missed_open),
        Case::new("a state missed is not told later", missed_state),
        Case::new("a close is not told to a callback set afterwards", missed_close),
        Case::new("channels that came before the callback are told when it is set", missed_channel),
        Case::new(
            "messages of one connection are never delivered at the same time",
            serial_messages,
        ),
        Case::new("signalling callbacks of one connection never overlap", serial_signalling),
        Case::new("a message callback may unset itself", unset_inside),
        Case::new("a callback replaced inside itself goes on", replace_inside),
        Case::new(
            "a state callback may wait for a message on an incoming channel",
            state_waits_far,
        ),
        Case::new("a state callback may wait for a message on its own channel", state_waits_near)
            .fixes("two lanes"),
        Case::new("a callback that does not return stops no other connection", blocked)
            .fixes("B-31"),
        Case::new("a callback that sleeps ten seconds stops nobody else", sleepers)
            .fixes("B-31")
            .limit(180),
        Case::new("a remote description may be set inside a message callback", describe_inside)
            .fixes("B-31"),
        Case::new("peers may be created and connected inside a callback", create_inside),
        Case::new("signalling may run inside the callbacks", signal_inside),
        Case::new("descriptions may be set inside the incoming track's callback", track_inside)
            .fixes("B-3"),
    ]
}

fn user_pointers(lab: &Lab) {
    let lib = lab.lib;
    let id = lib.create_pc(Some(&Config::loopback()));
    let mut rows = Rows::new();
    rows.equal("a fresh peer", lib.user_pointer(id), 0);
    let before = lib.create_dc(id, Some(c"a"));
    rows.equal("a channel of a peer without", lib.user_pointer(before), 0);
    lib.set_user_pointer(id, 0x1234);
    rows.equal("set", lib.user_pointer(id), 0x1234);
    rows.equal("the older channel", lib.user_pointer(before), 0);
    let after = lib.create_dc(id, Some(c"b"));
    rows.equal("a channel inherits", lib.user_pointer(after), 0x1234);
    lib.set_user_pointer(after, usize::MAX);
    rows.equal("its own", lib.user_pointer(after), usize::MAX);
    rows.equal("not its peer's", lib.user_pointer(id), 0x1234);
    lib.set_user_pointer(id, 0);
    rows.equal("back to NULL", lib.user_pointer(id), 0);
    rows.code("deletion", lib.by_id(ById::DELETE_PC, id), OK);
    rows.equal("deleted", lib.user_pointer(id), 0);
    rows.equal("the channel keeps its own", lib.user_pointer(after), usize::MAX);
}

fn pointer_of_the_moment(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let other = Inbox::new(lab.lib);
    connected.near.send_text(c"to the first");
    connected.far.wait_messages(1);
    lab.lib.set_user_pointer(connected.far.id, other.key);
    let elsewhere = Channel::attach(lab.lib, connected.far.id, &other);
    elsewhere.disown();
    connected.near.send_text(c"to the second");
    elsewhere.wait_messages(1);
    assert_eq!(connected.far.messages().len(), 1);
    // What the remote side opens inherits the pointer its peer has at that moment.
    lab.lib.set_user_pointer(connected.b.id, other.key);
    let _near = connected.a.channel("late");
    let far = other.wait("the channel", |r| match r.event {
        Event::DataChannel(dc) => Some(dc),
        _ => None,
    });
    assert_eq!(lab.lib.user_pointer(far), other.key);
}

fn unknown_pointer(lab: &Lab) {
    lab.lib.set_user_pointer(5, 0x1234);
    lab.lib.set_user_pointer(-1, 0x1234);
    let mut rows = Rows::new();
    rows.equal("unknown", lab.lib.user_pointer(5), 0);
    rows.equal("negative", lab.lib.user_pointer(-1), 0);
}

fn missed_open(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let near = pair.a.bare_channel("x", &Init::default());
    eventually("the channel to open", || near.is_open());
    // The event is stored a moment after the state changes.
    eventually("the stored call", || {
        near.listen(&[Slot::Open]);
        near.count(&Event::Open) > 0
    });
    assert_eq!(near.count(&Event::Open), 1);
    near.listen(&[Slot::Open]);
    assert_eq!(near.count(&Event::Open), 1, "told once");
}

fn missed_state(lab: &Lab) {
    let pair = Pair::of(
        Peer::silent(lab.lib, &Config::loopback()),
        Peer::new(lab.lib),
        Signalling::Trickle,
    );
    for slot in [Slot::LocalDescription, Slot::LocalCandidate, Slot::DataChannel] {
        assert_eq!(lab.lib.listen(slot, pair.a.id, true), OK);
    }
    let (_near, _far) = pair.open("x");
    for slot in [Slot::State, Slot::IceState, Slot::Gathering, Slot::Signaling] {
        assert_eq!(lab.lib.listen(slot, pair.a.id, true), OK);
    }
    let known = pair.a.inbox.all().len();
    let old = |event: &Event| matches!(event, Event::Gathering(_) | Event::Signaling(_));
    assert!(!pair.a.inbox.all()[..known].iter().any(|r| old(&r.event)));
}

fn missed_close(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let near = pair.a.bare_channel("x", &Init::default());
    near.listen(&[Slot::Open]);
    near.wait_open();
    assert_eq!(near.by_id(ById::CLOSE), OK);
    near.listen(&[Slot::Closed]);
    near.inbox.never("no closed", |r| r.event == Event::Closed);
}

fn missed_channel(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    assert_eq!(lab.lib.listen(Slot::DataChannel, pair.b.id, false), OK);
    let near = pair.a.channel("early");
    near.wait_open();
    near.send_text(c"waiting");
    assert_eq!(lab.lib.listen(Slot::DataChannel, pair.b.id, true), OK);
    let far = pair.b.incoming_named("early");
    far.wait_open();
    assert_eq!(far.wait_messages(1).len(), 1);
}

/// How long a callback stays, so that another one would be seen beside it.
const STAY: Duration = Duration::from_micros(200);

/// Counts how many callbacks of a kind run at the same time.
fn overlap(inbox: &Inbox, kind: fn(&Event) -> bool) -> Arc<AtomicUsize> {
    let most = Arc::new(AtomicUsize::new(0));
    let (now, highest) = (AtomicUsize::new(0), most.clone());
    inbox.hook(move |_, recorded| {
        if kind(&recorded.event) {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(running, Ordering::SeqCst);
            std::thread::sleep(STAY);
            now.fetch_sub(1, Ordering::SeqCst);
        }
    });
    most
}

fn serial_messages(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (second, opposite) = connected.open("second");
    let most = overlap(&connected.b.inbox, |event| matches!(event, Event::Message(_)));
    for _ in 0..200 {
        connected.near.send_text(c"x");
        second.send_text(c"x");
    }
    connected.far.wait_messages(200);
    opposite.wait_messages(200);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

fn serial_signalling(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let most = overlap(&pair.a.inbox, |event| {
        let last = matches!(event, Event::State(State::Closed) | Event::IceState(IceState::Closed));
        !last
            && matches!(
                event,
                Event::LocalDescription { .. }
                    | Event::LocalCandidate { .. }
                    | Event::State(_)
                    | Event::IceState(_)
                    | Event::Gathering(_)
                    | Event::Signaling(_)
            )
    });
    let (_near, _far) = pair.open("x");
    pair.wait_connected();
    pair.a.inbox.settle();
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

fn unset_inside(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let far = &connected.far;
    connected.b.inbox.hook(|inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            assert_eq!(inbox.lib.listen(Slot::Message, recorded.owner, false), OK);
        }
    });
    for _ in 0..10 {
        connected.near.send_text(c"four");
    }
    eventually("nine waiting messages", || far.by_id(ById::AVAILABLE_AMOUNT) == 36);
    assert_eq!(far.messages().len(), 1);
}

fn replace_inside(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.b.inbox.hook(|inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            for slot in [Slot::Message, Slot::Open, Slot::Closed, Slot::Available] {
                assert_eq!(inbox.lib.listen(slot, recorded.owner, true), OK);
            }
        }
    });
    for _ in 0..50 {
        connected.near.send_text(c"x");
    }
    connected.far.wait_messages(50);
}

fn state_waits_far(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    state_waits(&pair, &pair.b, &pair.a);
}

fn state_waits_near(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    state_waits(&pair, &pair.a, &pair.b);
}

/// In the state callback of one side, waits for what the other sends once the channel is open.
fn state_waits(pair: &Pair, waiting: &Peer, sending: &Peer) {
    let inbox = waiting.inbox.clone();
    let done = Arc::new(AtomicBool::new(false));
    let finished = done.clone();
    waiting.inbox.hook(move |_, recorded| {
        if recorded.event == Event::State(State::Connected) {
            inbox.wait("a message while a state callback runs", |r| {
                matches!(r.event, Event::Message(_)).then_some(())
            });
            finished.store(true, Ordering::SeqCst);
        }
    });
    sending.inbox.hook(|inbox, recorded| {
        if recorded.event == Event::Open {
            assert_eq!(inbox.lib.send_text(recorded.owner, c"go on"), OK);
        }
    });
    let _near = pair.a.channel("x");
    waiting.inbox.wait_list("the state callback to return", PATIENCE, |_| {
        done.load(Ordering::SeqCst).then_some(())
    });
}

fn blocked(lab: &Lab) {
    let release = Arc::new(AtomicBool::new(false));
    let stuck: Vec<_> = (0..8).map(|_| Connected::new(lab.lib)).collect();
    for pair in &stuck {
        let released = release.clone();
        pair.b.inbox.hook(move |_, recorded| {
            if matches!(recorded.event, Event::Message(_)) {
                wait_while(PATIENCE * 2, || !released.load(Ordering::SeqCst));
            }
        });
        pair.near.send_text(c"block");
    }
    for pair in &stuck {
        pair.far.wait_messages(1);
    }
    let free = Connected::new(lab.lib);
    free.near.send_text(c"through");
    free.far.wait_messages(1);
    assert_eq!(free.a.delete(), OK);
    free.far.wait_closed();
    release.store(true, Ordering::SeqCst);
    for pair in &stuck {
        pair.b.inbox.settle();
    }
}

/// How long callbacks sleep.
const SLEEP: Duration = Duration::from_secs(10);

/// A callback's name, and what tells its events.
type Kind = (&'static str, fn(&Event) -> bool);

/// Which callbacks sleep, each one of a connection of its own.
const SLEEPERS: [Kind; 9] = [
    ("local description", |event| matches!(event, Event::LocalDescription { .. })),
    ("local candidate", |event| matches!(event, Event::LocalCandidate { .. })),
    ("signaling state", |event| matches!(event, Event::Signaling(_))),
    ("gathering state", |event| matches!(event, Event::Gathering(_))),
    ("ICE state", |event| matches!(event, Event::IceState(_))),
    ("state", |event| matches!(event, Event::State(_))),
    ("data channel", |event| matches!(event, Event::DataChannel(_))),
    ("open", |event| *event == Event::Open),
    ("message", |event| matches!(event, Event::Message(_))),
];

/// A pair whose answering side falls asleep in its first callback of a kind.
struct Sleeper {
    what: &'static str,
    pair: Pair,
    _near: Channel,
    asleep: Arc<AtomicBool>,
}

impl Sleeper {
    fn new(lib: Lib, (what, is_meant): Kind) -> Self {
        let pair = Pair::new(lib);
        let asleep = Arc::new(AtomicBool::new(false));
        let (sleeping, slept) = (asleep.clone(), AtomicBool::new(false));
        pair.b.inbox.hook(move |_, recorded| {
            if !is_meant(&recorded.event) || slept.swap(true, Ordering::SeqCst) {
                return;
            }
            sleeping.store(true, Ordering::SeqCst);
            // Longer than asked for if others need more time: who wakes early proves nothing.
            wait_while(PATIENCE * 3, || sleeping.load(Ordering::SeqCst));
            sleeping.store(false, Ordering::SeqCst);
        });
        pair.a.inbox.hook(|inbox, recorded| {
            if recorded.event == Event::Open {
                assert_eq!(inbox.lib.send_text(recorded.owner, c"wake up"), OK);
            }
        });
        let near = pair.a.channel("x");
        Self { what, pair, _near: near, asleep }
    }

    fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }
}

fn sleepers(lab: &Lab) {
    let sleepers = SLEEPERS.map(|kind| Sleeper::new(lab.lib, kind));
    for sleeper in &sleepers {
        eventually(sleeper.what, || sleeper.is_asleep());
    }
    let begun = Instant::now();
    while begun.elapsed() < SLEEP {
        let free = Connected::new(lab.lib);
        free.near.send_text(c"to");
        free.far.wait_messages(1);
        free.far.send_text(c"fro");
        free.near.wait_messages(1);
        assert_eq!(free.a.delete(), OK);
        free.far.wait_closed();
    }
    for sleeper in &sleepers {
        assert!(sleeper.is_asleep(), "the {} callback woke too early", sleeper.what);
        sleeper.asleep.store(false, Ordering::SeqCst);
    }
    // Their own connections go on where they were.
    for Sleeper { what, pair, .. } in &sleepers {
        pair.b.inbox.wait_list(&format!("a message after the {what}"), PATIENCE, |events| {
            events.iter().any(|r| matches!(r.event, Event::Message(_))).then_some(())
        });
        pair.b.inbox.settle();
    }
}

fn describe_inside(lab: &Lab) {
    if lab.lib.table.rtcSetThreadPoolSize.is_some() {
        assert_eq!(lab.lib.set_thread_pool_size(2), OK);
    }
    let pairs: Vec<_> = (0..4).map(|_| Connected::new(lab.lib)).collect();
    let done = Arc::new(AtomicUsize::new(0));
    for pair in &pairs {
        let finished = done.clone();
        pair.b.inbox.hook(move |inbox, recorded| {
            if matches!(recorded.event, Event::Message(_)) {
                let lib = inbox.lib;
                let peer = lib.create_pc(Some(&Config::loopback()));
                let offer = crate::peer::c(sdp::OFFER);
                let code = lib.set_remote_description(peer, Some(&offer), Some(c"offer"));
                assert_eq!(code, OK, "rtcSetRemoteDescription inside a message callback");
                assert_eq!(lib.by_id(ById::DELETE_PC, peer), OK);
                finished.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for pair in &pairs {
        pair.near.send_text(c"answer an offer");
    }
    eventually("all descriptions", || done.load(Ordering::SeqCst) == pairs.len());
}

fn create_inside(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let done = Arc::new(AtomicBool::new(false));
    let finished = done.clone();
    connected.b.inbox.hook(move |inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            let peer = Peer::new(inbox.lib);
            let channel = peer.channel("inner");
            assert!(!channel.is_open());
            finished.store(true, Ordering::SeqCst);
        }
    });
    connected.near.send_text(c"create");
    eventually("the creation", || done.load(Ordering::SeqCst));
}

fn signal_inside(lab: &Lab) {
    let (a, b) = (Peer::new(lab.lib), Peer::new(lab.lib));
    for (from, to) in [(&a, b.id), (&b, a.id)] {
        from.inbox.hook(move |inbox, recorded| {
            let lib = inbox.lib;
            let code = match &recorded.event {
                Event::LocalDescription { sdp, kind } => {
                    let (sdp, kind) = (crate::peer::c(sdp), crate::peer::c(kind));
                    lib.set_remote_description(to, Some(&sdp), Some(&kind))
                }
                Event::LocalCandidate { candidate, mid } => {
                    let (text, mid) = (crate::peer::c(candidate), crate::peer::c(mid));
                    lib.add_remote_candidate(to, Some(&text), Some(&mid))
                }
                _ => OK,
            };
            assert_eq!(code, OK, "signalling inside {:?}", recorded.event);
        });
    }
    let near = a.channel("x");
    near.wait_open();
    let far = b.incoming(0);
    near.send_text(c"x");
    far.wait_messages(1);
    // So that no candidate comes for a connection that has been deleted.
    a.wait_gathered();
    b.wait_gathered();
}

fn track_inside(lab: &Lab) {
    let other = Peer::manual(lab.lib);
    let section = crate::peer::c(sdp::AUDIO);
    if lab.lib.add_track(other.id, Some(&section)) == NOT_AVAIL {
        crate::outcome::skip("tracks are not implemented");
    }
    let peer = Peer::manual(lab.lib);
    let peer_id = peer.id;
    let done = Arc::new(AtomicBool::new(false));
    let finished = done.clone();
    peer.inbox.hook(move |inbox, recorded| {
        if matches!(recorded.event, Event::Track(_)) {
            let code = inbox.lib.set_local_description(peer_id, Some(c"answer"));
            assert_eq!(code, OK, "rtcSetLocalDescription inside the track callback");
            finished.store(true, Ordering::SeqCst);
        }
    });
    let offer = format!("{}{}", sdp::OFFER, sdp::AUDIO);
    assert_eq!(peer.set_remote(&offer, "offer"), OK);
    eventually("the track callback", || done.load(Ordering::SeqCst));
}

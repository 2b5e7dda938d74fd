//! Misuse: strange arguments everywhere, from every thread and inside every callback.

use super::Case;
use super::calls::{Call, every_call};
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Pair, Peer, c, eventually, wait_while};
use crate::sdp;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("every function may be called inside every callback", super::inside::everything)
            .fixes("B-3")
            .limit(180),
        Case::new("every function survives handles deleted on another thread", deleted_elsewhere)
            .limit(180),
        Case::new("random calls from many threads leave the library working", random_calls)
            .limit(180),
        Case::new("connections that end at random points leave the library working", random_lives)
            .limit(240),
        Case::new(
            "descriptions cut anywhere are refused or accepted, never fatal",
            cut_descriptions,
        )
        .limit(120),
        Case::new("descriptions with a byte changed are never fatal", changed_descriptions)
            .limit(180),
        Case::new("candidates with strange fields are never fatal", strange_candidates),
        Case::new("huge arguments are refused or accepted, never fatal", huge_arguments).limit(120),
        Case::new("huge server and proxy addresses are never fatal", huge_addresses)
            .fixes("huge addresses"),
        Case::new("running out of descriptors is a failure and passes", no_descriptors),
        Case::new("sizes at the edges of int are harmless", edge_sizes),
        Case::new("thousands of peer connections come and go", many_peers).limit(180),
    ]
}

/// A generator of our own: tests have to repeat (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }
}

fn deleted_elsewhere(lab: &Lab) {
    // Before the deletions: several times as many as there are functions and handles.
    const CALLS: usize = 5000;
    let lib = lab.lib;
    for _ in 0..10 {
        let connected = Connected::new(lib);
        let ids = [connected.a.id, connected.b.id, connected.near.id, connected.far.id];
        let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (stop, made) = (&stop, &made);
                scope.spawn(move || {
                    let mut calls = every_call();
                    calls.retain(|call| !call.ends && !call.name.contains("Callback"));
                    let mut random = Random(77 + worker);
                    while !stop.load(Ordering::SeqCst) {
                        let call = &calls[random.below(calls.len())];
                        call.attempt(lib, ids[random.below(ids.len())]);
                        made.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            eventually("calls", || made.load(Ordering::SeqCst) >= CALLS);
            connected.near.delete();
            connected.a.delete();
            connected.far.delete();
            connected.b.delete();
            stop.store(true, Ordering::SeqCst);
        });
    }
    works(lib);
}

fn works(lib: Lib) {
    let connected = Connected::new(lib);
    connected.near.send_text(c"works");
    connected.far.wait_messages(1);
}

fn random_calls(lab: &Lab) {
    let lib = lab.lib;
    let end = Instant::now() + Duration::from_secs(10);
    let ids: Mutex<Vec<i32>> = Mutex::default();
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            let ids = &ids;
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (worker + 1));
                let mut calls = every_call();
                calls.retain(|call| !call.name.contains("Callback"));
                while Instant::now() < end {
                    let known = ids.lock().expect("ids").clone();
                    let id = known.get(random.below(known.len())).copied().unwrap_or(1);
                    step(lib, &mut random, &calls, id, ids);
                }
            });
        }
    });
    for id in ids.lock().expect("ids").iter() {
        lib.by_id(ById::DELETE, *id);
        lib.by_id(ById::DELETE_PC, *id);
    }
    works(lib);
}

/// One random call, or one of the calls that need a partner.
fn step(lib: Lib, random: &mut Random, calls: &[Call], id: i32, ids: &Mutex<Vec<i32>>) {
    let keep = |id: i32| {
        let mut ids = ids.lock().expect("ids");
        if id > 0 {
            ids.push(id);
        }
        if ids.len() > 40 {
            let old = ids.remove(0);
            drop(ids);
            lib.by_id(ById::DELETE, old);
            lib.by_id(ById::DELETE_PC, old);
        }
    };
    match random.below(12) {
        0 => keep(lib.create_pc(Some(&Config::loopback()))),
        1 => keep(lib.create_dc(id, Some(c"random"))),
        2 => {
            let other = ids.lock().expect("ids").first().copied().unwrap_or(1);
            if let Ok(sdp) = lib.string(Getter::LOCAL_DESCRIPTION, id) {
                lib.set_remote_description(other, Some(&c(&sdp)), None);
            }
            if let Ok(sdp) = lib.string(Getter::LOCAL_DESCRIPTION, other) {
                lib.set_remote_description(id, Some(&c(&sdp)), None);
            }
        }
        3 => drop(lib.set_remote_description(id, Some(&c(sdp::OFFER)), None)),
        _ => {
            calls[random.below(calls.len())].attempt(lib, id);
        }
    }
}

/// The first seed of random tests; `RTC_SEED` asks for another.
fn seed() -> u64 {
    std::env::var("RTC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn random_lives(lab: &Lab) {
    let lib = lab.lib;
    let end = Instant::now() + Duration::from_secs(15);
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            scope.spawn(move || {
                let mut random =
                    Random((seed() * 4 + worker + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                while Instant::now() < end {
                    random_life(lib, &mut random);
                }
            });
        }
    });
    works(lib);
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    DeletedInside,
    ClosedInside,
    DeletedHere,
    DeletedThere,
    ClosedHere,
    Dropped,
}

const ENDINGS: [Ending; 6] = [
    Ending::DeletedInside,
    Ending::ClosedInside,
    Ending::DeletedHere,
    Ending::DeletedThere,
    Ending::ClosedHere,
    Ending::Dropped,
];

/// Points of a connection's life.
const POINTS: [fn(&Event) -> bool; 6] = [
    |event| matches!(event, Event::LocalDescription { .. }),
    |event| *event == Event::Gathering(Gathering::Complete),
    |event| *event == Event::State(State::Connecting),
    |event| *event == Event::State(State::Connected),
    |event| *event == Event::Open,
    |event| matches!(event, Event::Message(_)),
];

/// Lets a connection live until a random point and end in a random way.
fn random_life(lib: Lib, random: &mut Random) {
    let pair = Pair::new(lib);
    let (ending, point) = (ENDINGS[random.below(6)], POINTS[random.below(6)]);
    let pc = pair.a.id;
    match ending {
        Ending::DeletedInside => end_inside(&pair, point, ById::DELETE_PC),
        Ending::ClosedInside => end_inside(&pair, point, ById::CLOSE_PC),
        _ => {}
    }
    let ids: Vec<_> = (0..=random.below(3)).map(|_| lib.create_dc(pc, Some(c"life"))).collect();
    for id in &ids {
        // A peer connection deleted meanwhile has no pointer to inherit.
        lib.set_user_pointer(*id, pair.a.inbox.key);
        for slot in Slot::CHANNEL {
            lib.listen(*slot, *id, true);
        }
    }
    pair.b.inbox.hook(|inbox, recorded| {
        if recorded.event == Event::Open {
            for _ in 0..20 {
                inbox.lib.send_binary(recorded.owner, &[7; 3000]);
            }
        }
    });
    // Waits for the chosen point, or a while, or not at all.
    let limit = Duration::from_millis(random.below(1500) as u64);
    let reached = || pair.a.inbox.all().iter().any(|recorded| point(&recorded.event));
    wait_while(limit, || !reached());
    match ending {
        Ending::DeletedHere => assert_eq!(pair.a.delete(), OK),
        Ending::DeletedThere => assert_eq!(pair.b.delete(), OK),
        Ending::ClosedHere => pair.a.close(),
        // The point may never have been reached.
        Ending::DeletedInside => {
            lib.by_id(ById::DELETE_PC, pc);
        }
        Ending::ClosedInside | Ending::Dropped => {}
    }
    for id in ids {
        lib.by_id(ById::DELETE, id);
        pair.a.inbox.forbid(id, false);
    }
}

/// Ends the first peer connection inside its first callback of a kind.
fn end_inside(pair: &Pair, point: fn(&Event) -> bool, function: ById) {
    let (pc, done) = (pair.a.id, AtomicBool::new(false));
    let deletes = function.name == ById::DELETE_PC.name;
    if deletes {
        pair.a.disown();
    }
    pair.a.inbox.hook(move |inbox, recorded| {
        if point(&recorded.event) && !done.swap(true, Ordering::SeqCst) {
            let code = inbox.lib.by_id(function, pc);
            if deletes && code == OK {
                inbox.forbid(pc, true);
            }
        }
    });
}

fn cut_descriptions(lab: &Lab) {
    let offer = format!("{}{}", sdp::OFFER, sdp::AUDIO);
    let mut rows = Rows::new();
    for length in (0..offer.len()).step_by(7) {
        let peer = Peer::manual(lab.lib);
        let code = peer.set_remote(&offer[..length], "offer");
        rows.codes(format!("{length} bytes"), code, &[OK, INVALID]);
    }
}

fn changed_descriptions(lab: &Lab) {
    let base = format!("{}a=candidate:1 1 UDP 2122252543 127.0.0.1 9 typ host\r\n", sdp::OFFER);
    let mut random = Random(42);
    let mut rows = Rows::new();
    for round in 0..300 {
        let mut bytes = base.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            bytes[place] = (1 + random.below(255)) as u8;
        }
        let text = std::ffi::CString::new(bytes).expect("no NUL");
        let peer = Peer::manual(lab.lib);
        let code = lab.lib.set_remote_description(peer.id, Some(&text), Some(c"offer"));
        rows.codes(format!("round {round}"), code, &[OK, INVALID]);
    }
}

fn strange_candidates(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    let long = "x".repeat(100_000);
    let texts = [
        long.clone(),
        format!("candidate:{long}"),
        format!("candidate:{long} 1 UDP 1 127.0.0.1 9 typ host"),
        format!("candidate:1 1 UDP 1 {long} 9 typ host"),
        format!("candidate:1 1 UDP 1 127.0.0.1 9 typ host {long}"),
        "candidate:1 -1 UDP 1 127.0.0.1 9 typ host".into(),
        "candidate:1 1 UDP -1 127.0.0.1 9 typ host".into(),
        "candidate:1 1 UDP 99999999999999999999 127.0.0.1 9 typ host".into(),
        "candidate:1 1 UDP 1 127.0.0.1 0 typ host".into(),
        "candidate:1 1 UDP 1 127.0.0.1 -1 typ host".into(),
        "candidate:1 1 UDP 1 255.255.255.255 9 typ host".into(),
        "candidate:1 1 UDP 1 0.0.0.0 9 typ host".into(),
        "candidate:1 1 UDP 1 :: 9 typ host".into(),
        "candidate:1 1 UDP 1 ff02::1 9 typ host".into(),
        "candidate:1 1 UDP 1 127.0.0.1 9 typ".into(),
        "candidate:1 1 UDP 1 127.0.0.1 9 typ host raddr".into(),
        "candidate:ünï 1 UDP 1 127.0.0.1 9 typ host".into(),
        "a=a=candidate:1 1 UDP 1 127.0.0.1 9 typ host".into(),
        "candidate:1 1 UDP 1 127.0.0.1 9 typ host\r\na=ice-ufrag:evil".into(),
    ];
    let mut rows = Rows::new();
    for text in &texts {
        let head: String = text.chars().take(60).collect();
        rows.codes(head, peer.add_candidate(text), &[OK, INVALID, FAILURE]);
    }
    for n in 0..2000 {
        let text = format!("candidate:{n} 1 UDP {n} 127.0.0.1 {} typ host", 1024 + n);
        rows.codes(&text, peer.add_candidate(&text), &[OK, INVALID, FAILURE]);
    }
    let again = Peer::new(lab.lib);
    let remote = peer.string(Getter::REMOTE_DESCRIPTION).unwrap_or_default();
    assert!(!remote.contains("evil"), "a line was smuggled in");
    drop(again);
}

fn huge_arguments(lab: &Lab) {
    let lib = lab.lib;
    let huge = c(&"A".repeat(5_000_000));
    let peer = Peer::manual(lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    let refused = [OK, INVALID, FAILURE];
    rows.codes("a type", lib.set_local_description(peer.id, Some(&huge)), &refused);
    let fresh = Peer::manual(lib);
    rows.codes("an SDP", lib.set_remote_description(fresh.id, Some(&huge), None), &[INVALID]);
    let many = c(&format!("{}{}", sdp::OFFER, "a=x-flag\r\n".repeat(100_000)));
    rows.codes("many lines", lib.set_remote_description(fresh.id, Some(&many), None), &refused);
    rows.codes("a message", lib.send_text(channel.id, &huge), &[FAILURE, INVALID]);
    let label = lib.create_dc(peer.id, Some(&huge));
    rows.holds(format!("a label: {}", code_name(label)), label > 0 || label == INVALID);
}

fn huge_addresses(lab: &Lab) {
    let lib = lab.lib;
    let huge = c(&"A".repeat(5_000_000));
    let mut rows = Rows::new();
    let config = Config { ice_servers: vec![Some(huge.clone())], ..Config::loopback() };
    let id = lib.create_pc(Some(&config));
    rows.holds(format!("a server: {}", code_name(id)), id > 0 || id == INVALID || id == FAILURE);
    let config = Config { proxy: Some(huge), ..Config::loopback() };
    let id = lib.create_pc(Some(&config));
    rows.holds(format!("a proxy: {}", code_name(id)), id > 0 || id == INVALID || id == FAILURE);
}

fn edge_sizes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (lib, near) = (lab.lib, connected.near.id);
    let mut rows = Rows::new();
    for size in [i32::MIN, i32::MIN + 1, -2] {
        rows.code(format!("NULL, {size}"), lib.send_raw(near, None, size), INVALID);
        rows.code(format!("text, {size}"), lib.send_raw(near, Some(b"x\0"), size), OK);
    }
    rows.code("NULL, INT_MAX", lib.send_raw(near, None, i32::MAX), INVALID);
    for amount in [i32::MAX, 0] {
        rows.code(format!("threshold {amount}"), lib.set_low_threshold(near, amount), OK);
    }
    rows.codes("threshold INT_MIN", lib.set_low_threshold(near, i32::MIN), &[OK, INVALID]);
    let received = lib.receive(near, None, i32::MAX);
    rows.equal("receive INT_MAX", received, Received(NOT_AVAIL, i32::MAX));
    connected.far.wait_messages(3);
}

fn many_peers(lab: &Lab) {
    let lib = lab.lib;
    let config = Config { manual: true, ..Config::loopback() };
    for _ in 0..20 {
        let ids: Vec<_> = (0..100).map(|_| lib.create_pc(Some(&config))).collect();
        assert!(ids.iter().all(|id| *id > 0));
        for id in &ids {
            assert!(lib.create_dc(*id, Some(c"x")) > 0);
        }
        for id in ids {
            assert_eq!(lib.by_id(ById::DELETE_PC, id), OK);
        }
    }
    works(lib);
}

fn no_descriptors(lab: &Lab) {
    lab.lib.preload();
    works(lab.lib);
    {
        let _limit = crate::sys::NoMoreFiles::impose();
        let peer = Peer::manual(lab.lib);
        let _channel = peer.channel("x");
        let code = peer.set_local("offer");
        Rows::new().codes("without descriptors", code, &[FAILURE, OK]);
    }
    works(lab.lib);
}

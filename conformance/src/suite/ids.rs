//! Identifiers: one counter for everything, never going back.

use super::Case;
use super::calls::{Kind, Objects, every_call};
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Peer, c};
use std::collections::HashSet;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("identifiers count from one across all kinds", counting),
        Case::new("an identifier is never used again", never_reused),
        Case::new("a deleted identifier is invalid to every function", deleted_is_invalid),
        Case::new("identifiers are not reset by rtcCleanup", not_reset),
        Case::new("channels opened by the remote side share the counter", remote_channels),
        Case::new("identifiers taken from many threads are all different", many_threads),
    ]
}

fn counting(lab: &Lab) {
    let first = Peer::manual(lab.lib);
    let channel = first.channel("a");
    let second = Peer::manual(lab.lib);
    let other = second.channel("b");
    let ids = [first.id, channel.id, second.id, other.id];
    assert_eq!(ids, [1, 2, 3, 4]);
}

fn never_reused(lab: &Lab) {
    let mut last = 0;
    let mut rows = Rows::new();
    for round in 0..20 {
        let peer = Peer::manual(lab.lib);
        rows.holds(format!("round {round}: {} after {last}", peer.id), peer.id > last);
        let channel = peer.channel("x");
        rows.holds(
            format!("round {round}: {} after {}", channel.id, peer.id),
            channel.id > peer.id,
        );
        last = channel.id;
    }
}

fn deleted_is_invalid(lab: &Lab) {
    let objects = Objects::new(lab.lib);
    let mut rows = Rows::new();
    let calls = every_call();
    let mut refused = |kind: Kind, id: i32, deleted: i32| {
        rows.code(format!("deleting the {kind:?}"), deleted, OK);
        for call in &calls {
            if let Some(code) = call.attempt(lab.lib, id) {
                rows.code(format!("{}(deleted {kind:?})", call.name), code, INVALID);
            }
        }
        for predicate in Predicate::ALL {
            let row = format!("{}(deleted {kind:?})", predicate.name);
            rows.equal(row, lab.lib.test(*predicate, id), false);
        }
        rows.equal(format!("the {kind:?}'s user pointer"), lab.lib.user_pointer(id), 0);
    };
    for channel in [&objects.accepted, &objects.client] {
        refused(Kind::WebSocket, channel.id, channel.delete());
    }
    refused(Kind::Server, objects.server.id, objects.server.delete());
    refused(Kind::DataChannel, objects.channel.id, objects.channel.delete());
    refused(Kind::Track, objects.track.id, objects.track.delete());
    // Those that the general function deletes.
    let channel = objects.peer.channel("x");
    channel.disown();
    refused(Kind::DataChannel, channel.id, channel.by_id(ById::DELETE));
    let track = objects.peer.track("audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:other\r\n");
    track.disown();
    refused(Kind::Track, track.id, track.by_id(ById::DELETE));
    refused(Kind::Peer, objects.peer.id, objects.peer.delete());
}

fn not_reset(lab: &Lab) {
    let first = lab.lib.create_pc(Some(&Config::loopback()));
    assert_eq!(lab.lib.by_id(ById::DELETE_PC, first), OK);
    lab.lib.cleanup();
    let second = lab.lib.create_pc(Some(&Config::loopback()));
    assert!(second > first, "{second} after {first}");
    assert_eq!(lab.lib.by_id(ById::DELETE_PC, second), OK);
}

fn remote_channels(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let before = connected.far.id;
    let (near, far) = connected.open("second");
    // The far side may be told before the near side's call has returned: either may be first.
    assert!(near.id > before && far.id > before, "{before}, then {}, {}", near.id, far.id);
    assert_ne!(near.id, far.id);
}

fn many_threads(lab: &Lab) {
    let lib = lab.lib;
    let each = |worker: usize| {
        let mut ids = Vec::new();
        for n in 0..10 {
            let config = Config { manual: true, ..Config::loopback() };
            let pc = lib.create_pc(Some(&config));
            ids.push(pc);
            ids.push(lib.create_dc(pc, Some(&c(&format!("{worker}-{n}")))));
        }
        ids
    };
    let ids: Vec<i32> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || each(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    assert!(ids.iter().all(|id| *id > 0));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 80);
}

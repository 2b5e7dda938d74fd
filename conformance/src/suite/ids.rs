//! Identifiers: one counter for everything, never going back.

use super::Case;
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Peer, c};
use std::collections::HashSet;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("identifiers count from one across all kinds", counting),
        Case::new("an identifier is never used again", never_reused),
        Case::new("a deleted identifier is invalid for ever", deleted_is_invalid),
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
    let peer = Peer::manual(lab.lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    rows.code("deleting the channel", channel.delete(), OK);
    rows.code("deleting it again", lab.lib.by_id(ById::DELETE_DC, channel.id), INVALID);
    rows.code("generic delete", lab.lib.by_id(ById::DELETE, channel.id), INVALID);
    rows.code("closing it", lab.lib.by_id(ById::CLOSE, channel.id), INVALID);
    rows.code("sending on it", lab.lib.send_binary(channel.id, b"x"), INVALID);
    rows.equal("is it open", channel.is_open(), false);
    rows.equal("is it closed", channel.is_closed(), false);
    rows.equal("its user pointer", lab.lib.user_pointer(channel.id), 0);
    rows.code("deleting the peer", peer.delete(), OK);
    rows.code("deleting it again", lab.lib.by_id(ById::DELETE_PC, peer.id), INVALID);
    rows.code("closing it", lab.lib.by_id(ById::CLOSE_PC, peer.id), INVALID);
    rows.code("a channel on it", lab.lib.create_dc(peer.id, Some(c"y")), INVALID);
    rows.equal("its user pointer", lab.lib.user_pointer(peer.id), 0);
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

//! Memory, descriptors and threads after many connections. `RTC_SOAK=full` asks for the long
//! variants: two hundred connections, fifty times.

use super::Case;
use crate::ffi::*;
use crate::lab::Lab;
use crate::peer::{Channel, Connected, Pair, eventually, eventually_or};
use crate::sys;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("connections leave no memory, descriptor or thread behind", connections)
            .fixes("memory of ended connections")
            .limit(3600)
            .alone(),
        Case::new("a hundred idle connections take no more threads than two", threads)
            .limit(240)
            .alone(),
        Case::new("channels leave no memory behind", channels).limit(1200).alone(),
        Case::new("messages leave no memory behind", messages).limit(1200).alone(),
    ]
}

fn full() -> bool {
    std::env::var_os("RTC_SOAK").is_some_and(|value| value == "full")
}

fn round(lib: Lib, count: usize) {
    let pairs: Vec<Pair> = (0..count).map(|_| Pair::new(lib)).collect();
    let near: Vec<Channel> = pairs.iter().map(|pair| pair.a.channel("soak")).collect();
    for (pair, near) in pairs.iter().zip(&near) {
        near.wait_open();
        let far = pair.b.incoming(0);
        near.send_binary(&[1; 1000]);
        far.wait_messages(1);
        far.delete();
        near.delete();
    }
    for pair in &pairs {
        pair.a.delete();
        pair.b.delete();
        pair.a.inbox.retire();
        pair.b.inbox.retire();
    }
}

/// How often work that left more memory behind than allowed is done again: caches, threads and
/// arenas fill up and stay; a leak goes on.
const ATTEMPTS: usize = 4;

/// Does the work until it leaves no more than so many KiB behind.
fn settles(what: &str, allowed: usize, mut work: impl FnMut()) {
    let mut grown = Vec::new();
    while grown.last().is_none_or(|last| *last >= allowed) {
        assert!(grown.len() < ATTEMPTS, "{grown:?} KiB more after {what} each");
        let before = sys::resident_kib();
        work();
        grown.push(sys::resident_kib().saturating_sub(before));
    }
}

fn connections(lab: &Lab) {
    let (count, rounds) = if full() { (200, 50) } else { (20, 10) };
    let (threads, files) = (sys::thread_names().len(), sys::open_files().len());
    // The first rounds fill the allocator's and the library's caches.
    for _ in 0..rounds.min(3) {
        round(lab.lib, count);
    }
    let allowed = 2048 + 2 * count * rounds / 10;
    settles(&format!("{} connections", count * rounds), allowed, || {
        (0..rounds).for_each(|_| round(lab.lib, count));
    });
    lab.lib.cleanup();
    let no_more_than = |count: usize, left: Vec<String>| match left.len() > count {
        true => Err(format!("({count} before): {left:?}")),
        false => Ok(()),
    };
    eventually_or("the threads to end", || no_more_than(threads, sys::thread_names()));
    eventually_or("the descriptors to be closed", || no_more_than(files, sys::open_files()));
}

/// Threads of which there may be more at one time than at another: those that run callbacks.
const SPARE: usize = 4;

fn threads(lab: &Lab) {
    let connect = |count: usize| -> Vec<(Pair, Channel, Channel)> {
        let connected = |_| {
            let mut pair = Pair::new(lab.lib);
            let (near, far) = pair.open("idle");
            pair.wait_connected();
            // The forwarding threads are the test's.
            pair.unwire();
            (pair, near, far)
        };
        (0..count).map(connected).collect()
    };
    let _two = connect(2);
    let few = sys::thread_names();
    let _others = connect(98);
    eventually_or("the threads of a hundred connections to be no more", || {
        let many = sys::thread_names();
        match many.len() <= few.len() + SPARE {
            true => Ok(()),
            false => Err(format!("than {few:?}: {many:?}")),
        }
    });
}

fn channels(lab: &Lab) {
    let rounds = if full() { 20_000 } else { 500 };
    let mut pair = Pair::new(lab.lib);
    let (_near, _far) = pair.open("first");
    pair.wait_connected();
    pair.unwire();
    let cycle = || {
        let (near, far) = pair.open("soak");
        assert_eq!(near.delete(), OK);
        far.wait_closed();
        assert_eq!(far.delete(), OK);
        pair.a.inbox.clear();
        pair.b.inbox.clear();
    };
    (0..100).for_each(|_| cycle());
    settles(&format!("{rounds} channels"), 4096, || (100..rounds).for_each(|_| cycle()));
}

fn messages(lab: &Lab) {
    let rounds = if full() { 2000 } else { 60 };
    let pair = Pair::new(lab.lib);
    pair.b.inbox.adopt(&[Slot::Open, Slot::Closed]);
    let connected = Connected::over(pair);
    let data = vec![1; 100_000];
    let mut buffer = vec![0; 100_000];
    let mut exchange = |count: usize| {
        for _ in 0..count {
            (0..10).for_each(|_| connected.near.send_binary(&data));
            for _ in 0..10 {
                eventually("the next message", || {
                    lab.lib.receive(connected.far.id, Some(&mut buffer), 100_000).0 == OK
                });
            }
        }
    };
    exchange(30);
    settles(&format!("{rounds} MB"), 8192, || exchange(rounds));
}

//! Loading and unloading the library's global resources.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Pair, Peer, eventually, wait_while};
use crate::sys;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("preloading and cleaning up may be repeated at will", repeated),
        Case::new("cleaning up with nothing loaded does nothing", nothing_loaded),
        Case::new("cleaning up with no peer connection left ends every thread", ends_threads),
        Case::new("the library works again after cleaning up", works_again),
        Case::new("cleaning up leaves living peer connections alone", deferred).fixes("rtcCleanup"),
        Case::new("deferred cleaning up happens with the last deletion", with_last_deletion)
            .fixes("rtcCleanup"),
        Case::new("cleaning up with callbacks set returns", with_callbacks).fixes("B-1"),
        Case::new("rtcCleanupNow destroys everything and returns", now).fixes("rtcCleanupNow"),
        Case::new("rtcCleanupNow ends every thread and the library works again", now_again)
            .fixes("rtcCleanupNow"),
        Case::new("rtcCleanupNow tells the other side", now_tells).fixes("rtcCleanupNow"),
        Case::new("rtcCleanupNow inside a callback does not hang", now_inside)
            .fixes("rtcCleanupNow"),
        Case::new("rtcCleanupNow does not wait longer than it may", now_bounded)
            .fixes("rtcCleanupNow"),
        Case::new("the thread pool's size is accepted", pool_size),
        Case::new("SCTP settings are accepted and connections work under them", sctp_settings),
        Case::new("SCTP settings hold for connections made afterwards", settings_afterwards)
            .fixes("B-21"),
        Case::new("SCTP settings that cannot be are refused", bad_settings)
            .fixes("values of SCTP settings"),
    ]
}

fn use_once(lib: Lib) {
    let connected = Connected::new(lib);
    connected.near.send_text(c"x");
    connected.far.wait_messages(1);
    connected.near.delete();
    connected.far.delete();
    connected.a.delete();
    connected.b.delete();
}

fn repeated(lab: &Lab) {
    for _ in 0..5 {
        lab.lib.preload();
        lab.lib.preload();
        lab.lib.cleanup();
        lab.lib.cleanup();
    }
    use_once(lab.lib);
}

fn nothing_loaded(lab: &Lab) {
    let before = sys::thread_names();
    for _ in 0..3 {
        lab.lib.cleanup();
    }
    assert_eq!(sys::thread_names(), before);
}

/// Waits until only the given number of threads is left.
fn wait_threads(count: usize) {
    eventually(&format!("{count} threads; there are {:?}", sys::thread_names()), || {
        sys::thread_names().len() <= count
    });
}

fn ends_threads(lab: &Lab) {
    let before = sys::thread_names().len();
    use_once(lab.lib);
    lab.lib.cleanup();
    wait_threads(before);
}

fn works_again(lab: &Lab) {
    for _ in 0..3 {
        use_once(lab.lib);
        lab.lib.cleanup();
    }
    use_once(lab.lib);
}

fn deferred(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    lab.lib.cleanup();
    connected.near.send_text(c"still here");
    connected.far.wait_messages(1);
    let (near, far) = connected.open("after");
    near.send_text(c"and new");
    far.wait_messages(1);
    assert!(!connected.a.states().contains(&State::Closed));
}

fn with_last_deletion(lab: &Lab) {
    let before = sys::thread_names().len();
    let connected = Connected::new(lab.lib);
    lab.lib.cleanup();
    connected.near.delete();
    connected.far.delete();
    connected.a.delete();
    connected.far.inbox.wait_event(connected.b.id, &Event::State(State::Closed));
    assert!(sys::thread_names().len() > before, "one peer connection is still alive");
    connected.b.delete();
    drop(connected);
    wait_threads(before);
    use_once(lab.lib);
}

fn with_callbacks(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let _channel = peer.channel("x");
    peer.wait_gathered();
    let connected = Connected::new(lab.lib);
    lab.lib.cleanup();
    connected.a.disown();
    connected.b.disown();
    connected.near.disown();
    connected.far.disown();
    peer.disown();
}

/// Everything has been destroyed by the library, and the test must not do it again.
fn disown_all(connected: &Connected) {
    connected.near.disown();
    connected.far.disown();
    connected.a.disown();
    connected.b.disown();
}

fn now(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    disown_all(&connected);
    lab.lib.cleanup_now(10_000);
    let mut rows = Rows::new();
    for (name, id) in [("a", connected.a.id), ("b", connected.b.id)] {
        rows.code(name, lab.lib.by_id(ById::DELETE_PC, id), INVALID);
        connected.a.inbox.forbid(id, false);
    }
    for (name, id) in [("near", connected.near.id), ("far", connected.far.id)] {
        rows.code(name, lab.lib.by_id(ById::DELETE_DC, id), INVALID);
        connected.a.inbox.forbid(id, false);
    }
    connected.a.inbox.never_again("no callback afterwards", |_| true);
}

fn now_again(lab: &Lab) {
    let before = sys::thread_names().len();
    for _ in 0..3 {
        let connected = Connected::new(lab.lib);
        connected.near.send_text(c"x");
        connected.far.wait_messages(1);
        disown_all(&connected);
        lab.lib.cleanup_now(10_000);
        drop(connected);
        wait_threads(before);
    }
    use_once(lab.lib);
}

fn now_tells(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    disown_all(&connected);
    lab.lib.cleanup_now(10_000);
    // Both sides are in this process: what can be seen is that neither is left.
    assert!(!connected.near.is_open() && !connected.far.is_open());
}

fn now_inside(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    disown_all(&connected);
    connected.b.inbox.hook(|inbox, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            inbox.lib.cleanup_now(2_000);
        }
    });
    lab.lib.send_text(connected.near.id, c"clean up");
    let inbox = connected.far.inbox.clone();
    connected.far.wait_messages(1);
    inbox.settle();
}

fn now_bounded(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    disown_all(&connected);
    let (entered, release) = (flag(), flag());
    let (inside, released) = (entered.clone(), release.clone());
    connected.b.inbox.hook(move |_, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            inside.store(true, std::sync::atomic::Ordering::SeqCst);
            let is_held = || !released.load(std::sync::atomic::Ordering::SeqCst);
            wait_while(crate::inbox::PATIENCE, is_held);
        }
    });
    lab.lib.send_text(connected.near.id, c"block");
    eventually("a blocked callback", || entered.load(std::sync::atomic::Ordering::SeqCst));
    let begun = std::time::Instant::now();
    lab.lib.cleanup_now(500);
    let took = begun.elapsed();
    release.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(took < std::time::Duration::from_secs(10), "rtcCleanupNow(500) took {took:?}");
    connected.far.inbox.settle();
}

fn flag() -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    std::sync::Arc::default()
}

fn pool_size(lab: &Lab) {
    let mut rows = Rows::new();
    for count in [0, 1, 2, 3, 16, 0] {
        rows.code(count, lab.lib.set_thread_pool_size(count), OK);
    }
    assert_eq!(lab.lib.set_thread_pool_size(1), OK);
    use_once(lab.lib);
    lab.lib.cleanup();
    assert_eq!(lab.lib.set_thread_pool_size(4), OK);
    use_once(lab.lib);
}

fn sctp_settings(lab: &Lab) {
    let table = [
        SctpSettings::default(),
        SctpSettings {
            recv_buffer_size: 262_144,
            send_buffer_size: 262_144,
            max_chunks_on_queue: 1000,
            initial_congestion_window: 4,
            max_burst: 4,
            congestion_control_module: 0,
            delayed_sack_time_ms: 50,
            min_retransmit_timeout_ms: 300,
            max_retransmit_timeout_ms: 5000,
            initial_retransmit_timeout_ms: 500,
            max_retransmit_attempts: 8,
            heartbeat_interval_ms: 5000,
        },
        SctpSettings { max_burst: -1, delayed_sack_time_ms: -1, ..SctpSettings::default() },
        SctpSettings { congestion_control_module: 1, ..SctpSettings::default() },
        SctpSettings { congestion_control_module: 2, ..SctpSettings::default() },
        SctpSettings { recv_buffer_size: 4 << 20, send_buffer_size: 4 << 20, ..Default::default() },
    ];
    let mut rows = Rows::new();
    for (n, settings) in table.iter().enumerate() {
        rows.code(format!("row {n}"), lab.lib.set_sctp_settings(Some(settings)), OK);
        let connected = Connected::new(lab.lib);
        connected.near.send_binary(&[n as u8; 200_000]);
        rows.equal(format!("row {n}"), connected.far.wait_messages(1)[0].bytes().len(), 200_000);
    }
}

/// With a small receive window, a sender whose messages nobody reads has to keep most of them.
fn settings_afterwards(lab: &Lab) {
    const MESSAGES: usize = 5000;
    let receive = |bytes| {
        let settings = SctpSettings { recv_buffer_size: bytes, ..SctpSettings::default() };
        assert_eq!(lab.lib.set_sctp_settings(Some(&settings)), OK);
    };
    receive(1 << 18);
    let before = Pair::new(lab.lib);
    receive(8 << 20);
    let before = super::queue::quiet(before);
    let after = super::queue::quiet(Pair::new(lab.lib));
    for connected in [&before, &after] {
        (0..MESSAGES).for_each(|_| connected.near.send_binary(&[0; 1024]));
        eventually("a full queue", || connected.far.by_id(ById::AVAILABLE_AMOUNT) >= 1 << 20);
    }
    eventually("everything on the other side", || after.near.by_id(ById::BUFFERED_AMOUNT) == 0);
    let kept = before.near.by_id(ById::BUFFERED_AMOUNT);
    assert!(kept > 2 << 20, "{kept} bytes are left of {MESSAGES} KiB: the window is a new one");
}

fn bad_settings(lab: &Lab) {
    let of_module =
        |module| SctpSettings { congestion_control_module: module, ..Default::default() };
    let of_times = |least, most| SctpSettings {
        min_retransmit_timeout_ms: least,
        max_retransmit_timeout_ms: most,
        ..SctpSettings::default()
    };
    let mut rows = Rows::new();
    for (name, settings, code) in [
        ("congestion control 4", of_module(4), INVALID),
        ("congestion control 9259", of_module(9259), INVALID),
        ("times the wrong way round", of_times(500, 400), INVALID),
        ("a minimum above the usual maximum", of_times(10_001, 0), INVALID),
        ("a maximum below the usual minimum", of_times(0, 199), INVALID),
        ("equal times", of_times(300, 300), OK),
        ("RTC_CONGESTION_RFC9260", of_module(9260), OK),
    ] {
        rows.code(name, lab.lib.set_sctp_settings(Some(&settings)), code);
    }
    let connected = Connected::new(lab.lib);
    connected.near.send_binary(&[7; 200_000]);
    rows.equal("under RFC 9260", connected.far.wait_messages(1)[0].bytes().len(), 200_000);
}

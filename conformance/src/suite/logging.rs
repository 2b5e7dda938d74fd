//! Logging: where lines go and which of them.

use super::Case;
use crate::backends::{Role, names};
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::{Rows, skip};
use crate::peer::{Channel, Connected, Peer, eventually};
use crate::websocket::{BINARY, Raw, RawServer, Server, connect_with, frame};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("without a logger nothing is printed", silent),
        Case::new("the callback gets lines up to its level", levels),
        Case::new("the level NONE silences", none),
        Case::new("the level changes at once", immediate),
        Case::new("a level out of range logs everything", out_of_range),
        Case::new("a first logger without callback prints to standard output", console),
        Case::new("taking the callback away prints to standard output", back_to_console),
        Case::new("a callback after the console takes its place", replaces_console).fixes("B-44"),
        Case::new("a connection is logged without its secrets", no_secrets),
        Case::new("many threads log while the logger is being replaced", many_threads),
        Case::new("the callback may use the WebSocket that a line is about", asks_websocket)
            .fixes("strict frames")
            .limit(30),
        Case::new("the callback may use every function, from the first line on", asks_connections)
            .fixes("rtcGetBackendNames")
            .limit(60),
        Case::new("the backends in use are logged", backends_in_use).fixes("rtcGetBackendNames"),
    ]
}

/// What has been written to standard output, which the runner sends to a file.
fn printed() -> String {
    let _ = std::io::stdout().flush();
    let path = Path::new("/proc/self/fd/1");
    let target = std::fs::read_link(path).unwrap_or_default();
    if !target.is_file() {
        skip("standard output is no file");
    }
    std::fs::read_to_string(target).unwrap_or_default()
}

fn provoke(lib: Lib) {
    assert_eq!(lib.by_id(ById::CLOSE_PC, 999), INVALID);
}

fn silent(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    provoke(lab.lib);
    connected.a.close();
    connected.b.wait_state(State::Closed);
    assert_eq!(printed(), "");
}

fn levels(lab: &Lab) {
    let mut rows = Rows::new();
    for level in [6, 5, 4, 3, 2, 1] {
        let before = log_lines().len();
        lab.lib.init_logger(level, true);
        provoke(lab.lib);
        let connected = Connected::new(lab.lib);
        connected.a.close();
        connected.b.wait_state(State::Closed);
        drop(connected);
        let lines = log_lines().split_off(before);
        let worst = lines.iter().map(|line| line.0).max().unwrap_or(0);
        rows.holds(format!("level {level}: found {worst}"), worst <= level);
        if level >= 2 {
            rows.holds(format!("level {level}: the error"), lines.iter().any(|line| line.0 == 2));
        }
        let important: Vec<_> = lines.iter().filter(|line| line.0 <= 4).collect();
        let shaped = |text: &str| !text.is_empty() && !text.ends_with('\n');
        rows.holds(format!("{important:?}"), important.iter().all(|line| shaped(&line.1)));
        if level == 6 {
            rows.holds("detail at VERBOSE", lines.iter().any(|line| line.0 >= 4));
        }
    }
}

fn none(lab: &Lab) {
    lab.lib.init_logger(0, true);
    provoke(lab.lib);
    assert_eq!(log_lines(), []);
    assert_eq!(printed(), "");
}

fn immediate(lab: &Lab) {
    lab.lib.init_logger(2, true);
    provoke(lab.lib);
    let first = log_lines().len();
    assert!(first > 0, "no error was logged");
    lab.lib.init_logger(0, true);
    provoke(lab.lib);
    assert_eq!(log_lines().len(), first);
    lab.lib.init_logger(2, true);
    provoke(lab.lib);
    assert!(log_lines().len() > first);
}

fn out_of_range(lab: &Lab) {
    lab.lib.init_logger(99, true);
    provoke(lab.lib);
    let peer = Peer::new(lab.lib);
    let _channel = peer.channel("x");
    peer.wait_gathered();
    assert!(log_lines().iter().any(|line| line.0 >= 4), "no detail");
}

fn console(lab: &Lab) {
    lab.lib.init_logger(2, false);
    provoke(lab.lib);
    eventually("a line on standard output", || !printed().is_empty());
    let text = printed();
    assert!(text.contains("ERROR"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a file");
    let date = text.as_bytes().get(..10).is_some_and(|date| date[4] == b'-' && date[7] == b'-');
    assert!(date, "no date: {text}");
}

fn back_to_console(lab: &Lab) {
    lab.lib.init_logger(2, true);
    provoke(lab.lib);
    let lines = log_lines().len();
    assert_eq!(printed(), "");
    lab.lib.init_logger(2, false);
    provoke(lab.lib);
    eventually("a line on standard output", || printed().contains("ERROR"));
    assert_eq!(log_lines().len(), lines, "the callback was unset");
}

fn replaces_console(lab: &Lab) {
    lab.lib.init_logger(2, false);
    provoke(lab.lib);
    eventually("a line on standard output", || !printed().is_empty());
    let text = printed();
    lab.lib.init_logger(2, true);
    provoke(lab.lib);
    assert!(!log_lines().is_empty());
    assert_eq!(printed(), text, "the console still gets lines");
}

fn no_secrets(lab: &Lab) {
    lab.lib.init_logger(6, true);
    let server = Some(crate::peer::c("turn:user:sesame-open@127.0.0.1:9"));
    let config = Config { ice_servers: vec![server], ..Config::loopback() };
    let turn = Peer::with(lab.lib, &config);
    let _relayed = turn.channel("x");
    let connected = Connected::new(lab.lib);
    connected.near.send_text(c"hello");
    connected.far.wait_messages(1);
    let (_, offer) = connected.a.wait_description(0);
    let password = crate::sdp::attribute(&offer, "ice-pwd").unwrap_or_default().to_owned();
    let lines = log_lines();
    let leak = |secret: &str| {
        let found = lines.iter().find(|line| line.1.contains(secret) && line.0 <= 4);
        found.map(|line| line.1.clone())
    };
    assert_eq!(leak("sesame-open"), None);
    assert_eq!(leak(&password), None);
}

fn many_threads(lab: &Lab) {
    lab.lib.init_logger(2, true);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| provoke(lab.lib)));
        }
        for _ in 0..50 {
            lab.lib.init_logger(2, true);
        }
    });
    assert!(log_lines().iter().filter(|line| line.0 == 2).count() >= 400);
}

/// The WebSocket that the log callback asks about, 0 for none.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// How often it has asked.
static QUESTIONS: AtomicUsize = AtomicUsize::new(0);

/// Has the log callback ask for everything that a WebSocket tells.
fn ask_when_logging(lib: Lib) {
    lib.init_logger(6, true);
    hook_log(move || {
        let id = ASKED.load(Ordering::SeqCst);
        if id > 0 {
            lib.test(Predicate::IS_OPEN, id);
            lib.test(Predicate::IS_CLOSED, id);
            let _ = lib.string(Getter::WS_PATH, id);
            let _ = lib.string(Getter::WS_REMOTE_ADDRESS, id);
            lib.by_id(ById::BUFFERED_AMOUNT, id);
            lib.send_binary(id, b"amid the log");
            QUESTIONS.fetch_add(1, Ordering::SeqCst);
        }
    });
}

/// Does something that has the library log, and expects that the callback has asked, and that
/// everything goes on.
fn logged(rows: &mut Rows, name: &str, end: &Channel, provoke: impl FnOnce()) {
    let lines = log_lines().len();
    let before = QUESTIONS.load(Ordering::SeqCst);
    ASKED.store(end.id, Ordering::SeqCst);
    provoke();
    end.wait_closed();
    eventually(&format!("{name}: a line"), || QUESTIONS.load(Ordering::SeqCst) > before);
    ASKED.store(0, Ordering::SeqCst);
    let mut lines = log_lines().split_off(lines).into_iter();
    rows.holds(format!("{name}: its line"), lines.any(|line| line.1.contains("WebSocket: ")));
}

fn asks_websocket(lab: &Lab) {
    let mut rows = Rows::new();
    ask_when_logging(lab.lib);
    let server = Server::new(lab.lib);
    let bad = [0xc1, 0x80, 0, 0, 0, 0];
    for n in 0..20 {
        let mut raw = Raw::client(server.port);
        let far = server.client(n);
        far.wait_open();
        let (first, rest) = bad.split_at(n % 4);
        logged(&mut rows, &format!("a bad frame, {n}"), &far, || {
            raw.try_send(first);
            raw.try_send(rest);
            raw.frames();
        });
    }
    let raw = RawServer::new();
    let client = connect_with(lab.lib, &raw.url(), &WsConfig::default());
    let (mut other, _) = raw.upgrade();
    client.wait_open();
    logged(&mut rows, "a reset", &client, || {
        other.send(&frame(BINARY, &[1; 1000], false)[..500]);
        other.reset();
    });
    let config = WsConfig { ping_ms: 50, max_pings: 1, ..WsConfig::default() };
    let client = connect_with(lab.lib, &raw.url(), &config);
    let _silent = raw.upgrade();
    client.wait_open();
    logged(&mut rows, "pings without an answer", &client, || {});
}

/// The first lines come while the library finds out what it consists of, others while it
/// negotiates: more servers than any backend asks are worth a warning then.
fn asks_connections(lab: &Lab) {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    static BUSY: AtomicI32 = AtomicI32::new(0);
    let lib = lab.lib;
    // A library without extensions is told from the outside of the callback.
    assert_eq!(lib.restart_ice(0), INVALID);
    lib.init_logger(6, true);
    hook_log(move || {
        lib.init_logger(6, true);
        lib.backend_names(0, None, 0);
        lib.backend_names(1, None, 0);
        if TURNS.fetch_add(1, Ordering::SeqCst) < 40 {
            let other = lib.create_pc(Some(&Config::loopback()));
            assert!(other > 0);
            lib.create_dc(other, Some(c"made in the log callback"));
            assert_eq!(lib.by_id(ById::DELETE_PC, other), 0);
        }
        let busy = BUSY.load(Ordering::SeqCst);
        for getter in [Getter::LOCAL_DESCRIPTION, Getter::REMOTE_DESCRIPTION, Getter::OFFER] {
            let _ = lib.string(getter, busy);
        }
        lib.test(Predicate::NEGOTIATION_NEEDED, busy);
    });
    let stun = |n: u8| Some(crate::peer::c(&format!("stun:127.0.0.1:{}", 40_000 + u16::from(n))));
    let config = Config { ice_servers: (0..12).map(stun).collect(), ..Config::loopback() };
    let peer = Peer::with(lib, &config);
    BUSY.store(peer.id, Ordering::SeqCst);
    let _channel = peer.channel("logged");
    peer.wait_description(0);
    assert!(TURNS.load(Ordering::SeqCst) > 1, "hardly anything was logged");
    let connected = Connected::new(lib);
    BUSY.store(connected.a.id, Ordering::SeqCst);
    connected.near.send_text(c"hello");
    connected.far.wait_messages(1);
    connected.a.close();
    connected.b.wait_state(State::Closed);
    BUSY.store(0, Ordering::SeqCst);
}

fn backends_in_use(lab: &Lab) {
    lab.lib.init_logger(4, true);
    let [ice, tls] = Role::ALL.map(|role| names(lab.lib, role)[0].clone());
    let _peer = Peer::new(lab.lib);
    let pair = format!("ICE by {ice}, TLS by {tls}");
    let lines = log_lines();
    assert!(lines.iter().any(|(level, line)| *level == 4 && line.contains(&pair)), "{lines:?}");
}

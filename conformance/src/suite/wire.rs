//! WebSockets on the wire: what is sent, and what is made of what comes.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, Message, Recorded};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, c};
use crate::websocket::{
    BINARY, CLOSE, PING, PONG, Raw, RawServer, Server, TEXT, accept_of, connect, connect_with,
    frame, header, upgrade_request, upgrade_response,
};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a client's request is as the protocol says", request),
        Case::new("a server's response is as the protocol says", response),
        Case::new("a request that is no upgrade gets the right status", wrong_requests),
        Case::new("a request against the letter of the protocol is refused", strict_requests)
            .fixes("strict handshakes")
            .limit(20),
        Case::new("a response against the protocol fails the client", wrong_responses),
        Case::new(
            "a response against the letter of the protocol fails the client",
            strict_responses,
        )
        .fixes("strict handshakes")
        .limit(20),
        Case::new("headers without end are cut off", header_flood).fixes("header floods").limit(30),
        Case::new("fragments are put together, with pings between them", fragments),
        Case::new("pings are answered with what they held", pings),
        Case::new("silence is broken by pings", ping_interval),
        Case::new("pings that nobody answers fail the connection", outstanding_pings),
        Case::new("every frame of a client is masked with a mask of its own", masks),
        Case::new("a close frame is answered, and the server ends the connection", close_answered),
        Case::new("a message right before the end can be answered", answered_before_end)
            .fixes("strict frames")
            .limit(20),
        Case::new("a callback that blocks does not hold up the end", end_amid_callback)
            .fixes("WebSocket callbacks that block")
            .limit(20),
        Case::new("closing waits no more than ten seconds for the answer", close_unanswered),
        Case::new("a frame against the protocol fails the connection with the right code", frames)
            .fixes("strict frames")
            .limit(60),
        Case::new("text that is not UTF-8 fails the connection", bad_utf8).fixes("strict frames"),
        Case::new("a message beyond the limit fails the connection", oversize)
            .fixes("oversized WebSocket messages"),
        Case::new("text that is not UTF-8 is not sent", unsendable_text).fixes("strict frames"),
        Case::new("a connection that breaks amid a frame is one error and one closed", broken)
            .fixes("strict frames"),
        Case::new("a connection that ends without a word is closed", ended),
        Case::new("a promised length takes no memory", promised_length),
        Case::new("pings without end take no memory", ping_flood).limit(120),
    ]
}

fn request(lab: &Lab) {
    let raw = RawServer::new();
    let config = WsConfig { protocols: vec![Some(c("a")), Some(c("b"))], ..WsConfig::default() };
    let client = connect_with(lab.lib, &format!("{}p?q=1", raw.url()), &config);
    let mut other = raw.accept();
    let request = other.head();
    let key = header(&request, "sec-websocket-key").expect("a key");
    assert_eq!(
        request,
        format!(
            "GET /p?q=1 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: a,b\r\n\r\n",
            raw.port
        )
    );
    assert!(key.len() == 24 && key.ends_with("=="), "{key}");
    other.send(upgrade_response(&request, "Sec-WebSocket-Protocol: b\r\n"));
    client.wait_open();
}

fn response(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::dial(server.port);
    let request = upgrade_request("/x", "");
    // Byte by byte, and with a message at its heels.
    let (first, rest) = request.split_at(40);
    for byte in first.bytes() {
        raw.send([byte]);
    }
    raw.send([rest.as_bytes(), &frame(TEXT, b"early", true)].concat());
    let response = raw.head();
    let mut rows = Rows::new();
    rows.holds(format!("status: {response}"), response.starts_with("HTTP/1.1 101 "));
    let of = |name| header(&response, name);
    rows.equal("accept", of("sec-websocket-accept"), Some(accept_of(&request)));
    rows.equal(
        "upgrade",
        of("upgrade").map(|value| value.to_lowercase()),
        Some("websocket".into()),
    );
    rows.equal("connection", of("connection").map(|v| v.to_lowercase()), Some("upgrade".into()));
    rows.equal("subprotocol", of("sec-websocket-protocol"), None);
    assert_eq!(server.client(0).wait_messages(1), [Message::text("early")]);
}

/// Sends a request and expects a status and, on the other side, one error and one closed.
fn refused(rows: &mut Rows, server: &Server, n: usize, request: &str, status: &str) {
    let mut raw = Raw::dial(server.port);
    raw.send(request);
    let answer = raw.rest();
    rows.holds(
        format!("{request:?}: {answer:?}, expected {status}"),
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
    );
    let far = server.client(n);
    far.wait_closed();
    let error = Event::Error("WebSocket connection failed".into());
    rows.equal(format!("{request:?}: errors"), far.count(&error), 1);
    rows.equal(format!("{request:?}: closed"), far.count(&Event::Closed), 1);
    rows.equal(format!("{request:?}: open"), far.count(&Event::Open), 0);
}

fn wrong_requests(lab: &Lab) {
    let server = Server::new(lab.lib);
    let good = upgrade_request("/", "");
    let mut rows = Rows::new();
    for (n, (request, status)) in [
        ("complete nonsense\r\n\r\n".to_owned(), "400"),
        (good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), "400"),
        (good.replace("Upgrade: websocket\r\n", ""), "426"),
        (good.replace("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"), "426"),
        (good.replace("GET", "POST"), "405"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "426"),
    ]
    .into_iter()
    .enumerate()
    {
        refused(&mut rows, &server, n, &request, status);
    }
}

fn strict_requests(lab: &Lab) {
    let server = Server::new(lab.lib);
    let good = upgrade_request("/", "");
    let mut rows = Rows::new();
    for (n, (request, status)) in [
        (good.replace("Host: localhost\r\n", ""), "400"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        (good.replace("Connection: Upgrade\r\n", ""), "400"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), "400"),
        (good.replace("Version: 13", "Version: 8"), "426"),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), "426"),
        (good.replace("GET /", "GET x"), "400"),
        (upgrade_request("/", "Host: another\r\n"), "400"),
        (upgrade_request("/", &"X: y\r\n".repeat(200)), "431"),
    ]
    .into_iter()
    .enumerate()
    {
        refused(&mut rows, &server, n, &request, status);
    }
    let fine = upgrade_request("/", "")
        .replace("Connection: Upgrade", "connection: keep-alive, upgrade")
        .replace("Upgrade: websocket", "UPGRADE: WebSocket");
    let mut raw = Raw::dial(server.port);
    raw.send(fine);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
}

/// Answers a client's request and expects it to fail.
fn fails(rows: &mut Rows, lab: &Lab, name: &str, answer: impl Fn(&str) -> String) {
    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let mut other = raw.accept();
    let request = other.head();
    other.send(answer(&request));
    client.wait_closed();
    let error = Event::Error("WebSocket connection failed".into());
    rows.equal(format!("{name}: errors"), client.count(&error), 1);
    rows.equal(format!("{name}: closed"), client.count(&Event::Closed), 1);
    rows.equal(format!("{name}: open"), client.count(&Event::Open), 0);
    rows.equal(format!("{name}: what follows"), other.rest(), String::new());
}

fn wrong_responses(lab: &Lab) {
    let mut rows = Rows::new();
    let good = |request: &str| upgrade_response(request, "");
    fails(&mut rows, lab, "a bad accept key", |r| good(r).replace(&accept_of(r), "AAAA"));
    fails(&mut rows, lab, "no accept key", |r| good(r).replace("Sec-WebSocket-Accept", "X"));
    fails(&mut rows, lab, "another status", |r| good(r).replace("101", "200"));
    fails(&mut rows, lab, "a redirection", |_| {
        "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n".into()
    });
    fails(&mut rows, lab, "no upgrade", |r| good(r).replace("Upgrade: websocket\r\n", ""));
    fails(&mut rows, lab, "another upgrade", |r| good(r).replace("websocket", "h2c"));
    fails(&mut rows, lab, "no HTTP", |_| "nonsense\r\n\r\n".into());
}

fn strict_responses(lab: &Lab) {
    let mut rows = Rows::new();
    let good = |request: &str| upgrade_response(request, "");
    fails(&mut rows, lab, "no connection", |r| good(r).replace("Connection: Upgrade\r\n", ""));
    fails(&mut rows, lab, "an extension nobody asked for", |r| {
        upgrade_response(r, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    });
    fails(&mut rows, lab, "a subprotocol nobody asked for", |r| {
        upgrade_response(r, "Sec-WebSocket-Protocol: x\r\n")
    });
    fails(&mut rows, lab, "two accept keys", |r| {
        upgrade_response(r, &format!("Sec-WebSocket-Accept: {}\r\n", accept_of(r)))
    });
}

fn header_flood(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::dial(server.port);
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
    let line = format!("X-Long: {}\r\n", "y".repeat(1000));
    let mut sent = 0;
    while sent < 100_000_000 && raw.try_send(&line) {
        sent += line.len();
    }
    assert!(sent < 100_000_000, "the server reads on and on");
    let far = server.client(0);
    far.inbox.wait_event(far.id, &Event::Error("WebSocket connection failed".into()));
    far.wait_closed();

    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let mut other = raw.accept();
    other.head();
    other.send("HTTP/1.1 101 Switching Protocols\r\n");
    while other.try_send(&line) {}
    client.wait_closed();
    assert_eq!(client.count(&Event::Error("WebSocket connection failed".into())), 1);
}

fn fragments(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::client(server.port);
    raw.send_frame(0x01, b"one ");
    raw.send_frame(PING, b"amid");
    raw.send_frame(0x00, b"two ");
    raw.send_frame(0x80, b"three");
    raw.send_frame(0x02, b"");
    raw.send_frame(0x00, &[9; 70_000]);
    raw.send_frame(0x80, b"");
    // A character of three bytes in three frames, one of them cut by the network.
    raw.send_frame(0x01, b"\xe2");
    raw.send_frame(0x00, b"\x82");
    let last = raw.frame(0x80, b"\xac");
    for byte in last {
        raw.send([byte]);
    }
    let far = server.client(0);
    let got = far.wait_messages(3);
    assert_eq!(got[0], Message::text("one two three"));
    assert_eq!(got[1], Message::Binary(vec![9; 70_000]));
    assert_eq!(got[2], Message::text("€"));
    assert_eq!(raw.read_frame(), Some((PONG, b"amid".to_vec())));
}

fn pings(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::client(server.port);
    let payloads: Vec<Vec<u8>> = (0..10).map(|n| vec![n; usize::from(n) * 13]).collect();
    for payload in &payloads {
        raw.send_frame(PING, payload);
    }
    raw.send_frame(PONG, b"unasked for");
    for payload in payloads {
        assert_eq!(raw.read_frame(), Some((PONG, payload)));
    }
    assert!(server.client(0).is_open());
}

fn ping_interval(lab: &Lab) {
    let raw = RawServer::new();
    let config = WsConfig { ping_ms: 100, ..WsConfig::default() };
    let client = connect_with(lab.lib, &raw.url(), &config);
    let (mut other, _) = raw.upgrade();
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(other.read_frame(), Some((PING, vec![0; 4])));
    }
    assert!(begun.elapsed() >= Duration::from_millis(250));
    assert!(client.is_open());
}

fn outstanding_pings(lab: &Lab) {
    let raw = RawServer::new();
    let config = WsConfig { ping_ms: 100, max_pings: 2, ..WsConfig::default() };
    let client = connect_with(lab.lib, &raw.url(), &config);
    let (mut other, _) = raw.upgrade();
    for _ in 0..6 {
        assert_eq!(other.read_frame().map(|frame| frame.0), Some(PING));
        other.send_frame(PONG, &[0; 4]);
    }
    assert!(client.is_open());
    client.inbox.wait_event(client.id, &Event::Error("WebSocket connection failed".into()));
    client.wait_closed();
    assert_eq!(client.count(&Event::Closed), 1);
}

fn masks(lab: &Lab) {
    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let (mut other, _) = raw.upgrade();
    client.wait_open();
    let mut bytes = Vec::new();
    for _ in 0..200 {
        client.send_binary(b"12345678");
    }
    while bytes.len() < 200 * 14 {
        let mut buffer = [0; 4096];
        let length = std::io::Read::read(&mut other.stream, &mut buffer).expect("frames");
        assert!(length > 0, "the end came early");
        bytes.extend_from_slice(&buffer[..length]);
    }
    let mut masks: Vec<[u8; 4]> =
        bytes.chunks(14).map(|frame| frame[2..6].try_into().expect("a mask")).collect();
    masks.sort();
    masks.dedup();
    // Two of 200 random masks are equal once in 200000 runs.
    assert!(masks.len() >= 199, "{} masks for 200 frames", masks.len());
}

fn close_answered(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::client(server.port);
    let far = server.client(0);
    far.wait_open();
    raw.send_frame(CLOSE, b"\x03\xe8bye");
    let frames = raw.frames();
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0].0, CLOSE);
    far.wait_closed();
    assert_eq!(far.count(&Event::Error("WebSocket connection failed".into())), 0);

    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let (mut other, _) = raw.upgrade();
    client.wait_open();
    other.send_frame(CLOSE, b"");
    assert_eq!(other.read_frame().map(|frame| frame.0), Some(CLOSE));
    client.wait_closed();
}

/// A way to end a connection, and the close frame that answers it.
type End = (&'static str, Vec<u8>, (u8, Vec<u8>));

fn ends(mask: bool) -> [End; 2] {
    let answer = |code: u16| (CLOSE, code.to_be_bytes().to_vec());
    [
        ("a goodbye", frame(CLOSE, b"\x03\xe8", mask), answer(1000)),
        ("a violation", frame(0xc1, b"x", mask), answer(1002)),
    ]
}

fn answered_before_end(lab: &Lab) {
    let mut rows = Rows::new();
    let lib = lab.lib;
    let echo = move |_: &Inbox, recorded: &Recorded| {
        if let Event::Message(message) = &recorded.event {
            lib.send_binary(recorded.owner, message.bytes());
        }
    };
    let echoed = || Some((BINARY, b"question".to_vec()));
    let server = Server::new(lib);
    server.inbox.hook(echo);
    for (n, (name, end, close)) in ends(true).into_iter().enumerate() {
        let mut raw = Raw::client(server.port);
        // Its callbacks are set before the message comes.
        let far = server.client(n);
        far.wait_open();
        raw.send([frame(BINARY, b"question", true), end].concat());
        rows.equal(format!("server, {name}: answer"), raw.read_frame(), echoed());
        rows.equal(format!("server, {name}: close"), raw.read_frame(), Some(close));
        far.wait_closed();
    }
    for (name, end, close) in ends(false) {
        let raw = RawServer::new();
        let client = connect(lib, &raw.url());
        client.inbox.hook(echo);
        let (mut other, _) = raw.upgrade();
        client.wait_open();
        other.send([frame(BINARY, b"question", false), end].concat());
        rows.equal(format!("client, {name}: answer"), other.read_frame(), echoed());
        rows.equal(format!("client, {name}: close"), other.read_frame(), Some(close));
        client.wait_closed();
    }
}

fn end_amid_callback(lab: &Lab) {
    let mut rows = Rows::new();
    for (name, end, close) in ends(true) {
        let server = Server::new(lab.lib);
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        server.inbox.hook(move |_, recorded| {
            if matches!(recorded.event, Event::Message(_)) {
                let _ = wait.lock().map(|wait| wait.recv());
            }
        });
        let mut raw = Raw::client(server.port);
        let far = server.client(0);
        far.wait_open();
        raw.send([frame(BINARY, b"x", true), end].concat());
        rows.equal(name, raw.read_frame(), Some(close));
        rows.equal(format!("{name}: told too early"), far.count(&Event::Closed), 0);
        drop(go_on);
        far.wait_closed();
    }
}

fn close_unanswered(lab: &Lab) {
    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let (mut other, _) = raw.upgrade();
    client.wait_open();
    assert_eq!(client.by_id(ById::CLOSE), OK);
    assert_eq!(other.read_frame(), Some((CLOSE, vec![])));
    assert!(!client.is_open() && !client.is_closed());
    client.wait_closed();
    assert!(client.is_closed());
}

/// What is wrong in a frame, and the code to close with.
type Wrong = (&'static str, Vec<u8>, u16);

/// Frames nobody may send, masked as the sender has to.
fn wrong_frames(mask: bool) -> Vec<Wrong> {
    let frame = |first, payload: &[u8]| frame(first, payload, mask);
    let long = [frame(TEXT, b"x")[0], 127 | if mask { 0x80 } else { 0 }];
    let huge = |length: u64| [&long[..], &length.to_be_bytes(), &[0; 4]].concat();
    vec![
        ("RSV1", frame(0xc1, b"x"), 1002),
        ("RSV2", frame(0xa1, b"x"), 1002),
        ("RSV3", frame(0x92, b"x"), 1002),
        ("RSV1 on a ping", frame(0xc9, b"x"), 1002),
        ("data opcode 3", frame(0x83, b"x"), 1002),
        ("data opcode 7", frame(0x87, b""), 1002),
        ("control opcode 11", frame(0x8b, b""), 1002),
        ("control opcode 15", frame(0x8f, b"x"), 1002),
        ("a fragmented ping", frame(0x09, b"x"), 1002),
        ("a fragmented close", frame(0x08, b""), 1002),
        ("a ping of 126 bytes", frame(PING, &[0; 126]), 1002),
        ("a close of 126 bytes", frame(CLOSE, &[0x03; 126]), 1002),
        ("a length of 2^63", huge(1 << 63), 1002),
        ("a length of 2^63 - 1", huge((1 << 63) - 1), 1009),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("a text inside a text", [frame(0x01, b"x"), frame(TEXT, b"y")].concat(), 1002),
        ("a binary inside a text", [frame(0x01, b"x"), frame(BINARY, b"y")].concat(), 1002),
        ("half a close code", frame(CLOSE, b"\x03"), 1002),
        ("close code 999", frame(CLOSE, b"\x03\xe7"), 1002),
        ("close code 1005", frame(CLOSE, b"\x03\xed"), 1002),
        ("close code 1006", frame(CLOSE, b"\x03\xee"), 1002),
        ("close code 65535", frame(CLOSE, b"\xff\xff"), 1002),
        ("a reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
        ("the wrong masking", crate::websocket::frame(TEXT, b"x", !mask), 1002),
    ]
}

/// The library's end fails once; nothing else comes.
fn failed(rows: &mut Rows, name: &str, end: &Channel) {
    end.wait_closed();
    end.inbox.settle();
    let error = Event::Error("WebSocket connection failed".into());
    rows.equal(format!("{name}: errors"), end.count(&error), 1);
    rows.equal(format!("{name}: closed"), end.count(&Event::Closed), 1);
    rows.equal(format!("{name}: messages"), end.messages().len(), 0);
}

fn frames(lab: &Lab) {
    let mut rows = Rows::new();
    let server = Server::new(lab.lib);
    let mut witness = Raw::client(server.port);
    for (n, (name, bytes, code)) in wrong_frames(true).into_iter().enumerate() {
        let mut raw = Raw::client(server.port);
        raw.send(bytes);
        rows.equal(format!("server, {name}"), raw.close_code(), Some(code));
        failed(&mut rows, name, &server.client(n + 1));
    }
    for (name, bytes, code) in wrong_frames(false) {
        let raw = RawServer::new();
        let client = connect(lab.lib, &raw.url());
        let (mut other, _) = raw.upgrade();
        client.wait_open();
        other.send(bytes);
        rows.equal(format!("client, {name}"), other.close_code(), Some(code));
        failed(&mut rows, name, &client);
    }
    witness.send_frame(TEXT, b"untouched");
    assert_eq!(server.client(0).wait_messages(1), [Message::text("untouched")]);
}

fn bad_utf8(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut rows = Rows::new();
    for (n, (name, frames)) in [
        ("at once", vec![(TEXT, &b"\xff"[..])]),
        ("an unfinished character", vec![(TEXT, b"\xe2\x82")]),
        ("a surrogate", vec![(TEXT, b"\xed\xa0\x80")]),
        ("overlong", vec![(TEXT, b"\xc0\xaf")]),
        ("beyond Unicode", vec![(TEXT, b"\xf4\x90\x80\x80")]),
        ("split across frames", vec![(0x01, b"\xe2"), (0x00, b"\x82"), (0x80, b"x")]),
        ("unfinished at the end", vec![(0x01, b"\xf0\x9f"), (0x80, b"\x98")]),
        // Nothing more comes, but what came is wrong already.
        ("in a fragment that is not the last", vec![(0x01, b"\xc0")]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = Raw::client(server.port);
        for (first, payload) in frames {
            let frame = raw.frame(first, payload);
            raw.try_send(frame);
        }
        rows.equal(name, raw.close_code(), Some(1007));
        failed(&mut rows, name, &server.client(n));
    }
    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let (mut other, _) = raw.upgrade();
    client.wait_open();
    other.send([frame(0x01, b"\xe2", false), frame(0x80, b"\x28", false)].concat());
    rows.equal("a client", other.close_code(), Some(1007));
    failed(&mut rows, "a client", &client);
}

fn oversize(lab: &Lab) {
    let config = WsServerConfig { max_message_size: 1000, ..WsServerConfig::loopback() };
    let server = Server::with(lab.lib, &config);
    let mut rows = Rows::new();
    let mut fine = Raw::client(server.port);
    fine.send_frame(BINARY, &[1; 1000]);
    rows.equal("as large", server.client(0).wait_messages(1).len(), 1);
    for (n, sizes) in [&[1001][..], &[600, 401], &[1000, 1], &[100_000]].into_iter().enumerate() {
        let mut raw = Raw::client(server.port);
        for (i, size) in sizes.iter().enumerate() {
            let opcode = if i == 0 { 0x02 } else { 0x00 };
            let last = if i + 1 == sizes.len() { 0x80 } else { 0 };
            let frame = raw.frame(opcode | last, &vec![1; *size]);
            raw.try_send(frame);
        }
        rows.equal(format!("{sizes:?}"), raw.close_code(), Some(1009));
        failed(&mut rows, &format!("{sizes:?}"), &server.client(n + 1));
    }
}

fn unsendable_text(lab: &Lab) {
    let (_server, near, far) = crate::websocket::open_pair(lab.lib);
    assert_eq!(lab.lib.send_text(near.id, c"\xff"), INVALID);
    near.send_text(c"fine");
    assert_eq!(far.wait_messages(1), [Message::text("fine")]);
}

fn broken(lab: &Lab) {
    let mut rows = Rows::new();
    let server = Server::new(lab.lib);
    for (n, reset) in [true, false].into_iter().enumerate() {
        let mut raw = Raw::client(server.port);
        let far = server.client(n);
        far.wait_open();
        let frame = raw.frame(BINARY, &[1; 1000]);
        raw.send(&frame[..500]);
        match reset {
            true => raw.reset(),
            false => drop(raw),
        }
        far.wait_closed();
        let error = Event::Error("TCP connection failed".into());
        rows.equal(format!("reset {reset}: errors"), far.count(&error), 1);
        rows.equal(format!("reset {reset}: closed"), far.count(&Event::Closed), 1);
        rows.equal(format!("reset {reset}: messages"), far.messages().len(), 0);
    }
    for reset in [true, false] {
        let raw = RawServer::new();
        let client = connect(lab.lib, &raw.url());
        let (mut other, _) = raw.upgrade();
        client.wait_open();
        other.send(&frame(BINARY, &[1; 1000], false)[..500]);
        match reset {
            true => other.reset(),
            false => drop(other),
        }
        client.wait_closed();
        let error = Event::Error("TCP connection failed".into());
        rows.equal(format!("client, reset {reset}: errors"), client.count(&error), 1);
        rows.equal(format!("client, reset {reset}: closed"), client.count(&Event::Closed), 1);
    }
}

fn ended(lab: &Lab) {
    let server = Server::new(lab.lib);
    let raw = Raw::client(server.port);
    let far = server.client(0);
    far.wait_open();
    drop(raw);
    far.wait_closed();
    assert_eq!(far.count(&Event::Closed), 1);

    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let (other, _) = raw.upgrade();
    client.wait_open();
    drop(other);
    client.wait_closed();
    assert_eq!(client.count(&Event::Closed), 1);
}

fn promised_length(lab: &Lab) {
    let config = WsServerConfig { max_message_size: 1_000_000_000, ..WsServerConfig::loopback() };
    let server = Server::with(lab.lib, &config);
    let before = crate::sys::resident_kib();
    let mut raws: Vec<Raw> = (0..50).map(|_| Raw::client(server.port)).collect();
    for (n, raw) in raws.iter_mut().enumerate() {
        server.client(n).wait_open();
        raw.send([0x82, 0xff, 0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0, 1, 2, 3, 4, 5]);
    }
    for raw in &mut raws {
        raw.try_send([0; 100]);
    }
    let grown = crate::sys::resident_kib().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB for 50 promises of a gigabyte");
}

fn ping_flood(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = Raw::client(server.port);
    server.client(0).wait_open();
    raw.stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let before = crate::sys::resident_kib();
    let pings = raw.frame(PING, &[7; 125]).repeat(500);
    // Nobody reads the pongs.
    for _ in 0..1000 {
        if !raw.try_send(&pings) {
            break;
        }
    }
    let grown = crate::sys::resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB of pongs");
    let mut other = Raw::client(server.port);
    other.send_frame(TEXT, b"x");
    assert_eq!(server.client(1).wait_messages(1), [Message::text("x")]);
}

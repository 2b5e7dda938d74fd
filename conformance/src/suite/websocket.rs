//! WebSockets as applications see them: ids, callbacks, queues, closing, servers.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, Message, PATIENCE};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Peer, c, eventually, wait_while};
use crate::websocket::{
    RawServer, Server, bare_connect, connect, connect_with, header, open_pair, upgrade_response,
};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("messages of all kinds go both ways", messages),
        Case::new("good URLs are taken and bad ones refused", urls),
        Case::new("IPv6 literals are good URLs", ipv6_literal).fixes("B-13").limit(20),
        Case::new("NULL subprotocols are invalid", null_protocols).fixes("B-30"),
        Case::new("a server needs a callback and a free address", bad_servers),
        Case::new("identifiers of one kind are not of another", kinds),
        Case::new("user pointers begin as NULL", user_pointers),
        Case::new("path and remote address tell where a WebSocket comes from", path_and_address),
        Case::new("events before their callbacks are told when those are set", late_callbacks),
        Case::new("every way to fail is one error and one closed", failures),
        Case::new("connecting takes no longer than its timeout at any stage", timeouts),
        Case::new("a look-up that gets no answer stops nobody", unanswered_lookup)
            .fixes("look-ups of names")
            .limit(25),
        Case::new("a server's timeout holds for its clients", server_timeout)
            .fixes("B-27")
            .limit(20),
        Case::new("who sends a byte now and then is timed out", dripping).fixes("B-27").limit(30),
        Case::new("a silent client stops no other", silent_client),
        Case::new("closing while connecting closes at once", close_connecting)
            .fixes("B-19")
            .limit(20),
        Case::new("a server picks one subprotocol", server_picks).fixes("B-28").limit(20),
        Case::new("a client refuses a subprotocol it did not ask for", client_verifies)
            .fixes("B-28")
            .limit(20),
        Case::new("a message beyond the limit cannot be sent", beyond_limit),
        Case::new("closing is told to both ends", closing),
        Case::new("both ways to delete an open WebSocket tell that it closed", both_deletions)
            .fixes("B-35")
            .limit(20),
        Case::new("what was received can be read after the WebSocket closed", read_after_close),
        Case::new("looking at a message's size leaves it as it is", peek).fixes("B-7"),
        Case::new("a buffer too small is told the size it should have", too_small).fixes("B-6"),
        Case::new("an unread WebSocket stops no other", unread).fixes("B-5").limit(40),
        Case::new("the buffered amount falls and is told", buffered),
        Case::new("deleting in a callback works and waits for nothing", delete_inside),
        Case::new("deleting waits for a running callback", delete_waits),
        Case::new("a server may be deleted inside its client callback", delete_server_inside)
            .fixes("B-49")
            .limit(20),
        Case::new("accepted WebSockets outlive their server", outlive),
        Case::new("a hundred clients at once", hundred).limit(120),
        Case::new("cleaning up leaves open WebSockets alone", cleanup_deferred)
            .fixes("rtcCleanup")
            .limit(20),
        Case::new("rtcCleanupNow ends WebSockets and servers", cleanup_now).fixes("rtcCleanupNow"),
        Case::new("a proxy is asked to connect", proxy),
        Case::new("a proxy that refuses fails the connection", proxy_refuses),
    ]
}

fn messages(lab: &Lab) {
    let (_server, near, far) = open_pair(lab.lib);
    for (from, to) in [(&near, &far), (&far, &near)] {
        from.send_text(c"text \xc3\xa4\xe2\x82\xac");
        from.send_binary(&[0, 1, 2, 0]);
        from.send_text(c"");
        from.send_binary(b"");
        for size in [125, 126, 127, 65535, 65536, 262_144] {
            from.send_binary(&vec![7; size]);
        }
        let got = to.wait_messages(10);
        assert_eq!(got[0], Message::Text(b"text \xc3\xa4\xe2\x82\xac".to_vec()));
        assert_eq!(got[1], Message::Binary(vec![0, 1, 2, 0]));
        assert_eq!((&got[2], &got[3]), (&Message::text(""), &Message::Binary(vec![])));
        let sizes: Vec<usize> = got[4..].iter().map(|message| message.bytes().len()).collect();
        assert_eq!(sizes, [125, 126, 127, 65535, 65536, 262_144]);
        assert!(got[4..].iter().all(|message| message.bytes().iter().all(|byte| *byte == 7)));
    }
}

fn urls(lab: &Lab) {
    let mut rows = Rows::new();
    for url in [
        "ws://127.0.0.1:1",
        "wss://127.0.0.1:1/",
        "127.0.0.1:1",
        "ws:127.0.0.1:1",
        "ws://user:pass@127.0.0.1:1/a?b#c",
    ] {
        let id = lab.lib.create_ws_ex(Some(&c(url)), &WsConfig::default());
        rows.holds(format!("{url}: {}", code_name(id)), id > 0);
        rows.code(format!("deleting {url}"), lab.lib.by_id(ById::DELETE_WS, id), OK);
    }
    for url in ["", "ws://", "ws:///x", "WS://127.0.0.1", "http://127.0.0.1", "ws://:1/"] {
        let config = WsConfig::default();
        rows.code(url, lab.lib.create_ws_ex(Some(&c(url)), &config), INVALID);
        rows.code(url, lab.lib.create_ws(Some(&c(url))), INVALID);
    }
    for proxy in ["socks5://127.0.0.1:1", "https://127.0.0.1:1"] {
        let config = WsConfig { proxy: Some(c(proxy)), ..WsConfig::default() };
        rows.code(proxy, lab.lib.create_ws_ex(Some(c"ws://127.0.0.1:1"), &config), INVALID);
    }
}

fn ipv6_literal(lab: &Lab) {
    let config = WsServerConfig { bind: Some(c"::1".to_owned()), ..WsServerConfig::default() };
    let server = Server::with(lab.lib, &config);
    let near = connect(lab.lib, &format!("ws://[::1]:{}/six", server.port));
    near.wait_open();
    let far = server.client(0);
    far.wait_open();
    near.send_text(c"x");
    far.wait_messages(1);
}

fn null_protocols(lab: &Lab) {
    let url = Some(c"ws://127.0.0.1:1/");
    let mut rows = Rows::new();
    let config = WsConfig { null_protocols: Some(2), ..WsConfig::default() };
    rows.code("a NULL array of two", lab.lib.create_ws_ex(url, &config), INVALID);
    let config = WsConfig { protocols: vec![None], ..WsConfig::default() };
    rows.code("a NULL entry", lab.lib.create_ws_ex(url, &config), INVALID);
    for bad in ["", "a b", "a,b", "a\r\nEvil: yes"] {
        let config = WsConfig { protocols: vec![Some(c(bad))], ..WsConfig::default() };
        rows.code(format!("{bad:?}"), lab.lib.create_ws_ex(url, &config), INVALID);
    }
}

fn bad_servers(lab: &Lab) {
    let lib = lab.lib;
    let mut rows = Rows::new();
    rows.code("no callback", lib.create_ws_server(&WsServerConfig::loopback(), false), INVALID);
    let at = |address: &str, port| WsServerConfig {
        bind: Some(c(address)),
        port,
        ..WsServerConfig::default()
    };
    rows.code("not ours", lib.create_ws_server(&at("192.0.2.1", 0), true), FAILURE);
    rows.code("no such name", lib.create_ws_server(&at("no.such.invalid", 0), true), FAILURE);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    rows.code("in use", lib.create_ws_server(&at("127.0.0.1", port), true), FAILURE);
}

fn kinds(lab: &Lab) {
    let lib = lab.lib;
    let (server, near, _far) = open_pair(lib);
    let peer = Peer::manual(lib);
    let dc = peer.channel("x");
    let mut rows = Rows::new();
    for id in [server.id, peer.id, dc.id, 999, 0, -1] {
        rows.code(format!("WebSocket {id}"), lib.by_id(ById::DELETE_WS, id), INVALID);
        rows.code(format!("path {id}"), lib.fill(Getter::WS_PATH, id, None, 0), INVALID);
        let address = lib.fill(Getter::WS_REMOTE_ADDRESS, id, None, 0);
        rows.code(format!("address {id}"), address, INVALID);
    }
    for id in [near.id, peer.id, dc.id, 999, 0, -1] {
        rows.code(format!("server {id}"), lib.by_id(ById::DELETE_WS_SERVER, id), INVALID);
        rows.code(format!("port {id}"), lib.by_id(ById::WS_SERVER_PORT, id), INVALID);
    }
    rows.code("a server is no channel", lib.by_id(ById::DELETE, server.id), INVALID);
    rows.code("closing it", lib.by_id(ById::CLOSE, server.id), INVALID);
    rows.code("sending on it", lib.send_binary(server.id, b"x"), INVALID);
    rows.code("a WebSocket is no data channel", lib.by_id(ById::DELETE_DC, near.id), INVALID);
    rows.code("nor a peer connection", lib.by_id(ById::DELETE_PC, near.id), INVALID);
}

fn user_pointers(lab: &Lab) {
    let server = Server::new(lab.lib);
    let client = bare_connect(lab.lib, "ws://127.0.0.1:1/", &WsConfig::default());
    assert_ne!(lab.lib.user_pointer(client.id), 0);
    let plain = lab.lib.create_ws(Some(&c(&server.url())));
    assert_eq!(lab.lib.user_pointer(plain), 0);
    assert_eq!(lab.lib.by_id(ById::DELETE_WS, plain), OK);
    assert_eq!(lab.lib.user_pointer(plain), 0);
}

fn path_and_address(lab: &Lab) {
    let lib = lab.lib;
    let server = Server::new(lib);
    let raw = RawServer::new();
    let waiting = connect(lib, &raw.url());
    let mut rows = Rows::new();
    rows.equal("while connecting", lib.string(Getter::WS_PATH, waiting.id), Err(NOT_AVAIL));
    let near = connect(lib, &format!("{}a/b?c=d", server.url()));
    let far = server.client(0);
    near.wait_open();
    far.wait_open();
    rows.equal("path", lib.string(Getter::WS_PATH, far.id), Ok("/a/b?c=d".into()));
    rows.equal("own path", lib.string(Getter::WS_PATH, near.id), Ok("/a/b?c=d".into()));
    let address = lib.string(Getter::WS_REMOTE_ADDRESS, near.id);
    rows.equal("the server's", address, Ok(format!("127.0.0.1:{}", server.port)));
    let address = lib.string(Getter::WS_REMOTE_ADDRESS, far.id).expect("an address");
    rows.holds(format!("the client's: {address}"), address.starts_with("127.0.0.1:"));
    rows.code("size", lib.fill(Getter::WS_PATH, far.id, None, -5), 9);
    rows.code("small", lib.fill(Getter::WS_PATH, far.id, Some(&mut [0; 8]), 8), TOO_SMALL);
    near.by_id(ById::CLOSE);
    far.wait_closed();
    rows.equal("path afterwards", lib.string(Getter::WS_PATH, far.id), Ok("/a/b?c=d".into()));
    eventually("the address to be gone", || {
        lib.string(Getter::WS_REMOTE_ADDRESS, far.id) == Err(NOT_AVAIL)
    });
}

fn late_callbacks(lab: &Lab) {
    let server = Server::new(lab.lib);
    server.inbox.adopt(&[]);
    let near = bare_connect(lab.lib, &server.url(), &WsConfig::default());
    let far = server.client(0);
    eventually("both to be open", || near.is_open() && far.is_open());
    near.send_text(c"early");
    eventually("the message", || far.by_id(ById::AVAILABLE_AMOUNT) == 5);
    far.listen(&[Slot::Open, Slot::Message]);
    assert_eq!((far.count(&Event::Open), far.messages().len()), (1, 1));
    near.by_id(ById::CLOSE);
    eventually("both to be closed", || near.is_closed() && far.is_closed());
    far.listen(&[Slot::Closed]);
    near.listen(&[Slot::Open, Slot::Closed]);
    eventually("the events", || far.count(&Event::Closed) == 1 && near.count(&Event::Closed) == 1);
    assert_eq!(near.count(&Event::Open), 1);
    let failed = bare_connect(lab.lib, "ws://127.0.0.1:1/", &WsConfig::default());
    eventually("the failure", || failed.is_closed());
    failed.listen(&[Slot::Error, Slot::Closed]);
    let error = Event::Error("TCP connection failed".into());
    eventually("the error", || failed.count(&error) == 1 && failed.count(&Event::Closed) == 1);
}

/// Watches that a connection fails: one error of that text, then one closed, never open.
fn expect_failure(channel: &Channel, text: &str) {
    channel.wait_closed();
    channel.inbox.settle();
    let events: Vec<Event> = channel.inbox.all().iter().map(|r| r.event.clone()).collect();
    assert_eq!(events, [Event::Error(text.into()), Event::Closed]);
    assert!(channel.is_closed() && !channel.is_open());
    assert_eq!(channel.lib.send_binary(channel.id, b"x"), FAILURE);
    channel.inbox.never_again("something after closed", |_| true);
}

fn failures(lab: &Lab) {
    let lib = lab.lib;
    expect_failure(&connect(lib, "ws://127.0.0.1:1/"), "TCP connection failed");
    expect_failure(&connect(lib, "ws://no.such.invalid/"), "TCP connection failed");
    let raw = RawServer::new();
    let secure = connect(lib, &raw.url().replace("ws:", "wss:"));
    let mut other = raw.accept();
    other.send("this is not TLS\r\n\r\n");
    expect_failure(&secure, "TLS connection failed");
    let refused = connect(lib, &raw.url());
    let mut other = raw.accept();
    other.head();
    other.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    expect_failure(&refused, "WebSocket connection failed");
}

fn timeouts(lab: &Lab) {
    let short = WsConfig { timeout_ms: 400, insecure: true, ..WsConfig::default() };
    // The system accepts TCP connections; on a busy machine none may come in time.
    let raw = RawServer::new();
    for url in [raw.url(), raw.url().replace("ws:", "wss:")] {
        let begun = Instant::now();
        let client = connect_with(lab.lib, &url, &short);
        expect_failure(&client, "Connection timed out");
        assert!(begun.elapsed() >= Duration::from_millis(400));
    }
    let proxied = WsConfig { proxy: Some(c(&raw.url().replace("ws:", "http:"))), ..short.clone() };
    let client = connect_with(lab.lib, "ws://example.invalid/", &proxied);
    expect_failure(&client, "Connection timed out");
    // Not even TCP: the backlog of a listener that never accepts is full.
    let full = crate::sys::full_listener();
    let client = connect_with(lab.lib, &format!("ws://127.0.0.1:{}/", full.port), &short);
    expect_failure(&client, "Connection timed out");
}

fn unanswered_lookup(lab: &Lab) {
    const COUNT: usize = 50;
    const NAME: &[u8] = b"\x06silent\x04test";
    let lib = lab.lib;
    let names = lab.need_names();
    let was_asked = || {
        let mut question = [0; 512];
        let length = names.recv(&mut question).expect("a question");
        question[..length].windows(NAME.len()).any(|window| window == NAME)
    };
    // The timeout holds while the name of the server or of a proxy is looked up.
    let short = WsConfig { timeout_ms: 400, insecure: true, ..WsConfig::default() };
    let proxied = WsConfig { proxy: Some(c("http://silent.test:1")), ..short.clone() };
    for (url, config) in [
        ("ws://silent.test/", &short),
        ("wss://silent.test/", &short),
        ("ws://127.0.0.1/", &proxied),
    ] {
        let begun = Instant::now();
        let client = connect_with(lib, url, config);
        assert!(was_asked(), "{url}: nobody asked for the name");
        expect_failure(&client, "Connection timed out");
        assert!(begun.elapsed() >= Duration::from_millis(400), "{url}");
    }
    // Others connect meanwhile, over TLS as well.
    let patient = WsConfig { timeout_ms: 3_600_000, ..WsConfig::default() };
    let hanging: Vec<Channel> =
        (0..COUNT).map(|_| connect_with(lib, "ws://silent.test/", &patient)).collect();
    for tls in [false, true] {
        let server = Server::with(lib, &WsServerConfig { tls, ..WsServerConfig::loopback() });
        let url = server.url().replace("ws:", if tls { "wss:" } else { "ws:" });
        let insecure = WsConfig { insecure: true, ..WsConfig::default() };
        let near = connect_with(lib, &url, &insecure);
        near.wait_open();
        near.send_text(c"x");
        server.client(0).wait_messages(1);
    }
    // Nobody waits for the answer: neither who closes nor who deletes.
    for (n, client) in hanging.iter().enumerate() {
        assert!(!client.is_open() && !client.is_closed());
        if n % 2 == 0 {
            assert_eq!(client.by_id(ById::CLOSE), OK);
            assert!(client.is_closed());
            assert_eq!(client.count(&Event::Closed), 1);
        }
        assert_eq!(client.delete(), OK);
    }
}

fn server_timeout(lab: &Lab) {
    let config = WsServerConfig { timeout_ms: 400, ..WsServerConfig::loopback() };
    let server = Server::with(lab.lib, &config);
    let _silent = crate::websocket::Raw::dial(server.port);
    let client = server.client(0);
    let begun = Instant::now();
    client.inbox.wait_event(client.id, &Event::Error("Connection timed out".into()));
    client.wait_closed();
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// Sends `bytes` one by one until they are no longer taken.
fn drip(raw: &mut crate::websocket::Raw, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if !raw.try_send([*byte]) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn dripping(lab: &Lab) {
    // Long enough for what happens before, on a busy machine as well.
    const TIMEOUT_MS: u16 = 2000;
    // Clients of a server: headers, and a record of TLS as long as they come.
    for tls in [false, true] {
        let config =
            WsServerConfig { timeout_ms: TIMEOUT_MS.into(), tls, ..WsServerConfig::loopback() };
        let server = Server::with(lab.lib, &config);
        let begun = Instant::now();
        let mut raw = crate::websocket::Raw::dial(server.port);
        match tls {
            false => raw.send("GET / HTTP/1.1\r\nX: "),
            true => raw.send([22, 3, 1, 0x3f, 0xff, 1]),
        }
        drip(&mut raw, b"x");
        let client = server.client(0);
        client.inbox.wait_event(client.id, &Event::Error("Connection timed out".into()));
        client.wait_closed();
        assert!(begun.elapsed() >= Duration::from_millis(TIMEOUT_MS.into()), "TLS: {tls}");
        let near = connect_with(
            lab.lib,
            &server.url().replace("ws:", if tls { "wss:" } else { "ws:" }),
            &WsConfig { insecure: true, ..WsConfig::default() },
        );
        near.wait_open();
    }
    // A server of a client.
    let raw = RawServer::new();
    let short = WsConfig { timeout_ms: TIMEOUT_MS.into(), ..WsConfig::default() };
    let client = connect_with(lab.lib, &raw.url(), &short);
    let mut other = raw.accept();
    other.head();
    other.send("HTTP/1.1 101 Switching Protocols\r\nX: ");
    drip(&mut other, b"x");
    expect_failure(&client, "Connection timed out");
}

fn silent_client(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut silent: Vec<_> = (0..50).map(|_| crate::websocket::Raw::dial(server.port)).collect();
    for slow in &mut silent {
        slow.send("GET / HT");
    }
    let near = connect(lab.lib, &server.url());
    near.wait_open();
    near.send_text(c"x");
    server.inbox.wait("the message", |r| matches!(r.event, Event::Message(_)).then_some(()));
}

fn close_connecting(lab: &Lab) {
    let raw = RawServer::new();
    let client = connect(lab.lib, &raw.url());
    let mut other = raw.accept();
    other.head();
    assert_eq!(client.by_id(ById::CLOSE), OK);
    assert!(client.is_closed());
    assert_eq!(client.count(&Event::Closed), 1);
    assert_eq!(other.rest(), "");
    client.inbox.never_again("something after closed", |_| true);
    // Nor is there anything to wait for while TCP connects.
    let full = crate::sys::full_listener();
    let client = connect(lab.lib, &format!("ws://127.0.0.1:{}/", full.port));
    assert_eq!(client.by_id(ById::CLOSE), OK);
    assert_eq!(client.count(&Event::Closed), 1);
}

fn server_picks(lab: &Lab) {
    let server = Server::new(lab.lib);
    let mut raw = crate::websocket::Raw::dial(server.port);
    raw.send(crate::websocket::upgrade_request("/", "Sec-WebSocket-Protocol: foo, bar\r\n"));
    let response = raw.head();
    assert_eq!(header(&response, "sec-websocket-protocol").as_deref(), Some("foo"), "{response}");
    let config = WsConfig {
        protocols: vec![Some(c"one".to_owned()), Some(c"two".to_owned())],
        ..WsConfig::default()
    };
    connect_with(lab.lib, &server.url(), &config).wait_open();
}

fn client_verifies(lab: &Lab) {
    let raw = RawServer::new();
    let config = WsConfig { protocols: vec![Some(c"one".to_owned())], ..WsConfig::default() };
    for (picked, good) in
        [("", true), ("one", true), ("two", false), ("one, two", false), ("ONE", false)]
    {
        let client = connect_with(lab.lib, &raw.url(), &config);
        let mut other = raw.accept();
        let request = other.head();
        assert_eq!(header(&request, "sec-websocket-protocol").as_deref(), Some("one"));
        let line = match picked {
            "" => String::new(),
            picked => format!("Sec-WebSocket-Protocol: {picked}\r\n"),
        };
        other.send(upgrade_response(&request, &line));
        match good {
            true => client.wait_open(),
            false => expect_failure(&client, "WebSocket connection failed"),
        }
    }
}

fn beyond_limit(lab: &Lab) {
    let server = Server::new(lab.lib);
    let config = WsConfig { max_message_size: 100, ..WsConfig::default() };
    let near = connect_with(lab.lib, &server.url(), &config);
    let mut rows = Rows::new();
    rows.code("limit", near.by_id(ById::MAX_MESSAGE_SIZE), 100);
    let early = lab.lib.send_binary(near.id, b"x");
    // It may have opened meanwhile.
    let allowed = if near.is_open() { [FAILURE, OK].as_slice() } else { &[FAILURE] };
    rows.codes("before it is open", early, allowed);
    near.wait_open();
    let far = server.client(0);
    rows.code("default", far.by_id(ById::MAX_MESSAGE_SIZE), 262_144);
    rows.code("as large", lab.lib.send_binary(near.id, &[1; 100]), OK);
    rows.code("larger", lab.lib.send_binary(near.id, &[1; 101]), FAILURE);
    rows.code("NULL", lab.lib.send_raw(near.id, None, 5), INVALID);
    rows.code("NULL and empty", lab.lib.send_raw(near.id, None, 0), OK);
    far.wait_messages(2);
}

fn closing(lab: &Lab) {
    for near_closes in [true, false] {
        let (_server, near, far) = open_pair(lab.lib);
        let (one, other) = if near_closes { (&near, &far) } else { (&far, &near) };
        one.send_text(c"last");
        assert_eq!(one.by_id(ById::CLOSE), OK);
        assert!(!one.is_open());
        other.wait_messages(1);
        other.wait_closed();
        one.wait_closed();
        assert!(one.is_closed() && other.is_closed());
        assert_eq!(lab.lib.send_binary(one.id, b"x"), FAILURE);
        assert_eq!(one.by_id(ById::CLOSE), OK);
        for end in [one, other] {
            end.inbox.never_again("something after closed", |_| true);
            assert_eq!(end.count(&Event::Closed), 1);
        }
    }
}

fn both_deletions(lab: &Lab) {
    for delete in [ById::DELETE, ById::DELETE_WS] {
        let (_server, near, far) = open_pair(lab.lib);
        near.send_text(c"last");
        near.disown();
        assert_eq!(lab.lib.by_id(delete, near.id), OK);
        assert_eq!(near.count(&Event::Closed), 1, "{}", delete.name);
        near.inbox.forbid(near.id, false);
        far.wait_messages(1);
        far.wait_closed();
    }
}

fn read_after_close(lab: &Lab) {
    let server = Server::new(lab.lib);
    server.inbox.adopt(&[Slot::Open, Slot::Closed]);
    let near = connect(lab.lib, &server.url());
    near.wait_open();
    near.send_text(c"one");
    near.send_binary(b"two");
    near.by_id(ById::CLOSE);
    let far = server.client(0);
    far.wait_closed();
    let mut buffer = [0; 8];
    assert_eq!(lab.lib.receive(far.id, Some(&mut buffer), 8), Received(OK, -4));
    assert_eq!(&buffer[..4], b"one\0");
    assert_eq!(lab.lib.receive(far.id, Some(&mut buffer), 8), Received(OK, 3));
    assert_eq!(lab.lib.receive(far.id, Some(&mut buffer), 8).0, NOT_AVAIL);
}

/// The far end of a pair, without a message callback, with a binary message and a text waiting.
fn waiting(lab: &Lab) -> (Server, Channel, Channel) {
    let server = Server::new(lab.lib);
    server.inbox.adopt(&[Slot::Open]);
    let near = connect(lab.lib, &server.url());
    near.wait_open();
    near.send_binary(b"binary");
    near.send_text(c"text");
    let far = server.client(0);
    eventually("the messages", || far.by_id(ById::AVAILABLE_AMOUNT) == 10);
    (server, near, far)
}

fn peek(lab: &Lab) {
    let (_server, _near, far) = waiting(lab);
    for size in [0, 1, -1, 1000] {
        assert_eq!(lab.lib.receive(far.id, None, size), Received(OK, 6));
    }
    assert_eq!(far.by_id(ById::AVAILABLE_AMOUNT), 10);
    let mut buffer = [0; 6];
    assert_eq!(lab.lib.receive(far.id, Some(&mut buffer), 6), Received(OK, 6));
    assert_eq!(&buffer, b"binary");
    assert_eq!(lab.lib.receive(far.id, None, 0), Received(OK, -5));
    assert_eq!(far.by_id(ById::AVAILABLE_AMOUNT), 4);
}

fn too_small(lab: &Lab) {
    let (_server, _near, far) = waiting(lab);
    assert_eq!(lab.lib.receive(far.id, Some(&mut [0; 8]), 5), Received(TOO_SMALL, 6));
    let mut buffer = [0; 8];
    assert_eq!(lab.lib.receive(far.id, Some(&mut buffer), 8), Received(OK, 6));
    assert_eq!(&buffer[..6], b"binary");
    assert_eq!(lab.lib.receive(far.id, Some(&mut [0; 8]), 4), Received(TOO_SMALL, -5));
}

fn unread(lab: &Lab) {
    const COUNT: usize = 6000;
    let server = Server::new(lab.lib);
    server.inbox.adopt(&[Slot::Open]);
    let unread: Vec<Channel> = (0..3).map(|_| connect(lab.lib, &server.url())).collect();
    for near in &unread {
        near.wait_open();
        for _ in 0..COUNT {
            near.send_binary(&[1; 1000]);
        }
    }
    let silent: Vec<Channel> = (0..3).map(|n| server.client(n)).collect();
    eventually("full queues", || {
        silent.iter().all(|far| far.by_id(ById::AVAILABLE_AMOUNT) >= 1_000_000)
    });
    server.inbox.adopt(Slot::CHANNEL);
    let near = connect(lab.lib, &server.url());
    near.wait_open();
    near.send_text(c"through");
    server.client(3).wait_messages(1);
    // In the end everything can be read.
    let far = &silent[0];
    let mut buffer = [0; 1000];
    for n in 0..COUNT {
        eventually(&format!("message {n}"), || {
            lab.lib.receive(far.id, Some(&mut buffer), 1000) == Received(OK, 1000)
        });
    }
}

fn buffered(lab: &Lab) {
    let raw = RawServer::new();
    let near = connect(lab.lib, &raw.url());
    let (mut other, _) = raw.upgrade();
    near.wait_open();
    assert_eq!(near.by_id(ById::BUFFERED_AMOUNT), 0);
    assert_eq!(lab.lib.set_low_threshold(near.id, 1000), OK);
    let mut sent = 0;
    while near.by_id(ById::BUFFERED_AMOUNT) < 1_000_000 {
        near.send_binary(&[7; 100_000]);
        sent += 1;
        assert!(sent < 1000, "nothing is ever buffered");
    }
    let low = near.count(&Event::BufferedAmountLow);
    for n in 0..sent {
        let frame = other.read_frame().expect("a frame");
        assert_eq!((frame.0, frame.1.len()), (0x82, 100_000), "frame {n}");
    }
    eventually("the amount to fall", || near.by_id(ById::BUFFERED_AMOUNT) == 0);
    eventually("the callback", || near.count(&Event::BufferedAmountLow) == low + 1);
}

fn delete_inside(lab: &Lab) {
    for delete in [ById::DELETE, ById::DELETE_WS] {
        let (_server, near, far) = open_pair(lab.lib);
        let lib = lab.lib;
        let result = Arc::new(AtomicI32::new(99));
        let seen = result.clone();
        let both_sent = Arc::new(AtomicBool::new(false));
        let sent = both_sent.clone();
        let id = near.id;
        near.disown();
        near.inbox.hook(move |inbox, recorded| {
            if matches!(recorded.event, Event::Message(_)) {
                // Or the second message could not be sent any more.
                wait_while(PATIENCE, || !sent.load(Ordering::SeqCst));
                seen.store(lib.by_id(delete, id), Ordering::SeqCst);
                inbox.forbid(id, true);
            }
        });
        far.send_text(c"x");
        far.send_text(c"y");
        both_sent.store(true, Ordering::SeqCst);
        eventually("the deletion", || result.load(Ordering::SeqCst) == OK);
        far.wait_closed();
        near.inbox.settle();
        assert_eq!(near.messages().len(), 1);
    }
}

fn delete_waits(lab: &Lab) {
    let (_server, near, far) = open_pair(lab.lib);
    let done = Arc::new(AtomicUsize::new(0));
    let ended = done.clone();
    near.inbox.hook(move |_, recorded| {
        if matches!(recorded.event, Event::Message(_)) {
            std::thread::sleep(super::deletion::LINGER);
            ended.fetch_add(1, Ordering::SeqCst);
        }
    });
    far.send_text(c"x");
    near.wait_messages(1);
    assert_eq!(near.delete(), OK);
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

fn delete_server_inside(lab: &Lab) {
    let lib = lab.lib;
    let server = Server::new(lib);
    let result = Arc::new(AtomicI32::new(99));
    let (seen, id) = (result.clone(), server.id);
    server.disown();
    server.inbox.hook(move |_, recorded| {
        if matches!(recorded.event, Event::Client(_)) {
            seen.store(lib.by_id(ById::DELETE_WS_SERVER, id), Ordering::SeqCst);
        }
    });
    let near = connect(lib, &server.url());
    eventually("the deletion", || result.load(Ordering::SeqCst) == OK);
    near.wait_open();
    let far = server.client(0);
    near.send_text(c"x");
    far.wait_messages(1);
    assert_eq!(lib.by_id(ById::DELETE_WS_SERVER, id), INVALID);
    expect_failure(&connect(lib, &server.url()), "TCP connection failed");
}

fn outlive(lab: &Lab) {
    let (server, near, far) = open_pair(lab.lib);
    assert_eq!(server.delete(), OK);
    near.send_text(c"x");
    far.wait_messages(1);
    far.send_text(c"y");
    near.wait_messages(1);
    expect_failure(&connect(lab.lib, &server.url()), "TCP connection failed");
}

fn hundred(lab: &Lab) {
    const COUNT: usize = 100;
    let server = Server::new(lab.lib);
    let near: Vec<Channel> = (0..COUNT).map(|_| connect(lab.lib, &server.url())).collect();
    for (n, client) in near.iter().enumerate() {
        client.wait_open();
        client.send_text(&c(&format!("client {n}")));
    }
    let mut texts: Vec<Vec<u8>> = (0..COUNT)
        .map(|n| server.client(n))
        .map(|far| far.wait_messages(1)[0].bytes().to_vec())
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), COUNT);
}

fn cleanup_deferred(lab: &Lab) {
    let before = crate::sys::thread_names().len();
    {
        let (_server, near, far) = open_pair(lab.lib);
        lab.lib.cleanup();
        near.send_text(c"still here");
        far.wait_messages(1);
    }
    eventually("the threads to end", || crate::sys::thread_names().len() <= before);
    let (_server, near, far) = open_pair(lab.lib);
    near.send_text(c"again");
    far.wait_messages(1);
}

fn cleanup_now(lab: &Lab) {
    let before = crate::sys::thread_names().len();
    let (server, near, far) = open_pair(lab.lib);
    let raw = RawServer::new();
    let waiting = connect(lab.lib, &raw.url());
    let _other = raw.accept();
    for channel in [&near, &far, &waiting] {
        channel.disown();
    }
    server.disown();
    assert_eq!(lab.lib.cleanup_now(5000), OK);
    for id in [near.id, far.id, waiting.id] {
        assert_eq!(lab.lib.by_id(ById::CLOSE, id), INVALID);
    }
    assert_eq!(lab.lib.by_id(ById::WS_SERVER_PORT, server.id), INVALID);
    eventually("the threads to end", || crate::sys::thread_names().len() <= before);
}

fn proxy(lab: &Lab) {
    let proxy = RawServer::new();
    let config = WsConfig {
        proxy: Some(c(&format!("http://user:pass@127.0.0.1:{}", proxy.port))),
        ..WsConfig::default()
    };
    let client = connect_with(lab.lib, "ws://name.invalid:8080/path", &config);
    let mut other = proxy.accept();
    let request = other.head();
    assert!(request.starts_with("CONNECT name.invalid:8080 HTTP/1.1\r\n"), "{request}");
    other.send("HTTP/1.1 200 Connection established\r\n\r\n");
    let request = other.head();
    assert!(request.starts_with("GET /path HTTP/1.1\r\n"), "{request}");
    other.send(upgrade_response(&request, ""));
    client.wait_open();
    other.send_frame(crate::websocket::TEXT, b"through");
    assert_eq!(client.wait_messages(1), [Message::text("through")]);
}

fn proxy_refuses(lab: &Lab) {
    let proxy = RawServer::new();
    let url = Some(c(&format!("http://127.0.0.1:{}", proxy.port)));
    let config = WsConfig { proxy: url, ..WsConfig::default() };
    let client = connect_with(lab.lib, "ws://name.invalid/", &config);
    let mut other = proxy.accept();
    other.head();
    other.send("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    expect_failure(&client, "Proxy connection failed");
    let inbox = Inbox::new(lab.lib);
    inbox.wait_list("nothing", PATIENCE, |_| Some(()));
}

//! WebSocket servers and clients of the library, and ends made by hand that see every byte.

use crate::ffi::*;
use crate::inbox::{Event, Inbox, PATIENCE};
use crate::peer::{Channel, c};
use sha1::{Digest, Sha1};
use std::ffi::c_int;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server of the library. Its clients have all callbacks set. Deleted when dropped.
pub(crate) struct Server {
    pub(crate) lib: Lib,
    pub(crate) id: c_int,
    pub(crate) port: u16,
    pub(crate) inbox: Arc<Inbox>,
    deleted: AtomicBool,
}

impl WsServerConfig {
    /// On 127.0.0.1, any port.
    pub(crate) fn loopback() -> Self {
        Self { bind: Some(c"127.0.0.1".to_owned()), ..Self::default() }
    }
}

impl Server {
    pub(crate) fn new(lib: Lib) -> Self {
        Self::with(lib, &WsServerConfig::loopback())
    }

    pub(crate) fn with(lib: Lib, config: &WsServerConfig) -> Self {
        let id = lib.create_ws_server(config, true);
        assert!(id > 0, "rtcCreateWebSocketServer: {}", code_name(id));
        let inbox = Inbox::new(lib);
        lib.set_user_pointer(id, inbox.key);
        let port = lib.by_id(ById::WS_SERVER_PORT, id);
        let port = u16::try_from(port).expect("a port");
        Self { lib, id, port, inbox, deleted: AtomicBool::new(false) }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    /// Waits for the `n`th client (from 0).
    pub(crate) fn client(&self, n: usize) -> Channel {
        let id = self.inbox.wait_list(&format!("client {n}"), PATIENCE, |events| {
            let mut ids = events.iter().filter_map(|r| match r.event {
                Event::Client(ws) => Some(ws),
                _ => None,
            });
            ids.nth(n)
        });
        Channel::websocket(self.lib, id, &self.inbox)
    }

    pub(crate) fn delete(&self) -> c_int {
        self.deleted.store(true, Ordering::SeqCst);
        let code = self.lib.by_id(ById::DELETE_WS_SERVER, self.id);
        self.inbox.forbid(self.id, false);
        code
    }

    /// The test takes care of the deletion.
    pub(crate) fn disown(&self) {
        self.deleted.store(true, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.deleted.load(Ordering::SeqCst) {
            self.delete();
        }
    }
}

/// A client of the library with all callbacks set.
pub(crate) fn connect(lib: Lib, url: &str) -> Channel {
    connect_with(lib, url, &WsConfig::default())
}

pub(crate) fn connect_with(lib: Lib, url: &str, config: &WsConfig) -> Channel {
    let client = bare_connect(lib, url, config);
    // What came before is told in the order in which the callbacks are set.
    client.listen(&[Slot::Error]);
    client.listen(Slot::CHANNEL);
    client
}

/// A client of the library with no callback set.
pub(crate) fn bare_connect(lib: Lib, url: &str, config: &WsConfig) -> Channel {
    let id = lib.create_ws_ex(Some(&c(url)), config);
    assert!(id > 0, "rtcCreateWebSocketEx({url:?}): {}", code_name(id));
    let inbox = Inbox::new(lib);
    lib.set_user_pointer(id, inbox.key);
    Channel::websocket(lib, id, &inbox)
}

/// A server and a client of it, both open.
pub(crate) fn open_pair(lib: Lib) -> (Server, Channel, Channel) {
    let server = Server::new(lib);
    let near = connect(lib, &server.url());
    let far = server.client(0);
    near.wait_open();
    far.wait_open();
    (server, near, far)
}

/// The other end, made by hand.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    /// Clients mask what they send.
    masks: bool,
    unread: Vec<u8>,
    /// When to give up: what goes on, if only with pings, never ends by itself.
    deadline: Instant,
}

/// How long an end made by hand waits for all that it waits for.
const RAW_PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

impl Raw {
    fn new(stream: TcpStream, masks: bool) -> Self {
        stream.set_nodelay(true).expect("no delay");
        Self { stream, masks, unread: Vec::new(), deadline: Instant::now() + RAW_PATIENCE }
    }

    /// Connects as a client and sends nothing.
    pub(crate) fn dial(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self::new(TcpStream::connect(address).expect("a connection"), true)
    }

    /// Connects as a client and upgrades.
    pub(crate) fn client(port: u16) -> Self {
        let mut raw = Self::dial(port);
        raw.send(upgrade_request("/", ""));
        let response = raw.head();
        assert!(response.starts_with("HTTP/1.1 101"), "{response}");
        raw
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sent");
    }

    /// Sends what may come too late.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads up to the empty line after headers.
    pub(crate) fn head(&mut self) -> String {
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(self.fill(), "the connection ended after {:?}", self.text());
        }
        let end = self.unread.windows(4).position(|w| w == b"\r\n\r\n").expect("an end") + 4;
        let head: Vec<u8> = self.unread.drain(..end).collect();
        String::from_utf8_lossy(&head).into_owned()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// Everything until the connection ends.
    pub(crate) fn rest(&mut self) -> String {
        while self.fill() {}
        self.text()
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 65536];
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).expect("a read timeout");
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(_) if Instant::now() > self.deadline => {
                panic!("it goes on and on after {:?}", self.text())
            }
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("reading after {:?}: {error}", self.text()),
        }
    }

    /// A frame as this side sends it.
    pub(crate) fn frame(&self, first: u8, payload: &[u8]) -> Vec<u8> {
        frame(first, payload, self.masks)
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let frame = self.frame(first, payload);
        self.send(frame);
    }

    /// The next frame: first byte and payload; `None` when the connection ends.
    pub(crate) fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, payload, length)) = parse_frame(&self.unread, self.masks) {
                self.unread.drain(..length);
                return Some((first, payload));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Every frame until the connection ends.
    pub(crate) fn frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        std::iter::from_fn(|| self.read_frame()).collect()
    }

    /// The code of the close frame that must come, after any other frames.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        let close = self.frames().into_iter().find(|frame| frame.0 == CLOSE);
        let (_, payload) = close.expect("a close frame");
        let code = payload.get(..2)?;
        Some(u16::from_be_bytes([code[0], code[1]]))
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        crate::sys::reset_on_close(&self.stream);
    }
}

/// A listener whose connections are answered by hand.
pub(crate) struct RawServer {
    listener: TcpListener,
    pub(crate) port: u16,
}

impl RawServer {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    /// Accepts and sends nothing.
    pub(crate) fn accept(&self) -> Raw {
        Raw::new(self.listener.accept().expect("a client").0, false)
    }

    /// Accepts and upgrades; also returns the request.
    pub(crate) fn upgrade(&self) -> (Raw, String) {
        let mut raw = self.accept();
        let request = raw.head();
        raw.send(upgrade_response(&request, ""));
        (raw, request)
    }
}

/// A request for `path` with more headers, each with its line end.
pub(crate) fn upgrade_request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// The right answer to a request, with more headers, each with its line end.
pub(crate) fn upgrade_response(request: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        accept_of(request)
    )
}

/// The accept value for the key in a request (RFC 6455 section 4.2.2).
pub(crate) fn accept_of(request: &str) -> String {
    let key = header(request, "sec-websocket-key").expect("a key");
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64(&digest)
}

/// The value of a header.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A frame; `first` holds FIN, reserved bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8], mask: bool) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask { 0x80 } else { 0 };
    match payload.len() {
        length @ ..=125 => frame.push(length as u8 | bit),
        length @ ..=0xffff => {
            frame.push(126 | bit);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127 | bit);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if !mask {
        frame.extend_from_slice(payload);
        return frame;
    }
    let key = [0x12, 0x34, 0x56, 0x78];
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The first frame in `bytes` and how long it is. What the library sends must be masked exactly
/// when it is a client.
fn parse_frame(bytes: &[u8], from_server: bool) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let is_masked = second & 0x80 != 0;
    assert_eq!(is_masked, !from_server, "a frame {first:#x} masked: {is_masked}");
    let (length, extra) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 2),
        127 => (u64::from_be_bytes(rest.get(..8)?.try_into().ok()?), 8),
        length => (u64::from(length), 0),
    };
    let begin = 2 + extra + if is_masked { 4 } else { 0 };
    let end = begin + usize::try_from(length).ok()?;
    let mut payload = bytes.get(begin..end)?.to_vec();
    if is_masked {
        let key = &bytes[begin - 4..begin];
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
    Some((*first, payload, end))
}

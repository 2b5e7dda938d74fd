//! The upgrade from HTTP to WebSocket (RFC 6455 §4), on both sides, and the way through a proxy
//! (RFC 9110 §9.3.6): texts in, texts out, no I/O.

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::url::WsUrl;
use crate::error::{Error, Result};

/// The longest head of a request or response, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// How many headers a head may have.
const MAX_HEADERS: usize = 100;

/// Collects bytes up to the empty line that ends a head.
#[derive(Debug, Default)]
pub struct HeadReader {
    bytes: Vec<u8>,
}

/// How far a [`HeadReader`] is.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// More bytes are needed.
    Partial,
    /// The head is longer than [`MAX_HEAD`].
    TooLong,
    /// The head, and what followed it.
    Whole(Vec<u8>, Vec<u8>),
}

impl HeadReader {
    /// Takes what has arrived.
    pub fn push(&mut self, input: &[u8]) -> Head {
        // The end may begin in what came before.
        let from = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(input);
        let fresh = self.bytes.get(from..).unwrap_or_default();
        match fresh.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) if from + at + 4 <= MAX_HEAD => {
                let rest = self.bytes.split_off(from + at + 4);
                Head::Whole(std::mem::take(&mut self.bytes), rest)
            }
            None if self.bytes.len() < MAX_HEAD => Head::Partial,
            _ => Head::TooLong,
        }
    }
}

/// Whether the text is an HTTP token, as the name of a subprotocol is.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A client's side of the upgrade.
#[derive(Debug)]
pub struct ClientUpgrade {
    key: String,
    protocols: Vec<String>,
}

impl ClientUpgrade {
    /// Asks for one of `protocols`, if there are any; they are HTTP tokens.
    pub fn new(protocols: Vec<String>) -> Self {
        Self::with_key(generate_key(), protocols)
    }

    /// With a key of the caller's: sixteen bytes in base64, which should be new each time.
    pub fn with_key(key: String, protocols: Vec<String>) -> Self {
        Self { key, protocols }
    }

    /// The request.
    pub fn request(&self, url: &WsUrl) -> Vec<u8> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
            url.path, url.authority, self.key
        );
        if !self.protocols.is_empty() {
            request += &format!("Sec-WebSocket-Protocol: {}\r\n", self.protocols.join(","));
        }
        request += "\r\n";
        request.into_bytes()
    }

    /// Checks the response (RFC 6455 §4.1); returns the subprotocol the server picked.
    pub fn check(&self, head: &[u8]) -> Result<Option<String>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(head).map_err(|error| refused(error.to_string()))?;
        if parsed.is_partial() {
            return Err(refused("the response is incomplete"));
        }
        match response.code {
            Some(101) => {}
            code => return Err(refused(format!("the server answered {}", code.unwrap_or(0)))),
        }
        let headers = Headers(response.headers);
        if !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade")
        {
            return Err(refused("the server upgrades to something else"));
        }
        let accept = headers.only("sec-websocket-accept");
        if accept != Some(derive_accept_key(self.key.as_bytes()).as_bytes()) {
            return Err(refused("the server's Sec-WebSocket-Accept is wrong"));
        }
        if headers.values("sec-websocket-extensions").any(|value| !value.is_empty()) {
            return Err(refused("the server uses an extension nobody asked for"));
        }
        if headers.values("sec-websocket-protocol").next().is_none() {
            return Ok(None);
        }
        let picked = headers.only("sec-websocket-protocol").unwrap_or_default();
        match self.protocols.iter().find(|protocol| protocol.as_bytes() == picked) {
            Some(protocol) => Ok(Some(protocol.clone())),
            None => Err(refused("the server picked a subprotocol nobody asked for")),
        }
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::failure(format!("cannot upgrade to WebSocket: {why}"))
}

/// A server's answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The bytes to send.
    pub response: Vec<u8>,
    /// What the client asked for, or why it is refused.
    pub outcome: Result<Accepted, &'static str>,
}

/// A request that was granted.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The target of the request: path and query.
    pub path: String,
    /// The subprotocol: the client's first.
    pub protocol: Option<String>,
}

/// Answers the head of a request (RFC 6455 §4.2).
pub fn answer(head: &[u8]) -> Answer {
    match accept(head) {
        Ok((key, accepted)) => {
            let mut response = format!(
                "HTTP/1.1 101 Switching Protocols\r\nServer: librtc\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n",
                derive_accept_key(&key)
            );
            if let Some(protocol) = &accepted.protocol {
                response += &format!("Sec-WebSocket-Protocol: {protocol}\r\n");
            }
            response += "\r\n";
            Answer { response: response.into_bytes(), outcome: Ok(accepted) }
        }
        Err((status, why)) => Answer { response: refusal(status), outcome: Err(why) },
    }
}

/// The answer to a head longer than [`MAX_HEAD`].
pub fn answer_too_long() -> Answer {
    Answer { response: refusal(431), outcome: Err("the request is too long") }
}

fn refusal(status: u16) -> Vec<u8> {
    let (reason, header) = match status {
        405 => ("Method Not Allowed", "Allow: GET\r\n"),
        426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        431 => ("Request Header Fields Too Large", ""),
        _ => ("Bad Request", ""),
    };
    let connection = if status == 426 { "close, Upgrade" } else { "close" };
    format!(
        "HTTP/1.1 {status} {reason}\r\nServer: librtc\r\nConnection: {connection}\r\n{header}\
         Content-Type: text/plain\r\nContent-Length: {}\r\nAccess-Control-Allow-Origin: *\r\n\
         \r\n{reason}",
        reason.len()
    )
    .into_bytes()
}

type Refusal = (u16, &'static str);

fn accept(head: &[u8]) -> Result<(Vec<u8>, Accepted), Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(parsed) if parsed.is_complete() => {}
        Err(httparse::Error::TooManyHeaders) => return Err((431, "there are too many headers")),
        _ => return Err((400, "it is not HTTP")),
    }
    if request.method != Some("GET") {
        return Err((405, "its method is not GET"));
    }
    if request.version != Some(1) {
        return Err((400, "it is not HTTP/1.1"));
    }
    let path = match request.path {
        Some(path) if path.starts_with('/') || path.contains("://") => path.to_owned(),
        _ => return Err((400, "its target is not a path")),
    };
    let headers = Headers(request.headers);
    if headers.only("host").is_none() {
        return Err((400, "it has no host"));
    }
    if !headers.has_token("upgrade", "websocket") {
        return Err((426, "it does not ask for WebSocket"));
    }
    if !headers.has_token("connection", "upgrade") {
        return Err((400, "it does not ask for an upgrade of the connection"));
    }
    if headers.only("sec-websocket-version") != Some(b"13") {
        return Err((426, "its WebSocket version is not 13"));
    }
    let key = headers.only("sec-websocket-key").filter(|key| is_key(key));
    let key = key.ok_or((400, "it has no good Sec-WebSocket-Key"))?.to_owned();
    let protocol = headers
        .values("sec-websocket-protocol")
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|protocol| is_token(protocol))
        .map(str::to_owned);
    Ok((key, Accepted { path, protocol }))
}

/// Whether this is the base64 text of sixteen bytes.
fn is_key(key: &[u8]) -> bool {
    match key {
        [digits @ .., b'=', b'='] if digits.len() == 22 => {
            digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        }
        _ => false,
    }
}

/// Headers, whose names have no case.
struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value.trim_ascii())
    }

    /// The value of a header that is there once.
    fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a list of tokens contains one, which has no case either.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Asks an HTTP proxy for a connection to the server of `url`.
pub fn connect_request(url: &WsUrl) -> Vec<u8> {
    let host = match url.host.contains(':') {
        true => format!("[{}]", url.host),
        false => url.host.clone(),
    };
    let port = url.port;
    format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").into_bytes()
}

/// Checks a proxy's answer.
pub fn check_connect(head: &[u8]) -> Result<()> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let refused = |why: String| Error::failure(format!("the proxy does not connect: {why}"));
    match response.parse(head) {
        Err(error) => Err(refused(error.to_string())),
        Ok(_) => match response.code {
            Some(200..=299) => Ok(()),
            code => Err(refused(format!("it answered {}", code.unwrap_or(0)))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_sides_of_an_upgrade_understand_each_other() {
        let url = WsUrl::parse("ws://host:8080/path?query").unwrap();
        for (asked, picked) in [(&[][..], None), (&["one", "two"], Some("one"))] {
            let client = ClientUpgrade::new(asked.iter().map(ToString::to_string).collect());
            let answer = answer(&client.request(&url));
            let accepted = answer.outcome.unwrap();
            assert_eq!(accepted.path, "/path?query");
            assert_eq!(accepted.protocol.as_deref(), picked);
            assert_eq!(client.check(&answer.response).unwrap().as_deref(), picked);
            assert!(ClientUpgrade::new(Vec::new()).check(&answer.response).is_err(), "another key");
        }
    }

    #[test]
    fn a_head_ends_at_its_empty_line_and_has_a_limit() {
        let mut reader = HeadReader::default();
        assert_eq!(reader.push(b"GET / HTTP/1.1\r\n\r"), Head::Partial);
        let whole = Head::Whole(b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"rest".to_vec());
        assert_eq!(reader.push(b"\nrest"), whole);
        let mut reader = HeadReader::default();
        assert_eq!(reader.push(&vec![b'x'; MAX_HEAD - 1]), Head::Partial);
        assert_eq!(reader.push(b"x"), Head::TooLong);
    }

    #[test]
    fn the_sample_of_the_rfc_has_the_key_of_the_rfc() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==".to_owned();
        let request = ClientUpgrade::with_key(key, Vec::new())
            .request(&WsUrl::parse("ws://server.example.com/chat").unwrap());
        let response = String::from_utf8(answer(&request).response).unwrap();
        assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }
}

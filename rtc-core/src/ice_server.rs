//! URLs of STUN and TURN servers (RFC 7064, RFC 7065, with credentials inside) and of proxies.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

use std::fmt;

use crate::authority;
use crate::backend::ice::{IceServer, IceServerKind};
use crate::error::{Error, Result};

/// A proxy for TURN over TCP, or for WebSocket.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Which protocol it speaks.
    pub kind: ProxyKind,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name, empty without one.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials stay out of logs.
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

/// Protocol of a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// SOCKS version 5.
    Socks5,
}

/// Parses `[scheme:[//]][user[:password]@]host[:port][?transport=udp|tcp|tls]`.
///
/// The scheme is `stun` (the default), `turn` or `turns`, wholly in lower or wholly in upper case.
/// User and password may be percent-encoded, and all before the last `@` belongs to them. The
/// port is 3478 by default and 5349 over TLS; 0 is the default, too. An IPv6 address stands in
/// brackets.
pub fn parse_ice_server(url: &str) -> Result<IceServer> {
    let parts = Url::parse("ICE server", url)?;
    let kind = match parts.scheme.unwrap_or("stun") {
        "stun" | "STUN" => IceServerKind::Stun,
        "turn" | "TURN" => parts.relay_transport(),
        "turns" | "TURNS" => IceServerKind::TurnTls,
        _ => return Err(parts.invalid("its scheme is not stun, turn or turns")),
    };
    let default_port = if kind == IceServerKind::TurnTls { 5349 } else { 3478 };
    Ok(IceServer {
        kind,
        host: parts.host.into(),
        port: parts.port.unwrap_or(default_port),
        username: percent_decoded(parts.user),
        password: percent_decoded(parts.password),
    })
}

/// Parses `[scheme:[//]][user[:password]@]host[:port]`.
///
/// The scheme is `http` (the default, port 3128) or `socks5` (port 1080), wholly in lower or
/// wholly in upper case.
pub fn parse_proxy(url: &str) -> Result<Proxy> {
    let parts = Url::parse("proxy", url)?;
    let (kind, default_port) = match parts.scheme.unwrap_or("http") {
        "http" | "HTTP" => (ProxyKind::Http, 3128),
        "socks5" | "SOCKS5" => (ProxyKind::Socks5, 1080),
        _ => return Err(parts.invalid("its scheme is not http or socks5")),
    };
    Ok(Proxy {
        kind,
        host: parts.host.into(),
        port: parts.port.unwrap_or(default_port),
        username: percent_decoded(parts.user),
        password: percent_decoded(parts.password),
    })
}

/// A URL in parts, nothing decoded.
struct Url<'a> {
    /// What the URL is of, for messages.
    what: &'static str,
    scheme: Option<&'a str>,
    user: &'a str,
    password: &'a str,
    /// Without brackets.
    host: &'a str,
    /// None when it is absent, empty or 0.
    port: Option<u16>,
    query: &'a str,
}

impl<'a> Url<'a> {
    fn parse(what: &'static str, url: &'a str) -> Result<Self> {
        let mut parts =
            Self { what, scheme: None, user: "", password: "", host: "", port: None, query: "" };
        let mut rest = url;
        if let Some((scheme, after)) = url.split_once(':')
            && !scheme.contains(['.', '@', '/', '?', '#', '['])
        {
            parts.scheme = Some(scheme);
            rest = after.strip_prefix("//").unwrap_or(after);
        }
        // A password may contain what would end a host.
        if let Some((credentials, after)) = rest.rsplit_once('@') {
            (parts.user, parts.password) = credentials.split_once(':').unwrap_or((credentials, ""));
            rest = after;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let tail = tail.split_once('#').map_or(tail, |(tail, _fragment)| tail);
        parts.query = tail.split_once('?').map_or("", |(_path, query)| query);
        let (host, port) = authority::split(authority).map_err(|why| parts.invalid(why))?;
        if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(parts.invalid("its host is not a name or an address"));
        }
        parts.host = host;
        let port = authority::port(port).map_err(|why| parts.invalid(why))?;
        parts.port = port.filter(|port| *port != 0);
        Ok(parts)
    }

    /// `transport=` of the query; the last of udp, tcp and tls that is there.
    fn relay_transport(&self) -> IceServerKind {
        let has = |transport: &str| {
            self.query
                .split('&')
                .any(|pair| pair.strip_prefix("transport=").is_some_and(|value| value == transport))
        };
        if has("tls") {
            IceServerKind::TurnTls
        } else if has("tcp") {
            IceServerKind::TurnTcp
        } else {
            IceServerKind::TurnUdp
        }
    }

    /// The credentials that the URL may have stay out of the message.
    fn invalid(&self, why: &str) -> Error {
        let Self { what, host, .. } = self;
        if host.is_empty() {
            Error::invalid(format!("Invalid {what} URL: {why}"))
        } else {
            Error::invalid(format!("Invalid {what} URL for the host {host:?}: {why}"))
        }
    }
}

/// Decodes `%` and two hexadecimal digits; anything else stays as it is, and so does the whole if
/// the result were not UTF-8.
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        if byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push((high << 4) | low);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use IceServerKind::{Stun, TurnTcp, TurnTls, TurnUdp};

    #[test]
    fn ice_server_urls_follow_the_grammar() {
        for (url, kind, host, port, username, password) in [
            ("stun:stun.example.com", Stun, "stun.example.com", 3478, "", ""),
            ("STUN:stun.example.com:19302", Stun, "stun.example.com", 19302, "", ""),
            ("stun://stun.example.com:1", Stun, "stun.example.com", 1, "", ""),
            ("stun.example.com:19302", Stun, "stun.example.com", 19302, "", ""),
            ("192.0.2.1", Stun, "192.0.2.1", 3478, "", ""),
            ("localhost", Stun, "localhost", 3478, "", ""),
            ("stun:host?transport=tcp", Stun, "host", 3478, "", ""),
            ("turn:host", TurnUdp, "host", 3478, "", ""),
            ("turn:u:p@host:0", TurnUdp, "host", 3478, "u", "p"),
            ("turn:u:p@host:", TurnUdp, "host", 3478, "u", "p"),
            ("TURN:u:p@host:65535", TurnUdp, "host", 65535, "u", "p"),
            ("turn:u:p@host?transport=udp", TurnUdp, "host", 3478, "u", "p"),
            ("turn:u:p@host?transport=tcp", TurnTcp, "host", 3478, "u", "p"),
            ("turn:u:p@host?transport=tls", TurnTls, "host", 5349, "u", "p"),
            ("turn:u:p@host?transport=tls&transport=udp", TurnTls, "host", 5349, "u", "p"),
            ("turn:u:p@host?x=1&transport=tcp", TurnTcp, "host", 3478, "u", "p"),
            ("turn:u:p@host?transport=sctp", TurnUdp, "host", 3478, "u", "p"),
            ("turns:u:p@host", TurnTls, "host", 5349, "u", "p"),
            ("TURNS:u:p@host:443?transport=tcp", TurnTls, "host", 443, "u", "p"),
            ("turn:u%40x:p%3Aq%2f@host", TurnUdp, "host", 3478, "u@x", "p:q/"),
            ("turn:u:p%zz%4@host", TurnUdp, "host", 3478, "u", "p%zz%4"),
            ("turn:u:p%ff@host", TurnUdp, "host", 3478, "u", "p%ff"),
            ("turn:u:a:b@host", TurnUdp, "host", 3478, "u", "a:b"),
            ("turn:u:a/b?c#d@e@host", TurnUdp, "host", 3478, "u", "a/b?c#d@e"),
            ("turn:u@host", TurnUdp, "host", 3478, "u", ""),
            ("turn:1700000000:u:p@host", TurnUdp, "host", 3478, "1700000000", "u:p"),
            ("stun:[::1]:3479", Stun, "::1", 3479, "", ""),
            ("stun:[2001:db8::1]", Stun, "2001:db8::1", 3478, "", ""),
            ("[2001:db8::1]:5", Stun, "2001:db8::1", 5, "", ""),
            ("turns:u:p@[fe80::1%eth0]", TurnTls, "fe80::1%eth0", 5349, "u", "p"),
            ("stun:host:3478/", Stun, "host", 3478, "", ""),
        ] {
            let expected = IceServer {
                kind,
                host: host.into(),
                port,
                username: username.into(),
                password: password.into(),
            };
            let actual = parse_ice_server(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            // Not assert_eq: the Debug form leaves the credentials out.
            assert!(
                actual == expected,
                "{url}: {actual:?} {:?}",
                (actual.username.clone(), actual.password.clone())
            );
        }
    }

    #[test]
    fn what_is_not_an_ice_server_url_is_refused() {
        for url in [
            "",
            ":",
            "stun:",
            "stun://",
            "stun::3478",
            "turn:u:p@",
            "turn:u:p@:1",
            "Stun:host",
            "tUrn:host",
            "stuns:host",
            "http://host",
            "https:host",
            "://host",
            "stun:host:abc",
            "stun:host:99999",
            "stun:host:65536",
            "stun:host:-1",
            "stun:host:+1",
            "stun:host:3478x",
            "stun:[::1",
            "stun:[]",
            "stun:[::g]",
            "stun:[host]:1",
            "stun:[::1]1",
            "stun:ho st",
            "stun:host\r\n",
            "stun:::1",
            "stun:?transport=udp",
            "stun:/path",
            "localhost:3478",
        ] {
            match parse_ice_server(url) {
                Ok(server) => panic!("{url:?} was taken as {server:?}"),
                Err(error) => assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument),
            }
        }
    }

    #[test]
    fn proxy_urls_follow_the_grammar() {
        for (url, kind, host, port, username, password) in [
            ("http://proxy:8080", ProxyKind::Http, "proxy", 8080, "", ""),
            ("HTTP://proxy", ProxyKind::Http, "proxy", 3128, "", ""),
            ("proxy.example.com", ProxyKind::Http, "proxy.example.com", 3128, "", ""),
            ("socks5://u:p%20q@192.0.2.1", ProxyKind::Socks5, "192.0.2.1", 1080, "u", "p q"),
            ("SOCKS5:[::1]:9", ProxyKind::Socks5, "::1", 9, "", ""),
        ] {
            let proxy = parse_proxy(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let expected = Proxy {
                kind,
                host: host.into(),
                port,
                username: username.into(),
                password: password.into(),
            };
            assert!(proxy == expected, "{url}: {proxy:?}");
        }
        for url in ["", "https://proxy", "Http://proxy", "socks4://proxy", "http://", "http://:1"] {
            assert!(parse_proxy(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn messages_and_debug_text_hold_no_credentials() {
        for url in ["turn:user:secret@host:bad", "turn:user:secret@", "nope:user:secret@host"] {
            let error = parse_ice_server(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        let proxy = parse_proxy("http://user:secret@host").unwrap();
        assert!(!format!("{proxy:?}").contains("secret"));
    }
}

//! URLs of WebSockets (RFC 6455 §3).

use std::net::Ipv6Addr;

use crate::error::{Error, Result};

/// Where a client connects to, and what it asks for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsUrl {
    /// `wss`, not `ws`.
    pub secure: bool,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Host, and port if the URL has one, for the `Host` header.
    pub authority: String,
    /// Path and query, at least `/`.
    pub path: String,
}

impl WsUrl {
    /// Parses `[ws|wss:[//]][user:password@]host[:port][/path][?query][#fragment]`.
    ///
    /// Credentials and fragment are left out. An IPv6 address stands in brackets. The port is 80
    /// by default, or 443 over TLS. Nothing is decoded, and what HTTP could not carry is refused.
    pub fn parse(url: &str) -> Result<Self> {
        if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(invalid("it contains spaces or control characters"));
        }
        let (secure, rest) = match split_scheme(url) {
            None | Some(("ws", _)) => (false, split_scheme(url).map_or(url, |(_, rest)| rest)),
            Some(("wss", rest)) => (true, rest),
            Some(_) => return Err(invalid("its scheme is not ws or wss")),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let authority = match authority.rsplit_once('@') {
            Some((_credentials, authority)) => {
                log::warn!("WebSocket: the credentials in the URL are not used");
                authority
            }
            None => authority,
        };
        let (host, port) = split_port(authority)?;
        let explicit = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| invalid("its port is above 65535"))?)
            }
            Some(_) => return Err(invalid("its port is not a number")),
        };
        Ok(Self {
            secure,
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port: explicit.unwrap_or(if secure { 443 } else { 80 }),
            authority: explicit.map_or_else(|| host.into(), |port| format!("{host}:{port}")),
            path: if target.starts_with('/') { target.into() } else { format!("/{target}") },
        })
    }
}

/// The scheme and what follows it. `host:port` has none, and neither has an IPv6 address.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    if let Some(rest) = rest.strip_prefix("//") {
        return Some((scheme, rest));
    }
    matches!(scheme, "ws" | "wss").then_some((scheme, rest))
}

/// The host, in brackets if it came so, and the port.
fn split_port(authority: &str) -> Result<(&str, Option<&str>)> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (address, rest) =
            literal.split_once(']').ok_or_else(|| invalid("a bracket is not closed"))?;
        let bare = address.split_once('%').map_or(address, |(address, _zone)| address);
        if bare.parse::<Ipv6Addr>().is_err() {
            return Err(invalid("there is no IPv6 address in the brackets"));
        }
        let host = authority.strip_suffix(rest).unwrap_or(authority);
        return match (rest.strip_prefix(':'), rest) {
            (port, ":" | "") => Ok((host, port.filter(|port| !port.is_empty()))),
            (Some(port), _) => Ok((host, Some(port))),
            (None, _) => Err(invalid("something follows the bracket")),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    match host {
        "" => Err(invalid("it has no host")),
        host if host.contains(['[', ']', '\\']) => Err(invalid("its host is not a name")),
        host => Ok((host, port)),
    }
}

/// The URL itself stays out of the message: there may be credentials in it.
fn invalid(why: &str) -> Error {
    Error::invalid(format!("Invalid WebSocket URL: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websocket_urls_follow_the_grammar() {
        for (url, secure, host, port, authority, path) in [
            ("ws://host", false, "host", 80, "host", "/"),
            ("wss://host", true, "host", 443, "host", "/"),
            ("ws:host", false, "host", 80, "host", "/"),
            ("wss:host:1", true, "host", 1, "host:1", "/"),
            ("host", false, "host", 80, "host", "/"),
            ("host:8080", false, "host", 8080, "host:8080", "/"),
            ("host/a:b", false, "host", 80, "host", "/a:b"),
            ("ws://host:", false, "host", 80, "host", "/"),
            ("ws://host:80", false, "host", 80, "host:80", "/"),
            ("ws://host/a/b?c=d#e", false, "host", 80, "host", "/a/b?c=d"),
            ("ws://host?c=d", false, "host", 80, "host", "/?c=d"),
            ("ws://host#e", false, "host", 80, "host", "/"),
            ("ws://host/%20@x", false, "host", 80, "host", "/%20@x"),
            ("ws://user:pass@host:9/", false, "host", 9, "host:9", "/"),
            ("ws://a@b:c@host/", false, "host", 80, "host", "/"),
            ("wss://[::1]:1/", true, "::1", 1, "[::1]:1", "/"),
            ("ws://[::1]", false, "::1", 80, "[::1]", "/"),
            ("ws://[fe80::1%lo]:5/x", false, "fe80::1%lo", 5, "[fe80::1%lo]:5", "/x"),
            ("ws://127.0.0.1:8/", false, "127.0.0.1", 8, "127.0.0.1:8", "/"),
        ] {
            let expected = WsUrl {
                secure,
                host: host.into(),
                port,
                authority: authority.into(),
                path: path.into(),
            };
            assert_eq!(WsUrl::parse(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_not_a_websocket_url_is_refused() {
        for url in [
            "",
            "ws:",
            "ws://",
            "ws:///path",
            "ws://:80/",
            "ws://user@/",
            "WS://host",
            "Wss://host",
            "http://host",
            "https://host",
            "://host",
            "ws://host:abc/",
            "ws://host:65536/",
            "ws://host:-1/",
            "ws://[::1/",
            "ws://[]/",
            "ws://[host]/",
            "ws://[::1]x/",
            "ws://ho st/",
            "ws://host/a\r\nEvil: yes",
            "ws://host/a b",
            "ws://host\\x/",
        ] {
            match WsUrl::parse(url) {
                Ok(parsed) => panic!("{url:?} was taken as {parsed:?}"),
                Err(error) => assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument),
            }
        }
        let error = WsUrl::parse("ws://user:secret@host:bad/").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}

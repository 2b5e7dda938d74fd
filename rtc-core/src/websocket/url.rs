//! URLs of WebSockets (RFC 6455 §3).

use crate::authority;
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
            None => (false, url),
            Some(("ws", rest)) => (false, rest),
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
        let (host, port) = authority::split(authority).map_err(invalid)?;
        let explicit = authority::port(port).map_err(invalid)?;
        let bracketed = match authority.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: explicit.unwrap_or(if secure { 443 } else { 80 }),
            authority: match explicit {
                Some(port) => format!("{bracketed}:{port}"),
                None => bracketed,
            },
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

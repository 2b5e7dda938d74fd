//! The authority of a URL (RFC 3986 §3.2) without its credentials: `host[:port]`.

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

use std::net::Ipv6Addr;

/// The host, without the brackets in which an IPv6 address stands, and the text of the port. An
/// error says what is wrong.
pub(crate) fn split(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (address, rest) = literal.split_once(']').ok_or("a bracket is not closed")?;
        let without_zone = address.split_once('%').map_or(address, |(address, _)| address);
        if without_zone.parse::<Ipv6Addr>().is_err() {
            return Err("there is no IPv6 address in the brackets");
        }
        return match rest.strip_prefix(':') {
            None if !rest.is_empty() => Err("something follows the bracket"),
            port => Ok((address, port)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    match host {
        "" => Err("it has no host"),
        host if host.contains(['[', ']', '\\']) => Err("its host is not a name or an address"),
        host => Ok((host, port)),
    }
}

/// The number of a port; `None` where it is absent or empty. An error says what is wrong.
pub(crate) fn port(text: Option<&str>) -> Result<Option<u16>, &'static str> {
    match text {
        None | Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| "its port is above 65535")
        }
        Some(_) => Err("its port is not a number"),
    }
}

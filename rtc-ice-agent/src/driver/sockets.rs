//! Binding UDP sockets and finding the host addresses they are reached at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use rtc_core::error::{Error, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Size asked for the socket buffers in bytes; the system may grant less.
const SOCKET_BUFFER: usize = 2 << 20;
/// Connections that wait to be accepted.
const LISTEN_BACKLOG: i32 = 16;
/// The range that stands for any port, as libdatachannel writes its default.
const ANY_PORT: (u16, u16) = (1024, 65_535);

/// Opens the sockets of one connection: one per family, or one per address that `bind_address`
/// names. `port_range` bounds their ports.
pub(crate) fn bind(
    bind_address: Option<&str>,
    port_range: Option<(u16, u16)>,
) -> Result<Vec<UdpSocket>> {
    let required = match bind_address {
        Some(name) => named(name)?,
        None => Vec::new(),
    };
    let (required, optional) = match required.as_slice() {
        // IPv6 may be switched off, and so may IPv4.
        [] => (Vec::new(), vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]),
        [IpAddr::V6(ip)] if ip.is_unspecified() => {
            (required.clone(), vec![Ipv4Addr::UNSPECIFIED.into()])
        }
        _ => (required.clone(), Vec::new()),
    };
    match ports(port_range)? {
        None => bind_at(&required, &optional, 0)
            .map_err(|error| Error::failure("bind an ICE socket").caused_by(error)),
        Some((first, last)) => bind_in_range(&required, &optional, first, last),
    }
}

/// The addresses that a bind address stands for, one per family. Blocks while a name is resolved,
/// for a bad one has to be reported at once.
fn named(name: &str) -> Result<Vec<IpAddr>> {
    if let Ok(ip) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![ip]);
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        Error::failure(format!("resolve the bind address {name}")).caused_by(error)
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in found.map(|address| address.ip()) {
        if !addresses.iter().any(|known| known.is_ipv4() == ip.is_ipv4()) {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() {
        return Err(Error::failure(format!("resolve the bind address {name}: no address")));
    }
    Ok(addresses)
}

/// The range to choose ports from; `None` leaves the choice to the system.
fn ports(range: Option<(u16, u16)>) -> Result<Option<(u16, u16)>> {
    let Some((first, last)) = range else { return Ok(None) };
    let first = if first == 0 { ANY_PORT.0 } else { first };
    let last = if last == 0 { ANY_PORT.1 } else { last };
    if first > last {
        return Err(Error::invalid(format!(
            "bind an ICE socket: the range {first}-{last} is empty"
        )));
    }
    Ok(((first, last) != ANY_PORT).then_some((first, last)))
}

fn bind_in_range(
    required: &[IpAddr],
    optional: &[IpAddr],
    first: u16,
    last: u16,
) -> Result<Vec<UdpSocket>> {
    // Connections start at different ports, so that a port just given up rests for a while.
    static TURN: AtomicU16 = AtomicU16::new(0);
    let count = u32::from(last - first) + 1;
    let start = u32::from(TURN.fetch_add(1, Ordering::Relaxed));
    let mut reason = None;
    for step in 0..count {
        let offset = (start + step) % count;
        let port = first.saturating_add(u16::try_from(offset).unwrap_or(0));
        match bind_at(required, optional, port) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => reason = Some(error),
        }
    }
    let error =
        Error::failure(format!("bind an ICE socket: no port from {first} to {last} is free"));
    Err(match reason {
        Some(reason) => error.caused_by(reason),
        None => error,
    })
}

/// Binds all of `required` and those of `optional` whose family the system knows, at least one,
/// all to the same port if it is given.
fn bind_at(required: &[IpAddr], optional: &[IpAddr], port: u16) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::new();
    for ip in required {
        sockets.push(open(SocketAddr::new(*ip, port))?);
    }
    let mut reason = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for ip in optional {
        match open(SocketAddr::new(*ip, port)) {
            Ok(socket) => sockets.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => reason = error,
        }
    }
    if sockets.is_empty() { Err(reason) } else { Ok(sockets) }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    enlarge_buffers(&socket);
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Accepts TCP connections at an address, at its port if that is free, and otherwise at another of
/// the range.
pub(crate) fn listen(
    address: SocketAddr,
    port_range: Option<(u16, u16)>,
) -> io::Result<TcpListener> {
    let at = |port| {
        let address = SocketAddr::new(address.ip(), port);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(LISTEN_BACKLOG)?;
        Ok(socket.into())
    };
    let same = at(address.port());
    let range = ports(port_range).map_err(io::Error::other)?;
    same.or_else(|reason| match range {
        None => at(0),
        Some((first, last)) => (first..=last).find_map(|port| at(port).ok()).ok_or(reason),
    })
}

/// Asks for large buffers; without the right to exceed the system's limit, for as much as it
/// allows.
fn enlarge_buffers(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};
        let receive = setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER).is_ok();
        let send = setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER).is_ok();
        if receive && send {
            return;
        }
    }
    // A small buffer costs speed, not function.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
}

/// The host addresses of sockets bound to these addresses: the addresses themselves, and for
/// unspecified ones those of the interfaces.
pub(crate) fn host_addresses(bound: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut hosts: Vec<SocketAddr> =
        bound.iter().copied().filter(|address| !address.ip().is_unspecified()).collect();
    let wildcards: Vec<_> = bound.iter().filter(|address| address.ip().is_unspecified()).collect();
    if wildcards.is_empty() {
        return hosts;
    }
    for ip in interface_addresses() {
        let socket = wildcards.iter().find(|address| address.is_ipv4() == ip.is_ipv4());
        if let Some(socket) = socket {
            hosts.push(SocketAddr::new(ip, socket.port()));
        }
    }
    hosts
}

/// Addresses that host candidates are made of (RFC 8445 §5.1.1.1), and none of Docker's bridge,
/// which no peer outside of this host can reach.
fn interface_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let usable = interfaces.iter().filter(|i| i.is_oper_up() && i.name != "docker0");
    usable.map(|interface| interface.ip()).filter(|ip| is_announced(*ip)).collect()
}

/// The IPv4 addresses of the interfaces that multicast questions are asked on.
pub(super) fn multicast_interfaces() -> Vec<Ipv4Addr> {
    let v4 = |ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    interface_addresses().into_iter().filter_map(v4).collect()
}

fn is_announced(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()),
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified())
                && ip.to_ipv4_mapped().is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_are_read_as_upstream_does() {
        let cases = [
            (None, Some(None)),
            (Some((0, 0)), Some(None)),
            (Some((1024, 65_535)), Some(None)),
            (Some((5000, 0)), Some(Some((5000, 65_535)))),
            (Some((0, 5000)), Some(Some((1024, 5000)))),
            (Some((5000, 5000)), Some(Some((5000, 5000)))),
            (Some((5001, 5000)), None),
        ];
        for (range, expected) in cases {
            assert_eq!(ports(range).ok(), expected, "{range:?}");
        }
    }

    #[test]
    fn an_exhausted_range_is_an_error() {
        let first = bind(Some("127.0.0.1"), None).expect("loopback can be bound");
        let port = first[0].local_addr().expect("it is bound").port();
        let error = bind(Some("127.0.0.1"), Some((port, port))).expect_err("the port is taken");
        assert!(error.to_string().contains("no port from"), "{error}");
    }

    #[test]
    fn a_named_bind_address_gives_exactly_its_own_candidate() {
        for name in ["127.0.0.1", "::1", "[::1]"] {
            let sockets = bind(Some(name), None).expect("loopback can be bound");
            let bound: Vec<_> = sockets.iter().map(|s| s.local_addr().expect("bound")).collect();
            assert_eq!(bound.len(), 1);
            assert_eq!(host_addresses(&bound), bound);
        }
        assert!(bind(Some("no-such-host.invalid"), None).is_err());
        assert!(bind(Some("203.0.113.77"), None).is_err(), "an address that is not ours");
    }
}

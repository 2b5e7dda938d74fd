//! Local and remote candidates, their priorities, and the bases that checks are sent from.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use rtc_core::backend::is_unusable;
use rtc_core::candidate::{Candidate, CandidateKind, Transport};

use super::Carrier;

/// A local transport address that checks are sent from (RFC 8445 §4). An unspecified IP leaves the
/// choice of the source address to the system.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) address: SocketAddr,
    /// 0 to 65535 (RFC 8445 §5.1.2.1).
    pub(crate) local_preference: u16,
    /// Index of the relay that the address belongs to.
    pub(crate) relay: Option<usize>,
    /// What its candidates are told to be reached by.
    pub(crate) transport: Transport,
}

impl Base {
    /// What carries datagrams from here to the peer, if need be by way of the relay.
    pub(crate) fn carrier(&self) -> Carrier {
        carrier_of(&self.transport)
    }
}

/// What carries datagrams between candidates of this transport.
pub(crate) fn carrier_of(transport: &Transport) -> Carrier {
    match transport {
        Transport::TcpActive | Transport::TcpPassive | Transport::TcpSo => Carrier::Tcp,
        Transport::Udp | Transport::Other(_) => Carrier::Udp,
    }
}

/// A candidate of ours.
#[derive(Clone, Debug)]
pub(crate) struct LocalCandidate {
    pub(crate) candidate: Candidate,
    pub(crate) address: SocketAddr,
    /// Index of its base.
    pub(crate) base: usize,
}

/// A candidate of the peer.
#[derive(Clone, Debug)]
pub(crate) struct RemoteCandidate {
    pub(crate) candidate: Candidate,
    pub(crate) address: SocketAddr,
}

impl RemoteCandidate {
    /// What carries datagrams to it.
    pub(crate) fn carrier(&self) -> Carrier {
        carrier_of(&self.candidate.transport)
    }
}

/// RFC 8445 §5.1.2.2.
fn type_preference(kind: &CandidateKind) -> u32 {
    match kind {
        CandidateKind::Host => 126,
        CandidateKind::PeerReflexive => 110,
        CandidateKind::ServerReflexive => 100,
        CandidateKind::Relayed | CandidateKind::Other(_) => 0,
    }
}

/// By how much the type of a candidate over TCP is preferred less (RFC 6544 §4.2 asks for less
/// than UDP). The number is libjuice's.
const TCP_PENALTY: u32 = 50;

/// Preference of a direction among candidates of the same type (RFC 6544 §4.2).
fn direction_preference(transport: &Transport) -> u32 {
    match transport {
        Transport::TcpActive => 6,
        Transport::TcpPassive => 4,
        Transport::TcpSo => 2,
        Transport::Udp | Transport::Other(_) => 0,
    }
}

/// Priority of a candidate of component 1 (RFC 8445 §5.1.2.1; RFC 6544 §4.2).
pub(crate) fn priority(kind: &CandidateKind, transport: &Transport, local_preference: u16) -> u32 {
    let penalty = match carrier_of(transport) {
        Carrier::Udp => 0,
        _ => TCP_PENALTY,
    };
    let preference = (direction_preference(transport) << 13) + u32::from(local_preference);
    (type_preference(kind).saturating_sub(penalty) << 24) + (preference << 8) + 255
}

/// Local preference of the candidate with this index of creation: IPv6 before IPv4, then in the
/// order of creation. The numbers are libjuice's.
pub(crate) fn local_preference(address: IpAddr, index: usize) -> u16 {
    let family: u16 = if address.is_ipv6() { 8191 } else { 4095 };
    family.saturating_sub(u16::try_from(index).unwrap_or(u16::MAX))
}

/// Priority of a pair (RFC 8445 §6.1.2.3).
pub(crate) fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (g, d) = (u64::from(controlling), u64::from(controlled));
    (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d)
}

/// A candidate at `address`.
pub(crate) fn candidate(
    kind: CandidateKind,
    transport: Transport,
    address: SocketAddr,
    foundation: String,
    priority: u32,
) -> Candidate {
    // The related address would give away where we are, but some peers insist on its presence.
    let extensions = match kind {
        CandidateKind::ServerReflexive | CandidateKind::Relayed => "raddr 0.0.0.0 rport 0",
        _ => "",
    };
    Candidate {
        foundation,
        component: 1,
        transport,
        priority,
        host: address.ip().to_string(),
        port: address.port(),
        kind,
        extensions: extensions.to_owned(),
    }
}

/// Writes an address the one way we compare: IPv4-mapped addresses as IPv4, and a scope only where
/// it means something.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => {
            let scope = if ip.is_unicast_link_local() { v6.scope_id() } else { 0 };
            SocketAddrV6::new(ip, v6.port(), 0, scope).into()
        }
        (ip, _) => SocketAddr::new(ip, address.port()),
    }
}

/// Whether checks may be sent to an address that the peer named. Link-local IPv6 addresses need a
/// scope, which candidates do not carry.
pub(crate) fn is_checkable(address: SocketAddr) -> bool {
    let link_local = match address {
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() && v6.scope_id() == 0,
        SocketAddr::V4(_) => false,
    };
    address.port() != 0 && !is_unusable(address.ip()) && !link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_those_of_libjuice() {
        let udp = &Transport::Udp;
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]);
        let host = |ip, index| priority(&CandidateKind::Host, udp, local_preference(ip, index));
        assert_eq!(host(v4, 0), 2_114_977_791);
        assert_eq!(host(v6, 1), 2_116_026_111);
        let active = &Transport::TcpActive;
        let active = priority(&CandidateKind::Host, active, local_preference(v4, 1));
        assert_eq!(active, 1_288_699_647);
    }

    #[test]
    fn addresses_that_no_candidate_may_have_are_refused() {
        let cases = [
            ("192.0.2.1:5000", true),
            ("127.0.0.1:5000", true),
            ("[2001:db8::1]:5000", true),
            ("192.0.2.1:0", false),
            ("0.0.0.0:5000", false),
            ("255.255.255.255:5000", false),
            ("224.0.0.251:5353", false),
            ("[::]:5000", false),
            ("[ff02::fb]:5353", false),
            ("[fe80::1]:5000", false),
            ("[fe80::1%3]:5000", true),
            ("[::ffff:0.0.0.0]:5000", false),
            ("[::ffff:224.0.0.1]:5000", false),
        ];
        for (text, expected) in cases {
            let address = canonical(text.parse().expect("a socket address"));
            assert_eq!(is_checkable(address), expected, "{text}");
        }
    }
}

//! ICE candidates and their text form (RFC 8839 §5.1).

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

use crate::error::{Error, Result};
use crate::sdp::quoted;

/// Longest candidate that is parsed, in bytes.
pub const MAX_CANDIDATE_TEXT: usize = 4096;

/// One candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 to 32 characters; equal for candidates of the same kind, base and server.
    pub foundation: String,
    /// 1 for RTP and everything bundled with it.
    pub component: u32,
    /// UDP, or TCP with its direction.
    pub transport: Transport,
    /// Higher is better (RFC 8445 §5.1.2).
    pub priority: u32,
    /// An IP address, or a host name such as an mDNS name.
    pub host: String,
    /// The port; 9 for active TCP.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateKind,
    /// What follows the type, such as `raddr 0.0.0.0 rport 0`, without `tcptype`.
    pub extensions: String,
}

/// Transport protocol of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `UDP`
    Udp,
    /// `TCP` with `tcptype active`.
    TcpActive,
    /// `TCP` with `tcptype passive`.
    TcpPassive,
    /// `TCP` with `tcptype so`.
    TcpSo,
    /// Anything else, as it was written.
    Other(String),
}

/// Type of a candidate (RFC 8445 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// `host`
    Host,
    /// `srflx`
    ServerReflexive,
    /// `prflx`
    PeerReflexive,
    /// `relay`
    Relayed,
    /// Anything else, as it was written.
    Other(String),
}

impl Candidate {
    /// Parses a candidate, with or without `a=` and `candidate:` before it. Transports and types
    /// that are not known are kept as they are written, and further lines are ignored. A port that
    /// does not fit keeps its lower 16 bits, as it does in libdatachannel, whose callers count on
    /// such a candidate being taken.
    pub fn parse(text: &str) -> Result<Self> {
        let line = text.trim().split(['\r', '\n']).next().unwrap_or("").trim_end();
        let invalid =
            |why: &str| Error::invalid(format!("Invalid candidate {}: {why}", quoted(line)));
        if line.len() > MAX_CANDIDATE_TEXT {
            return Err(invalid("it is too long"));
        }
        if line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(invalid("it contains a control character"));
        }
        let body = line.strip_prefix("a=").unwrap_or(line);
        let body = body.strip_prefix("candidate:").unwrap_or(body);
        let mut words = body.split_whitespace();
        let mut word = || words.next().ok_or_else(|| invalid("it ends too early"));

        let foundation = word()?.to_owned();
        let component = word()?.parse().map_err(|_| invalid("its component is not a number"))?;
        let protocol = word()?;
        let priority = word()?.parse().map_err(|_| invalid("its priority is not a number"))?;
        let host = word()?.to_owned();
        let port: u32 = word()?.parse().map_err(|_| invalid("its port is not a number"))?;
        let [low, high, ..] = port.to_le_bytes();
        if word()? != "typ" {
            return Err(invalid("there is no typ after the port"));
        }
        let kind = CandidateKind::from_text(word()?);
        let (transport, extensions) = Transport::from_words(protocol, words);
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            host,
            port: u16::from_le_bytes([low, high]),
            kind,
            extensions,
        })
    }

    /// True when the other one has the same foundation, host and port: then they are taken for the
    /// same candidate.
    pub fn is_duplicate_of(&self, other: &Self) -> bool {
        self.port == other.port && self.host == other.host && self.foundation == other.foundation
    }
}

/// True for what says that no candidate will follow: nothing, or `end-of-candidates` with or
/// without `a=` (RFC 8840 §8.2).
pub fn is_end_of_candidates(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.strip_prefix("a=").unwrap_or(text) == "end-of-candidates"
}

/// `candidate:…`, without `a=`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "candidate:{} {} {} {} {} {} typ {}",
            self.foundation,
            self.component,
            self.transport.protocol(),
            self.priority,
            self.host,
            self.port,
            self.kind.as_str()
        )?;
        // RFC 6544 §4.5: tcptype comes after the related address.
        let (related, rest) = split_related(&self.extensions);
        if !related.is_empty() {
            write!(f, " {related}")?;
        }
        if let Some(tcp_type) = self.transport.tcp_type() {
            write!(f, " tcptype {tcp_type}")?;
        }
        if !rest.is_empty() {
            write!(f, " {rest}")?;
        }
        Ok(())
    }
}

/// Splits `raddr … rport …` from what follows it.
fn split_related(extensions: &str) -> (&str, &str) {
    let mut words = extensions.splitn(5, ' ');
    if (words.next(), words.nth(1)) != (Some("raddr"), Some("rport")) || words.next().is_none() {
        return ("", extensions);
    }
    let rest = words.next().unwrap_or("");
    let related = extensions.strip_suffix(rest).unwrap_or(extensions);
    (related.trim_end(), rest)
}

impl Transport {
    /// The transport that `protocol` and a `tcptype` among the words after the type make, and
    /// those words without the `tcptype`.
    fn from_words<'a>(
        protocol: &str,
        words: impl Iterator<Item = &'a str> + Clone,
    ) -> (Self, String) {
        let join = |words: &mut dyn Iterator<Item = &'a str>| words.collect::<Vec<_>>().join(" ");
        if protocol.eq_ignore_ascii_case("UDP") {
            return (Self::Udp, join(&mut words.clone()));
        }
        if protocol.eq_ignore_ascii_case("TCP") {
            // Extensions are pairs of a name and a value.
            let names = words.clone().step_by(2).zip(words.clone().skip(1).step_by(2));
            let mut tcp_types = names.enumerate().filter(|(_, (name, _))| *name == "tcptype");
            let found = tcp_types.next().and_then(|(index, (_, tcp_type))| {
                let transport = match tcp_type {
                    "active" => Self::TcpActive,
                    "passive" => Self::TcpPassive,
                    "so" => Self::TcpSo,
                    _ => return None,
                };
                Some((index.saturating_mul(2), transport))
            });
            if let Some((index, transport)) = found {
                let mut rest = words.clone().take(index).chain(words.skip(index.saturating_add(2)));
                return (transport, join(&mut rest));
            }
        }
        (Self::Other(protocol.into()), join(&mut words.clone()))
    }

    fn protocol(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::TcpActive | Self::TcpPassive | Self::TcpSo => "TCP",
            Self::Other(protocol) => protocol,
        }
    }

    fn tcp_type(&self) -> Option<&'static str> {
        match self {
            Self::TcpActive => Some("active"),
            Self::TcpPassive => Some("passive"),
            Self::TcpSo => Some("so"),
            Self::Udp | Self::Other(_) => None,
        }
    }
}

impl CandidateKind {
    fn from_text(text: &str) -> Self {
        match text {
            "host" => Self::Host,
            "srflx" => Self::ServerReflexive,
            "prflx" => Self::PeerReflexive,
            "relay" => Self::Relayed,
            other => Self::Other(other.into()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn candidates_are_read_with_and_without_prefixes() {
        let text = "candidate:2 1 UDP 2114977791 192.168.1.50 54609 typ host";
        let expected = Candidate {
            foundation: "2".into(),
            component: 1,
            transport: Transport::Udp,
            priority: 2_114_977_791,
            host: "192.168.1.50".into(),
            port: 54609,
            kind: CandidateKind::Host,
            extensions: String::new(),
        };
        let bare = text.strip_prefix("candidate:").unwrap();
        for variant in [
            text.to_owned(),
            bare.to_owned(),
            format!("a={text}"),
            format!("a={bare}"),
            format!(" a={text} \r\n"),
            format!("{text}\r\na=setup:active\r\n"),
            text.replace(' ', " \t "),
            text.replace("UDP", "udp"),
            text.replace("candidate:", "candidate: "),
        ] {
            assert_eq!(Candidate::parse(&variant).unwrap(), expected, "{variant:?}");
        }
        assert_eq!(expected.to_string(), text);
    }

    #[test]
    fn every_kind_prints_as_it_is_documented() {
        for (text, printed) in [
            ("1 1 UDP 2116026111 fe80::1 5 typ host", ""),
            ("3 1 UDP 1678769919 203.0.113.9 5 typ srflx raddr 0.0.0.0 rport 0", ""),
            ("4 1 UDP 1845501695 203.0.113.9 5 typ prflx raddr 0.0.0.0 rport 0", ""),
            ("5 1 UDP 16777215 203.0.113.8 5 typ relay raddr 0.0.0.0 rport 0", ""),
            ("6 1 TCP 1288699647 192.0.2.1 9 typ host tcptype active", ""),
            ("6 1 TCP 1 192.0.2.1 7 typ host tcptype passive", ""),
            ("6 1 TCP 1 192.0.2.1 7 typ host tcptype so", ""),
            ("6 1 TCP 1 192.0.2.1 7 typ host", ""),
            ("6 1 TCP 1 192.0.2.1 7 typ host tcptype other x y", ""),
            ("7 1 UDP 1 a-b.local 7 typ host generation 0 network-id 1", ""),
            ("none 0 unknown 0 0.0.0.0 9 typ unknown", ""),
            ("8 1 UDP 1 192.0.2.1 7 typ host tcptype active", ""),
            (
                "9 1 tcp 1 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 9 generation 0 tcptype active",
                "9 1 TCP 1 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 9 tcptype active generation 0",
            ),
            (
                "9 1 TCP 1 192.0.2.1 9 typ host tcptype so generation 0 ufrag tcptype",
                "9 1 TCP 1 192.0.2.1 9 typ host tcptype so generation 0 ufrag tcptype",
            ),
            ("1 2 ssltcp 1 192.0.2.1 443 typ odd", ""),
            ("1 1 UDP 1 192.0.2.1 99999 typ host", "1 1 UDP 1 192.0.2.1 34463 typ host"),
        ] {
            let candidate = Candidate::parse(text).unwrap_or_else(|error| panic!("{error}"));
            let printed = if printed.is_empty() { text } else { printed };
            assert_eq!(candidate.to_string(), format!("candidate:{printed}"));
        }
    }

    #[test]
    fn tcp_candidates_have_their_direction() {
        for (tcp_type, transport) in [
            ("active", Transport::TcpActive),
            ("passive", Transport::TcpPassive),
            ("so", Transport::TcpSo),
            ("ACTIVE", Transport::Other("tcp".into())),
        ] {
            let text = format!("1 1 tcp 1 192.0.2.1 9 typ host tcptype {tcp_type} generation 0");
            let candidate = Candidate::parse(&text).unwrap();
            assert_eq!(candidate.transport, transport);
            assert_eq!(candidate.extensions.contains("tcptype"), tcp_type == "ACTIVE");
        }
    }

    #[test]
    fn what_is_no_candidate_is_refused() {
        let whole = "candidate:1 1 UDP 1 192.0.2.1 9 typ host";
        for end in 0..whole.len() - "host".len() {
            assert!(Candidate::parse(whole.get(..end).unwrap()).is_err(), "{end}");
        }
        for text in [
            "a=end-of-candidates",
            "hello",
            "candidate:1 x UDP 1 192.0.2.1 9 typ host",
            "candidate:1 1 UDP -1 192.0.2.1 9 typ host",
            "candidate:1 1 UDP 4294967296 192.0.2.1 9 typ host",
            "candidate:1 1 UDP 1 192.0.2.1 http typ host",
            "candidate:1 1 UDP 1 192.0.2.1 9 type host",
            "candidate:1 1 UDP 1 192.0.2.1\r\n9 typ host",
            "candidate:1 1 UDP 1 192.0.2.1\0 9 typ host",
            &format!("{whole} {}", "x".repeat(MAX_CANDIDATE_TEXT)),
        ] {
            let error = Candidate::parse(text).expect_err(text);
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
            assert!(error.to_string().len() < 600, "{error}");
        }
    }

    #[test]
    fn the_end_of_candidates_is_recognised() {
        for (text, expected) in [
            ("", true),
            (" \r\n", true),
            ("a=end-of-candidates", true),
            ("end-of-candidates\r\n", true),
            ("a=end", false),
            ("candidate:1 1 UDP 1 192.0.2.1 9 typ host", false),
        ] {
            assert_eq!(is_end_of_candidates(text), expected, "{text:?}");
        }
    }

    #[test]
    fn foundation_host_and_port_make_a_duplicate() {
        let first = Candidate::parse("1 1 UDP 1 192.0.2.1 9 typ host").unwrap();
        for (text, is_duplicate) in [
            ("1 2 TCP 7 192.0.2.1 9 typ relay x y", true),
            ("2 1 UDP 1 192.0.2.1 9 typ host", false),
            ("1 1 UDP 1 192.0.2.2 9 typ host", false),
            ("1 1 UDP 1 192.0.2.1 8 typ host", false),
        ] {
            let other = Candidate::parse(text).unwrap();
            assert_eq!(first.is_duplicate_of(&other), is_duplicate, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(
            text in "(a=)?(candidate:)?[a-z0-9+/]{1,8} [0-9]{1,3} (udp|TCP|x) [0-9]{1,9} [a-z0-9.:]{1,20} \
                     [0-9]{1,5} typ (host|relay|[a-z]{1,5})( (raddr|rport|tcptype|active|so|x)){0,8}"
        ) {
            let candidate = Candidate::parse(&text).unwrap();
            let again = Candidate::parse(&candidate.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), candidate.to_string());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = Candidate::parse(&text);
        }
    }
}

//! What backends do with settings: the declared capabilities in words, and configurations cut down
//! to them.

use std::fmt;

use super::dtls::DtlsCapabilities;
use super::ice::{IceCapabilities, IceConfig, IceServerKind};

/// What a backend does with a setting or a wish of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does as told.
    Honoured,
    /// It goes on without, and a warning is logged.
    Ignored,
    /// The call fails as not supported.
    Refused,
    /// There is nothing to set: it does without.
    Absent,
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honoured => "yes",
            Self::Ignored => "ignored with a warning",
            Self::Refused => "refused",
            Self::Absent => "no",
        })
    }
}

fn or(honoured: bool, otherwise: Support) -> Support {
    if honoured { Support::Honoured } else { otherwise }
}

/// What an ICE backend of these capabilities does with each setting of `rtcConfiguration`, and what
/// else tells ICE backends apart.
pub fn ice_support(able: &IceCapabilities) -> Vec<(&'static str, Support)> {
    use Support::{Absent, Ignored, Refused};
    vec![
        ("`bindAddress`", or(able.bind_address, Ignored)),
        ("`portRangeBegin`, `portRangeEnd`", or(able.port_range, Ignored)),
        ("`proxyServer` for TURN over TCP", or(able.proxy, Ignored)),
        ("`enableIceUdpMux`", or(able.udp_mux, Ignored)),
        ("`enableIceTcp`: connects to passive candidates", or(able.tcp_active, Ignored)),
        ("`enableIceTcp`: offers passive candidates", or(able.tcp_passive, Ignored)),
        ("TURN over UDP", or(able.turn_udp, Ignored)),
        ("TURN over TCP", or(able.turn_tcp, Ignored)),
        ("TURN over TLS", or(able.turn_tls, Ignored)),
        ("ICE restart", or(able.restart, Refused)),
        ("probing for a larger path MTU", or(able.unfragmented, Ignored)),
        ("several datagrams by one system call", or(able.batch_send, Absent)),
    ]
}

/// What a DTLS backend of these capabilities does.
pub fn dtls_support(able: &DtlsCapabilities) -> Vec<(&'static str, Support)> {
    use Support::{Absent, Refused};
    vec![
        ("`RTC_CERTIFICATE_RSA`", or(able.rsa_local, Refused)),
        ("peers with RSA certificates", or(able.rsa_remote, Refused)),
        ("DTLS 1.3", or(able.dtls13, Absent)),
        ("keys for SRTP", or(able.srtp, Refused)),
    ]
}

/// Takes out of a configuration what a backend does not honour; returns what that was.
pub(crate) fn restrict(config: &mut IceConfig, able: &IceCapabilities) -> Vec<String> {
    let tcp = able.tcp_active || able.tcp_passive;
    let taken_out = [
        (!able.bind_address && config.bind_address.take().is_some(), "the bind address"),
        (!able.port_range && config.port_range.take().is_some(), "the port range"),
        (!able.proxy && config.proxy.take().is_some(), "the proxy"),
        (!able.udp_mux && std::mem::take(&mut config.udp_mux), "sharing a UDP port"),
        (!tcp && std::mem::take(&mut config.tcp), "candidates over TCP"),
    ];
    let taken_out = taken_out.into_iter().filter(|(was_set, _)| *was_set);
    let mut ignored: Vec<String> = taken_out.map(|(_, what)| what.to_owned()).collect();
    config.servers.retain(|server| {
        let (honoured, what) = match server.kind {
            IceServerKind::Stun => (true, "STUN"),
            IceServerKind::TurnUdp => (able.turn_udp, "TURN over UDP"),
            IceServerKind::TurnTcp => (able.turn_tcp, "TURN over TCP"),
            IceServerKind::TurnTls => (able.turn_tls, "TURN over TLS"),
        };
        if !honoured {
            ignored.push(format!("{what} ({}:{})", server.host, server.port));
        }
        honoured
    });
    ignored
}

#[cfg(test)]
mod tests {
    use super::super::ice::{IceRole, IceServer};
    use super::*;

    fn able(everything: bool) -> IceCapabilities {
        IceCapabilities {
            tcp_active: everything,
            tcp_passive: everything,
            turn_udp: everything,
            turn_tcp: everything,
            turn_tls: everything,
            udp_mux: everything,
            bind_address: everything,
            port_range: everything,
            proxy: everything,
            restart: everything,
            batch_send: everything,
            unfragmented: everything,
        }
    }

    fn config() -> IceConfig {
        let server = |kind| IceServer {
            kind,
            host: "h".into(),
            port: 3478,
            username: "u".into(),
            password: "p".into(),
        };
        let kinds = [
            IceServerKind::Stun,
            IceServerKind::TurnUdp,
            IceServerKind::TurnTcp,
            IceServerKind::TurnTls,
        ];
        IceConfig {
            role: IceRole::Controlling,
            servers: kinds.map(server).to_vec(),
            proxy: Some("http://p:1".into()),
            bind_address: Some("127.0.0.1".into()),
            port_range: Some((1, 2)),
            relay_only: false,
            tcp: true,
            udp_mux: true,
            mtu: 1280,
        }
    }

    #[test]
    fn a_backend_that_can_do_everything_gets_everything() {
        let mut config = config();
        assert!(restrict(&mut config, &able(true)).is_empty());
        assert_eq!(config.servers.len(), 4);
        assert!(config.tcp && config.udp_mux && config.port_range.is_some());
    }

    #[test]
    fn what_a_backend_cannot_do_is_taken_out_and_told() {
        let mut config = config();
        assert_eq!(restrict(&mut config, &able(false)).len(), 8);
        assert_eq!(config.servers.len(), 1);
        assert!(!config.tcp && !config.udp_mux && config.port_range.is_none());
        assert!(config.proxy.is_none() && config.bind_address.is_none());
        assert!(restrict(&mut config, &able(false)).is_empty());
    }
}

//! The extensions that tell which backends there are and which are in use.

use super::Case;
use crate::backends::{Role, names};
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Peer, c};
use std::ffi::c_int;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("the backends are told by name", told).fixes("rtcGetBackendNames"),
        Case::new("a connection uses the backends that come first", used)
            .fixes("rtcGetPeerConnectionBackend"),
        Case::new("what the ICE backend ignores is told by a warning", warned)
            .fixes("warnings of what is ignored"),
    ]
}

fn told(lab: &Lab) {
    let mut rows = Rows::new();
    for (role, known) in
        Role::ALL.into_iter().zip([["agent", "juice", "nice"].as_slice(), &["rustls", "openssl"]])
    {
        let number = role.number();
        let names = names(lab.lib, role);
        rows.holds(format!("{names:?} is not empty"), !names.is_empty());
        let fit = names.iter().all(|name| known.contains(&name.as_str()));
        rows.holds(format!("{names:?} are known names"), fit);
        let length = names.join(",").len() + 1;
        rows.equal(role.variable(), lab.lib.backend_names(number, None, 0), length as c_int);
        let mut small = vec![0xaa; length];
        let code = lab.lib.backend_names(number, Some(&mut small), length as c_int - 1);
        rows.code("too small a buffer", code, TOO_SMALL);
    }
    rows.code("a role below", lab.lib.backend_names(-1, None, 0), INVALID);
    rows.code("a role above", lab.lib.backend_names(2, None, 0), INVALID);
}

fn backend_of(peer: &Peer, role: Role) -> String {
    let mut buffer = [0; 64];
    let size = buffer.len() as c_int;
    let code = peer.lib.peer_backend(peer.id, role.number(), Some(&mut buffer), size);
    assert!(code > 1, "rtcGetPeerConnectionBackend returned {}", code_name(code));
    String::from_utf8_lossy(&buffer[..code as usize - 1]).into_owned()
}

fn used(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let mut rows = Rows::new();
    for role in Role::ALL {
        rows.equal(role.variable(), backend_of(&peer, role), names(lab.lib, role)[0].clone());
        let short = lab.lib.peer_backend(peer.id, role.number(), Some(&mut [0; 2]), 2);
        rows.code("too small a buffer", short, TOO_SMALL);
        let unknown = lab.lib.peer_backend(0, role.number(), None, 0);
        rows.code("an unknown connection", unknown, INVALID);
    }
    rows.code("a role above", lab.lib.peer_backend(peer.id, 2, None, 0), INVALID);
}

fn warned(lab: &Lab) {
    let ice = lab.ice;
    lab.lib.init_logger(3, true);
    let server = |query: &str| Some(c(&format!("turn{query}")));
    let config = Config {
        manual: true,
        bind: Some(c"127.0.0.1".to_owned()),
        proxy: Some(c"http://127.0.0.1:9".to_owned()),
        udp_mux: true,
        ice_tcp: true,
        ports: (40_000, 40_100),
        ice_servers: vec![
            server(":u:p@127.0.0.1:9?transport=tcp"),
            server("s:u:p@127.0.0.1:9?transport=tcp"),
        ],
        ..Config::default()
    };
    let peer = Peer::with(lab.lib, &config);
    let _channel = peer.channel("x");
    let code = lab.lib.set_max_mtu(peer.id, 9000);
    // Without an interface libnice cannot gather; what it ignores has been told by then.
    peer.set_local("offer");
    let lines: Vec<String> = log_lines().into_iter().map(|line| line.1).collect();
    let mut rows = Rows::new();
    rows.code("rtcSetMaxMtu", code, OK);
    for (what, is_honoured) in [
        ("the bind address", ice.bind_address),
        ("the port range", ice.port_range),
        ("the proxy", ice.proxy),
        ("sharing a UDP port", ice.udp_mux),
        ("candidates over TCP", ice.active_tcp || ice.passive_tcp),
        ("TURN over TCP (127.0.0.1:9)", ice.turn_tcp),
        ("TURN over TLS (127.0.0.1:9)", ice.turn_tls),
        ("probing for a larger path MTU", ice.unfragmented),
    ] {
        let expected = format!("{what} is ignored: ICE by {} cannot do it", ice.name);
        let count = lines.iter().filter(|line| line.ends_with(&expected)).count();
        rows.equal(format!("{what}: {lines:?}"), count, usize::from(!is_honoured));
    }
}

//! The extensions that tell which backends there are and which are in use.

use super::Case;
use crate::backends::{Role, names};
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::Peer;
use std::ffi::c_int;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("the backends are told by name", told).fixes("rtcGetBackendNames"),
        Case::new("a connection uses the backends that come first", used)
            .fixes("rtcGetPeerConnectionBackend"),
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

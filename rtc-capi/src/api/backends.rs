//! Which backends there are, and which are in use: extensions of `rtc_ext.h`.

use std::ffi::{c_char, c_int};

use librtc::{Backends, Error, Result, backend_names, default_backends};

use crate::boundary::copy_text;
use crate::handles;

exports! {
    /// The names of the backends for a role, separated by commas; the one that connections use
    /// comes first.
    pub extern "C" fn rtcGetBackendNames(
        role: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let role = Role::try_from(role)?;
        let first = role.choice(default_backends());
        let others = role.names().into_iter().filter(|name| *name != first);
        let names: Vec<&str> = std::iter::once(first).chain(others).collect();
        copy_text(names.join(",").as_bytes(), buffer, size)
    }

    /// The name of the backend that a connection uses for a role.
    pub extern "C" fn rtcGetPeerConnectionBackend(
        pc: c_int,
        role: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let backends = handles::peer(pc)?.backends();
        copy_text(Role::try_from(role)?.choice(backends).as_bytes(), buffer, size)
    }
}

/// What a backend does for a connection: `rtcBackendRole`.
#[derive(Clone, Copy)]
enum Role {
    Ice,
    Tls,
}

impl TryFrom<c_int> for Role {
    type Error = Error;

    fn try_from(number: c_int) -> Result<Self> {
        match number {
            0 => Ok(Self::Ice),
            1 => Ok(Self::Tls),
            other => Err(Error::invalid(format!("there is no backend role {other}"))),
        }
    }
}

impl Role {
    fn names(self) -> Vec<&'static str> {
        let (ice, tls) = backend_names();
        match self {
            Self::Ice => ice,
            Self::Tls => tls,
        }
    }

    fn choice(self, backends: Backends) -> &'static str {
        match self {
            Self::Ice => backends.ice.name(),
            Self::Tls => backends.dtls.name(),
        }
    }
}

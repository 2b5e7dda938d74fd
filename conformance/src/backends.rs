//! Which backends the libraries under test use: the extensions of `rtc_ext.h`.

use crate::ffi::Lib;
use crate::sys;
use std::ffi::{CStr, c_int};

/// What a backend does for a connection, with the environment variable that chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ice,
    Tls,
}

impl Role {
    pub(crate) const ALL: [Role; 2] = [Role::Ice, Role::Tls];

    pub(crate) fn number(self) -> c_int {
        match self {
            Role::Ice => 0,
            Role::Tls => 1,
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Role::Ice => "RTC_ICE_BACKEND",
            Role::Tls => "RTC_TLS_BACKEND",
        }
    }
}

/// The backends that a library has for a role, the one in use first; none where it does not tell.
pub(crate) fn names(lib: Lib, role: Role) -> Vec<String> {
    if lib.table.rtcGetBackendNames.is_none() {
        return Vec::new();
    }
    let mut buffer = [0; 256];
    let size = buffer.len() as c_int;
    let code = lib.backend_names(role.number(), Some(&mut buffer), size);
    let text = CStr::from_bytes_until_nul(&buffer).unwrap_or_default().to_string_lossy();
    assert!(code > 0 && !text.is_empty(), "rtcGetBackendNames returned {code}: {text:?}");
    text.split(',').map(str::to_owned).collect()
}

/// Has a library use the pair of backends that `variable` names, such as `agent+rustls`; without it
/// what the environment chooses has to be in use.
pub(crate) fn choose(lib: Lib, variable: &str) -> Result<(), String> {
    if let Ok(pair) = std::env::var(variable) {
        let (ice, tls) = pair.split_once('+').ok_or(format!("{variable}={pair} is no pair"))?;
        for (role, wanted) in Role::ALL.into_iter().zip([ice, tls]) {
            sys::set_environment(role.variable(), wanted);
        }
    }
    for role in Role::ALL {
        // Asking is also what makes the library look at the environment: the next one loaded may
        // get another.
        let names = names(lib, role);
        let Ok(wanted) = std::env::var(role.variable()) else { continue };
        if names.first().is_some_and(|first| *first != wanted) {
            return Err(format!("{} has {names:?}, not {wanted}", lib.path.display()));
        }
    }
    Ok(())
}

//! What a test is given: the library under test and its surroundings.

use crate::backends;
use crate::ffi::{Lib, Library};
use crate::outcome::skip;
use std::path::PathBuf;

/// The library under test and its surroundings.
pub(crate) struct Lab {
    pub(crate) lib: Lib,
    /// The library for the other side of cross pairs, if one was named.
    pub(crate) other: Option<Lib>,
    /// Why there is no private network, if there is none.
    network: Result<(), String>,
}

impl Lab {
    pub(crate) fn open() -> Result<Self, String> {
        let network = crate::sys::own_network();
        let path = library_path().ok_or("RTC_LIB names no library")?;
        let lib = Library::load(&path, false)?;
        backends::choose(lib, "RTC_LIB_BACKENDS")?;
        let other = match std::env::var_os("RTC_PEER_LIB") {
            Some(other) => Some(Library::load(&PathBuf::from(other), true)?),
            None => None,
        };
        if let Some(other) = other {
            backends::choose(other, "RTC_PEER_LIB_BACKENDS")?;
        }
        Ok(Self { lib, other, network })
    }

    /// Demands a private network with two interfaces beside loopback.
    pub(crate) fn need_interfaces(&self) {
        if let Err(reason) = &self.network {
            skip(&format!("no network namespace: {reason}"));
        }
        if let Err(reason) = crate::sys::add_interfaces() {
            skip(&format!("no interfaces: {reason}"));
        }
    }

    /// The other library, or the library itself.
    pub(crate) fn partner(&self) -> Lib {
        self.other.unwrap_or(self.lib)
    }

    /// The other library, or the end of the test.
    pub(crate) fn other(&self) -> Lib {
        self.other.unwrap_or_else(|| skip("RTC_PEER_LIB names no second library"))
    }
}

/// The library under test.
pub(crate) fn library_path() -> Option<PathBuf> {
    std::env::var_os("RTC_LIB").map(PathBuf::from)
}

//! What a test is given: the library under test and its surroundings.

use crate::backends::{self, Ice};
use crate::ffi::{Lib, Library};
use crate::outcome::{lack, skip};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether peers are bound to loopback: not if one of the libraries cannot do that, for such a one
/// does not reach the other there.
static ON_LOOPBACK: AtomicBool = AtomicBool::new(true);

/// Whether peers are to be bound to loopback.
pub(crate) fn on_loopback() -> bool {
    ON_LOOPBACK.load(Ordering::Relaxed)
}

/// An address of this host that every peer reaches.
pub(crate) fn reachable_host() -> &'static str {
    if on_loopback() { "127.0.0.1" } else { "10.99.0.1" }
}

/// The library under test and its surroundings.
pub(crate) struct Lab {
    pub(crate) lib: Lib,
    /// The library for the other side of cross pairs, if one was named.
    pub(crate) other: Option<Lib>,
    /// What the library under test does for ICE.
    pub(crate) ice: Ice,
    /// Why there is no private network, if there is none.
    network: Result<(), String>,
    /// The private network has interfaces beside loopback already.
    has_interfaces: bool,
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
        let ice = backends::ice(lib)?;
        let mut has_interfaces = false;
        for used in [Ok(ice)].into_iter().chain(other.map(backends::ice)) {
            if used?.bind_address {
                continue;
            }
            ON_LOOPBACK.store(false, Ordering::Relaxed);
            // Without a private network there are the interfaces of the system.
            if network.is_ok() && !has_interfaces {
                crate::sys::add_interfaces()?;
                has_interfaces = true;
            }
        }
        Ok(Self { lib, other, ice, network, has_interfaces })
    }

    /// Demands something of the ICE backend; `what` is missing where it is not supported.
    pub(crate) fn need_ice(&self, supported: bool, what: &str) {
        if !supported {
            skip(&format!("not supported by {}: {what}", self.ice.name));
        }
    }

    /// Demands that `bindAddress` be honoured.
    pub(crate) fn need_bind_address(&self) {
        self.need_ice(self.ice.bind_address, "bindAddress is ignored");
    }

    /// Demands that `enableIceUdpMux` be honoured.
    pub(crate) fn need_udp_mux(&self) {
        self.need_ice(self.ice.udp_mux, "enableIceUdpMux is ignored");
    }

    fn need_network(&self) {
        if let Err(reason) = &self.network {
            lack(&format!("no network namespace: {reason}"));
        }
    }

    /// Demands a private network with two interfaces beside loopback.
    pub(crate) fn need_interfaces(&self) {
        self.need_network();
        if self.has_interfaces {
            return;
        }
        if let Err(reason) = crate::sys::add_interfaces() {
            lack(&format!("no interfaces: {reason}"));
        }
    }

    /// Demands that names be looked up at a socket of the test's, which is returned.
    pub(crate) fn need_names(&self) -> UdpSocket {
        self.need_network();
        crate::sys::own_names().unwrap_or_else(|reason| lack(&format!("no names: {reason}")))
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

/// Whether everything has been installed on purpose, as for continuous integration: what is missing
/// is a failure then, no reason to skip.
pub(crate) fn is_strict() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// The library under test.
pub(crate) fn library_path() -> Option<PathBuf> {
    std::env::var_os("RTC_LIB").map(PathBuf::from)
}

//! Which backends the libraries under test use: the extensions of `rtc_ext.h`.

use crate::ffi::Lib;
use crate::sys;
use std::ffi::{CStr, c_int};
use std::time::Duration;

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

/// An ICE backend by what its documentation says it honours; whatever depends on a backend derives
/// from that what to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ice {
    pub(crate) name: &'static str,
    /// `bindAddress`; without it every interface but loopback is used.
    pub(crate) bind_address: bool,
    /// `portRangeBegin` and `portRangeEnd`.
    pub(crate) port_range: bool,
    /// `proxyServer`.
    pub(crate) proxy: bool,
    /// `enableIceUdpMux`.
    pub(crate) udp_mux: bool,
    /// Connects to passive candidates over TCP (RFC 6544).
    pub(crate) active_tcp: bool,
    /// Offers passive candidates over TCP.
    pub(crate) passive_tcp: bool,
    /// ICE restart (RFC 8445 §9).
    pub(crate) restart: bool,
    /// TURN over TCP.
    pub(crate) turn_tcp: bool,
    /// TURN over TLS.
    pub(crate) turn_tls: bool,
    /// Packets are never fragmented, so that the path can be probed for a larger MTU.
    pub(crate) unfragmented: bool,
    /// The relay policy restricts what is checked as well as what is announced: libjuice checks
    /// direct pairs although it does not tell of them (B-16).
    pub(crate) relay_checks: bool,
    /// Every relay is told of; libnice tells of one where several are at one address.
    pub(crate) every_relay: bool,
    /// Relays are asked for with IPv6 addresses too.
    pub(crate) ipv6_relays: bool,
    /// The type preference of host candidates (RFC 8445 §5.1.2.2).
    pub(crate) host_preference: u32,
    /// How long a peer may be silent before the connection has failed.
    pub(crate) silence: Duration,
}

/// How long every backend checks candidates that nobody answers.
pub(crate) const CHECKING: Duration = Duration::from_millis(39_500);

pub(crate) const AGENT: Ice = Ice {
    name: "agent",
    bind_address: true,
    port_range: true,
    proxy: false,
    udp_mux: true,
    active_tcp: true,
    passive_tcp: true,
    restart: true,
    turn_tcp: true,
    turn_tls: true,
    relay_checks: true,
    unfragmented: true,
    every_relay: true,
    ipv6_relays: true,
    host_preference: 126,
    silence: Duration::from_secs(30),
};
const JUICE: Ice = Ice {
    name: "juice",
    active_tcp: false,
    passive_tcp: false,
    restart: false,
    turn_tcp: false,
    turn_tls: false,
    relay_checks: false,
    ipv6_relays: false,
    ..AGENT
};
const NICE: Ice = Ice {
    name: "nice",
    bind_address: false,
    proxy: true,
    udp_mux: false,
    turn_tls: false,
    unfragmented: false,
    every_relay: false,
    ipv6_relays: false,
    host_preference: 120,
    silence: Duration::from_secs(40),
    ..AGENT
};

/// The ICE backends that a library has, the one in use first. A library that does not tell is the
/// real one, which is linked with libnice or brings libjuice along.
pub(crate) fn every_ice(lib: Lib) -> Result<Vec<Ice>, String> {
    let mut names = names(lib, Role::Ice);
    if names.is_empty() {
        let path = &lib.path;
        let file = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let needs_nice = file.windows(11).any(|bytes| bytes == b"libnice.so.");
        names.push(if needs_nice { "nice" } else { "juice" }.to_owned());
    }
    let known = |name: &String| {
        let found = [AGENT, JUICE, NICE].into_iter().find(|ice| ice.name == name);
        found.ok_or_else(|| format!("{} has an unknown ICE backend, {name}", lib.path.display()))
    };
    names.iter().map(known).collect()
}

/// The ICE backend that a library uses.
pub(crate) fn ice(lib: Lib) -> Result<Ice, String> {
    every_ice(lib)?.first().copied().ok_or(format!("{} has no ICE backend", lib.path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/backends.md");

    /// The rows of the page's table, each with what it says of the backends in the order of
    /// [`Ice`]'s constants.
    fn declared() -> Vec<(&'static str, [bool; 3])> {
        let (_, table) = PAGE.split_once("<!-- ICE, from the declared capabilities -->").unwrap();
        let (table, _) = table.split_once("<!-- end -->").unwrap();
        let cells = |line: &'static str| {
            line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()
        };
        let mut lines = table.trim().lines().map(cells);
        assert_eq!(lines.next().unwrap()[1..], ["`agent`", "`juice`", "`nice`"]);
        let rows = lines.skip(1);
        rows.map(|row| (row[0], [1, 2, 3].map(|column| row[column] == "yes"))).collect()
    }

    #[test]
    fn the_backends_do_what_their_page_says() {
        let known = |what: &str, ice: &Ice| {
            Some(match what {
                "`bindAddress`" => ice.bind_address,
                "`portRangeBegin`, `portRangeEnd`" => ice.port_range,
                "`proxyServer` for TURN over TCP" => ice.proxy,
                "`enableIceUdpMux`" => ice.udp_mux,
                "`enableIceTcp`: connects to passive candidates" => ice.active_tcp,
                "`enableIceTcp`: offers passive candidates" => ice.passive_tcp,
                "TURN over UDP" => true,
                "TURN over TCP" => ice.turn_tcp,
                "TURN over TLS" => ice.turn_tls,
                "ICE restart" => ice.restart,
                "probing for a larger path MTU" => ice.unfragmented,
                // No program can see it.
                "several datagrams by one system call" => return None,
                _ => panic!("the page has a row that is not known here: {what}"),
            })
        };
        let rows = declared();
        assert_eq!(rows.len(), 12);
        for (what, declared) in rows {
            for (ice, declared) in [AGENT, JUICE, NICE].iter().zip(declared) {
                if let Some(known) = known(what, ice) {
                    assert_eq!(known, declared, "{what}: {}", ice.name);
                }
            }
        }
    }
}

//! The library and a real TURN server: `conformance turn`.
//!
//! coturn runs in a private network, and two agents of the library (`conformance peer`) connect
//! through it in every way that their ICE backend declares (`docs/backends.md`).

pub(crate) mod coturn;
pub(crate) mod script;

use crate::backends::{self, Ice};
use crate::ffi::Library;
use crate::lab::{is_strict, library_path};
use crate::sys;
use coturn::{Coturn, PASSWORD_IN_URL, Place, USER};
use script::{Plan, Side};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The ports that the network translates STUN's clients to.
const TRANSLATED: &str = "42000-42999";

/// The ports that the agents get, none of coturn's among them.
const AGENTS: [u16; 2] = [50_000, 60_999];

/// What a cell asks of the ICE backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    TurnTcp,
    TurnTls,
    ManyServers,
    Ipv6Relays,
}

/// Which of the servers a cell uses, by the addresses that it relays from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relays {
    Ipv4,
    Ipv6,
}

impl Relays {
    const ALL: [Relays; 2] = [Relays::Ipv4, Relays::Ipv6];

    fn place(self) -> Place<'static> {
        let relays = match self {
            Relays::Ipv4 => &["10.99.0.2"],
            Relays::Ipv6 => &["fd99::1"],
        };
        let addresses = &["10.99.0.1", "10.99.0.2", "fd99::1"];
        Place { number: self as u16, addresses, relays, namespace: None }
    }
}

/// One way to connect.
struct Cell {
    name: &'static str,
    need: Need,
    /// Arguments of the two agents.
    offers: Vec<String>,
    answers: Vec<String>,
    /// What the offering agent is to have found, and the kind of its candidate in use.
    expect: Expect,
    server: Relays,
    /// The certificate of coturn is trusted.
    trusted: bool,
    /// How long the offerer's nonce gets old before it is used again.
    pause: Duration,
}

#[derive(Clone, Copy)]
struct Expect {
    /// Candidates of its offer: how many of which kind.
    kind: &'static str,
    count: usize,
    /// One end of the pair in use is relayed; it is the offering agent's when `own_relay`.
    relayed: bool,
    own_relay: bool,
}

const RELAY: Expect = Expect { kind: "relay", count: 1, relayed: true, own_relay: false };
const NO_RELAY: Expect = Expect { kind: "relay", count: 0, relayed: false, own_relay: false };

fn url(scheme: &str, host: &str, query: &str) -> Vec<String> {
    ["--server".to_owned(), format!("{scheme}:{USER}:{PASSWORD_IN_URL}@{host}{query}")].to_vec()
}

fn relay_only(servers: &[Vec<String>]) -> Vec<String> {
    let mut arguments = vec!["--relay".to_owned()];
    arguments.extend(servers.iter().flatten().cloned());
    arguments
}

fn cells() -> Vec<Cell> {
    let cell = |name, need, arguments: Vec<String>, expect| Cell {
        name,
        need,
        answers: arguments.clone(),
        offers: arguments,
        expect,
        server: Relays::Ipv4,
        trusted: true,
        pause: Duration::ZERO,
    };
    let relayed = |name, need, server| cell(name, need, relay_only(&[server]), RELAY);
    let udp = || url("turn", "10.99.0.1", "");
    let stun = ["--server", "stun:10.99.0.1:3478"].map(str::to_owned).to_vec();
    let srflx = Expect { kind: "srflx", count: 1, relayed: false, own_relay: false };
    let many = Expect { count: 2, ..RELAY };
    let own = Expect { own_relay: true, ..RELAY };
    let wrong = ["--server", "turn:user:wrong@10.99.0.1"].map(str::to_owned).to_vec();
    vec![
        cell("srflx over UDP", Need::Nothing, stun, srflx),
        relayed("relay over UDP", Need::Nothing, udp()),
        relayed("relay over TCP", Need::TurnTcp, url("turn", "10.99.0.1", "?transport=tcp")),
        relayed("relay over TLS", Need::TurnTls, url("turns", "10.99.0.1:5349", "")),
        relayed("relay over UDP, IPv6 literal", Need::Nothing, url("turn", "[fd99::1]:3478", "")),
        relayed("relay over TLS, IPv6 literal", Need::TurnTls, url("turns", "[fd99::1]", "")),
        Cell {
            answers: Vec::new(),
            ..cell("relay only, towards any", Need::Nothing, relay_only(&[udp()]), own)
        },
        Cell {
            // Twice as long as a nonce holds.
            pause: Duration::from_secs(2),
            ..relayed("a nonce that changes", Need::Nothing, udp())
        },
        cell(
            "two servers",
            Need::ManyServers,
            relay_only(&[udp(), url("turn", "10.99.0.2", "")]),
            many,
        ),
        Cell {
            trusted: false,
            ..cell("TLS without trust", Need::TurnTls, url("turns", "10.99.0.1", ""), NO_RELAY)
        },
        cell("wrong password", Need::Nothing, wrong, NO_RELAY),
        Cell {
            server: Relays::Ipv6,
            ..relayed("IPv6 relays over UDP", Need::Ipv6Relays, url("turn", "10.99.0.1:3578", ""))
        },
        Cell {
            server: Relays::Ipv6,
            ..relayed(
                "IPv6 relays over TCP, IPv6 literal",
                Need::Ipv6Relays,
                url("turn", "[fd99::1]:3578", "?transport=tcp"),
            )
        },
    ]
}

/// Whether the backend does what a cell needs.
fn supports(backend: Ice, need: Need) -> bool {
    match need {
        Need::Nothing => true,
        Need::ManyServers => backend.every_relay,
        Need::Ipv6Relays => backend.ipv6_relays,
        Need::TurnTcp => backend.turn_tcp,
        Need::TurnTls => backend.turn_tls,
    }
}

/// `conformance turn [--only WORD]... [--list]`.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut only = Vec::new();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--only", Some(word)) => only.push(word),
            ("--list", None) => {
                cells().iter().for_each(|cell| println!("{}", cell.name));
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("conformance turn [--only WORD]... [--list]");
                return ExitCode::from(2);
            }
        }
    }
    let wanted = |cell: &Cell| only.is_empty() || only.iter().any(|word| cell.name.contains(word));
    let cells: Vec<_> = cells().into_iter().filter(wanted).collect();
    if run(&cells) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the cells; true when none failed.
fn run(cells: &[Cell]) -> bool {
    let directory = std::env::temp_dir().join(format!("turn-{}", std::process::id()));
    let servers = prepare(&directory);
    let ready = ice_backend().and_then(|backend| Ok((backend, servers?)));
    let mut failed = 0;
    for cell in cells {
        match &ready {
            Err(reason) if is_strict() => {
                println!("FAILED   {}: {reason}", cell.name);
                failed += 1;
            }
            Err(reason) => println!("skipped  {}: {reason}", cell.name),
            Ok((backend, _)) if !supports(*backend, cell.need) => {
                println!("skipped  {}: not supported by {}", cell.name, backend.name);
            }
            Ok((_, servers)) => {
                let server = &servers[cell.server as usize];
                let passed =
                    part(cell.expect.relayed).and_then(|()| attempt(cell, server, &directory));
                failed += usize::from(!announce(cell, server, passed));
            }
        }
    }
    drop(ready);
    // Nothing is left to be learnt from it.
    let _ = std::fs::remove_dir_all(&directory);
    println!("{} cells, {failed} failed", cells.len());
    failed == 0
}

/// The ICE backend that the agents will use.
fn ice_backend() -> Result<Ice, String> {
    let library = library_path().ok_or("RTC_LIB names no library")?;
    backends::ice(Library::load(&library, false)?)
}

/// The servers, in the order of [`Relays`].
fn prepare(directory: &Path) -> Result<Vec<Coturn>, String> {
    coturn::need()?;
    sys::own_network()
        .and_then(|()| sys::add_interfaces())
        .map_err(|reason| format!("no private network: {reason}"))?;
    translate()?;
    let [first, last] = AGENTS;
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", format!("{first} {last}"))
        .map_err(|error| format!("the agents' ports: {error}"))?;
    let own = |relays: Relays| directory.join(format!("server-{}", relays as u16));
    let start = |relays: Relays| Coturn::start(&own(relays), relays.place());
    Relays::ALL.into_iter().map(start).collect()
}

/// Makes STUN's clients appear at other ports, as behind a NAT.
fn translate() -> Result<(), String> {
    let rule = format!("ip daddr 10.99.0.1 udp dport 3478 snat to 10.99.0.2:{TRANSLATED}");
    for line in [
        "add table ip nat",
        "add chain ip nat post { type nat hook postrouting priority 100 ; }",
        &format!("add rule ip nat post {rule}"),
    ] {
        sys::run(Command::new("nft").arg(line))?;
    }
    Ok(())
}

/// Keeps the agents from reaching each other but by a relay, or lets them.
fn part(apart: bool) -> Result<(), String> {
    // In two steps: adding a table that is there is no error, and empties no chain.
    let mut lines = vec!["add table inet part".to_owned(), "delete table inet part".to_owned()];
    if apart {
        lines.push("add table inet part".into());
        lines.push("add chain inet part in { type filter hook input priority 0 ; }".into());
        let [first, last] = AGENTS;
        for protocol in ["udp", "tcp"] {
            let both = ["sport", "dport"].map(|end| format!("{protocol} {end} {first}-{last}"));
            lines.push(format!("add rule inet part in {} drop", both.join(" ")));
        }
    }
    lines.iter().try_for_each(|line| sys::run(Command::new("nft").arg(line)).map(drop))
}

fn attempt(cell: &Cell, server: &Coturn, directory: &Path) -> Result<String, String> {
    let begun = Instant::now();
    let trusted = cell.trusted.then(|| server.authority());
    let side = |arguments: &[String]| Side {
        arguments: arguments.to_vec(),
        namespace: None,
        backend: None,
        authority: trusted.clone(),
    };
    let plan = Plan {
        offers: side(&cell.offers),
        answers: side(&cell.answers),
        pause: cell.pause,
        directory,
    };
    let refused = server.stale_nonces();
    let detail = plan.connect(|offer, pair| judge(cell.expect, cell.server, offer, pair))?;
    if !cell.pause.is_zero() && server.stale_nonces() == refused {
        return Err("no nonce was refused".into());
    }
    Ok(format!("{:.1} s, {detail}", begun.elapsed().as_secs_f32()))
}

/// Tells how a cell went; true where it passed.
fn announce(cell: &Cell, server: &Coturn, result: Result<String, String>) -> bool {
    match &result {
        Ok(detail) => println!("ok       {} ({detail})", cell.name),
        Err(reason) => {
            println!("FAILED   {}", cell.name);
            let told = format!("{reason}\n--- coturn wrote:\n{}", server.log());
            told.lines().for_each(|line| println!("         {line}"));
        }
    }
    result.is_ok()
}

/// Whether the offer and the offering side's pair are what is expected.
fn judge(
    expect: Expect,
    server: Relays,
    offer: &str,
    (local, remote): (&str, &str),
) -> Result<String, String> {
    let kind = format!(" typ {}", expect.kind);
    let found: Vec<_> = offer.lines().filter(|line| line.contains(&kind)).collect();
    let enough = match expect.count {
        0 => found.is_empty(),
        count => found.len() >= count,
    };
    if !enough {
        return Err(format!("expected {} candidates{kind} in the offer:\n{offer}", expect.count));
    }
    let of_server = |candidate: &str| is_ipv6(candidate) == (server == Relays::Ipv6);
    if expect.kind == "relay" && !found.iter().all(|candidate| of_server(candidate)) {
        return Err(format!("relays that the server does not have: {found:?}"));
    }
    let is_relayed = |candidate: &str| candidate.contains(" typ relay");
    if expect.own_relay && !is_relayed(local) {
        return Err(format!("our own candidate is not relayed: {local}"));
    }
    if expect.relayed && !is_relayed(local) && !is_relayed(remote) {
        return Err(format!("no relay is in use: {local} and {remote}"));
    }
    if server == Relays::Ipv6 && ![local, remote].iter().all(|end| is_relayed(end) && is_ipv6(end))
    {
        return Err(format!("not from one IPv6 relay to another: {local} and {remote}"));
    }
    let end = |candidate| format!("{} {}", kind_of(candidate), host_of(candidate));
    Ok(format!("{} to {}", end(local), end(remote)))
}

fn is_ipv6(candidate: &str) -> bool {
    host_of(candidate).contains(':')
}

fn host_of(candidate: &str) -> &str {
    candidate.split(' ').nth(4).unwrap_or("nowhere")
}

fn kind_of(candidate: &str) -> &str {
    candidate.split(" typ ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_judged_by_what_was_found_and_what_is_used() {
        let offer = "a=candidate:1 1 UDP 1 10.0.0.1 5 typ relay raddr 0.0.0.0 rport 0\r\n";
        let (relay, host) = ("1 1 UDP 1 10.0.0.1 5 typ relay", "1 1 UDP 1 10.0.0.1 5 typ host");
        let judge_ipv4 = |expect, offer, pair| judge(expect, Relays::Ipv4, offer, pair);
        let told = Ok("relay 10.0.0.1 to host 10.0.0.1".to_owned());
        assert_eq!(judge_ipv4(RELAY, offer, (relay, host)), told);
        assert!(judge_ipv4(RELAY, offer, (host, host)).is_err());
        assert!(judge_ipv4(RELAY, "", (relay, host)).is_err());
        assert!(judge_ipv4(NO_RELAY, offer, (host, host)).is_err());
        let own = Expect { own_relay: true, ..RELAY };
        assert!(judge_ipv4(own, offer, (host, relay)).is_err());
    }

    #[test]
    fn the_families_of_relays_are_judged_by_what_the_server_has() {
        let relay =
            |host: &str| format!("a=candidate:1 1 UDP 1 {host} 5 typ relay raddr 0 rport 0");
        let (v4, v6) = (relay("10.0.0.1"), relay("fd00::1"));
        let all = format!("{v4}\r\n{v6}\r\n");
        for (server, offer, pair, passes) in [
            (Relays::Ipv4, &v4, (&v4, &v4), true),
            (Relays::Ipv4, &v6, (&v6, &v6), false),
            (Relays::Ipv4, &all, (&v4, &v4), false),
            (Relays::Ipv6, &v6, (&v6, &v6), true),
            (Relays::Ipv6, &v6, (&v6, &v4), false),
            (Relays::Ipv6, &all, (&v6, &v6), false),
        ] {
            let judged = judge(RELAY, server, offer, (pair.0, pair.1));
            assert_eq!(judged.is_ok(), passes, "{offer}: {judged:?}");
        }
    }

    #[test]
    fn every_cell_runs_on_the_default_backend() {
        assert!(cells().iter().all(|cell| supports(backends::AGENT, cell.need)));
    }
}

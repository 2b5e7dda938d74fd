//! The library across a network: `conformance network`.
//!
//! Host `a` is behind a NAT, host `b` and a coturn are outside of it; each is a network namespace
//! made with `ip netns`, and the NAT is nftables'. Every ICE backend of the library has to find its way.

mod topology;

use crate::backends::{self, Ice};
use crate::ffi::Library;
use crate::lab::{is_strict, library_path};
use crate::turn::coturn::{self, Coturn, PASSWORD_IN_URL, Place, USER};
use crate::turn::script::{Plan, Side};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use topology::{OUTSIDE, SERVER, Topology};

/// How long the interface is away: less than consent lasts (RFC 7675 §5.1).
const AWAY: Duration = Duration::from_secs(5);

/// What the NAT lets through, and what is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Reflexive,
    RelayOverUdp,
    RelayOverTcp,
    RelayOverTls,
    Away,
    Lossy,
}

impl Cell {
    const ALL: [Self; 6] = [
        Self::Reflexive,
        Self::RelayOverUdp,
        Self::RelayOverTcp,
        Self::RelayOverTls,
        Self::Away,
        Self::Lossy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Reflexive => "directly through the NAT",
            Self::RelayOverUdp => "by a relay, where only coturn can be reached",
            Self::RelayOverTcp => "by a relay over TCP, where UDP is blocked",
            Self::RelayOverTls => "by a relay over TLS, where UDP is blocked",
            Self::Away => "the interface goes away and comes back",
            Self::Lossy => "5 % loss, 40 ms there and back",
        }
    }

    fn is_supported(self, backend: Ice) -> bool {
        match self {
            Self::RelayOverTcp => backend.turn_tcp,
            Self::RelayOverTls => backend.turn_tls,
            _ => true,
        }
    }

    /// The server of the host behind the NAT.
    fn server(self) -> String {
        let turn = |scheme: &str, query: &str| {
            format!("{scheme}:{USER}:{PASSWORD_IN_URL}@{SERVER}{query}")
        };
        match self {
            Self::Reflexive | Self::Away | Self::Lossy => format!("stun:{SERVER}"),
            Self::RelayOverUdp => turn("turn", ""),
            Self::RelayOverTcp => turn("turn", "?transport=tcp"),
            Self::RelayOverTls => turn("turns", ""),
        }
    }

    /// What the NAT forwards beside answers; everything when empty.
    fn barrier(self) -> &'static [&'static str] {
        match self {
            Self::RelayOverUdp => &["ip saddr 10.77.0.2 ip daddr 10.78.0.2 drop"],
            Self::RelayOverTcp | Self::RelayOverTls => {
                &["ip saddr 10.77.0.2 meta l4proto udp drop"]
            }
            _ => &[],
        }
    }
}

/// `conformance network [--only WORD]... [--backend NAME]...`.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut only, mut wanted) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--only", Some(word)) => only.push(word),
            ("--backend", Some(name)) => wanted.push(name),
            _ => {
                eprintln!("conformance network [--only WORD]... [--backend NAME]...");
                return ExitCode::from(2);
            }
        }
    }
    let mut backends = match ice_backends() {
        Ok(backends) => backends,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    backends.retain(|ice| wanted.is_empty() || wanted.iter().any(|name| name == ice.name));
    let directory = std::env::temp_dir().join(format!("network-{}", std::process::id()));
    let lab = prepare(&directory);
    let (mut count, mut failed) = (0, 0);
    for backend in backends {
        for cell in Cell::ALL {
            let title = format!("{}: {}", backend.name, cell.name());
            if !only.is_empty() && !only.iter().any(|word| title.contains(word)) {
                continue;
            }
            count += 1;
            failed += usize::from(!run(cell, backend, &title, &lab, &directory));
        }
    }
    drop(lab);
    // Nothing is left to be learnt from it.
    let _ = std::fs::remove_dir_all(&directory);
    println!("{count} cells, {failed} failed");
    if count > 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The hosts, and the server outside of the NAT.
struct Lab {
    server: Coturn,
    topology: Topology,
}

fn prepare(directory: &Path) -> Result<Lab, String> {
    coturn::need()?;
    if library_path().is_none() {
        return Err("RTC_LIB names no library".to_owned());
    }
    let topology = Topology::new().map_err(|reason| format!("no hosts: {reason}"))?;
    let place = Place {
        number: 0,
        addresses: &[SERVER],
        relays: &[SERVER],
        namespace: Some(&topology.server.name),
    };
    let server = Coturn::start(directory, place)?;
    Ok(Lab { server, topology })
}

/// The ICE backends to be tried. Without a library it is one whose cells then tell why they are
/// not run.
fn ice_backends() -> Result<Vec<Ice>, String> {
    match library_path() {
        Some(path) => backends::every_ice(Library::load(&path, false)?),
        None => Ok(vec![backends::AGENT]),
    }
}

/// Runs one cell; false when it failed.
fn run(cell: Cell, backend: Ice, title: &str, lab: &Result<Lab, String>, directory: &Path) -> bool {
    let begun = Instant::now();
    let result = match lab {
        _ if !cell.is_supported(backend) => {
            println!("skipped  {title}: not supported by {}", backend.name);
            return true;
        }
        Err(reason) if is_strict() => Err(reason.clone()),
        Err(reason) => {
            println!("skipped  {title}: {reason}");
            return true;
        }
        Ok(_) if cell == Cell::Lossy => lossy(backend),
        Ok(lab) => lab.topology.block(cell.barrier()).and_then(|()| {
            let plan = plan(cell, backend, lab, directory);
            let result = match cell {
                Cell::Away => away(&plan, &lab.topology),
                _ => plan.connect(|offer, (local, remote)| judge(cell, offer, local, remote)),
            };
            result.map_err(|reason| format!("{reason}\n--- coturn wrote:\n{}", lab.server.log()))
        }),
    };
    match result {
        Ok(detail) => {
            println!("ok       {title} ({:.1} s, {detail})", begun.elapsed().as_secs_f32())
        }
        Err(reason) => {
            println!("FAILED   {title}");
            reason.lines().for_each(|line| println!("         {line}"));
            return false;
        }
    }
    true
}

fn plan<'a>(cell: Cell, backend: Ice, lab: &Lab, directory: &'a Path) -> Plan<'a> {
    let side = |namespace: &str, arguments: Vec<String>| Side {
        arguments,
        namespace: Some(namespace.to_owned()),
        backend: Some(backend.name.to_owned()),
        authority: Some(lab.server.authority()),
    };
    Plan {
        offers: side(&lab.topology.a.name, vec!["--server".to_owned(), cell.server()]),
        answers: side(&lab.topology.b.name, Vec::new()),
        pause: Duration::ZERO,
        directory,
    }
}

fn judge(cell: Cell, offer: &str, local: &str, remote: &str) -> Result<String, String> {
    let mut candidates = offer.lines().filter(|line| line.starts_with("a=candidate:"));
    let expected = match cell {
        Cell::Reflexive => (format!(" {OUTSIDE} "), " typ srflx"),
        _ => (format!(" {SERVER} "), " typ relay"),
    };
    if !candidates.any(|line| line.contains(&expected.0) && line.contains(expected.1)) {
        return Err(format!("no candidate{}at{}in\n{offer}", expected.1, expected.0));
    }
    let relayed = local.contains(" typ relay");
    if relayed != (cell != Cell::Reflexive) {
        return Err(format!("the pair in use is {local} and {remote}"));
    }
    Ok("connected".to_owned())
}

/// A connection outlives an interface that goes away for less time than consent lasts.
fn away(plan: &Plan<'_>, topology: &Topology) -> Result<String, String> {
    let mut connected = plan.open()?;
    let result = connected.exchange(0).and_then(|()| {
        topology.interface("down")?;
        std::thread::sleep(AWAY);
        topology.interface("up")?;
        let begun = Instant::now();
        connected.exchange(1)?;
        Ok(format!("data again after {} ms", begun.elapsed().as_millis()))
    });
    result.map_err(|reason| connected.story(&reason))
}

/// The library sends for three seconds over a wire that `conformance link` makes.
fn lossy(backend: Ice) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args("link --loss 5 --rtt 40 --rate 50 --seconds 3".split(' '))
        .env("RTC_ICE_BACKEND", backend.name)
        .env_remove("RTC_PEER_LIB")
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let row = text.lines().find_map(|line| line.strip_prefix("| ours to ours | "));
    match row {
        Some(goodput) if output.status.success() => {
            Ok(format!("{} Mbit/s of 50", goodput.trim_end_matches([' ', '|'])))
        }
        _ => Err(text.into_owned()),
    }
}

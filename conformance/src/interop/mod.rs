//! The library against independent WebRTC stacks: `conformance interop`.
//!
//! Every peer is a program of its own, an *agent*, which takes commands and reports events as
//! lines of JSON (`conformance/interop/README.md`). The library under test is one too:
//! `conformance peer`. One script drives two of them through a connection, in a private network.

pub(crate) mod agent;
mod bulk;
pub(crate) mod link;
mod media;
pub(crate) mod own;
pub(crate) mod plan;
mod stacks;

use crate::lab::{is_strict, library_path};
use crate::sys;
use agent::Agent;
use link::Link;
use media::{Media, Samples};
use stacks::{Limits, STACKS, Stack};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

/// What is done with somebody, in both roles: a row of the table.
enum Row {
    /// Data channels with a stack.
    Channels(&'static Stack),
    /// Tracks.
    Tracks(Media),
}

impl Row {
    fn all() -> Result<Vec<Self>, String> {
        let tracks = media::all()?.into_iter().map(Row::Tracks);
        Ok(STACKS.iter().map(Row::Channels).chain(tracks).collect())
    }

    fn name(&self) -> String {
        match self {
            Row::Channels(stack) => stack.name.to_owned(),
            Row::Tracks(media) => media.name(),
        }
    }

    fn about(&self) -> String {
        match self {
            Row::Channels(stack) => stack.about.to_owned(),
            Row::Tracks(media) => media.about(),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        match self {
            Row::Channels(stack) => stack.is_called(name),
            Row::Tracks(media) => media.is_called(name),
        }
    }

    /// Whether continuous integration fails without it.
    fn required(&self) -> bool {
        match self {
            Row::Channels(stack) => stack.required,
            Row::Tracks(_) => true,
        }
    }

    /// Why it is not for the lossy link, if it is not.
    fn unlinked(&self) -> Option<&'static str> {
        match self {
            Row::Channels(stack) if !stack.hidden() => None,
            Row::Channels(_) => Some("its addresses are hidden from the lossy link"),
            Row::Tracks(_) => Some("tracks are not tried over the lossy link"),
        }
    }
}

/// Which side the other stack takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Offers,
    Answers,
}

impl Role {
    const ALL: [Role; 2] = [Role::Offers, Role::Answers];

    fn name(self) -> &'static str {
        match self {
            Role::Offers => "offers",
            Role::Answers => "answers",
        }
    }
}

enum Outcome {
    Passed(String),
    Failed(String),
    Skipped(String),
}

#[derive(Default)]
struct Options {
    only: Vec<String>,
    list: bool,
    /// How many datagrams of a hundred are lost; without it, both sides see each other.
    loss: Option<u64>,
    /// Where to leave what the agents wrote and what was on the wire.
    keep: Option<PathBuf>,
    /// Try once more what failed.
    retry: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} what?"));
        match argument.as_str() {
            "--only" => options.only.push(value()?),
            "--list" => options.list = true,
            "--retry" => options.retry = true,
            "--loss" => {
                let loss = value()?.parse().map_err(|_| "--loss takes a number")?;
                options.loss = Some(loss);
            }
            "--keep" => options.keep = Some(PathBuf::from(value()?)),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

/// `conformance interop [--only STACK]... [--list] [--loss PERCENT] [--keep DIRECTORY]
/// [--retry]`.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let rows = match Row::all() {
        Ok(rows) => rows,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let chosen =
        |row: &&Row| options.only.is_empty() || options.only.iter().any(|only| row.is_called(only));
    let chosen: Vec<&Row> = rows.iter().filter(chosen).collect();
    if options.list || chosen.is_empty() {
        for row in &rows {
            println!("{}: {}", row.name(), row.about());
        }
        return if options.list { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    run(&chosen, &options)
}

/// What all attempts of a run share.
struct Run<'a> {
    options: &'a Options,
    /// Made when the first track needs them.
    samples: OnceCell<Result<Samples, String>>,
}

fn run(rows: &[&Row], options: &Options) -> ExitCode {
    let obstacle = obstacle();
    if let Some(library) = library_path() {
        println!("{} stacks against {}", rows.len(), library.display());
    }
    let whole = Run { options, samples: OnceCell::new() };
    let mut table = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        for role in Role::ALL {
            let outcome = match (&obstacle, row.unlinked()) {
                (Some(reason), _) => excuse(row, reason.clone()),
                (None, Some(reason)) if options.loss.is_some() => Outcome::Skipped(reason.into()),
                (None, _) => whole.persist(row, role),
            };
            announce(row, role, &outcome);
            table.insert((number, role), outcome);
        }
    }
    print_table(rows, &table);
    let count = |wanted: fn(&Outcome) -> bool| table.values().filter(|o| wanted(o)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What keeps everything from running.
fn obstacle() -> Option<String> {
    if library_path().is_none() {
        return Some("RTC_LIB names no library".into());
    }
    let network = sys::own_network().and_then(|()| sys::add_interfaces());
    network.err().map(|reason| format!("no private network: {reason}"))
}

/// A missing peer is a skip, but where everything has been installed on purpose it is a failure.
fn excuse(row: &Row, reason: String) -> Outcome {
    if row.required() && is_strict() {
        Outcome::Failed(format!("required, but {reason}"))
    } else {
        Outcome::Skipped(reason)
    }
}

impl Run<'_> {
    /// Makes the attempt, and with `--retry` another one where it failed: other stacks have races
    /// of their own. What failed the first time is told either way.
    fn persist(&self, row: &Row, role: Role) -> Outcome {
        match self.attempt(row, role) {
            Outcome::Failed(reason) if self.options.retry => {
                println!("again    {} {}, which failed:", row.name(), role.name());
                reason.lines().for_each(|line| println!("         {line}"));
                match self.attempt(row, role) {
                    Outcome::Passed(detail) => {
                        Outcome::Passed(format!("the second time, {detail}"))
                    }
                    other => other,
                }
            }
            outcome => outcome,
        }
    }

    fn attempt(&self, row: &Row, role: Role) -> Outcome {
        let ready = match row {
            Row::Channels(stack) => stack.command(),
            Row::Tracks(media) => self.samples().and_then(|_| media.command()),
        };
        let command = match ready {
            Ok(command) => command,
            Err(reason) => return excuse(row, reason),
        };
        let scratch = std::env::temp_dir().join(format!("interop-{}", std::process::id()));
        let kept = self.options.keep.as_ref();
        let directory = kept.unwrap_or(&scratch).join(format!("{}-{}", row.name(), role.name()));
        let begun = Instant::now();
        let capture = kept.and_then(|_| capture(&directory));
        let result = match row {
            Row::Channels(stack) => connect(stack, role, command, &directory, self.options.loss),
            Row::Tracks(media) => {
                self.samples().and_then(|samples| media.connect(role, command, &directory, samples))
            }
        };
        end_capture(capture);
        let _ = std::fs::remove_dir_all(&scratch);
        match result {
            Ok(detail) => {
                Outcome::Passed(format!("{:.1} s, {detail}", begun.elapsed().as_secs_f32()))
            }
            Err(reason) => Outcome::Failed(reason),
        }
    }

    fn samples(&self) -> Result<&Samples, String> {
        self.samples.get_or_init(Samples::new).as_ref().map_err(String::clone)
    }
}

fn connect(
    stack: &Stack,
    role: Role,
    command: Command,
    directory: &Path,
    loss: Option<u64>,
) -> Result<String, String> {
    std::fs::create_dir_all(directory).map_err(|error| format!("{directory:?}: {error}"))?;
    let mut own = Agent::start("own", own_command(stack)?, directory)?;
    let mut other = Agent::start("peer", command, directory)?;
    let (offerer, answerer) = match role {
        Role::Offers => (&mut other, &mut own),
        Role::Answers => (&mut own, &mut other),
    };
    // The offering side is the one that closes.
    let told = stack.limits.told || role == Role::Offers;
    let limits = Limits { told, ..stack.limits };
    let result = plan::run(offerer, answerer, limits, stack.snap, &mut loss.map(Link::new));
    result.map_err(|reason| format!("{reason}\n{}\n{}", own.story(), other.story()))
}

fn own_command(stack: &Stack) -> Result<Command, String> {
    let mut command = own::command(None)?;
    command.args(stack.own);
    Ok(command)
}

/// Records the wire where tcpdump is installed.
fn capture(directory: &Path) -> Option<Child> {
    std::fs::create_dir_all(directory).ok()?;
    let mut command = Command::new("tcpdump");
    command.args(["-i", "lo", "-U", "-q", "-Z", "root", "-w"]).arg(directory.join("wire.pcap"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

fn end_capture(capture: Option<Child>) {
    if let Some(mut child) = capture {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn announce(row: &Row, role: Role, outcome: &Outcome) {
    let title = format!("{} {}", row.name(), role.name());
    match outcome {
        Outcome::Passed(detail) => println!("ok       {title} ({detail})"),
        Outcome::Skipped(reason) => println!("skipped  {title}: {reason}"),
        Outcome::Failed(reason) => {
            println!("FAILED   {title}");
            reason.lines().for_each(|line| println!("         {line}"));
        }
    }
}

fn print_table(rows: &[&Row], table: &BTreeMap<(usize, Role), Outcome>) {
    let cell = |number: usize, role: Role| match table.get(&(number, role)) {
        Some(Outcome::Passed(_)) => "passed".to_owned(),
        Some(Outcome::Failed(reason)) => {
            format!("FAILED: {}", reason.lines().next().unwrap_or_default())
        }
        Some(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
        None => String::new(),
    };
    let width = rows.iter().map(|row| row.name().len()).max().unwrap_or(0).max(18);
    println!("\n| {:width$} | it offers | it answers |\n|---|---|---|", "stack");
    for (number, row) in rows.iter().enumerate() {
        let (offers, answers) = (cell(number, Role::Offers), cell(number, Role::Answers));
        println!("| {:width$} | {offers:9} | {answers:10} |", row.name());
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_chosen_by_its_own_name_or_by_that_of_its_stack() {
        let rsa = STACKS.iter().find(|stack| stack.name == "chromium+rsa").expect("listed");
        assert!(rsa.is_called("chromium") && rsa.is_called("chromium+rsa"));
        assert!(!rsa.is_called("chrome") && !rsa.is_called("chromium+mdns"));
    }

    #[test]
    fn options_demand_their_values() {
        let words = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(words("--only pion").expect("complete").only, ["pion"]);
        assert!(words("--only").is_err() && words("--nonsense").is_err());
    }
}

//! Measuring our library and the real one in turn, under the same load, on the same machine.
//!
//! Both run alternately within one call, so that what else the machine does falls on both. It
//! reports and never judges: a measurement that breaks down leaves a gap.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, Need, progress};
use crate::{dist, project, reference};

/// Which real library a measurement is compared with.
#[derive(Clone, Copy)]
enum Real {
    /// The fastest that is published; it has data channels only.
    Yardstick,
    /// An older one that has everything.
    Oracle,
    /// The same with the system's libnice.
    OracleWithNice,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Mode {
    /// As rtcbench calls it.
    name: &'static str,
    /// Whether to measure it pinned to one CPU, too.
    may_pin: bool,
    real: Real,
}

const fn mode(name: &'static str, may_pin: bool, real: Real) -> Mode {
    Mode { name, may_pin, real }
}

const MODES: [Mode; 23] = [
    mode("bulk:65536", true, Real::Yardstick),
    mode("bulk:16777216", true, Real::Yardstick),
    mode("bulk:1024", true, Real::Yardstick),
    mode("bulk:100", true, Real::Yardstick),
    mode("rtt", true, Real::Yardstick),
    mode("setup", true, Real::Yardstick),
    mode("multi:8", true, Real::Yardstick),
    mode("many:100", false, Real::Yardstick),
    mode("ws:65536", true, Real::Oracle),
    mode("wss:65536", true, Real::Oracle),
    mode("ws:1024", true, Real::Oracle),
    mode("ws:100", true, Real::Oracle),
    mode("wss:100", true, Real::Oracle),
    mode("wsmany:65536", false, Real::Oracle),
    mode("wssmany:65536", false, Real::Oracle),
    mode("wsmany:100", false, Real::Oracle),
    mode("wssmany:100", false, Real::Oracle),
    mode("wsrtt", true, Real::Oracle),
    mode("media:1200", true, Real::Oracle),
    mode("packetize-h264:20000", false, Real::Oracle),
    mode("packetize-h265:20000", false, Real::Oracle),
    mode("packetize-av1:20000", false, Real::Oracle),
    mode("packetize-opus:160", false, Real::Oracle),
];

/// The backends that ours is measured with.
struct Combination {
    /// As rows begin.
    name: String,
    /// What chooses them.
    environment: Vec<(&'static str, String)>,
}

impl Combination {
    /// Those that the library takes by itself.
    fn chosen_by_the_library() -> Self {
        Combination { name: String::new(), environment: Vec::new() }
    }

    /// Of `ICE+TLS`.
    fn named(text: &str) -> Result<Self> {
        let Some((ice, tls)) = text.split_once('+') else {
            bail!("{text:?} does not name two backends, as in agent+rustls");
        };
        let environment = vec![("RTC_ICE_BACKEND", ice.into()), ("RTC_TLS_BACKEND", tls.into())];
        Ok(Combination { name: format!("{text} "), environment })
    }

    /// The list that `--combinations` gives.
    fn wanted(list: Option<&str>) -> Result<Vec<Self>> {
        match list {
            None => Ok(vec![Self::chosen_by_the_library()]),
            Some("all") => ["agent", "juice", "nice"]
                .iter()
                .flat_map(|ice| ["rustls", "openssl"].map(|tls| format!("{ice}+{tls}")))
                .map(|text| Self::named(&text))
                .collect(),
            Some(list) => list.split(',').map(Self::named).collect(),
        }
    }

    fn is_of_all_backends(&self) -> bool {
        !self.environment.is_empty()
    }

    /// What it is compared with: the real library that has the same ICE library.
    fn counterpart(&self, real: Real) -> Real {
        match self.name.starts_with("nice+") {
            true => Real::OracleWithNice,
            false => real,
        }
    }
}

/// `cargo xtask side-by-side`.
pub(crate) fn run(args: Args) -> Result<()> {
    let combinations = Combination::wanted(args.text("--combinations"))?;
    let all_backends = combinations.iter().any(Combination::is_of_all_backends);
    let modes = modes(args.text("--only"), all_backends)?;
    let cpus = match args.text("--cpus").unwrap_or("two,one") {
        "two" => &[None][..],
        "one" => &[Some(0)][..],
        "two,one" | "one,two" => &[None, Some(0)][..],
        other => bail!("--cpus knows `two`, `one` and `two,one`, not {other:?}"),
    };
    let rounds = args.number("--rounds", 3u32)?;
    let seconds = args.number("--seconds", 3.0f64)?;

    let work = project::target().join("side-by-side");
    std::fs::create_dir_all(&work).with_context(|| format!("cannot create {work:?}"))?;
    let bench = Bench { program: compile(&work)?, seconds };
    let ours = our_library(&args, &work, all_backends)?;
    println!("{:<34} {:>12} {:>12} {:>7} {:>7}  unit", "name", "ours", "real", "ratio", "target");
    for combination in &combinations {
        for &Mode { name, may_pin, real } in &modes {
            let libraries = [ours.clone(), real_library(&args, combination.counterpart(real))?];
            for &cpu in cpus.iter().filter(|cpu| cpu.is_none() || may_pin) {
                let place = cpu.map_or("", |_| "@1cpu");
                let mut figures = Figures::default();
                for round in 0..rounds {
                    // Whoever runs second finds warmer caches and a hotter CPU: take turns.
                    for side in [round as usize % 2, (round as usize + 1) % 2] {
                        let whose = ["ours", "real"][side];
                        let of = &combination.name;
                        progress(format_args!("{of}{name}{place}, round {}: {whose}", round + 1));
                        let library = Subject { library: &libraries[side], combination, cpu };
                        figures.add(side, &bench.measure(&library, name)?);
                    }
                }
                figures.print(&combination.name, place);
            }
        }
    }
    Ok(())
}

/// Those of a name, or of one before its colon or its hyphen. What does not depend on the ICE
/// backend is not measured with each, unless asked for.
fn modes(only: Option<&str>, all_backends: bool) -> Result<Vec<Mode>> {
    let wanted = |mode: &Mode| match only {
        Some(only) => {
            let beginning = |end: char| mode.name.split(end).next() == Some(only);
            mode.name == only || beginning(':') || beginning('-')
        }
        None => !all_backends || matches!(mode.real, Real::Yardstick),
    };
    let modes: Vec<Mode> = MODES.into_iter().filter(wanted).collect();
    match (modes.is_empty(), only) {
        (true, Some(only)) => {
            bail!("--only {only:?} fits none of {}", MODES.map(|mode| mode.name).join(" "))
        }
        _ => Ok(modes),
    }
}

fn our_library(args: &Args, work: &Path, all_backends: bool) -> Result<PathBuf> {
    let prefix = match args.optional_folder("--ours")? {
        Some(prefix) => prefix,
        None => {
            let prefix = work.join(if all_backends { "all-backends" } else { "ours" });
            let options = dist::Options {
                features: all_backends.then_some("all-backends"),
                profile: "release",
                keep_debug: false,
                libdir: "lib",
            };
            dist::install(&prefix, &options)?;
            prefix
        }
    };
    library_in(&prefix)
}

fn real_library(args: &Args, real: Real) -> Result<PathBuf> {
    let prefix = match (args.optional_folder("--real")?, real) {
        (Some(prefix), _) => prefix,
        (None, Real::Yardstick) => reference::yardstick()?,
        (None, Real::Oracle) => reference::oracle()?,
        (None, Real::OracleWithNice) => reference::oracle_with_libnice()?,
    };
    library_in(&prefix)
}

fn library_in(prefix: &Path) -> Result<PathBuf> {
    let library = prefix.join("lib/libdatachannel.so");
    if !library.exists() {
        bail!("{library:?} does not exist");
    }
    Ok(library)
}

fn compile(work: &Path) -> Result<PathBuf> {
    process::require(&[(Need::Program("cc"), "gcc")])?;
    let program = work.join("rtcbench");
    process::run_quietly(
        Command::new("cc")
            .args(["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"])
            .arg("-I")
            .arg(project::root().join("rtc-capi/include"))
            .arg(project::root().join("benches/c/rtcbench.c"))
            .args(["-ldl", "-lpthread", "-o"])
            .arg(&program),
    )?;
    Ok(program)
}

/// What one run measures.
struct Subject<'a> {
    library: &'a Path,
    combination: &'a Combination,
    cpu: Option<u32>,
}

/// The compiled load generator.
struct Bench {
    program: PathBuf,
    seconds: f64,
}

impl Bench {
    /// What the program printed; trouble goes to the standard error and leaves figures out.
    fn measure(&self, subject: &Subject<'_>, mode: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        // The real library does not look at what chooses backends.
        command.envs(subject.combination.environment.iter().cloned());
        command.arg("--lib").arg(subject.library).args(["--seconds", &self.seconds.to_string()]);
        if let Some(cpu) = subject.cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        let output = command
            .arg(mode)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        if !output.status.success() {
            progress(format_args!("{command:?} broke down ({})", output.status));
        }
        String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed no text"))
    }
}

/// The figures of one measurement, ours and the real library's, from all rounds.
#[derive(Default)]
struct Figures {
    /// In the order they first came.
    names: Vec<String>,
    by_name: BTreeMap<String, Figure>,
}

#[derive(Default)]
struct Figure {
    unit: String,
    higher_is_better: bool,
    values: [Vec<f64>; 2],
}

impl Figures {
    /// Takes the lines `NAME VALUE UNIT higher|lower` of one side.
    fn add(&mut self, side: usize, printed: &str) {
        for line in printed.lines() {
            let [name, value, unit, better] = line.split_whitespace().collect::<Vec<_>>()[..]
            else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else { continue };
            if !self.by_name.contains_key(name) {
                self.names.push(name.into());
            }
            let figure = self.by_name.entry(name.into()).or_default();
            figure.unit = unit.into();
            figure.higher_is_better = better == "higher";
            figure.values[side].push(value);
        }
    }

    fn print(&self, combination: &str, place: &str) {
        for name in &self.names {
            let figure = &self.by_name[name];
            let [ours, real] = figure.values.each_ref().map(|values| median(values));
            let text = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
            let ratio = match (ours, real) {
                (Some(ours), Some(real)) if real != 0.0 => Some(ours / real),
                _ => None,
            };
            let verdict = match (ours, real) {
                (Some(ours), Some(real)) if (ours - real).abs() <= 0.05 * real => "even",
                (Some(ours), Some(real)) if (ours > real) == figure.higher_is_better => "better",
                (Some(_), Some(_)) => "worse",
                _ => "-",
            };
            println!(
                "{:<34} {:>12} {:>12} {:>7} {:>7}  {} {verdict}",
                format!("{combination}{name}{place}"),
                text(ours),
                text(real),
                text(ratio),
                target(name),
                figure.unit
            );
        }
    }
}

/// The ratio that a figure is meant to reach: large messages of data channels ten times as fast, for
/// an eighth of the processor's time; smaller ones three times, for a third; WebSockets and
/// packetizers twice. Round trips, set-up and memory are meant not to be worse.
fn target(name: &str) -> &'static str {
    let parts: Vec<_> = name.split('.').collect();
    match parts[..] {
        ["bulk", "65536", "goodput"] => ">= 10",
        ["bulk", "65536", "cpu_sender" | "cpu_receiver"] => "<= 1/8",
        ["bulk", "1024", "goodput"] => ">= 3",
        ["bulk", "1024", "cpu_sender" | "cpu_receiver"] => "<= 1/3",
        ["ws" | "wss" | "wsmany" | "wssmany", _, "goodput" | "messages"] => ">= 2",
        ["rtt" | "setup", "median"] | ["many", "100", "memory"] => "<= 1",
        ["media", _, "received"] => ">= 2",
        ["media", _, "cpu_sender" | "cpu_receiver"] => "<= 1/2",
        [packetizer, .., "sent"] if packetizer.starts_with("packetize-") => ">= 2",
        _ => "",
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_named_by_two_backends() {
        let names = |list| {
            let combinations = Combination::wanted(list)?;
            Ok::<_, anyhow::Error>(combinations.into_iter().map(|c| c.name).collect::<Vec<_>>())
        };
        assert_eq!(names(None).unwrap(), [""]);
        assert_eq!(names(Some("all")).unwrap().len(), 6);
        assert_eq!(
            names(Some("nice+rustls,agent+openssl")).unwrap(),
            ["nice+rustls ", "agent+openssl "]
        );
        assert!(names(Some("nice")).is_err());
    }

    #[test]
    fn figures_have_their_targets() {
        for (name, expected) in [
            ("bulk.65536.goodput", ">= 10"),
            ("bulk.65536.cpu_receiver", "<= 1/8"),
            ("bulk.1024.goodput", ">= 3"),
            ("bulk.1024.cpu_sender", "<= 1/3"),
            ("bulk.100.goodput", ""),
            ("bulk.65536.memory_sender", ""),
            ("ws.65536.goodput", ">= 2"),
            ("wss.100.messages", ">= 2"),
            ("wsmany.65536.goodput", ">= 2"),
            ("wssmany.100.messages", ">= 2"),
            ("rtt.median", "<= 1"),
            ("wsrtt.median", ""),
            ("setup.median", "<= 1"),
            ("many.100.memory", "<= 1"),
            ("media.1200.received", ">= 2"),
            ("media.1200.cpu_sender", "<= 1/2"),
            ("packetize-h264.20000.sent", ">= 2"),
        ] {
            assert_eq!(target(name), expected, "{name}");
        }
    }

    #[test]
    fn figures_are_medians_over_rounds_and_gaps_stay_gaps() {
        let mut figures = Figures::default();
        for value in [5, 1, 3] {
            figures.add(0, &format!("bulk.goodput {value} Mbit/s higher\nnoise\n"));
        }
        figures.add(1, "bulk.goodput 2 Mbit/s higher\nrtt.median 4 us lower\n");
        figures.add(1, "rtt.median 6 us lower\nrtt.p99 -nan us lower\n");
        assert_eq!(figures.names, ["bulk.goodput", "rtt.median", "rtt.p99"]);
        let medians = |name: &str| figures.by_name[name].values.each_ref().map(|v| median(v));
        assert_eq!(medians("bulk.goodput"), [Some(3.0), Some(2.0)]);
        assert_eq!(medians("rtt.median"), [None, Some(5.0)]);
        assert!(figures.by_name["bulk.goodput"].higher_is_better);
        assert!(!figures.by_name["rtt.median"].higher_is_better);
    }
}

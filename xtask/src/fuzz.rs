//! `cargo xtask fuzz`: the fuzz targets, built and run by the stable compiler.
//!
//! libFuzzer needs coverage counters in the code under test, for which there are unstable compiler
//! flags only. They are given to the compiler in use, so that no nightly one and no further tool
//! is needed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::progress;
use crate::project;

/// What libFuzzer needs: counters at every edge, and the operands of comparisons; and with it
/// AddressSanitizer, for dependencies with unsafe code.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
];

/// Most memory that a target may use, in MiB.
const MEMORY: usize = 1024;

/// Most seconds that one input may take.
const PATIENCE: usize = 10;

/// Builds the targets and runs them one after the other, each from its seeds in `fuzz/corpus` and
/// from what earlier runs found, which stays below the build folder. An input that breaks a target
/// is kept there, too, and is an error.
pub(crate) fn run(args: Args) -> Result<()> {
    let seconds: usize = args.number("--seconds", 60)?;
    let longest: usize = args.number("--max-len", 8192)?;
    let all = targets()?;
    let chosen: Vec<String> = match args.text("--target") {
        None => all.into_iter().collect(),
        Some(name) if all.contains(name) => vec![name.into()],
        Some(name) => bail!("there is no fuzz target {name:?}; there are {all:?}"),
    };
    let programs = build()?;
    let mut broken = Vec::new();
    for target in chosen {
        if let Some(input) = args.text("--input") {
            replay(&programs.join(&target), Path::new(input))?;
        } else if let Err(error) = explore(&programs.join(&target), &target, seconds, longest) {
            progress(format_args!("{error:#}"));
            broken.push(target);
        }
    }
    if !broken.is_empty() {
        bail!("broken: {}", broken.join(", "));
    }
    Ok(())
}

/// The names of the targets: one source file each.
fn targets() -> Result<BTreeSet<String>> {
    let folder = project::root().join("fuzz/targets");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {folder:?}"))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {folder:?}"))?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// Where the targets' build, finds and failures are.
fn folder() -> PathBuf {
    project::target().join("fuzz")
}

/// Builds all targets and returns the folder of their programs.
fn build() -> Result<PathBuf> {
    let (mut cargo, built) = project::cargo_with_flags(&FLAGS, &folder())?;
    progress("building the fuzz targets");
    let status = cargo
        .args(["--release", "--manifest-path", "fuzz/Cargo.toml"])
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build ({status})");
    }
    Ok(built.join("release"))
}

/// Runs a target on one input, which is expected to break it and prints why.
fn replay(program: &Path, input: &Path) -> Result<()> {
    let mut command = Command::new(program);
    let status = command
        .arg(std::path::absolute(input).with_context(|| format!("cannot find {input:?}"))?)
        .env("RUST_BACKTRACE", "1")
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{input:?} breaks {} ({status})", program.display());
    }
    progress(format_args!("{input:?} passes"));
    Ok(())
}

/// Runs a target for some seconds.
fn explore(program: &Path, target: &str, seconds: usize, longest: usize) -> Result<()> {
    let found = folder().join("found").join(target);
    let broken = folder().join("broken").join(target);
    for folder in [&found, &broken] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
    }
    progress(format_args!("fuzzing {target} for {seconds} s"));
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={longest}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .arg("-print_final_stats=1")
        .arg(&found)
        .arg(project::root().join("fuzz/corpus").join(target))
        .stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{target} broke ({})\n{}", output.status, end_of(&report));
    }
    let coverage = report.lines().rev().find_map(|line| line.split_once("cov: ")).map_or(
        String::new(),
        |(_, rest)| {
            let edges = rest.split_whitespace().next().unwrap_or("?");
            format!(", {edges} edges covered")
        },
    );
    let runs = statistic(&report, "stat::number_of_executed_units:");
    let rate = statistic(&report, "stat::average_exec_per_sec:");
    progress(format_args!("{target}: {runs} inputs, {rate} a second{coverage}, none breaks it"));
    Ok(())
}

fn statistic<'a>(report: &'a str, name: &str) -> &'a str {
    report.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim)
}

/// The part of a report that tells what broke, and its end, which tells where the input is.
fn end_of(report: &str) -> String {
    const CAUSE: usize = 16;
    const END: usize = 8;
    let lines: Vec<&str> = report.lines().collect();
    let is_cause = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let start = lines.iter().position(is_cause).unwrap_or(lines.len());
    let stop = lines.len().min(start + CAUSE);
    let end = lines.len().saturating_sub(END).max(if start < stop { stop } else { 0 });
    [&lines[start..stop], &lines[end..]].concat().join("\n")
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn a_report_is_cut_to_its_cause_and_its_end() {
        let report = |before: usize, after: usize| {
            let noise = |count: usize| (0..count).map(|n| format!("#{n}\n")).collect::<String>();
            format!("{}thread panicked at x\nmessage\n{}written to y", noise(before), noise(after))
        };
        for (before, after, lines) in [(0, 0, 3), (500, 0, 3), (500, 20, 23), (500, 500, 24)] {
            let end = end_of(&report(before, after));
            assert!(end.starts_with("thread panicked at x\nmessage\n"), "{end}");
            assert!(end.ends_with("written to y"), "{end}");
            assert_eq!(end.lines().count(), lines, "{before} {after}");
        }
        assert_eq!(end_of("a\nb"), "a\nb");
    }
}

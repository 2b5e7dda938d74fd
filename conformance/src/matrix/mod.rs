//! Every combination of backends against the suite, each other, the real library and other
//! stacks: `conformance matrix`.
//!
//! The library has to be built with all backends (`cargo xtask dist --features …`). Every cell is a
//! run of this program in a process of its own.

mod cell;
mod plan;
mod report;

use crate::ffi::Library;
use crate::lab::library_path;
use cell::{Cell, Verdict};
use plan::Files;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const USAGE: &str =
    "conformance matrix [--only WORD]... [--test NAME]... [--jobs N] [--html FILE] [--list]";

struct Options {
    /// Words of which a cell's title has to contain one.
    only: Vec<String>,
    /// Tests of suites and pairs to run instead of all.
    tests: Vec<String>,
    /// Cells at a time.
    jobs: usize,
    list: bool,
    html: PathBuf,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        only: Vec::new(),
        tests: Vec::new(),
        jobs: 1,
        list: false,
        html: PathBuf::from("target/matrix/matrix.html"),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} what?"));
        match argument.as_str() {
            "--only" => options.only.push(value()?),
            "--test" => options.tests.push(value()?),
            "--jobs" => options.jobs = value()?.parse().map_err(|_| "--jobs takes a number")?,
            "--html" => options.html = PathBuf::from(value()?),
            "--list" => options.list = true,
            other => return Err(format!("unknown argument {other}\n{USAGE}")),
        }
    }
    Ok(options)
}

/// `conformance matrix`.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match parse(arguments).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the cells; true when none failed.
fn run(options: &Options) -> Result<bool, String> {
    let library = library_path().ok_or("RTC_LIB names no library")?;
    let directory = options.html.parent().unwrap_or(Path::new(".")).to_owned();
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let files = Files { copy: directory.join("libdatachannel-copy.so"), library };
    let combinations = plan::combinations(Library::load(&files.library, false)?);
    if combinations.is_empty() {
        return Err(format!("{} does not tell its backends", files.library.display()));
    }
    let wanted = |cell: &Cell| {
        options.only.is_empty() || options.only.iter().any(|word| cell.title().contains(word))
    };
    let cells = plan::cells(&combinations, &files, &options.tests);
    let cells: Vec<Cell> = cells.into_iter().filter(wanted).collect();
    if cells.is_empty() {
        return Err(format!("no cell is called {}", options.only.join(" or ")));
    }
    if options.list {
        cells.iter().for_each(|cell| println!("{}", cell.title()));
        return Ok(true);
    }
    fs::copy(&files.library, &files.copy)
        .map_err(|error| format!("{}: {error}", files.copy.display()))?;
    let judged = judge(cells, options.jobs, &directory);
    print!("{}", report::text(&judged));
    fs::write(&options.html, report::page(&judged, &files.library))
        .map_err(|error| format!("{}: {error}", options.html.display()))?;
    println!("\n{} shows this, with all reasons", options.html.display());
    let count = |colour| judged.iter().filter(|(_, verdict)| verdict.colour() == colour).count();
    println!(
        "cells: {} passed, {} failed, {} not supported, {} skipped",
        count(cell::Colour::Passed),
        count(cell::Colour::Failed),
        count(cell::Colour::Unsupported),
        count(cell::Colour::Skipped),
    );
    Ok(count(cell::Colour::Failed) == 0)
}

/// Runs the cells, `jobs` at a time, and tells of each as it ends.
fn judge(cells: Vec<Cell>, jobs: usize, directory: &Path) -> Vec<report::Judged> {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, cells.len()) {
            scope.spawn(|| {
                while let Some((number, cell)) = take(&cells, &next) {
                    let verdict = cell.run(directory);
                    let mut verdicts = verdicts.lock().unwrap_or_else(|broken| broken.into_inner());
                    let place = format!("{:3}/{}", verdicts.len() + 1, cells.len());
                    let seconds = begun.elapsed().as_secs_f32();
                    println!("{place} {seconds:6.1} s  {}: {}", cell.title(), verdict.words());
                    print_reasons(&verdict);
                    verdicts.insert(number, verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap_or_else(|broken| broken.into_inner());
    cells.into_iter().zip(verdicts.into_values()).collect()
}

fn take<'a>(cells: &'a [Cell], next: &AtomicUsize) -> Option<(usize, &'a Cell)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, cells.get(number)?))
}

fn print_reasons(verdict: &Verdict) {
    for reason in &verdict.failed {
        println!("         {reason}");
    }
    if verdict.colour() == cell::Colour::Skipped {
        verdict.skipped.iter().for_each(|reason| println!("skipped  {reason}"));
    }
}

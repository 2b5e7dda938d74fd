//! Runs every test in a process of its own with a time limit, a few at a time.

use crate::lab::{Lab, library_path};
use crate::outcome::Skipped;
use crate::suite::{self, Case};
use crate::{inbox, sys};
use std::any::Any;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where a child leaves its result.
const RESULT: &str = "RTC_CONFORMANCE_RESULT";

/// How many times longer a test may take under another program.
const WRAPPED: u32 = 5;

/// How long a test that pins a lapse of the reference library may take there: a hang is among them,
/// and how long it lasts is of no interest.
const PINNED: Duration = Duration::from_secs(30);

/// How many lines of a failure are shown.
const SHOWN: usize = 40;

#[derive(Default)]
struct Options {
    list: bool,
    terse: bool,
    ignored: bool,
    exact: bool,
    oracle: bool,
    child: Option<String>,
    jobs: usize,
    /// Caps the time of every test.
    limit: Option<Duration>,
    /// A program to run every test under, such as valgrind, with its options.
    wrapper: Vec<String>,
    filters: Vec<String>,
    skips: Vec<String>,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { jobs: default_jobs(), ..Options::default() };
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (name.to_owned(), Some(value.to_owned()))
            }
            _ => (argument.clone(), None),
        };
        let mut value =
            || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name} what?"));
        match name.as_str() {
            "--list" => options.list = true,
            "--exact" => options.exact = true,
            "--ignored" => options.ignored = true,
            "--oracle" => options.oracle = true,
            "--format" => options.terse = value()? == "terse",
            "--child" => options.child = Some(value()?),
            "--skip" => options.skips.push(value()?),
            "--jobs" | "--test-threads" => {
                options.jobs = value()?.parse().map_err(|_| "--jobs takes a number".to_owned())?;
            }
            "--wrapper" => {
                options.wrapper = value()?.split_whitespace().map(str::to_owned).collect();
            }
            "--limit" => {
                let seconds = value()?.parse().map_err(|_| "--limit takes seconds".to_owned())?;
                options.limit = Some(Duration::from_secs(seconds));
            }
            "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--include-ignored" => {}
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            filter => options.filters.push(filter.to_owned()),
        }
    }
    Ok(options)
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

fn selected(options: &Options) -> Vec<Case> {
    let wanted = |case: &Case| {
        let title = case.title();
        let matches = |filter: &String| {
            if options.exact { title == *filter } else { title.contains(filter.as_str()) }
        };
        (options.filters.is_empty() || options.filters.iter().any(matches))
            && !options.skips.iter().any(|skip| title.contains(skip.as_str()))
    };
    let capped = |case: Case| {
        let case = match options.limit {
            Some(limit) => case.within(limit),
            None => case,
        };
        if options.oracle && case.pins.is_some() { case.within(PINNED) } else { case }
    };
    suite::cases().into_iter().filter(wanted).map(capped).collect()
}

pub(crate) fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(title) = &options.child {
        crate::sys::end_with_parent();
        child(title);
    }
    if options.list {
        list(&options);
        return ExitCode::SUCCESS;
    }
    run(&options)
}

fn list(options: &Options) {
    let present = library_path().is_some() && !options.ignored;
    if options.terse && !present {
        return;
    }
    for case in selected(options) {
        let pins = case.pins.map(|pins| format!(" [pins {pins}]")).unwrap_or_default();
        println!("{}{}", case.title(), if options.terse { ": test".into() } else { pins });
    }
}

/// How a test ended.
#[derive(Debug, Clone)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

fn run(options: &Options) -> ExitCode {
    let cases = selected(options);
    let Some(library) = library_path() else {
        println!("RTC_LIB names no library, so there is nothing to test");
        println!("0 passed, 0 failed, {} skipped", cases.len());
        return ExitCode::SUCCESS;
    };
    println!("{} tests of {}", cases.len(), library.display());
    let directory = scratch_directory();
    let tally = Mutex::new(Tally::default());
    let (alone, together): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.alone);
    let (report, dir) = (&tally, directory.as_path());
    work(&together, options.jobs, |index, case| {
        conclude(report, case, options, attempt(case, options, dir, index));
    });
    work(&alone, 1, |index, case| {
        conclude(report, case, options, attempt(case, options, dir, index + together.len()));
    });
    let _ = fs::remove_dir_all(&directory);
    let tally = tally.into_inner().unwrap_or_else(|poison| poison.into_inner());
    if !tally.failed.is_empty() {
        println!("failed:");
        for title in &tally.failed {
            println!("    {title}");
        }
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed.len(), tally.skipped);
    if tally.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(cases: &[Case], jobs: usize, each: impl Fn(usize, &Case) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((index, case)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(index).map(|case| (index, case))
                } {
                    each(index, case);
                }
            });
        }
    });
}

fn scratch_directory() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("conformance-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for results");
    directory
}

fn conclude(tally: &Mutex<Tally>, case: &Case, options: &Options, result: (Outcome, Duration)) {
    let (outcome, took) = result;
    let title = case.title();
    let seconds = took.as_secs_f32();
    let mut tally = tally.lock().unwrap_or_else(|poison| poison.into_inner());
    match (outcome, case.pins.filter(|_| options.oracle)) {
        (Outcome::Skipped(reason), _) => {
            tally.skipped += 1;
            println!("skipped  {title}: {reason}");
        }
        (Outcome::Passed, Some(pins)) => {
            tally.skipped += 1;
            println!("skipped  {title}: pins {pins}; it holds here too ({seconds:.1} s)");
        }
        (Outcome::Failed(text), Some(pins)) => {
            tally.skipped += 1;
            let first = text.lines().next().unwrap_or_default();
            println!("skipped  {title}: pins {pins}; here: {first} ({seconds:.1} s)");
        }
        (Outcome::Passed, None) => {
            tally.passed += 1;
            println!("ok       {title} ({seconds:.1} s)");
        }
        (Outcome::Failed(text), None) => {
            println!("FAILED   {title} ({seconds:.1} s)");
            for line in text.lines().take(SHOWN) {
                println!("         {line}");
            }
            tally.failed.push(title);
        }
    }
    let _ = std::io::stdout().flush();
}

/// Runs one test in a child process.
fn attempt(case: &Case, options: &Options, directory: &Path, index: usize) -> (Outcome, Duration) {
    let begun = Instant::now();
    let patience = if options.wrapper.is_empty() { 1 } else { WRAPPED };
    let result = directory.join(format!("{index}.result"));
    let output = directory.join(format!("{index}.output"));
    let outcome = spawn(case, options, &result, &output)
        .map_err(|error| format!("cannot start the test: {error}"))
        .and_then(|child| watch(child, case.limit * patience))
        .and_then(|()| read_result(&result))
        .unwrap_or_else(|reason| Outcome::Failed(format!("{reason}\n{}", tail(&output))));
    (outcome, begun.elapsed())
}

fn spawn(
    case: &Case,
    options: &Options,
    result: &Path,
    output: &Path,
) -> std::io::Result<std::process::Child> {
    let output = File::create(output)?;
    let this = std::env::current_exe()?;
    let mut command = match options.wrapper.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
        None => Command::new(this),
    };
    command
        .arg("--child")
        .arg(case.title())
        .env(RESULT, result)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
}

fn watch(mut child: std::process::Child, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(match status.signal() {
                    Some(signal) => format!("crashed: signal {signal}{}", signal_name(signal)),
                    None => format!("the process ended with {status}"),
                });
            }
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(None) => {
                let stacks = stack_hint(child.id());
                sys::kill_group(child.id());
                let _ = child.wait();
                return Err(format!("hung: no end after {limit:?}{stacks}"));
            }
            Err(error) => return Err(format!("cannot watch the test: {error}")),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => " (segmentation fault)",
        libc::SIGABRT => " (abort)",
        libc::SIGBUS => " (bus error)",
        libc::SIGILL => " (illegal instruction)",
        libc::SIGKILL => " (killed)",
        _ => "",
    }
}

/// Where the threads of a hung test are, as far as the kernel tells.
fn stack_hint(pid: u32) -> String {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return String::new() };
    let mut hint = String::from("; threads:");
    for task in tasks.flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        hint += &format!(" {}={}", read("comm").trim(), read("wchan").trim());
    }
    hint
}

fn read_result(path: &Path) -> Result<Outcome, String> {
    let text = fs::read_to_string(path).map_err(|_| "the process ended without a result")?;
    let (kind, detail) = text.split_once('\n').unwrap_or((&text, ""));
    match kind {
        "passed" => Ok(Outcome::Passed),
        "skipped" => Ok(Outcome::Skipped(detail.to_owned())),
        _ => Ok(Outcome::Failed(detail.to_owned())),
    }
}

fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// The text a panic carried.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(Skipped(reason)) = panic.downcast_ref() {
        return format!("skipped: {reason}");
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// Runs one test in this process and ends it.
fn child(title: &str) -> ! {
    let Some(case) = suite::cases().into_iter().find(|case| case.title() == title) else {
        eprintln!("no test is called {title:?}");
        sys::exit_now(2)
    };
    let outcome = match Lab::open() {
        Ok(lab) => examine(&case, &lab),
        Err(reason) => Outcome::Failed(reason),
    };
    let text = match outcome {
        Outcome::Passed => "passed\n".to_owned(),
        Outcome::Skipped(reason) => format!("skipped\n{reason}"),
        Outcome::Failed(reason) => format!("failed\n{reason}"),
    };
    match std::env::var_os(RESULT) {
        Some(path) => fs::write(path, text).expect("a place for the result"),
        None => println!("{text}"),
    }
    let _ = std::io::stdout().flush();
    sys::exit_now(0)
}

fn examine(case: &Case, lab: &Lab) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(|| (case.run)(lab)));
    let mut faults = inbox::violations();
    match result {
        Err(panic) if panic.is::<Skipped>() => {
            let Skipped(reason) = *panic.downcast().expect("just checked");
            return Outcome::Skipped(reason);
        }
        Err(panic) => faults.insert(0, panic_text(&*panic)),
        Ok(()) => {}
    }
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Options {
        parse(line.split_whitespace().map(str::to_owned)).expect("a good command line")
    }

    #[test]
    fn options_are_told_from_filters() {
        let options = words("--oracle --jobs 3 data: --skip=soak --exact");
        assert!(options.oracle && options.exact && !options.list);
        assert_eq!(options.jobs, 3);
        assert_eq!(options.filters, ["data:"]);
        assert_eq!(options.skips, ["soak"]);
        assert!(parse(["--nonsense".to_owned()].into_iter()).is_err());
    }

    #[test]
    fn no_two_tests_share_a_title() {
        let mut titles: Vec<_> = suite::cases().iter().map(Case::title).collect();
        titles.sort();
        let count = titles.len();
        titles.dedup();
        assert_eq!(count, titles.len());
    }
}

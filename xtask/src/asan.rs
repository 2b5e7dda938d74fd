//! `cargo xtask asan`: tests of the conformance suite under AddressSanitizer.
//!
//! The stable compiler does it, as for the fuzz targets: the library and the program that loads it
//! are both instrumented, and the program, which holds the sanitizer's runtime, offers it to the
//! library.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::progress;
use crate::project;

/// What makes memory errors visible, and the program offer what it is linked with.
const FLAGS: [&str; 2] = ["-Zsanitizer=address", "-Clink-arg=-rdynamic"];

/// What is run: misuse of every function, deletion, and whatever copies text or messages.
const TOPICS: [&str; 7] =
    ["errors:", "ids:", "strings:", "hostile:", "deletion:", "callbacks:", "queue:"];

/// Builds the library and the suite, and runs the tests with the named words in their titles.
pub(crate) fn run(args: Args) -> Result<()> {
    let only = args.text("--only");
    let folder = build()?;
    let library = folder.join("libdatachannel.so");
    let words: Vec<&str> = match only {
        Some(words) => vec![words],
        None => TOPICS.to_vec(),
    };
    progress(format_args!("running {} under AddressSanitizer", words.join(" ")));
    let mut command = std::process::Command::new(folder.join("conformance"));
    command
        .args(&words)
        .env("RTC_LIB", &library)
        .env("RTC_INCLUDE", project::root().join("rtc-capi/include"))
        // Tests end without destructors, so leaks are not looked for.
        .env("ASAN_OPTIONS", "detect_stack_use_after_return=1:detect_leaks=0:print_legend=0");
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("tests failed under AddressSanitizer ({status})");
    }
    Ok(())
}

/// Builds both and returns where they are.
fn build() -> Result<PathBuf> {
    let (mut cargo, built) = project::cargo_with_flags(&FLAGS, &project::target().join("asan"))?;
    progress("building with AddressSanitizer");
    let status = cargo
        .args(["--locked", "--package", "rtc-capi", "--package", "conformance"])
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the library does not build with AddressSanitizer ({status})");
    }
    Ok(built.join("debug"))
}

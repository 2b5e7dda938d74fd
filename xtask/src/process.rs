//! Running other programs, with errors that say what was attempted.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Tells on the standard error what is being done.
pub(crate) fn progress(what: impl std::fmt::Display) {
    eprintln!("xtask: {what}");
}

/// Runs a program quietly to its end; what it printed is part of the error.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    capture(command).map(drop)
}

/// Runs a program to its end and returns what it wrote to its standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = capture(command)?;
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed no text"))
}

/// Runs a program that reads `input` and returns what it wrote to its standard output.
pub(crate) fn read_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    // What the program prints waits in pipes meanwhile: it must read all of its input first.
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .with_context(|| format!("cannot write to {command:?}"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("cannot await {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({})\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed no text"))
}

/// Runs a program to its end, which has to be a good one.
fn capture(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({})\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

/// Whether a program of this name is installed.
pub(crate) fn exists(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Makes sure that the Debian packages providing `needs` are installed: `(what shows that it is
/// there, package)`. As root what is missing is installed; otherwise the error tells the command.
pub(crate) fn require(needs: &[(Need, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        needs.iter().filter(|(need, _)| !need.is_met()).map(|&(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    let is_root = read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !exists("apt-get") {
        bail!("missing: {}. On Debian, as root: {command}", missing.join(", "));
    }
    progress(format_args!("installing {}", missing.join(", ")));
    run_quietly(Command::new("apt-get").arg("update"))?;
    run_quietly(Command::new("sh").arg("-c").arg(&command).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// What shows that a package is installed.
pub(crate) enum Need {
    /// A program on the path.
    Program(&'static str),
    /// A file the C compiler can include.
    Header(&'static str),
    /// A library that pkg-config finds.
    Package(&'static str),
    /// A module Python can import.
    PythonModule(&'static str),
}

impl Need {
    fn is_met(&self) -> bool {
        match self {
            Need::Program(name) => exists(name),
            Need::Header(name) => {
                let probe = format!("echo '#include <{name}>' | cc -E -x c - >/dev/null 2>&1");
                run_quietly(Command::new("sh").arg("-c").arg(probe)).is_ok()
            }
            Need::Package(name) => {
                run_quietly(Command::new("pkg-config").args(["--exists", name])).is_ok()
            }
            Need::PythonModule(name) => {
                run_quietly(Command::new("python3").arg("-c").arg(format!("import {name}"))).is_ok()
            }
        }
    }
}

/// Copies a tree, keeping links.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {to:?}"))?;
    run_quietly(Command::new("cp").arg("-a").arg(from.join(".")).arg(to))
}

//! Trying RPM packages in an empty folder with a package database of its own. What they depend on
//! is not there: this machine need not be one that packages itself in RPM.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Need, progress};
use crate::{consumers, packages, project};

/// What each package must tell others that it has.
const PROVIDES: [(&str, &str); 3] = [
    ("libdatachannel-rs-0", "libdatachannel.so.0.24()(64bit)"),
    ("libdatachannel-rs-devel-0", "pkgconfig(libdatachannel) = 0.24.5"),
    ("libdatachannel-rs-devel-0", "cmake(LibDataChannel) = 0.24.5"),
];

/// Digests, promises, rpmlint; then installs, uses and removes the packages in `folder`.
pub(crate) fn check(folder: &Path) -> Result<()> {
    process::require(&[(Need::Program("rpm"), "rpm"), (Need::Program("rpmlint"), "rpmlint")])?;
    let rpms = packages::files(folder, "rpm")?;
    process::run_quietly(Command::new("rpm").args(["--checksig", "--nosignature"]).args(&rpms))?;
    for (package, promise) in PROVIDES {
        let is_it = |rpm: &&std::path::PathBuf| {
            rpm.file_name().is_some_and(|name| name.to_string_lossy().starts_with(package))
        };
        let rpm = rpms.iter().find(is_it).with_context(|| format!("there is no {package}*.rpm"))?;
        let told =
            process::read(Command::new("rpm").args(["--query", "--provides", "-p"]).arg(rpm))?;
        // Only rpm distributions have the script that finds CMake packages.
        let is_needed = !promise.starts_with("cmake(") || told.contains("cmake(");
        if is_needed && !told.lines().any(|line| line.trim() == promise) {
            bail!("{rpm:?} does not provide {promise}, but:\n{told}");
        }
    }
    install_and_remove(&rpms)?;
    println!("rpm: installed, used and removed without a trace");
    let config = project::root().join("packaging/rpm/rpmlint.toml");
    let said = process::read(Command::new("rpmlint").arg("--config").arg(config).args(&rpms))?;
    progress(format_args!("rpmlint: {}", said.lines().last().unwrap_or_default()));
    println!("rpm: rpmlint has nothing to say that is not explained");
    Ok(())
}

fn install_and_remove(rpms: &[std::path::PathBuf]) -> Result<()> {
    let root = project::target().join("packages/rpm-root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot empty {root:?}"))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("cannot create {root:?}"))?;
    let rpm = || {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(&root).arg("--nodeps");
        rpm
    };
    process::run_quietly(rpm().arg("--install").args(rpms))?;
    process::run_quietly(rpm().args(["--verify", "libdatachannel-rs", "libdatachannel-rs-devel"]))?;
    consumers::check(&root.join("usr"), "lib64")?;
    process::run_quietly(rpm().args(["--erase", "libdatachannel-rs-devel", "libdatachannel-rs"]))?;
    let left = process::read(Command::new("find").arg(&root).args([
        "-name",
        "*datachannel*",
        "-o",
        "-name",
        "rtc*",
    ]))?;
    if !left.is_empty() {
        bail!("left behind:\n{left}");
    }
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {root:?}"))
}

//! Trying packages in an empty folder with a package database of its own, which needs neither a
//! network nor mounts. What they depend on is not there: programs find that on this machine, which
//! need not be one that packages itself in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Need, progress};
use crate::{clean_root, consumers, packages, project};

/// What each package must tell others that it has.
const PROVIDES: [(&str, &str); 3] = [
    ("libdatachannel-rs-0", "libdatachannel.so.0.24()(64bit)"),
    ("libdatachannel-rs-devel-0", "pkgconfig(libdatachannel) = 0.24.5"),
    ("libdatachannel-rs-devel-0", "cmake(LibDataChannel) = 0.24.5"),
];

/// Installs, uses and removes the Debian packages in `folder`.
pub(crate) fn try_debs(folder: &Path) -> Result<()> {
    process::require(&[(Need::Program("dpkg-architecture"), "dpkg-dev")])?;
    let root = empty("deb-root")?;
    for folder in ["info", "updates", "triggers"] {
        let folder = root.join("var/lib/dpkg").join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {folder:?}"))?;
    }
    let status = root.join("var/lib/dpkg/status");
    fs::write(&status, "").with_context(|| format!("cannot write {status:?}"))?;
    let dpkg = || {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg("--root").arg(&root).args(["--force-depends", "--no-triggers"]);
        dpkg
    };
    let machine = process::read(Command::new("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH"))?;
    process::run_quietly(dpkg().arg("--install").args(clean_root::packages_for_users(folder)?))?;
    consumers::check(&root.join("usr"), &format!("lib/{}", machine.trim()))?;
    let names = ["libdatachannel-rs-dev", "libdatachannel-rs0.24"];
    process::run_quietly(dpkg().arg("--purge").args(names))?;
    nothing_left(&root)
}

/// Digests, promises, rpmlint; then installs, uses and removes the RPM packages in `folder`.
pub(crate) fn check_rpms(folder: &Path) -> Result<()> {
    process::require(&[(Need::Program("rpm"), "rpm"), (Need::Program("rpmlint"), "rpmlint")])?;
    let rpms = packages::files(folder, "rpm")?;
    process::run_quietly(Command::new("rpm").args(["--checksig", "--nosignature"]).args(&rpms))?;
    for (package, promise) in PROVIDES {
        let is_it = |rpm: &&PathBuf| {
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
    let complaints: Vec<_> =
        said.lines().filter(|line| line.contains(": W: ") || line.contains(": E: ")).collect();
    if !complaints.is_empty() {
        bail!("rpmlint says:\n{}", complaints.join("\n"));
    }
    progress(format_args!("rpmlint: {}", said.lines().last().unwrap_or_default()));
    println!("rpm: rpmlint has nothing to say that is not explained");
    Ok(())
}

fn install_and_remove(rpms: &[PathBuf]) -> Result<()> {
    let root = empty("rpm-root")?;
    let rpm = || {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(&root).arg("--nodeps");
        rpm
    };
    process::run_quietly(rpm().arg("--install").args(rpms))?;
    process::run_quietly(rpm().args(["--verify", "libdatachannel-rs", "libdatachannel-rs-devel"]))?;
    consumers::check(&root.join("usr"), "lib64")?;
    process::run_quietly(rpm().args(["--erase", "libdatachannel-rs-devel", "libdatachannel-rs"]))?;
    nothing_left(&root)
}

/// A folder below the others of packages, with nothing in it.
fn empty(name: &str) -> Result<PathBuf> {
    let root = project::target().join("packages").join(name);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot empty {root:?}"))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("cannot create {root:?}"))?;
    Ok(root)
}

/// Removes the folder, in which nothing but the package managers' databases may lie.
fn nothing_left(root: &Path) -> Result<()> {
    let mut find = Command::new("find");
    find.current_dir(root).arg(".");
    for database in ["./var/lib/*", "./root/.rpmdb"] {
        find.args(["-path", database, "-prune", "-o"]);
    }
    let left = process::read(find.args(["-not", "-type", "d", "-print"]))?;
    if !left.is_empty() {
        bail!("left behind:\n{left}");
    }
    fs::remove_dir_all(root).with_context(|| format!("cannot remove {root:?}"))
}

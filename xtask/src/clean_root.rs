//! Trying packages where nothing else is: a fresh Debian for the ones, an empty rpm database for
//! the others. Without that Debian, which takes minutes to make and mounts to run, an empty folder
//! does for the first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, Need, progress};
use crate::{empty_root, packages, project};

/// What users of the development package have installed anyway.
const TOOLS: &str = "gcc,libc6-dev,cmake,make,pkg-config";

/// `cargo xtask clean-root`.
pub(crate) fn run(args: Args) -> Result<()> {
    // Both kinds of packages from where they are put, unless one is named.
    let (deb, rpm) = (args.optional_folder("--deb")?, args.optional_folder("--rpm")?);
    let is_named = deb.is_some() || rpm.is_some();
    if deb.is_some() || !is_named {
        let folder = deb.unwrap_or_else(|| packages::default_out("deb"));
        check_deb(&folder, args.has("--without-debian"))?;
    }
    if rpm.is_some() || !is_named {
        empty_root::check_rpms(&rpm.unwrap_or_else(|| packages::default_out("rpm")))?;
    }
    Ok(())
}

fn check_deb(folder: &Path, without_debian: bool) -> Result<()> {
    process::require(&[(Need::Program("lintian"), "lintian")])?;
    if without_debian {
        empty_root::try_debs(folder)?;
    } else {
        process::require(&[(Need::Program("mmdebstrap"), "mmdebstrap")])?;
        let root = Root::unpack()?;
        let outcome = try_in(&root, folder);
        root.remove()?;
        outcome?;
    }
    println!("deb: installed, used and removed without a trace");
    lint(folder)
}

/// Every complaint must be an override's, which explains itself.
fn lint(folder: &Path) -> Result<()> {
    let changes = packages::files(folder, "changes")?;
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--pedantic", "--display-info"]);
    let said = process::read(lintian.args(["--fail-on", "error,warning"]).args(&changes))?;
    for line in said.lines() {
        progress(format_args!("lintian: {line}"));
    }
    println!("deb: lintian has nothing to say that is not explained");
    Ok(())
}

/// The Debian packages in a folder, but for those of debugging information.
pub(crate) fn packages_for_users(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut debs = packages::files(folder, "deb")?;
    debs.retain(|deb| !deb.to_string_lossy().contains("-dbgsym_"));
    Ok(debs)
}

fn try_in(root: &Root, folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for deb in packages_for_users(folder)? {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        root.copy(&deb, &format!("packages/{name}"))?;
        names.push(format!("/packages/{name}"));
    }
    let names = names.join(" ");
    root.run("apt-get update -qq")?;
    progress("installing what the packages depend on");
    root.run(&format!(
        "others=$(apt-get install --simulate --no-install-recommends {names} | \
         sed -n 's/^Inst \\([^ ]*\\).*/\\1/p' | grep -v '^libdatachannel-rs' || true) && \
         apt-get install -qq -y --no-install-recommends $others >/dev/null 2>&1"
    ))?;
    let before = root.files()?;
    progress(format_args!("installing {names}"));
    root.run(&format!("apt-get install -qq -y --no-install-recommends {names}"))?;

    for file in fs::read_dir(project::root().join("packaging/consumer"))? {
        let file = file.context("cannot list packaging/consumer")?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        root.copy(&file, &format!("consumer/{name}"))?;
    }
    let example = "examples/c/offer_answer.c";
    root.copy(&project::root().join(example), "consumer/offer_answer.c")?;
    root.run("mkdir /work && consumer/build-and-run.sh /consumer /work")?;
    root.run(
        "cd /work && cc -O2 /consumer/offer_answer.c -o talk -lpthread \
         $(pkg-config --cflags --libs libdatachannel) && ./talk",
    )?;

    progress("removing the packages");
    root.run("rm -r /work /consumer")?;
    root.run("apt-get purge -qq -y libdatachannel-rs-dev libdatachannel-rs0.24 && apt-get clean")?;
    let after = root.files()?;
    let left: Vec<_> = after.difference(&before).map(String::as_str).collect();
    let lost: Vec<_> = before.difference(&after).map(String::as_str).collect();
    if !left.is_empty() || !lost.is_empty() {
        let first = |files: &[&str]| files[..files.len().min(20)].join(" ");
        bail!(
            "{} left behind: {}\n{} lost: {}",
            left.len(),
            first(&left),
            lost.len(),
            first(&lost)
        );
    }
    Ok(())
}

/// A Debian system in a folder.
struct Root(PathBuf);

impl Root {
    fn unpack() -> Result<Root> {
        let archive = project::cache().join(format!("debian-root-{}.tar", suite()?));
        if !archive.is_file() {
            bootstrap(&archive)?;
        }
        let root = project::target().join("packages/root");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("cannot empty {root:?}"))?;
        }
        fs::create_dir_all(&root).with_context(|| format!("cannot create {root:?}"))?;
        progress(format_args!("unpacking {}", archive.display()));
        // Devices cannot be made everywhere, and the programs need few: see `run`.
        process::run_quietly(
            Command::new("tar")
                .args(["-x", "--exclude=./dev/*", "-C"])
                .arg(&root)
                .arg("-f")
                .arg(&archive),
        )?;
        Ok(Root(root))
    }

    /// Runs a command line inside, as root, in processes and mounts of its own. What it prints is
    /// told.
    fn run(&self, line: &str) -> Result<()> {
        let root = self.0.display();
        let script = format!(
            "mount --bind /dev {root}/dev && mount -t proc proc {root}/proc && \
             cp /etc/resolv.conf /etc/hosts {root}/etc/ 2>/dev/null; \
             exec chroot {root} /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
             LC_ALL=C DEBIAN_FRONTEND=noninteractive sh -e -c \"$0\""
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]);
        for said in process::read(unshare.arg(script).arg(line))?.lines() {
            progress(format_args!("  {said}"));
        }
        Ok(())
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.0.join(to);
        let folder = to.parent().unwrap_or(&to);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
        fs::copy(from, &to).with_context(|| format!("cannot copy {from:?} to {to:?}"))?;
        Ok(())
    }

    /// What is there, but for the records and caches of the package manager itself.
    fn files(&self) -> Result<BTreeSet<String>> {
        let passed_over = ["./dev", "./proc", "./var/lib/apt", "./var/cache", "./var/log"];
        let mut find = Command::new("find");
        find.arg(".").current_dir(&self.0);
        for path in passed_over {
            find.args(["-path", path, "-prune", "-o"]);
        }
        let listing = process::read(find.arg("-print"))?;
        let records = ["./etc/resolv.conf", "./etc/hosts", "./etc/ld.so.cache"];
        let is_record =
            |line: &str| records.contains(&line) || line.starts_with("./var/lib/dpkg/status");
        Ok(listing.lines().filter(|line| !is_record(line)).map(String::from).collect())
    }

    fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {:?}", self.0))
    }
}

/// The Debian release this machine runs.
fn suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("/etc/os-release names no release")?.trim_matches('"').into())
}

/// Makes a Debian with a compiler, from where this machine's apt gets its packages.
fn bootstrap(archive: &Path) -> Result<()> {
    let suite = suite()?;
    let listing = process::read(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(CODENAME) $(SITE)",
    ]))?;
    let site = listing
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{suite} ")))
        .with_context(|| format!("apt knows no source of {suite}; run apt-get update"))?;
    progress(format_args!("making a Debian root of {suite} (two minutes)"));
    let folder = archive.parent().unwrap_or(archive);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
    let unfinished = archive.with_extension("unfinished.tar");
    process::run_quietly(
        Command::new("mmdebstrap")
            .args(["--variant=apt", &format!("--include={TOOLS}"), &suite])
            .arg(&unfinished)
            .arg(format!("deb {site} {suite} main")),
    )?;
    fs::rename(&unfinished, archive).with_context(|| format!("cannot move {unfinished:?}"))
}

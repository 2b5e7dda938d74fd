//! The crate `datachannel` with its own tests on this library, through our `datachannel-sys`.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, progress};
use crate::{project, reference};

/// What its users write, and what keeps the copy out of this workspace.
const PATCH: &str = "\n[workspace]\n\n[patch.crates-io]\ndatachannel-sys = { path = \"SYS\" }\n\n\
                     [profile.dev.package.\"*\"]\nopt-level = 2\ndebug = false\n";

/// `cargo xtask datachannel`.
pub(crate) fn run(_: Args) -> Result<()> {
    let source = reference::unpacked("datachannel")?;
    let project = project::target().join("datachannel");
    if project.exists() {
        fs::remove_dir_all(&project).with_context(|| format!("cannot empty {project:?}"))?;
    }
    process::copy_tree(&source, &project)?;
    let manifest = project.join("Cargo.toml");
    let ours = project::root().join("datachannel-sys");
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {manifest:?}"))?
        + &PATCH.replace("SYS", &ours.display().to_string());
    fs::write(&manifest, text).with_context(|| format!("cannot write {manifest:?}"))?;

    // The crate's lock file names an older release, which no patch is tried for.
    process::run_quietly(
        project::cargo()
            .args(["update", "--quiet", "--package", "datachannel-sys"])
            .current_dir(&project),
    )?;
    let tree = process::read(
        project::cargo().args(["tree", "--package", "datachannel-sys"]).current_dir(&project),
    )?;
    if !tree.contains(&*ours.to_string_lossy()) {
        bail!("cargo takes another datachannel-sys than ours:\n{tree}");
    }
    progress("compiling the crate datachannel and its tests");
    let mut cargo = project::cargo();
    cargo.args(["test", "--no-run", "--message-format", "json"]).current_dir(&project);
    // Most of what it needs is compiled there already.
    let messages = process::read(cargo.env("CARGO_TARGET_DIR", project::target()))?;
    let mut tests = 0;
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("cargo said {line:?}"))?;
        let Some(program) = message["executable"].as_str() else { continue };
        tests += run_alone(program)?;
    }
    if tests == 0 {
        bail!("the crate datachannel has no tests");
    }
    println!("datachannel: {tests} tests of the crate passed on this library");
    Ok(())
}

/// Runs a test program where it reaches nobody: its tests name public servers. There is an address
/// besides loopback's, and a route to nowhere. Returns how many tests passed.
fn run_alone(program: &str) -> Result<usize> {
    const NETWORK: &str = "ip link set lo up && ip link add near type veth peer name far && \
                           ip addr add 192.0.2.1/24 dev near && ip link set near up && \
                           ip link set far up && ip route add default via 192.0.2.2 && exec \"$0\"";
    let mut alone = Command::new("unshare");
    alone.args(["--map-root-user", "--net", "--", "timeout", "120", "sh", "-c", NETWORK, program]);
    let said = process::read(&mut alone)?;
    let passed = said
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split_once(" passed")?.0.parse::<usize>().ok());
    Ok(passed.sum())
}

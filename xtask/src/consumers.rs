//! Programs built on an installed library in the ways its users build theirs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, Need, progress};
use crate::project;

/// Programs that use nothing but what every version of the C API has.
const PROGRAMS: [&str; 2] = ["packaging/consumer/consumer.c", EXAMPLE];
const EXAMPLE: &str = "examples/c/offer_answer.c";
/// One with a track, a packetizer and WebSockets.
const MEDIA: &str = "packaging/consumer/media.c";

/// `cargo xtask consumers`.
pub(crate) fn run(args: Args) -> Result<()> {
    let prefix = args.folder("--prefix")?;
    let libdir = args.text("--libdir").unwrap_or("lib");
    let mut passed = check(&prefix, libdir)?;
    let work = work();
    let mut swap = |what: String, outcome: Result<()>| {
        outcome.with_context(|| what.clone())?;
        progress(format_args!("{what}: ok"));
        passed += 1;
        Result::<()>::Ok(())
    };
    swap(format!("{EXAMPLE} by pkg-config"), connected(&prefix, libdir, &work))?;
    if let Some(real) = args.optional_folder("--real")? {
        let (ours, real) = ((prefix.as_path(), libdir), (real.as_path(), "lib"));
        for program in PROGRAMS {
            swap(
                format!("{program} built on ours, run on the real one"),
                swapped(program, ours, real, &work),
            )?;
            swap(
                format!("{program} built on the real one, run on ours"),
                swapped(program, real, ours, &work),
            )?;
        }
    }
    if let Some(older) = args.optional_folder("--older")? {
        // What a user does whose programs were built for 0.23.
        let link = work.join("libdatachannel.so.0.23");
        let target = prefix.join(libdir).join("libdatachannel.so");
        symlink(&target, &link).with_context(|| format!("cannot link {link:?}"))?;
        for program in [EXAMPLE, MEDIA] {
            swap(
                format!("{program} built on 0.23, run on ours by a link"),
                swapped(program, (&older, "lib"), (&work, ""), &work),
            )?;
        }
        swap(
            format!("{MEDIA} built on ours, run on 0.23 by a link"),
            swapped(MEDIA, (&prefix, libdir), (&older, "lib"), &work),
        )?;
    }
    println!("consumers: {passed} passed");
    Ok(())
}

/// Builds programs on what is installed under a prefix; returns in how many ways.
pub(crate) fn check(prefix: &Path, libdir: &str) -> Result<usize> {
    process::require(&[
        (Need::Program("cc"), "gcc"),
        (Need::Program("c++"), "g++"),
        (Need::Program("make"), "make"),
        (Need::Program("cmake"), "cmake"),
        (Need::Program("pkg-config"), "pkg-config"),
    ])?;
    let work = work();
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot empty {work:?}"))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {work:?}"))?;
    let outcomes = [
        ("pkg-config, C", by_pkg_config(prefix, libdir, &work, "cc", false)),
        ("pkg-config, C++", by_pkg_config(prefix, libdir, &work, "c++", false)),
        ("pkg-config, C, static", by_pkg_config(prefix, libdir, &work, "cc", true)),
        ("extensions", extensions(prefix, libdir, &work)),
        ("CMake, shared and static", by_cmake(prefix, libdir, &work)),
    ];
    let count = outcomes.len();
    for (what, outcome) in outcomes {
        outcome.with_context(|| format!("consumer by {what}"))?;
        progress(format_args!("consumer by {what}: ok"));
    }
    Ok(count)
}

/// Where programs are built.
fn work() -> PathBuf {
    project::target().join("consumers")
}

fn source() -> PathBuf {
    project::root().join("packaging/consumer")
}

fn by_pkg_config(
    prefix: &Path,
    libdir: &str,
    work: &Path,
    compiler: &str,
    is_static: bool,
) -> Result<()> {
    let lib = prefix.join(libdir);
    let mut flags = flags(&lib, is_static)?;
    if is_static {
        let archive = lib.join("libdatachannel.a");
        flags = flags.replace("-ldatachannel", &archive.display().to_string());
        // pkgconf applies Cflags.private by itself, the older pkg-config has no such field.
        flags = format!("-DRTC_STATIC {flags}");
    }
    let program = work.join(format!("by-pkg-config-{compiler}-{is_static}"));
    let language = if compiler == "cc" { "c" } else { "c++" };
    process::run_quietly(
        Command::new(compiler)
            .args(["-Wall", "-Wextra", "-Werror", "-x", language])
            .arg(source().join("consumer.c"))
            .args(["-x", "none", "-o"])
            .arg(&program)
            .args(flags.split_whitespace()),
    )?;
    // Without a path to the shared library: the static program must do without.
    let lib = if is_static { work } else { &lib };
    start(&program, lib)
}

/// What pkg-config tells of the library in a folder.
fn flags(lib: &Path, is_static: bool) -> Result<String> {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
    pkg_config.args(["--cflags", "--libs", "libdatachannel"]);
    if is_static {
        pkg_config.arg("--static");
    }
    process::read(&mut pkg_config)
}

/// Two peers that greet each other, and send as fast as they can.
fn connected(prefix: &Path, libdir: &str, work: &Path) -> Result<()> {
    let lib = prefix.join(libdir);
    let program = work.join("connected");
    process::run_quietly(
        Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror"])
            .arg(project::root().join(EXAMPLE))
            .arg("-o")
            .arg(&program)
            .args(flags(&lib, false)?.split_whitespace())
            .arg("-lpthread"),
    )?;
    run_briefly(&program, &lib)
}

fn extensions(prefix: &Path, libdir: &str, work: &Path) -> Result<()> {
    let lib = prefix.join(libdir);
    let program = work.join("extensions");
    process::run_quietly(
        Command::new("cc")
            .arg(source().join("revision.c"))
            .arg("-I")
            .arg(prefix.join("include"))
            .arg("-L")
            .arg(&lib)
            .args(["-ldatachannel", "-o"])
            .arg(&program),
    )?;
    start(&program, &lib)
}

fn by_cmake(prefix: &Path, libdir: &str, work: &Path) -> Result<()> {
    let build = work.join("by-cmake");
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(source()).arg("-B").arg(&build);
    // Where libraries are in lib64, CMake looks there; Debian's does not.
    let place = match libdir {
        "lib64" => format!("LibDataChannel_DIR={}/lib64/cmake/LibDataChannel", prefix.display()),
        _ => format!("CMAKE_PREFIX_PATH={}", prefix.display()),
    };
    process::run_quietly(cmake.arg(format!("-D{place}")))?;
    process::run_quietly(Command::new("cmake").arg("--build").arg(&build))?;
    start(&build.join("consumer_shared"), &prefix.join(libdir))?;
    start(&build.join("consumer_static"), work)
}

/// Links a program to one library and runs it on another, as if it had been replaced.
fn swapped(
    program: &str,
    built_on: (&Path, &str),
    run_on: (&Path, &str),
    work: &Path,
) -> Result<()> {
    let binary = work.join("swapped");
    process::run_quietly(
        Command::new("cc")
            .arg(project::root().join(program))
            .arg("-I")
            .arg(built_on.0.join("include"))
            .arg("-L")
            .arg(built_on.0.join(built_on.1))
            .args(["-ldatachannel", "-lpthread", "-o"])
            .arg(&binary),
    )?;
    run_briefly(&binary, &run_on.0.join(run_on.1))
}

/// Runs a program that says by its exit status how it went.
fn run_briefly(program: &Path, lib: &Path) -> Result<()> {
    let mut run = Command::new("timeout");
    process::run_quietly(run.arg("60").arg(program).env("LD_LIBRARY_PATH", lib))
}

fn start(program: &Path, lib: &Path) -> Result<()> {
    let printed = process::read(Command::new(program).env("LD_LIBRARY_PATH", lib))?;
    if printed.trim() != "consumer: ok" {
        bail!("{program:?} with libraries in {lib:?} printed {printed:?}");
    }
    Ok(())
}

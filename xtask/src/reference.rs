//! The real libdatachannel, installed beside ours: once to learn what is right (the oracle, 0.23.2
//! with everything), once to learn what is fast (the yardstick, 0.24.6, data channels only).
//!
//! Both come from package registries by pinned version and checksum, and are kept by version in a
//! cache: `LIBRTC_REFERENCE_CACHE`, or `reference-cache` in cargo's target folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::args::Args;
use crate::process::{self, Need, progress};
use crate::project;

/// What programs built against our header look for.
const LOADER_NAME: &str = "libdatachannel.so.0.24";

/// `cargo xtask reference`.
pub(crate) fn install_oracle(args: Args) -> Result<()> {
    let prefix = args.folder("--prefix")?;
    let built = match args.text("--ice").unwrap_or("juice") {
        "juice" => oracle()?,
        "nice" => oracle_with_libnice()?,
        other => bail!("--ice {other:?} is neither juice nor nice"),
    };
    install(&built, &prefix)
}

/// `cargo xtask yardstick`.
pub(crate) fn install_yardstick(args: Args) -> Result<()> {
    let prefix = args.folder("--prefix")?;
    install(&yardstick()?, &prefix)
}

/// The cached oracle's prefix, built if need be.
pub(crate) fn oracle() -> Result<PathBuf> {
    cached("libdatachannel-0.23.2", build_oracle)
}

/// The cached prefix of the oracle with libnice, built if need be.
pub(crate) fn oracle_with_libnice() -> Result<PathBuf> {
    cached("libdatachannel-0.23.2-nice", build_oracle_with_libnice)
}

/// The cached yardstick's prefix, built if need be.
pub(crate) fn yardstick() -> Result<PathBuf> {
    cached("libdatachannel-0.24.6-data-2", build_yardstick)
}

fn install(cached: &Path, prefix: &Path) -> Result<()> {
    process::copy_tree(cached, prefix)?;
    progress(format_args!("installed in {}", prefix.display()));
    Ok(())
}

/// The folder of a build in the cache. A build happens aside and is moved there whole, so that what
/// has its name is complete.
fn cached(name: &str, build: fn(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let cache = project::cache();
    let finished = cache.join(name);
    if finished.is_dir() {
        return Ok(finished);
    }
    let work = cache.join(format!("{name}.work-{}", std::process::id()));
    let prefix = work.join("prefix");
    fs::create_dir_all(prefix.join("lib")).with_context(|| format!("cannot create {prefix:?}"))?;
    build(&work, &prefix).with_context(|| format!("cannot build {name} in {work:?}"))?;
    // Another process may have finished the same build meanwhile: either result will do.
    if let Err(error) = fs::rename(&prefix, &finished)
        && !finished.is_dir()
    {
        bail!("cannot move {prefix:?} to {finished:?}: {error}");
    }
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {work:?}"))?;
    Ok(finished)
}

fn build_oracle(work: &Path, prefix: &Path) -> Result<()> {
    build_oracle_as(work, prefix, &[])
}

/// With the system's libnice in place of the libjuice it brings along.
fn build_oracle_with_libnice(work: &Path, prefix: &Path) -> Result<()> {
    process::require(&[(Need::Package("nice"), "libnice-dev")])?;
    build_oracle_as(work, prefix, &["-DUSE_NICE=ON"])
}

fn build_oracle_as(work: &Path, prefix: &Path, options: &[&str]) -> Result<()> {
    process::require(&[
        (Need::Program("cmake"), "cmake"),
        (Need::Program("make"), "make"),
        (Need::Program("c++"), "g++"),
        (Need::Header("openssl/ssl.h"), "libssl-dev"),
    ])?;
    let source = oracle_source()?;
    let build = work.join("build");
    progress("configuring libdatachannel 0.23.2");
    process::run_quietly(
        Command::new("cmake")
            .arg("-S")
            .arg(&source)
            .arg("-B")
            .arg(&build)
            .arg(format!("-DCMAKE_INSTALL_PREFIX={}", prefix.display()))
            .args(["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INSTALL_LIBDIR=lib"])
            .args(["-DBUILD_SHARED_LIBS=ON", "-DNO_TESTS=ON", "-DNO_EXAMPLES=ON"])
            .args(options)
            // Its submodules ask for CMake versions that newer ones no longer imitate.
            .arg("-DCMAKE_POLICY_VERSION_MINIMUM=3.5"),
    )?;
    progress("compiling libdatachannel 0.23.2 (about four CPU minutes)");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    process::run_quietly(
        Command::new("cmake").arg("--build").arg(&build).args(["-j", &jobs.to_string()]),
    )?;
    process::run_quietly(Command::new("cmake").arg("--install").arg(&build))?;
    link("libdatachannel.so.0.23.2", &prefix.join("lib").join(LOADER_NAME))
}

fn oracle_source() -> Result<PathBuf> {
    let source = unpacked("datachannel-sys")?.join("libdatachannel");
    if !source.join("CMakeLists.txt").is_file() {
        bail!("{source:?} holds no CMakeLists.txt");
    }
    Ok(source)
}

/// Where cargo unpacked a crate that `xtask/reference/Cargo.toml` pins.
pub(crate) fn unpacked(name: &str) -> Result<PathBuf> {
    let manifest = "xtask/reference/Cargo.toml";
    progress(format_args!("fetching the source of {name}"));
    let metadata = project::metadata(&["--locked", "--manifest-path", manifest])?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == name)
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .ok_or_else(|| anyhow!("{manifest} does not lead to {name}"))
}

/// The wheel whose static archives make the yardstick, in the form pip verifies.
const WHEEL: &str = "aiolibdatachannel==2026.10.15 \
    --hash=sha256:55546780f174c5752794f11287478c45676059c6b35ad6a4788bd23a1fd2957d\n";

/// The archives were made by a newer g++, whose runtime ends the process by the first function when
/// an exception leaves a function that promised not to throw, and sets up the standard streams when
/// the second is named, for which the header served before.
const STUB: &str = r#"#include <cstdlib>
#include <iostream>
extern "C" __attribute__((weak)) void __cxa_call_terminate(void *) { std::abort(); }
extern "C" __attribute__((weak)) void _ZSt21ios_base_library_initv() {}
"#;

fn build_yardstick(work: &Path, prefix: &Path) -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        bail!("the published archives of libdatachannel 0.24.6 are for x86_64 Linux only");
    }
    process::require(&[
        (Need::Program("python3"), "python3"),
        (Need::PythonModule("pip"), "python3-pip"),
        (Need::Program("c++"), "g++"),
        (Need::Header("openssl/ssl.h"), "libssl-dev"),
    ])?;
    progress("fetching libdatachannel 0.24.6");
    let requirements = work.join("requirements.txt");
    write(&requirements, WHEEL)?;
    process::run_quietly(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--require-hashes", "--only-binary=:all:", "--python-version", "3.13"])
            .args(["--platform", "manylinux_2_34_x86_64", "--dest"])
            .arg(work)
            .arg("-r")
            .arg(&requirements),
    )?;
    let wheel = fs::read_dir(work)
        .with_context(|| format!("cannot list {work:?}"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| anyhow!("pip left no wheel in {work:?}"))?;
    process::run_quietly(
        Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(work),
    )?;
    progress("linking libdatachannel 0.24.6");
    let stub = work.join("stub.cc");
    write(&stub, STUB)?;
    process::run_quietly(
        Command::new("c++").current_dir(work).args(["-O2", "-fPIC", "-c", "stub.cc"]),
    )?;
    let library = "libdatachannel.so.0.24.6";
    process::run_quietly(
        Command::new("c++")
            .current_dir(work)
            .args(["-shared", "-o"])
            .arg(prefix.join("lib").join(library))
            .arg(format!("-Wl,-soname,{LOADER_NAME},--whole-archive"))
            .args(["lib64/libdatachannel.a", "lib64/libjuice.a", "lib64/libusrsctp.a"])
            .args(["-Wl,--no-whole-archive", "stub.o", "-lssl", "-lcrypto", "-lpthread"])
            .arg("-Wl,-z,defs"),
    )?;
    link(library, &prefix.join("lib").join(LOADER_NAME))?;
    link(LOADER_NAME, &prefix.join("lib/libdatachannel.so"))?;
    process::copy_tree(&work.join("include"), &prefix.join("include"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {path:?}"))
}

fn link(target: &str, at: &Path) -> Result<()> {
    symlink(target, at).with_context(|| format!("cannot link {at:?} to {target}"))
}

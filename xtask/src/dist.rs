//! Building and installing the C library as C users and packagers know it.
//!
//! rustc's own `cdylib` cannot be used: it exports stray symbols and takes no version script. The
//! static library is linked again instead, once into a shared object and once into an archive, so
//! that both offer exactly the functions named `rtc*`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::args::Args;
use crate::header;
use crate::notices;
use crate::paths;
use crate::process::{self, Need, progress};
use crate::project::{self, Version};

/// `cargo xtask dist`.
pub(crate) fn run(args: Args) -> Result<()> {
    let prefix = args.folder("--prefix")?;
    let options = Options {
        features: args.text("--features"),
        profile: args.text("--profile").unwrap_or("release"),
        keep_debug: args.has("--keep-debug"),
        libdir: args.text("--libdir").unwrap_or("lib"),
    };
    install(&prefix, &options)
}

/// What kind of library to build.
pub(crate) struct Options<'a> {
    /// Features of `rtc-capi` in place of its default ones.
    pub(crate) features: Option<&'a str>,
    /// Cargo's profile.
    pub(crate) profile: &'a str,
    /// Whether to keep debugging information.
    pub(crate) keep_debug: bool,
    /// Where libraries go below the prefix: `lib/x86_64-linux-gnu` on Debian, for instance.
    pub(crate) libdir: &'a str,
}

/// Builds the library and installs it under `prefix`.
pub(crate) fn install(prefix: &Path, options: &Options<'_>) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("dist knows how to link for Linux only so far");
    }
    process::require(&[(Need::Program("cc"), "gcc"), (Need::Program("objcopy"), "binutils")])?;
    let version = project::version()?;
    let built = build(options)?;
    let libdir = Path::new(options.libdir);
    if !libdir.components().all(|part| matches!(part, Component::Normal(_))) {
        bail!("--libdir {libdir:?} is not a plain path below the prefix");
    }
    let lib = prefix.join(libdir);
    fs::create_dir_all(&lib).with_context(|| format!("cannot create {lib:?}"))?;
    progress("linking the shared library");
    let shared = link_shared(&built, &lib, &version, options)?;
    progress("linking the static library");
    link_static(&built, &lib, options)?;
    copy_headers(prefix)?;
    write_package_files(&built, &shared, prefix, libdir, &version)?;
    notices::write(options.features, &prefix.join("share/doc/libdatachannel/THIRD-PARTY"))?;
    progress(format_args!("installed in {}", prefix.display()));
    Ok(())
}

/// What cargo made.
struct Built {
    /// rustc's static library.
    archive: PathBuf,
    /// Linker arguments for the system libraries it needs.
    native_libs: Vec<String>,
}

fn build(options: &Options<'_>) -> Result<Built> {
    let mut cargo = project::cargo();
    cargo
        .args(["rustc", "--locked", "--package", "rtc-capi", "--lib", "--crate-type", "staticlib"])
        .args(["--profile", options.profile, "--message-format", "json"]);
    if let Some(features) = options.features {
        cargo.args(["--no-default-features", "--features", features]);
    }
    if options.keep_debug {
        let profile = options.profile.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_PROFILE_{profile}_DEBUG"), "line-tables-only");
    }
    paths::hide(&mut cargo)?;
    cargo.args(["--", "--print", "native-static-libs"]);
    progress(format_args!("compiling rtc-capi ({})", options.profile));
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {cargo:?}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = read_messages(&messages);
    if !output.status.success() {
        bail!("{cargo:?} failed ({})", output.status);
    }
    built
}

/// Finds the archive and the system libraries in what cargo printed; passes diagnostics on.
fn read_messages(messages: &str) -> Result<Built> {
    const NOTE: &str = "native-static-libs: ";
    let (mut archive, mut native_libs) = (None, None);
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let diagnostic = &message["message"];
        if let Some(libs) = diagnostic["message"].as_str().and_then(|m| m.strip_prefix(NOTE)) {
            native_libs = Some(libs.split_whitespace().map(String::from).collect());
        } else if let (Some("warning" | "error"), Some(rendered)) =
            (diagnostic["level"].as_str(), diagnostic["rendered"].as_str())
        {
            eprint!("{rendered}");
        }
        if message["reason"] == "compiler-artifact" && message["target"]["name"] == "datachannel" {
            let files = message["filenames"].as_array().into_iter().flatten();
            archive = files
                .filter_map(|file| file.as_str())
                .find(|file| file.ends_with(".a"))
                .map(PathBuf::from);
        }
    }
    Ok(Built {
        archive: archive.ok_or_else(|| anyhow!("cargo built no static library"))?,
        native_libs: native_libs
            .ok_or_else(|| anyhow!("rustc did not tell which system libraries are needed"))?,
    })
}

fn link_shared(
    built: &Built,
    lib: &Path,
    version: &Version,
    options: &Options<'_>,
) -> Result<PathBuf> {
    let name = format!("libdatachannel.so.{}", version.full);
    let shared = lib.join(&name);
    let map = project::root().join("packaging/datachannel.map");
    let mut cc = Command::new("cc");
    cc.arg("-shared")
        .arg("-o")
        .arg(&shared)
        .arg(format!("-Wl,-soname,{}", version.soname))
        .arg(joined("-Wl,--version-script=", &map))
        .args(["-Wl,-z,relro,-z,now,-z,defs", "-Wl,--gc-sections,-O1,--as-needed"])
        .arg("-Wl,--whole-archive")
        .arg(&built.archive)
        .arg("-Wl,--no-whole-archive")
        .args(&built.native_libs);
    if !options.keep_debug {
        cc.arg("-Wl,--strip-debug");
    }
    // Packagers harden through this variable.
    if let Ok(flags) = std::env::var("LDFLAGS") {
        cc.args(flags.split_whitespace());
    }
    process::run_quietly(&mut cc)?;
    link(&name, &lib.join(&version.soname))?;
    link(&version.soname, &lib.join("libdatachannel.so"))?;
    Ok(shared)
}

/// Makes an archive of one object file in which everything but `rtc*` is local, so that a program
/// may link it beside other Rust libraries.
fn link_static(built: &Built, lib: &Path, options: &Options<'_>) -> Result<()> {
    let object = lib.join("libdatachannel.o");
    let archive = lib.join("libdatachannel.a");
    let mut ld = Command::new("ld");
    ld.arg("-r").arg("-o").arg(&object);
    if !options.keep_debug {
        ld.arg("--strip-debug");
    }
    process::run_quietly(ld.arg("--whole-archive").arg(&built.archive))?;
    // Two steps: LLVM's bitcode, which std carries, must be gone before binutils' plugin sees it.
    process::run_quietly(
        Command::new("objcopy")
            .args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"])
            .arg(&object),
    )?;
    process::run_quietly(
        Command::new("objcopy").args(["--wildcard", "--keep-global-symbol=rtc*"]).arg(&object),
    )?;
    if archive.exists() {
        fs::remove_file(&archive).with_context(|| format!("cannot replace {archive:?}"))?;
    }
    process::run_quietly(Command::new("ar").arg("Drcs").arg(&archive).arg(&object))?;
    fs::remove_file(&object).with_context(|| format!("cannot remove {object:?}"))
}

fn copy_headers(prefix: &Path) -> Result<()> {
    let include = prefix.join("include/rtc");
    fs::create_dir_all(&include).with_context(|| format!("cannot create {include:?}"))?;
    for name in header::FILES {
        let from = project::root().join("rtc-capi/include/rtc").join(name);
        fs::copy(&from, include.join(name))
            .with_context(|| format!("cannot copy {from:?} to {include:?}"))?;
    }
    Ok(())
}

fn write_package_files(
    built: &Built,
    shared: &Path,
    prefix: &Path,
    libdir: &Path,
    version: &Version,
) -> Result<()> {
    let exported = header::exported(shared)?;
    let flag = |function: &str| if exported.contains(function) { "1" } else { "0" };
    let (media, websocket) = (flag("rtcCreateOpaqueMessage"), flag("rtcCreateWebSocket"));
    let mut cflags = String::new();
    for (feature, on) in [("MEDIA", media), ("WEBSOCKET", websocket)] {
        if on == "0" {
            cflags += &format!(" -DRTC_ENABLE_{feature}=0");
        }
    }
    let libs = built.native_libs.join(" ");
    // How the package files find the prefix from `pkgconfig` and from `cmake/LibDataChannel`.
    let up = vec![".."; libdir.components().count() + 1].join("/");
    let lib = prefix.join(libdir);
    let libdir = libdir.display().to_string();
    let values = [
        ("@LIBDIR@", libdir.as_str()),
        ("@UP@", &up),
        ("@VERSION@", &version.full),
        ("@SONAME@", &version.soname),
        ("@LIBS_PRIVATE@", &libs),
        ("@CFLAGS@", &cflags),
        ("@MEDIA@", media),
        ("@WEBSOCKET@", websocket),
        ("@POINTER_BYTES@", if cfg!(target_pointer_width = "64") { "8" } else { "4" }),
    ];
    let package = lib.join("cmake/LibDataChannel");
    fill("packaging/libdatachannel.pc.in", &lib.join("pkgconfig/libdatachannel.pc"), &values)?;
    for name in ["Config", "ConfigVersion", "Targets"] {
        let file = format!("LibDataChannel{name}.cmake");
        fill(&format!("packaging/cmake/{file}.in"), &package.join(&file), &values)?;
    }
    Ok(())
}

/// Writes a template of ours with its `@NAMES@` replaced.
fn fill(template: &str, to: &Path, values: &[(&str, &str)]) -> Result<()> {
    let from = project::root().join(template);
    let mut text = fs::read_to_string(&from).with_context(|| format!("cannot read {from:?}"))?;
    for (name, value) in values {
        text = text.replace(name, value);
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
    }
    fs::write(to, text).with_context(|| format!("cannot write {to:?}"))
}

fn link(target: &str, at: &Path) -> Result<()> {
    if at.is_symlink() {
        fs::remove_file(at).with_context(|| format!("cannot replace {at:?}"))?;
    }
    symlink(target, at).with_context(|| format!("cannot link {at:?} to {target}"))
}

fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = OsStr::new(option).to_owned();
    argument.push(path);
    argument
}

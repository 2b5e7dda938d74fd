//! Distributions' packages of the C library.
//!
//! They are built as a distribution builds them: from a tree of its own with vendored crates, with
//! an empty cargo home and, as root, without a network. `--in-place` builds in the workspace instead,
//! with what that has compiled already, which takes seconds or, with other backends, a minute.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, Need, progress};
use crate::{project, reference};

/// A kind of package.
struct Format {
    name: &'static str,
    needs: &'static [(Need, &'static str)],
    /// Makes packages of the tree and returns the folder they are in.
    build: fn(&Tree, &[&str]) -> Result<PathBuf>,
    /// Endings of the names of the files that are the result.
    results: &'static [&'static str],
}

const DEB: Format = Format {
    name: "deb",
    needs: &[
        (Need::Program("dh"), "debhelper"),
        (Need::Program("dpkg-buildpackage"), "dpkg-dev"),
        (Need::Program("cc"), "gcc"),
    ],
    build: build_deb,
    results: &["deb", "changes", "buildinfo"],
};

const RPM: Format = Format {
    name: "rpm",
    needs: &[(Need::Program("rpmbuild"), "rpm"), (Need::Program("cc"), "gcc")],
    build: build_rpm,
    results: &["rpm"],
};

/// The backends that a distribution's package has unless told otherwise.
const DEFAULT_BACKENDS: &str = "ice-agent,tls-openssl";

/// Takes away what package builders set and cargo compiles anew for. The flags for linking stay.
const AS_BEFORE: &str = "env -u CFLAGS -u CXXFLAGS -u PKG_CONFIG_PATH -u SOURCE_DATE_EPOCH";

/// Where libjuice's source is in a tree.
const JUICE: &str = "libjuice-source";

/// `cargo xtask deb`.
pub(crate) fn deb(args: Args) -> Result<()> {
    run(&DEB, &args)
}

/// `cargo xtask rpm`.
pub(crate) fn rpm(args: Args) -> Result<()> {
    run(&RPM, &args)
}

/// The folder where packages go that have no other.
pub(crate) fn default_out(format: &str) -> PathBuf {
    project::target().join("packages").join(format)
}

/// The files of a folder whose names end so.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = files_below(folder)?;
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    if files.is_empty() {
        bail!("{folder:?} holds no .{ending}: cargo xtask {ending} makes one");
    }
    Ok(files)
}

fn run(format: &Format, args: &Args) -> Result<()> {
    let out = args.optional_folder("--out")?.unwrap_or_else(|| default_out(format.name));
    let backends = args.text("--backends").unwrap_or(DEFAULT_BACKENDS);
    let backends: Vec<&str> = backends.split(',').filter(|name| !name.is_empty()).collect();
    process::require(format.needs)?;
    for backend in &backends {
        match *backend {
            "tls-openssl" => process::require(&[(Need::Header("openssl/ssl.h"), "libssl-dev")])?,
            "ice-nice" => process::require(&[(Need::Package("nice"), "libnice-dev")])?,
            _ => {}
        }
    }
    let work = project::target().join("packages/work").join(format.name);
    let in_place = args.has("--in-place");
    if in_place && args.has("--twice") {
        bail!("--twice needs two trees, --in-place has none");
    }
    // Both trees are laid now, so that the source may be worked on meanwhile.
    empty(&work)?;
    let tree = Tree::lay(&work.join("one"), in_place)?;
    let other = match args.has("--twice") {
        true => Some(Tree::lay(&work.join("two/elsewhere"), false)?),
        false => None,
    };
    let first = make(format, &tree, &backends)?;
    if let Some(other) = other {
        compare(&first, &make(format, &other, &backends)?)?;
        println!("{}: both builds gave the same packages, byte by byte", format.name);
    }
    empty(&out)?;
    for file in first.values() {
        let to = out.join(file.file_name().unwrap_or_default());
        fs::copy(file, &to).with_context(|| format!("cannot copy {file:?} to {to:?}"))?;
        println!("{}", to.display());
    }
    remove(&work)
}

/// Builds packages of a tree; returns them by name.
fn make(format: &Format, tree: &Tree, backends: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    progress(format_args!("{}: packing {}", format.name, backends.join(", ")));
    let folder = (format.build)(tree, backends)?;
    if !tree.in_place {
        // Gigabytes that nobody needs any more.
        remove(&tree.root)?;
    }
    let mut results = BTreeMap::new();
    for file in files_below(&folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if format.results.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            results.insert(name, file);
        }
    }
    if results.is_empty() {
        bail!("no packages were left in {folder:?}");
    }
    Ok(results)
}

/// A copy of the source to make packages of.
struct Tree {
    root: PathBuf,
    /// Whether cargo runs in the workspace, with what that has compiled.
    in_place: bool,
}

impl Tree {
    fn lay(work: &Path, in_place: bool) -> Result<Tree> {
        let root = work.join(format!("librtc-{}", project::version()?.full));
        fs::create_dir_all(&root).with_context(|| format!("cannot create {root:?}"))?;
        let mut git = Command::new("git");
        let files = process::read(
            git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(project::root()),
        )?;
        let mut tar = Command::new("sh");
        tar.arg("-c").arg("tar -c -T - | tar -x -C \"$0\"").arg(&root);
        process::read_with_input(tar.current_dir(project::root()), &files)?;
        let tree = Tree { root, in_place };
        if !in_place {
            tree.vendor()?;
        }
        Ok(tree)
    }

    fn vendor(&self) -> Result<()> {
        let mut cargo = project::cargo();
        cargo.args(["vendor", "--locked", "--versioned-dirs", "vendor"]);
        let redirection = process::read(cargo.current_dir(&self.root))?;
        let config = self.root.join(".cargo/config.toml");
        let mut text =
            fs::read_to_string(&config).with_context(|| format!("cannot read {config:?}"))?;
        text += &redirection;
        fs::write(&config, text).with_context(|| format!("cannot write {config:?}"))?;
        // Its build script would ask cargo for it, which is offline.
        let juice = reference::unpacked("datachannel-sys")?.join("libdatachannel/deps/libjuice");
        process::copy_tree(&juice, &self.root.join(JUICE))
    }

    /// A command that runs in the tree with the environment of a package build.
    fn command(&self, program: &str) -> Result<Command> {
        let is_root = process::read(Command::new("id").arg("-u"))?.trim() == "0";
        let mut command = match is_root && !self.in_place {
            true => Command::new("unshare"),
            false => Command::new(program),
        };
        if is_root && !self.in_place {
            command.args(["--net", "--", program]);
        }
        command.current_dir(&self.root);
        // Package builders set a home of their own, where rustup would find no toolchain.
        let rustup = match std::env::var_os("RUSTUP_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => project::cargo_home()?.with_file_name(".rustup"),
        };
        command.env("RUSTUP_HOME", rustup);
        for variable in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION", "DEB_BUILD_OPTIONS"] {
            command.env_remove(variable);
        }
        match self.in_place {
            true => command
                .env("CARGO_HOME", project::cargo_home()?)
                .env("LIBRTC_SOURCE", project::root())
                .env("LIBRTC_ENVIRONMENT", AS_BEFORE),
            false => command
                .env("CARGO_HOME", self.root.join("target/cargo-home"))
                .env("CARGO_NET_OFFLINE", "true")
                .env("JUICE_DIR", self.root.join(JUICE))
                .env_remove("CARGO_TARGET_DIR")
                .env_remove("RUSTC_WRAPPER")
                .env_remove("RUSTFLAGS"),
        };
        Ok(command)
    }
}

/// As packages have it, but without debugging information, which the workspace has not compiled.
fn in_place_options(backends: &[&str]) -> String {
    match backends {
        // The default features, by which the workspace has compiled them. No text at all would be
        // no definition.
        ["ice-agent", "tls-rustls"] => "--profile release".into(),
        _ => format!("--features {},media,websocket", backends.join(",")),
    }
}

fn build_deb(tree: &Tree, backends: &[&str]) -> Result<PathBuf> {
    process::copy_tree(&tree.root.join("packaging/debian"), &tree.root.join("debian"))?;
    let profiles: Vec<String> =
        backends.iter().map(|backend| format!("pkg.librtc.{backend}")).collect();
    let mut command = tree.command("dpkg-buildpackage")?;
    // Without a check of what the build needs: Rust mostly comes from rustup.
    command.args(["--build=binary", "--no-sign", "--no-check-builddeps"]);
    if tree.in_place {
        command.env("DEB_BUILD_OPTIONS", "noautodbgsym");
        command.env("LIBRTC_DIST_OPTIONS", in_place_options(backends));
    }
    process::run_quietly(command.arg(format!("--build-profiles={}", profiles.join(","))))?;
    Ok(tree.root.parent().unwrap_or(&tree.root).to_owned())
}

fn build_rpm(tree: &Tree, backends: &[&str]) -> Result<PathBuf> {
    let top = tree.root.with_file_name("rpmbuild");
    let mut command = tree.command("rpmbuild")?;
    // Without a check of what the build needs: on Debian nothing comes from rpm packages.
    command.args(["-bb", "--build-in-place", "--nodeps"]);
    for backend in backends {
        command.arg("--with").arg(backend.replace('-', "_"));
    }
    let mut define = |name: &str, value: &str| {
        command.arg("--define").arg(format!("{name} {value}"));
    };
    define("_topdir", &top.display().to_string());
    // Packages of debugging information need tools that only rpm distributions have.
    define("debug_package", "%{nil}");
    define("librtc_debug", "%{nil}");
    // What distributions set for builds that can be repeated.
    define("_buildhost", "localhost");
    define("source_date_epoch_from_changelog", "1");
    define("use_source_date_epoch_as_buildtime", "1");
    define("clamp_mtime_to_source_date_epoch", "1");
    if tree.in_place {
        define("librtc_source", &project::root().display().to_string());
        define("librtc_environment", AS_BEFORE);
        define("librtc_dist_options", &in_place_options(backends));
    }
    process::run_quietly(command.arg("packaging/rpm/libdatachannel-rs.spec"))?;
    Ok(top.join("RPMS"))
}

/// Compares packages byte by byte; buildinfo and changes tell about the build itself.
fn compare(one: &BTreeMap<String, PathBuf>, two: &BTreeMap<String, PathBuf>) -> Result<()> {
    let mut problems = Vec::new();
    for name in one.keys().chain(two.keys()) {
        let (Some(first), Some(second)) = (one.get(name), two.get(name)) else {
            problems.push(format!("{name} came once only"));
            continue;
        };
        let is_package = name.ends_with(".deb") || name.ends_with(".rpm");
        let same = process::run_quietly(Command::new("cmp").arg(first).arg(second));
        if let (true, Err(error)) = (is_package, same) {
            problems.push(format!("{error:#}"));
        }
    }
    if !problems.is_empty() {
        bail!("two builds differ:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {folder:?}"))? {
        let path = entry.with_context(|| format!("cannot list {folder:?}"))?.path();
        match path.is_dir() && !path.ends_with("debian") {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

fn empty(folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {folder:?}"))?;
    }
    Ok(())
}

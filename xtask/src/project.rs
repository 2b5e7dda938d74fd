//! Where things are in this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process::read;

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where cargo keeps what it downloads.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_HOME") {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

/// Where what takes long to make is kept from one checkout to the next.
pub(crate) fn cache() -> PathBuf {
    match std::env::var_os("LIBRTC_REFERENCE_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => target().join("reference-cache"),
    }
}

/// A program that runs cargo, the one running this if any.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// A cargo that builds into a folder with compiler flags of which some are unstable, by the compiler
/// in use; and where below the folder it puts what it builds.
pub(crate) fn cargo_with_flags(flags: &[&str], folder: &Path) -> Result<(Command, PathBuf)> {
    let host = host()?;
    let mut cargo = cargo();
    // Naming the platform keeps the flags away from build scripts and procedural macros.
    cargo.args(["build", "--target", &host, "--target-dir"]).arg(folder);
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok((cargo, folder.join(host)))
}

/// The platform of the compiler in use.
fn host() -> Result<String> {
    let version = read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// What cargo tells of this workspace, or of what the options name.
pub(crate) fn metadata(options: &[&str]) -> Result<Value> {
    let mut cargo = cargo();
    cargo.args(["metadata", "--quiet", "--format-version", "1"]).args(options);
    serde_json::from_str(&read(&mut cargo)?).context("cargo metadata printed no JSON")
}

/// The version of the C library.
pub(crate) struct Version {
    /// `MAJOR.MINOR.PATCH`.
    pub(crate) full: String,
    /// The library's name for the loader: compatible within a minor version.
    pub(crate) soname: String,
}

/// Reads the version from the header, which is what programs are compiled against.
pub(crate) fn version() -> Result<Version> {
    let header = root().join("rtc-capi/include/rtc/version.h");
    let text =
        std::fs::read_to_string(&header).with_context(|| format!("cannot read {header:?}"))?;
    let full = text
        .lines()
        .find_map(|line| line.strip_prefix("#define RTC_VERSION ")?.trim().split('"').nth(1))
        .with_context(|| format!("{header:?} does not define RTC_VERSION"))?;
    let (minor, _patch) =
        full.rsplit_once('.').with_context(|| format!("RTC_VERSION {full:?} has no patch"))?;
    Ok(Version { full: full.into(), soname: format!("libdatachannel.so.{minor}") })
}

/// The version that packages have, `MAJOR.MINOR.PATCH+rN`: the API's, and our release of it.
pub(crate) fn release() -> Result<String> {
    let library = root().join("rtc/src/library.rs");
    let text =
        std::fs::read_to_string(&library).with_context(|| format!("cannot read {library:?}"))?;
    let release = text
        .split_once("env!(\"CARGO_PKG_VERSION\"), \"-")
        .and_then(|(_, rest)| rest.split('"').next())
        .with_context(|| format!("{library:?} does not tell the release"))?;
    Ok(format!("{}+{release}", version()?.full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_the_version_of_the_library() {
        let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
        let version = version().unwrap().full;
        let manifest = read("Cargo.toml");
        assert!(manifest.contains(&format!("[workspace.package]\nversion = \"{version}\"")));
        let release = release().unwrap();
        let release = release.split_once('+').unwrap().1;
        for (path, text) in [
            ("packaging/debian/changelog", format!("libdatachannel-rs ({version}+{release}-")),
            ("packaging/rpm/libdatachannel-rs.spec", format!("%global api {version}\n")),
            ("packaging/rpm/libdatachannel-rs.spec", format!("%{{api}}+{release}\n")),
            ("packaging/rpm/libdatachannel-rs.spec", format!("> - {version}+{release}-")),
            ("packaging/man/libdatachannel.3", format!("\"librtc {version}\"")),
            ("rtc-capi/Cargo.toml", format!("version = \"{version}\"")),
        ] {
            assert!(read(path).contains(&text), "{path} does not say {text:?}");
        }
    }

    /// The tables that cargo-c 0.10 reads below `package.metadata.capi`, with their keys. It
    /// overlooks any other.
    const CAPI: [(&str, &[&str]); 6] = [
        ("", &["min_version", "header", "pkg_config", "library", "install"]),
        ("/header", &["name", "subdirectory", "generation", "enabled", "emit_version_constants"]),
        (
            "/pkg_config",
            &[
                "name",
                "filename",
                "description",
                "version",
                "requires",
                "requires_private",
                "strip_include_path_components",
            ],
        ),
        (
            "/library",
            &[
                "name",
                "version",
                "install_subdir",
                "versioning",
                "version_suffix_components",
                "import_library",
                "rustflags",
                "target",
            ],
        ),
        ("/install", &["include", "data"]),
        ("/install/include", &["asset", "generated"]),
    ];

    #[test]
    fn cargo_c_makes_what_dist_makes() {
        let metadata = metadata(&["--no-deps"]).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == "rtc-capi").unwrap();
        let capi = &package["metadata"]["capi"];
        for (table, keys) in CAPI {
            for key in capi.pointer(table).unwrap().as_object().unwrap().keys() {
                assert!(keys.contains(&key.as_str()), "cargo-c knows no {table}/{key}");
            }
        }
        assert!(package["features"]["capi"].is_array(), "cargo-c builds what has this feature");

        let version = version().unwrap();
        let text = |key: &str| capi.pointer(key).and_then(|value| value.as_str()).unwrap();
        for (key, expected) in [
            ("/library/name", "datachannel"),
            ("/library/version", version.full.as_str()),
            ("/pkg_config/name", "libdatachannel"),
            ("/pkg_config/filename", "libdatachannel"),
            ("/pkg_config/version", version.full.as_str()),
            ("/header/subdirectory", "rtc"),
            ("/install/include/asset/0/to", "rtc"),
            ("/install/include/asset/0/from", "include/rtc/*.h"),
        ] {
            assert_eq!(text(key), expected, "{key}");
        }
        // So that programs include rtc/rtc.h.
        assert_eq!(capi["pkg_config"]["strip_include_path_components"], 1);
        assert_eq!(capi["header"]["generation"], false);
        assert!(capi["library"].get("versioning").is_none_or(|versioned| versioned == true));
        let components = capi["library"]["version_suffix_components"].as_u64().unwrap() as usize;
        let suffix: Vec<&str> = version.full.split('.').take(components).collect();
        assert_eq!(version.soname, format!("libdatachannel.so.{}", suffix.join(".")));

        let folder = std::fs::read_dir(root().join("rtc-capi/include/rtc")).unwrap();
        let mut headers: Vec<_> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".h"))
            .collect();
        headers.sort();
        let mut installed = crate::header::FILES;
        installed.sort();
        assert_eq!(headers, installed);
    }
}

//! Keeping the places where things were built out of what is built.
//!
//! rustc and C compilers write paths into messages of panics and assertions, and into debugging
//! information. Left alone they tell about the builder's home, and make every machine build other
//! bytes from the same source.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::project;

/// Where the source of this project seems to have been.
const SOURCE: &str = "/usr/src/librtc";
/// Where the source of the crates it needs seems to have been, vendored or not.
const CRATES: &str = "/usr/src/librtc/vendor";

/// Makes cargo write the same paths wherever it runs. Flags given by the environment stay.
pub(crate) fn hide(cargo: &mut Command) -> Result<()> {
    let places = places()?;
    let mut rust: Vec<OsString> = match std::env::var_os("CARGO_ENCODED_RUSTFLAGS") {
        Some(encoded) => vec![encoded],
        None => {
            let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
            flags.split_whitespace().map(OsString::from).collect()
        }
    };
    rust.extend(places.iter().map(|(from, to)| mapped("--remap-path-prefix=", from, to)));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust.join(&OsString::from("\u{1f}")));
    for variable in ["CFLAGS", "CXXFLAGS"] {
        let given = std::env::var_os(variable).into_iter();
        let maps = places.iter().map(|(from, to)| mapped("-ffile-prefix-map=", from, to));
        let flags: Vec<OsString> = given.chain(maps).collect();
        cargo.env(variable, flags.join(&OsString::from(" ")));
    }
    Ok(())
}

/// Folders that appear in paths, and what to write in their place. Of several that fit, the last
/// one counts.
fn places() -> Result<Vec<(PathBuf, String)>> {
    let root = project::root().to_owned();
    let mut places = vec![
        (root.clone(), SOURCE.into()),
        (project::target(), format!("{SOURCE}/target")),
        (root.join("vendor"), CRATES.into()),
    ];
    // The name of a registry's folder depends on how it is reached.
    let registries = project::cargo_home()?.join("registry/src");
    if registries.is_dir() {
        let entries = std::fs::read_dir(&registries)
            .with_context(|| format!("cannot list {registries:?}"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {registries:?}"))?;
            places.push((entry.path(), CRATES.into()));
        }
    }
    Ok(places)
}

fn mapped(option: &str, from: &std::path::Path, to: &str) -> OsString {
    let mut flag = OsString::from(option);
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

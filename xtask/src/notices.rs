//! The licences of the crates that are compiled into the library, as these ask to be told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{process, project};

/// Writes a text that names every crate of others in the library with its licence, followed by
/// the notices that come with it.
pub(crate) fn write(features: Option<&str>, to: &Path) -> Result<()> {
    let folders = folders()?;
    let mut cargo = project::cargo();
    cargo.args(["tree", "--quiet", "--locked", "--package", "rtc-capi", "--edges", "normal"]);
    cargo.args(["--prefix", "none", "--no-dedupe", "--format", "{p}\t{l}"]);
    if let Some(features) = features {
        cargo.args(["--no-default-features", "--features", features]);
    }
    let mut text = String::from(
        "The library contains these crates, each under the licence given with it. What the\n\
         licences ask to be repeated follows.\n",
    );
    let mut notices = BTreeMap::<String, Vec<String>>::new();
    let tree = process::read(&mut cargo)?;
    let mut lines: Vec<&str> = tree.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let (package, licence) = line.split_once('\t').unwrap_or((line, ""));
        // `NAME vVERSION`, with ` (PATH)` if it is one of this workspace, ` (proc-macro)` if it
        // is not in the library.
        let Some((name, version)) = package.split_once(" v") else { continue };
        if version.contains(' ') {
            continue;
        }
        let crate_name = format!("{name} {version}");
        writeln!(text, "  {crate_name}: {licence}").context("cannot write to memory")?;
        let folder = folders
            .get(&crate_name)
            .with_context(|| format!("cargo does not tell where {crate_name} is"))?;
        for notice in notices_in(folder)? {
            notices.entry(notice).or_default().push(crate_name.clone());
        }
    }
    for (notice, crates) in notices {
        let rule = "-".repeat(80);
        write!(text, "\n{rule}\n{}\n{rule}\n\n{}\n", crates.join(", "), notice.trim_end())
            .context("cannot write to memory")?;
    }
    let folder = to.parent().context("no folder to write into")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))?;
    fs::write(to, text).with_context(|| format!("cannot write {to:?}"))
}

/// Where the source of each package is, by `NAME VERSION`.
fn folders() -> Result<BTreeMap<String, PathBuf>> {
    let metadata = project::metadata(&["--locked"])?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages
        .filter_map(|package| {
            let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
            Some((name, Path::new(package["manifest_path"].as_str()?).parent()?.to_owned()))
        })
        .collect())
}

/// The texts of the files in a crate's folder that are named as licences and notices are. The
/// Apache licence is left out, as everyone has it.
fn notices_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {folder:?}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {folder:?}"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_notice = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_notice && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut texts = Vec::new();
    for path in files {
        let text = fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        // Some files hold it together with others: those are longer.
        let has_apache = text.contains("TERMS AND CONDITIONS FOR USE, REPRODUCTION");
        if !has_apache || text.len() > 13_000 {
            texts.push(text);
        }
    }
    Ok(texts)
}

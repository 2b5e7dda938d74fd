//! Every choice of features must build: what one feature needs, another must not bring by chance.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, progress};
use crate::project;

/// Roles that one feature at least must fill, by the beginnings of the features' names: ICE, TLS,
/// and the cryptography behind rustls.
const ROLES: [&[&str]; 3] = [&["ice-"], &["tls-"], &["aws-lc-rs", "ring"]];

/// What must not build, and what the compiler has to say then.
const REFUSED: [(&str, &str); 2] = [
    ("tls-rustls", "librtc needs an ICE backend: enable the feature"),
    ("ice-agent", "librtc needs a TLS backend: enable the feature"),
];

fn fills(feature: &str, role: &[&str]) -> bool {
    role.iter().any(|beginning| feature.starts_with(beginning))
}

/// `cargo xtask features`.
pub(crate) fn run(args: Args) -> Result<()> {
    let mut failed = Vec::new();
    let mut count = 0;
    for (package, features) in packages()? {
        let is_chosen = |only: &str| only.split(',').any(|name| name == package);
        if !args.text("--package").is_none_or(is_chosen) {
            continue;
        }
        for set in sets(&features) {
            let list = set.into_iter().collect::<Vec<_>>().join(",");
            progress(format_args!("{package} with {list:?}"));
            let mut cargo = project::cargo();
            cargo.args(["check", "--quiet", "--locked", "--package", &package]);
            cargo.args(["--no-default-features", "--features", &list]);
            count += 1;
            if let Err(error) = process::run_quietly(&mut cargo) {
                eprintln!("{error:#}");
                failed.push(format!("{package} with {list:?}"));
            }
        }
    }
    for (list, sentence) in REFUSED {
        progress(format_args!("librtc with {list:?}, which must not build"));
        let mut cargo = project::cargo();
        cargo.args(["check", "--quiet", "--locked", "--package", "librtc"]);
        cargo.args(["--no-default-features", "--features", list]);
        let refused = process::run_quietly(&mut cargo)
            .is_err_and(|error| format!("{error:#}").contains(sentence));
        if !refused {
            failed.push(format!("librtc with {list:?}: it is not refused by {sentence:?}"));
        }
    }
    if !failed.is_empty() {
        bail!("these do not build:\n  {}", failed.join("\n  "));
    }
    if count == 0 {
        bail!("no package is called so");
    }
    println!("features: {count} combinations build");
    Ok(())
}

/// The packages of this workspace with their features. Those without any must build alone as well:
/// beside others, cargo gives their dependencies the features that the others ask for.
fn packages() -> Result<Vec<(String, Vec<String>)>> {
    let metadata = project::metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().context("cargo told no packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| {
            let features = package["features"].as_object()?;
            // Building C libraries from source takes minutes and shows nothing about features.
            let is_tried = |name: &&String| {
                !matches!(name.as_str(), "default" | "all-backends") && !name.ends_with("vendored")
            };
            let names = features.keys().filter(is_tried);
            let names = names.cloned().collect::<Vec<_>>();
            Some((package["name"].as_str()?.into(), names))
        })
        .collect())
}

/// The sets to try: each way to fill the roles with one feature each, each other feature added
/// to the first of those, and everything.
fn sets(features: &[String]) -> Vec<BTreeSet<&str>> {
    let mut minimal = vec![BTreeSet::new()];
    for role in ROLES {
        let filling: Vec<&str> =
            features.iter().map(String::as_str).filter(|name| fills(name, role)).collect();
        if filling.is_empty() {
            continue;
        }
        minimal = minimal
            .iter()
            .flat_map(|set| {
                filling.iter().map(move |name| {
                    let mut set = set.clone();
                    set.insert(*name);
                    set
                })
            })
            .collect();
    }
    let is_other = |name: &&str| !ROLES.iter().any(|role| fills(name, role));
    let others: Vec<&str> = features.iter().map(String::as_str).filter(is_other).collect();
    let mut sets = minimal.clone();
    for other in others {
        let mut set = minimal[0].clone();
        set.insert(other);
        sets.push(set);
    }
    sets.push(features.iter().map(String::as_str).collect());
    let mut seen = BTreeSet::new();
    sets.retain(|set| seen.insert(set.clone()));
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(features: &str) -> Vec<String> {
        let features: Vec<String> = features.split_whitespace().map(String::from).collect();
        let sets = sets(&features);
        sets.into_iter().map(|set| set.into_iter().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn each_backend_and_each_other_feature_is_tried_alone() {
        assert_eq!(tried("log serde"), ["", "log", "serde", "log serde"]);
        assert_eq!(
            tried("ice-agent ice-nice media tls-openssl tls-rustls"),
            [
                "ice-agent tls-openssl",
                "ice-agent tls-rustls",
                "ice-nice tls-openssl",
                "ice-nice tls-rustls",
                "ice-agent media tls-openssl",
                "ice-agent ice-nice media tls-openssl tls-rustls",
            ]
        );
        assert_eq!(tried("ice-agent tls-rustls"), ["ice-agent tls-rustls"]);
        assert_eq!(tried("aws-lc-rs ring"), ["aws-lc-rs", "ring", "aws-lc-rs ring"]);
    }
}

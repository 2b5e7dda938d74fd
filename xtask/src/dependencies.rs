//! What depends on what, and under which licences.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::args::Args;
use crate::{process, project};

const BACKENDS: &[&str] =
    &["rtc-ice-agent", "rtc-ice-juice", "rtc-ice-nice", "rtc-tls-rustls", "rtc-tls-openssl"];

/// The packages of this workspace that one of them may depend on; `None` for an unknown package.
/// Arrows point one way: backends know the core and not each other, the core knows no backend.
fn may_depend_on(package: &str) -> Option<Vec<&'static str>> {
    Some(match package {
        "rtc-sctp-engine" | "rtc-srtp-engine" | "rtc-media" | "conformance" | "librtc-benches"
        | "xtask" => vec![],
        "rtc-core" => vec!["rtc-sctp-engine", "rtc-srtp-engine", "rtc-media"],
        "rtc-tls-tests" => vec!["rtc-core"],
        backend if BACKENDS.contains(&backend) => vec!["rtc-core"],
        "librtc" => [&["rtc-core", "rtc-media"], BACKENDS].concat(),
        "datachannel-sys" => vec!["rtc-capi"],
        "rtc-capi" => vec!["librtc", "rtc-core", "rtc-media"],
        _ => return None,
    })
}

/// Libraries that only a backend may bring in, never the core.
const KEPT_FROM_THE_CORE: &[&str] =
    &["rustls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "aws-lc-sys", "boring"];

/// Licences that programs of any kind may be distributed under.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Features of `rtc-capi` that choose one TLS backend, and what no build with just that may hold.
const KEPT_FROM_CHOICES: &[(&str, &[&str])] = &[
    ("ice-agent,tls-rustls,media,websocket", &["openssl", "openssl-sys"]),
    ("ice-agent,tls-openssl,media,websocket", &["rustls", "ring", "aws-lc-rs"]),
];

/// `cargo xtask dependencies`.
pub(crate) fn run(_: Args) -> Result<()> {
    let graph = Graph::read()?;
    let mut problems = graph.wrong_arrows();
    problems.extend(graph.core_brings_in());
    problems.extend(graph.unfit_licences());
    problems.extend(choices_bring_in()?);
    if !problems.is_empty() {
        bail!("dependencies:\n  {}", problems.join("\n  "));
    }
    println!("dependencies: {} packages as they should be", graph.packages.len());
    Ok(())
}

fn choices_bring_in() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (features, kept_out) in KEPT_FROM_CHOICES {
        let tree = process::read(project::cargo().args([
            "tree",
            "--quiet",
            "--locked",
            "--package",
            "rtc-capi",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--no-default-features",
            "--features",
            features,
        ]))?;
        // Each line is a name, a version, and where it comes from.
        let packages: BTreeSet<_> =
            tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        for package in kept_out.iter().filter(|package| packages.contains(*package)) {
            problems.push(format!("rtc-capi with {features} brings in {package}"));
        }
    }
    Ok(problems)
}

/// The packages that cargo resolved for this workspace, development dependencies left out.
struct Graph {
    packages: BTreeMap<String, Package>,
}

struct Package {
    name: String,
    licence: String,
    is_ours: bool,
    needs: Vec<String>,
}

impl Graph {
    fn read() -> Result<Graph> {
        let metadata = project::metadata(&["--locked", "--all-features"])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let ours: BTreeSet<String> =
            list(&metadata["workspace_members"]).iter().map(text).collect();
        let mut needs = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let of_node = list(&node["deps"])
                .iter()
                .filter(|dependency| {
                    list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev")
                })
                .map(|dependency| text(&dependency["pkg"]))
                .collect::<Vec<_>>();
            needs.insert(text(&node["id"]), of_node);
        }
        let mut packages = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"]);
            packages.insert(
                id.clone(),
                Package {
                    name: text(&package["name"]),
                    licence: text(&package["license"]),
                    is_ours: ours.contains(&id),
                    needs: needs.remove(&id).unwrap_or_default(),
                },
            );
        }
        Ok(Graph { packages })
    }

    fn wrong_arrows(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for package in self.packages.values().filter(|package| package.is_ours) {
            let Some(allowed) = may_depend_on(&package.name) else {
                problems.push(format!("{} has no place in the table of arrows", package.name));
                continue;
            };
            for need in package.needs.iter().filter_map(|id| self.packages.get(id)) {
                if need.is_ours && !allowed.contains(&need.name.as_str()) {
                    problems.push(format!("{} may not depend on {}", package.name, need.name));
                }
            }
        }
        problems
    }

    fn core_brings_in(&self) -> Vec<String> {
        self.reachable("rtc-core")
            .into_iter()
            .filter(|package| KEPT_FROM_THE_CORE.contains(&package.name.as_str()))
            .map(|package| format!("rtc-core brings in {}", package.name))
            .collect()
    }

    fn unfit_licences(&self) -> Vec<String> {
        self.reachable("rtc-capi")
            .into_iter()
            .filter(|package| !is_fit(&package.licence))
            .map(|package| format!("{} has the licence {:?}", package.name, package.licence))
            .collect()
    }

    /// A package and all it needs, directly or not.
    fn reachable(&self, name: &str) -> Vec<&Package> {
        let start = self.packages.iter().filter(|(_, package)| package.name == name);
        let mut open: Vec<&String> = start.map(|(id, _)| id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.packages.get(id).into_iter().flat_map(|package| &package.needs));
            }
        }
        seen.into_iter().filter_map(|id| self.packages.get(id)).collect()
    }
}

/// Whether an SPDX expression can be met with [`LICENCES`]. `AND` binds closer than `OR`; crates
/// older than SPDX write `/` for `OR`.
fn is_fit(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let parts = |text: &str, operator: &str| -> Vec<String> {
        let (mut parts, mut depth, mut part) = (Vec::new(), 0usize, Vec::new());
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        for word in spaced.split_whitespace() {
            match word {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ if word == operator && depth == 0 => {
                    parts.push(part.join(" "));
                    part.clear();
                    continue;
                }
                _ => {}
            }
            part.push(word);
        }
        parts.push(part.join(" "));
        parts
    };
    let is_term_fit = |term: &str| match term.strip_prefix("( ") {
        Some(inner) => is_fit(inner.strip_suffix(" )").unwrap_or(inner)),
        None => LICENCES.contains(&term),
    };
    parts(&expression, "OR")
        .iter()
        .any(|choice| parts(choice, "AND").iter().all(|term| is_term_fit(term)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_understood() {
        for fit in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "ISC AND (GPL-2.0 OR ISC) AND OpenSSL",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(is_fit(fit), "{fit}");
        }
        for unfit in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND MPL-2.0"] {
            assert!(!is_fit(unfit), "{unfit}");
        }
    }

    #[test]
    fn a_backend_that_knows_another_is_noticed() {
        let package = |name: &str, needs: &[&str]| {
            let package = Package {
                name: name.into(),
                licence: "MIT".into(),
                is_ours: name != "ring",
                needs: needs.iter().map(|&need| need.into()).collect(),
            };
            (name.to_owned(), package)
        };
        let packages = BTreeMap::from([
            package("rtc-core", &["ring"]),
            package("rtc-ice-agent", &["rtc-core", "rtc-tls-rustls"]),
            package("rtc-tls-rustls", &["rtc-core"]),
            package("ring", &[]),
        ]);
        let graph = Graph { packages };
        assert_eq!(graph.wrong_arrows(), ["rtc-ice-agent may not depend on rtc-tls-rustls"]);
        assert_eq!(graph.core_brings_in(), ["rtc-core brings in ring"]);
    }
}

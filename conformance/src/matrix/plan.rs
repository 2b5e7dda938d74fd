//! Which cells there are.

use super::cell::Cell;
use crate::backends::{self, Role};
use crate::ffi::Lib;
use std::path::{Path, PathBuf};

/// A pair of backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Combination {
    ice: String,
    tls: String,
}

impl Combination {
    fn name(&self) -> String {
        format!("{}+{}", self.ice, self.tls)
    }
}

/// Every combination of what a library has been built with.
pub(super) fn combinations(lib: Lib) -> Vec<Combination> {
    let [mut ices, mut tlses] = Role::ALL.map(|role| backends::names(lib, role));
    // The order shall not depend on which of them the environment has put first.
    ices.sort();
    tlses.sort_by(|a, b| b.cmp(a));
    let pair = |ice: &String| {
        let ice = ice.clone();
        tlses.iter().map(move |tls| Combination { ice: ice.clone(), tls: tls.clone() })
    };
    ices.iter().flat_map(pair).collect()
}

/// A build of the real library that the combinations are paired with.
pub(super) struct Real {
    pub(super) name: &'static str,
    variable: &'static str,
}

/// The real library with either ICE library, and the variables that name their files.
pub(super) const REAL: [Real; 2] = [
    Real { name: "real (juice)", variable: "RTC_REAL_LIB" },
    Real { name: "real (nice)", variable: "RTC_REAL_NICE_LIB" },
];

/// Other stacks that every combination is to connect to.
const STACKS: [&str; 3] = ["chromium", "libwebrtc", "aiortc"];

/// What the library under test is paired with, and where its file is.
pub(super) struct Files {
    pub(super) library: PathBuf,
    /// A copy, which is loaded beside the library as if it were another.
    pub(super) copy: PathBuf,
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// All cells, in the order in which they are run. `tests` narrows down the tests of suites and
/// pairs.
pub(super) fn cells(combinations: &[Combination], files: &Files, tests: &[String]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for combination in combinations {
        cells.push(suite(combination, files, tests));
    }
    for left in combinations {
        for right in combinations {
            cells.push(pair(left, right, files, tests));
        }
        for real in &REAL {
            cells.push(real_pair(left, real, files, tests));
        }
    }
    for combination in combinations {
        cells.push(with_backends(combination, files, "turn", "coturn", vec!["turn".into()]));
        let arguments = ["network", "--backend", &combination.ice].map(str::to_owned).to_vec();
        cells.push(with_backends(combination, files, "network", "namespaces", arguments));
        for stack in STACKS {
            let arguments = ["interop", "--only", stack].map(str::to_owned).to_vec();
            cells.push(with_backends(combination, files, "interop", stack, arguments));
        }
    }
    cells
}

/// A run of this program with the library on one combination.
fn with_backends(
    combination: &Combination,
    files: &Files,
    section: &'static str,
    column: &str,
    arguments: Vec<String>,
) -> Cell {
    Cell {
        section,
        row: combination.name(),
        column: column.to_owned(),
        arguments,
        environment: vec![
            ("RTC_LIB", text(&files.library)),
            (Role::Ice.variable(), combination.ice.clone()),
            (Role::Tls.variable(), combination.tls.clone()),
        ],
        obstacle: None,
    }
}

fn suite(combination: &Combination, files: &Files, tests: &[String]) -> Cell {
    let arguments = [&["--skip".to_owned(), "pairs:".to_owned()], tests].concat();
    with_backends(combination, files, "suite", "whole suite", arguments)
}

/// Tests of two libraries are wanted only where they are named: "the library offering" is half of
/// them, and the cell with the two exchanged is the other half.
fn pairs_of(tests: &[String], side: &str) -> Vec<String> {
    match tests {
        [] => vec![format!(", the library {side}")],
        _ => tests.iter().map(|test| format!("pairs: {test}, the library {side}")).collect(),
    }
}

fn pair(left: &Combination, right: &Combination, files: &Files, tests: &[String]) -> Cell {
    Cell {
        section: "pairs",
        row: left.name(),
        column: right.name(),
        arguments: pairs_of(tests, "offering"),
        environment: vec![
            ("RTC_LIB", text(&files.library)),
            ("RTC_LIB_BACKENDS", left.name()),
            ("RTC_PEER_LIB", text(&files.copy)),
            ("RTC_PEER_LIB_BACKENDS", right.name()),
        ],
        obstacle: None,
    }
}

fn real_pair(left: &Combination, real: &Real, files: &Files, tests: &[String]) -> Cell {
    let path = std::env::var(real.variable);
    let sides = ["offering", "answering"];
    Cell {
        section: "pairs",
        row: left.name(),
        column: real.name.to_owned(),
        arguments: sides.iter().flat_map(|side| pairs_of(tests, side)).collect(),
        environment: vec![
            ("RTC_LIB", text(&files.library)),
            ("RTC_LIB_BACKENDS", left.name()),
            ("RTC_PEER_LIB", path.clone().unwrap_or_default()),
        ],
        obstacle: path.is_err().then(|| format!("{} names no library", real.variable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn six() -> Vec<Combination> {
        let pair = |ice: &'static str| {
            ["rustls", "openssl"].map(|tls| Combination { ice: ice.into(), tls: tls.into() })
        };
        ["agent", "juice", "nice"].into_iter().flat_map(pair).collect()
    }

    #[test]
    fn six_combinations_make_thirty_six_pairs() {
        let files = Files { library: "a.so".into(), copy: "b.so".into() };
        let cells = cells(&six(), &files, &[]);
        let count = |section| cells.iter().filter(|cell| cell.section == section).count();
        assert_eq!(count("suite"), 6);
        assert_eq!(count("pairs"), 36 + 6 * REAL.len());
        assert_eq!(count("turn"), 6);
        assert_eq!(count("network"), 6);
        assert_eq!(count("interop"), 6 * STACKS.len());
        let mut titles: Vec<_> = cells.iter().map(Cell::title).collect();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), cells.len());
    }

    #[test]
    fn tests_are_narrowed_down_on_each_side() {
        assert_eq!(pairs_of(&[], "offering"), [", the library offering"]);
        let narrowed = pairs_of(&["labels".to_owned()], "answering");
        assert_eq!(narrowed, ["pairs: labels, the library answering"]);
    }
}

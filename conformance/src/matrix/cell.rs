//! One cell of the matrix: a part of the suite run by a process of its own, and how it went.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is run for one cell.
pub(super) struct Cell {
    /// The table it stands in.
    pub(super) section: &'static str,
    pub(super) row: String,
    pub(super) column: String,
    /// Arguments for this program.
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// Why it cannot be run, if it cannot.
    pub(super) obstacle: Option<String>,
}

impl Cell {
    pub(super) fn title(&self) -> String {
        format!("{} / {} / {}", self.section, self.row, self.column)
    }

    /// Runs the cell; what its process wrote is kept in `directory`.
    pub(super) fn run(&self, directory: &Path) -> Verdict {
        if let Some(obstacle) = &self.obstacle {
            return Verdict { skipped: vec![obstacle.clone()], ..Verdict::default() };
        }
        let begun = Instant::now();
        let mut verdict = match self.output() {
            Ok((text, succeeded)) => {
                let name: String = self.title().chars().map(plain).collect();
                // The log is a help; the verdict does not depend on it.
                let _ = fs::write(directory.join(name + ".log"), &text);
                Verdict::read(&text, succeeded)
            }
            Err(error) => Verdict { failed: vec![error], ..Verdict::default() },
        };
        verdict.took = begun.elapsed();
        verdict
    }

    fn output(&self) -> Result<(String, bool), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start: {error}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((text, output.status.success()))
    }
}

fn plain(character: char) -> char {
    if character.is_ascii_alphanumeric() || "+-".contains(character) { character } else { '_' }
}

/// How a cell went: the numbers of tests, and the reasons of those that did not pass.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) passed: usize,
    pub(super) failed: Vec<String>,
    /// What a backend does not do, by its documented capabilities.
    pub(super) unsupported: Vec<String>,
    pub(super) skipped: Vec<String>,
    pub(super) took: Duration,
}

/// What a cell looks like from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Passed,
    Failed,
    Unsupported,
    Skipped,
}

impl Verdict {
    /// Reads the lines that the runners of this program print.
    pub(super) fn read(text: &str, succeeded: bool) -> Self {
        let mut verdict = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((kind, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start().to_owned();
            match kind {
                "ok" => verdict.passed += 1,
                "FAILED" => {
                    // Why it failed stands below it.
                    let reasons =
                        std::iter::from_fn(|| lines.next_if(|line| line.starts_with(' ')));
                    verdict.failed.push(reasons.fold(rest, |all, reason| all + "\n" + reason));
                }
                "skipped" if rest.contains("not supported") => verdict.unsupported.push(rest),
                "skipped" => verdict.skipped.push(rest),
                _ => {}
            }
        }
        if !succeeded && verdict.failed.is_empty() {
            let last = text.lines().last().unwrap_or("it wrote nothing");
            verdict.failed.push(format!("ended with an error: {last}"));
        }
        if verdict.count() == 0 {
            verdict.failed.push("no test was run".to_owned());
        }
        verdict
    }

    fn count(&self) -> usize {
        self.passed + self.failed.len() + self.unsupported.len() + self.skipped.len()
    }

    pub(super) fn colour(&self) -> Colour {
        if !self.failed.is_empty() {
            Colour::Failed
        } else if self.passed > 0 {
            Colour::Passed
        } else if self.skipped.is_empty() {
            Colour::Unsupported
        } else {
            Colour::Skipped
        }
    }

    /// A few words, such as `46 passed, 2 skipped`.
    pub(super) fn words(&self) -> String {
        let counts = [
            (self.passed, "passed"),
            (self.failed.len(), "FAILED"),
            (self.unsupported.len(), "not supported"),
            (self.skipped.len(), "skipped"),
        ];
        let named: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        named.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_as_good_as_its_worst_test() {
        let lines = "ok       a: b (0.1 s)\nskipped  c: not supported by nice\nskipped  d: no x";
        let verdict = Verdict::read(lines, true);
        assert_eq!(verdict.words(), "1 passed, 1 not supported, 1 skipped");
        assert_eq!(verdict.colour(), Colour::Passed);
        let failed = Verdict::read(&format!("FAILED   e: f\n         why\n{lines}"), false);
        assert_eq!(
            (failed.colour(), failed.words().as_str()),
            (Colour::Failed, "1 passed, 1 FAILED, 1 not supported, 1 skipped")
        );
        assert_eq!(failed.failed, ["e: f\n         why"]);
    }

    #[test]
    fn a_cell_without_a_passed_test_is_never_green() {
        for (text, succeeded, colour) in [
            ("", true, Colour::Failed),
            ("", false, Colour::Failed),
            ("skipped  a: no chromium", true, Colour::Skipped),
            ("skipped  a: not supported by juice", true, Colour::Unsupported),
            ("skipped  a: not supported by juice\nskipped  b: no x", true, Colour::Skipped),
            ("ok       a: b (0.1 s)\n", false, Colour::Failed),
        ] {
            assert_eq!(Verdict::read(text, succeeded).colour(), colour, "{text:?}");
        }
    }
}

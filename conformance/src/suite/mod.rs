//! The tests, by topic.

use crate::lab::Lab;
use std::time::Duration;

mod abi;
mod backends;
mod buffering;
mod callbacks;
mod calls;
mod candidates;
mod cleanup;
mod closing;
mod configuration;
mod connection;
mod data;
mod deletion;
mod descriptions;
mod errors;
mod failures;
mod hostile;
mod ids;
mod inside;
mod logging;
mod media;
mod negotiation;
mod pairs;
mod queue;
mod restart;
mod secure;
mod soak;
mod streams;
mod strings;
mod tracks;
mod websocket;
mod wire;

/// One test: a sentence and the function that proves it.
pub(crate) struct Case {
    topic: &'static str,
    name: &'static str,
    pub(crate) run: fn(&Lab),
    /// The upstream defect or the knowing departure this test pins; upstream may fail it.
    pub(crate) pins: Option<&'static str>,
    pub(crate) limit: Duration,
    /// Not together with other tests, as it measures.
    pub(crate) alone: bool,
}

impl Case {
    fn new(name: &'static str, run: fn(&Lab)) -> Self {
        Self { topic: "", name, run, pins: None, limit: Duration::from_secs(90), alone: false }
    }

    /// Pins the fix of an upstream defect, or a knowing departure from upstream.
    fn fixes(self, what: &'static str) -> Self {
        Self { pins: Some(what), ..self }
    }

    /// Allows more or less time than usual.
    fn limit(self, seconds: u64) -> Self {
        Self { limit: Duration::from_secs(seconds), ..self }
    }

    /// Runs while no other test does.
    fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Allows no more time than this.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { limit: self.limit.min(limit), ..self }
    }

    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.topic, self.name)
    }
}

/// A topic's name and its tests.
type Topic = (&'static str, fn() -> Vec<Case>);

const TOPICS: &[Topic] = &[
    ("abi", abi::cases),
    ("backends", backends::cases),
    ("errors", errors::cases),
    ("ids", ids::cases),
    ("strings", strings::cases),
    ("configuration", configuration::cases),
    ("descriptions", descriptions::cases),
    ("candidates", candidates::cases),
    ("negotiation", negotiation::cases),
    ("connection", connection::cases),
    ("data", data::cases),
    ("queue", queue::cases),
    ("restart", restart::cases),
    ("buffering", buffering::cases),
    ("closing", closing::cases),
    ("deletion", deletion::cases),
    ("callbacks", callbacks::cases),
    ("logging", logging::cases),
    ("cleanup", cleanup::cases),
    ("failures", failures::cases),
    ("websocket", websocket::cases),
    ("wire", wire::cases),
    ("secure", secure::cases),
    ("hostile", hostile::cases),
    ("pairs", pairs::cases),
    ("tracks", tracks::cases),
    ("media", media::cases),
    ("streams", streams::cases),
    ("soak", soak::cases),
];

/// Every test of the suite.
pub(crate) fn cases() -> Vec<Case> {
    let of = |(topic, cases): &Topic| {
        cases().into_iter().map(|case| Case { topic, ..case }).collect::<Vec<_>>()
    };
    TOPICS.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/compatibility.md");

    /// What stands between backticks and begins with a topic.
    fn named() -> Vec<&'static str> {
        let quoted = PAGE.split('`').skip(1).step_by(2);
        let topic = |text: &&str| {
            text.split_once(": ").is_some_and(|(topic, _)| TOPICS.iter().any(|t| t.0 == topic))
        };
        quoted.filter(topic).collect()
    }

    #[test]
    fn every_test_the_compatibility_page_names_exists() {
        let titles: Vec<_> = cases().iter().map(Case::title).collect();
        let missing: Vec<_> =
            named().into_iter().filter(|name| !titles.iter().any(|title| title == name)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn every_pinning_test_is_on_the_compatibility_page() {
        let named = named();
        let pinning = cases().into_iter().filter(|case| case.pins.is_some());
        let missing: Vec<_> =
            pinning.map(|case| case.title()).filter(|t| !named.contains(&t.as_str())).collect();
        assert_eq!(missing, [""; 0]);
    }

    /// Those that no program can see through the C API, as their rows say.
    const UNSEEN: [&str; 1] = ["B-18"];

    #[test]
    fn every_row_names_a_test() {
        let titles: Vec<_> = cases().iter().map(Case::title).collect();
        let untested: Vec<_> = PAGE
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains("| upstream"))
            .filter(|row| !titles.iter().any(|title| row.contains(&format!("`{title}`"))))
            .filter(|row| !UNSEEN.iter().any(|number| row.starts_with(&format!("| {number} |"))))
            .collect();
        assert_eq!(untested, [""; 0]);
    }

    #[test]
    fn every_defect_has_a_row() {
        for number in 1..=51 {
            assert!(PAGE.contains(&format!("\n| B-{number} |")), "B-{number}");
        }
    }
}

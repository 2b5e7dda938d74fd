//! The tests, by topic.

use crate::lab::Lab;
use std::time::Duration;

mod abi;
mod buffering;
mod callbacks;
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
mod logging;
mod negotiation;
mod pairs;
mod queue;
mod soak;
mod strings;

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
    ("buffering", buffering::cases),
    ("closing", closing::cases),
    ("deletion", deletion::cases),
    ("callbacks", callbacks::cases),
    ("logging", logging::cases),
    ("cleanup", cleanup::cases),
    ("failures", failures::cases),
    ("hostile", hostile::cases),
    ("pairs", pairs::cases),
    ("soak", soak::cases),
];

/// Every test of the suite.
pub(crate) fn cases() -> Vec<Case> {
    let of = |(topic, cases): &Topic| {
        cases().into_iter().map(|case| Case { topic, ..case }).collect::<Vec<_>>()
    };
    TOPICS.iter().flat_map(of).collect()
}

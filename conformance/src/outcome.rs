//! How a test ends: it returns, it panics, or it says why it cannot be run.

use std::fmt::{Debug, Display};

/// Carried by the panic of a skipped test.
pub(crate) struct Skipped(pub(crate) String);

/// Ends the test as skipped.
pub(crate) fn skip(reason: &str) -> ! {
    std::panic::resume_unwind(Box::new(Skipped(reason.to_owned())))
}

/// Ends the test for what the machine lacks: as skipped, but as failed where everything has been
/// installed on purpose.
pub(crate) fn lack(what: &str) -> ! {
    match crate::lab::is_strict() {
        true => panic!("{what}"),
        false => skip(what),
    }
}

/// The rows of a table-driven test: all are run, and all failures reported together.
#[derive(Default)]
pub(crate) struct Rows {
    count: usize,
    failures: Vec<String>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A row that must hold.
    pub(crate) fn holds(&mut self, row: impl Display, holds: bool) {
        self.count += 1;
        if !holds {
            self.failures.push(row.to_string());
        }
    }

    /// A row with one right answer.
    pub(crate) fn equal<T: PartialEq + Debug>(
        &mut self,
        row: impl Display,
        actual: T,
        expected: T,
    ) {
        let holds = actual == expected;
        self.holds(format!("{row}: {actual:?}, expected {expected:?}"), holds);
    }

    /// A row with one right result code.
    pub(crate) fn code(&mut self, row: impl Display, actual: i32, expected: i32) {
        self.codes(row, actual, &[expected]);
    }

    /// A row with several defensible result codes.
    pub(crate) fn codes(&mut self, row: impl Display, actual: i32, expected: &[i32]) {
        let names: Vec<_> = expected.iter().map(|code| crate::ffi::code_name(*code)).collect();
        let actual_name = crate::ffi::code_name(actual);
        self.holds(
            format!("{row}: {actual_name}, expected {}", names.join(" or ")),
            expected.contains(&actual),
        );
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.failures.is_empty() {
            panic!(
                "{} of {} rows failed:\n  {}",
                self.failures.len(),
                self.count,
                self.failures.join("\n  ")
            );
        }
    }
}

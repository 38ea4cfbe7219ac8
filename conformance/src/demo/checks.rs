//! What was compared, and what was not as it should be.

/// Counts checks and keeps what is known of those that failed.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// How many held.
    pub passed: usize,
    /// Those that did not, each in a line for the person who reads it.
    pub failures: Vec<String>,
}

impl Checks {
    /// Counts one; `failure` is what to say if it does not hold. Gives whether it does.
    pub(super) fn check(&mut self, holds: bool, failure: impl FnOnce() -> String) -> bool {
        if holds {
            self.passed += 1;
        } else {
            self.failures.push(failure());
        }
        holds
    }

    /// The closing line: `N passed, M failed`.
    #[must_use]
    pub fn closing_line(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failures.len())
    }
}

//! The closing lines of test runners, added up.

use std::{fmt, ops::AddAssign};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// What a line adds to the count, if it is a closing line: `test result: ok. 5 passed; 0 failed; …` of cargo test and
/// of the harnesses that print as it does, or `5 passed, 0 failed` alone, as our own runners print.
pub(crate) fn read(line: &str) -> Option<Count> {
    let line = line.trim();
    if let Some(result) = line.strip_prefix("test result: ") {
        let counts = result.split_once(". ")?.1;
        return two_numbers(counts, ';');
    }
    let (passed, failed) = line.split_once(", ")?;
    let whole = passed.ends_with(" passed") && failed.ends_with(" failed");
    if whole { two_numbers(line, ',') } else { None }
}

/// From `5 passed; 0 failed; …`, with the separator given.
fn two_numbers(counts: &str, separator: char) -> Option<Count> {
    let mut parts = counts.split(separator).map(str::trim);
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Count { passed, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_cargo_test_are_counted() {
        let line =
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s";
        assert_eq!(read(line), Some(Count { passed: 12, failed: 0 }));
        let line = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(read(line), Some(Count { passed: 3, failed: 2 }));
        let line = "test result: \u{1b}[32mok\u{1b}[m. 4 passed; 0 failed; 0 ignored";
        assert_eq!(read(line), Some(Count { passed: 4, failed: 0 }));
    }

    #[test]
    fn a_plain_closing_line_is_counted_only_alone() {
        assert_eq!(read("41 passed, 1 failed"), Some(Count { passed: 41, failed: 1 }));
        for other in ["41 of 42 passed, 1 failed", "41 passed", "ran, passed", "x: 41 passed, 1 failed", ""] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}

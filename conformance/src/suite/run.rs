//! What a suite found on one cluster.

use crate::cluster::Options;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One test of a suite that has ended, or was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its whole name.
    pub name: String,
    /// `passed`, `failed`, `skipped`, `timedout`, … as Ginkgo says it.
    pub state: String,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped; of one that passed, what it has counted, if it says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Spec {
    /// It did what it should.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.state == "passed"
    }

    /// It was left out, and `message` says why.
    #[must_use]
    pub fn skipped(&self) -> bool {
        self.state == "skipped"
    }

    /// It did something else, and was not skipped either.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.passed() && !self.skipped()
    }
}

/// All tests of a run on one cluster.
#[derive(Clone, Debug)]
pub struct Run {
    /// The cluster.
    pub options: Options,
    /// In the order of their ends.
    pub specs: Vec<Spec>,
    /// Without the cluster's boot.
    pub took: Duration,
}

impl Run {
    /// How many passed, failed, were skipped.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        counts(&self.specs)
    }
}

/// How many passed, failed, were skipped.
pub(super) fn counts(specs: &[Spec]) -> [usize; 3] {
    let count = |is: fn(&Spec) -> bool| specs.iter().filter(|spec| is(spec)).count();
    [count(Spec::passed), count(Spec::failed), count(Spec::skipped)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_neither_passed_nor_skipped_has_failed() {
        let spec = |state: &str| Spec {
            name: "a".to_owned(),
            state: state.to_owned(),
            seconds: 2.0,
            message: String::new(),
        };
        let specs = [spec("failed"), spec("passed"), spec("skipped"), spec("panicked")];
        assert_eq!(counts(&specs), [1, 2, 1]);
    }
}

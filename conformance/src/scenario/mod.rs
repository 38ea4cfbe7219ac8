//! Scenarios: a small cluster with its policies, and what they are expected to do. `testdata/README.md` says how one is
//! laid out, `docs/testing-policies.md` how expectations are written.
//!
//! A scenario knows nothing of who is asked. [`Model`] and [`Simulator`] are two [`Judge`]s; a kernel is a third.

mod load;
mod model;
mod simulator;

pub use load::{LoadError, load, load_cluster};
pub use model::Model;
pub use simulator::Simulator;

use policy_model::cluster::Cluster;
use policyctl::assertions::{Assertion, Expect, Probe};
use std::path::PathBuf;

/// A cluster and what is expected of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifests as one state.
    pub cluster: Cluster,
    /// What is expected, in the order of the file.
    pub assertions: Vec<Assertion>,
}

/// Who answers whether a flow may pass.
pub trait Judge {
    /// Whether it may; `None` if this judge cannot ask, such as about an address that no host of the lab has.
    fn allows(&mut self, probe: &Probe) -> Option<bool>;

    /// Why, for the person who reads a failure.
    fn reason(&mut self, probe: &Probe) -> String;
}

/// What a judge found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Assertions that do not hold, each with its place, its flows and the judge's reasons.
    pub failures: Vec<String>,
    /// Flows that the judge was asked about and answered.
    pub asked: usize,
    /// Flows that it could not ask.
    pub skipped: usize,
}

/// Asks a judge about every flow of every assertion.
pub fn check(scenario: &Scenario, judge: &mut dyn Judge) -> Finding {
    let mut finding = Finding::default();
    for assertion in &scenario.assertions {
        let failed = assertion.failures(|probe| {
            let answer = judge.allows(probe);
            match answer {
                Some(_) => finding.asked += 1,
                None => finding.skipped += 1,
            }
            answer
        });
        if failed.is_empty() {
            continue;
        }
        let flows = failed.iter().map(|probe| {
            let found = if assertion.expect == Expect::Allowed { Expect::Denied } else { Expect::Allowed };
            format!("\n    {probe} is {found}: {}", judge.reason(probe))
        });
        let flows: String = flows.collect();
        finding.failures.push(format!("tests.yaml:{}: {assertion}{flows}", assertion.place));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Says the same about everything.
    struct Always(Option<bool>);

    impl Judge for Always {
        fn allows(&mut self, _: &Probe) -> Option<bool> {
            self.0
        }

        fn reason(&mut self, _: &Probe) -> String {
            "always".to_owned()
        }
    }

    fn database() -> Scenario {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/scenarios/database");
        load(&folder).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_judge_that_is_wrong_fails_with_the_flow_and_its_reason() {
        let scenario = database();
        let open = check(&scenario, &mut Always(Some(true)));
        let closed = check(&scenario, &mut Always(Some(false)));
        assert_eq!(open.failures.len() + closed.failures.len(), scenario.assertions.len());
        let failure = &closed.failures[0];
        assert!(
            failure.contains("shop/api (10.244.1.3) -> shop/db (10.244.2.2) TCP 5432 is Denied: always"),
            "{failure}"
        );
    }

    #[test]
    fn what_a_judge_cannot_ask_is_counted_and_fails_nothing() {
        let finding = check(&database(), &mut Always(None));
        assert_eq!((finding.failures.len(), finding.asked), (0, 0));
        assert!(finding.skipped > 0);
    }

    #[test]
    fn a_scenario_with_a_fault_names_file_and_place() {
        let folder = std::env::temp_dir().join(format!("palisade-scenario-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("manifests")).expect("a folder");
        std::fs::write(folder.join("manifests/a.yaml"), "kind: Pod\n").expect("a file");
        std::fs::write(folder.join("tests.yaml"), "tests: [{name: x, from: a/b, to: a/c, expect: Denied}]")
            .expect("a file");
        let message = load(&folder).expect_err("it is wrong").to_string();
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        assert!(
            message.contains("a.yaml:1:1")
                && message.contains("tests.yaml:1:")
                && message.contains("no pod a/c"),
            "{message}"
        );
    }
}

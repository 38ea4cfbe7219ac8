//! `policyctl test`: expectations held against manifests, with the reason of everything that is not as expected.
//!
//! What a test file says is in [`crate::assertions`]; here its assertions are asked of the model, and what fails is explained.

mod files;
mod output;
#[cfg(test)]
mod tests;

pub use files::{FilesError, manifests_of, test_files};
pub use output::{Reports, json, junit, table, tap};

use crate::{
    assertions::{Assertion, Expect, Place, Probe, Require, TestFile, TestFileError},
    endpoint::{Endpoint, Ports, Target, Transport},
    explain::{self, Explanation, Question},
    fix::{self, Goal},
    input::Snapshot,
};
use policy_model::verdict;
use std::sync::Arc;

/// What became of one test file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file's name.
    pub file: String,
    /// Every assertion, in the order of the file.
    pub outcomes: Vec<Outcome>,
}

/// A test file of which nothing could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file's name.
    pub file: String,
    /// Everything that is wrong with it: `12:9: test "name": what`, or why it cannot be read.
    pub faults: Vec<String>,
}

/// What became of one assertion.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `name` of the test that it is in.
    pub test: Arc<str>,
    /// `shop/front -> shop/db:5432/TCP`, as written.
    pub about: String,
    /// Where it is written.
    pub place: Place,
    /// What is expected.
    pub expect: Expect,
    /// Of how many flows.
    pub require: Require,
    /// How many flows it stands for.
    pub flows: usize,
    /// The flows that are not as expected; none if the assertion holds.
    pub failures: Vec<Failure>,
}

/// A flow that is not as expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// `shop/front (10.244.1.2) -> shop/db (10.244.2.3) TCP 5432`.
    pub flow: String,
    /// Why it is as it is, for the first flows of an assertion: further ones have the same reasons more often than not.
    pub explanation: Option<Explanation>,
}

/// How many flows of an assertion are explained.
const EXPLAINED: usize = 2;

impl Outcome {
    /// Whether the assertion holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }

    /// What the flows that fail are instead.
    #[must_use]
    pub fn answer(&self) -> Expect {
        Expect::of(self.holds() == (self.expect == Expect::Allowed))
    }
}

/// Reads a test file and holds it against a snapshot.
///
/// # Errors
/// Everything that is wrong with the file, also what it names that is not there.
pub fn run(snapshot: &Snapshot, file: &str, text: &str) -> Result<FileReport, Vec<TestFileError>> {
    let assertions = TestFile::parse(text)?.resolve(&snapshot.cluster, &snapshot.slices)?;
    let outcomes = assertions.iter().map(|assertion| outcome(snapshot, assertion)).collect();
    Ok(FileReport { file: file.to_owned(), outcomes })
}

fn outcome(snapshot: &Snapshot, assertion: &Assertion) -> Outcome {
    let failed = assertion.failures(|probe| Some(snapshot.cluster.verdict(&probe.flow).allowed));
    let failures = failed.into_iter().enumerate().map(|(index, probe)| Failure {
        flow: probe.to_string(),
        explanation: (index < EXPLAINED).then(|| explanation(snapshot, assertion.expect, probe)).flatten(),
    });
    Outcome {
        test: assertion.test.clone(),
        about: assertion.about.clone(),
        place: assertion.place,
        expect: assertion.expect,
        require: assertion.require,
        flows: assertion.probes.len(),
        failures: failures.collect(),
    }
}

fn explanation(snapshot: &Snapshot, expect: Expect, probe: &Probe) -> Option<Explanation> {
    let ports = match (probe.transport, probe.flow.port) {
        (Transport::Ported(protocol), Some(port)) => Ports::Range(protocol, port, port),
        (transport, _) => Ports::All(transport),
    };
    let question = Question {
        source: end(snapshot, &probe.flow.source),
        target: Target { endpoint: end(snapshot, &probe.flow.destination), ports },
    };
    let mut explanation = explain::explain(snapshot, &question).ok()?;
    let goal = match expect {
        Expect::Allowed => Goal::Allow,
        Expect::Denied => Goal::Deny,
    };
    explanation.fix = fix::find(snapshot, &explanation, goal);
    Some(explanation)
}

/// An end by its name, unless it has two addresses, of which only one is meant.
fn end(snapshot: &Snapshot, endpoint: &verdict::Endpoint) -> Endpoint {
    match endpoint {
        verdict::Endpoint::Address(address) => Endpoint::Address(*address),
        verdict::Endpoint::Pod { key, address } => {
            let pod = snapshot.cluster.pod(key);
            let by_address = address.filter(|_| pod.is_some_and(|pod| pod.ips.len() > 1 && pod.is_policed()));
            by_address.map_or_else(|| Endpoint::Pod(key.clone()), Endpoint::Address)
        }
    }
}

/// How many assertions hold and how many do not.
#[must_use]
pub fn counts(reports: &[FileReport]) -> (usize, usize) {
    let all = reports.iter().flat_map(|report| &report.outcomes);
    let held = all.clone().filter(|outcome| outcome.holds()).count();
    (held, all.count() - held)
}

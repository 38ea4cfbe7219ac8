//! Suites of others, run on a real cluster, and what they say.

mod cyclonus;
mod document;
mod ginkgo;
mod measure;
mod netpol;
mod own;
mod record;
mod run;

pub use cyclonus::{CYCLONUS, Cyclonus, cyclonus};
pub use document::{About, document};
pub use measure::{Measure, Measured, Quantiles, measure};
pub use netpol::{NETPOL, Netpol, netpol};
pub use own::{OWN, Own, RULES, own};
pub use record::{Place, RESULTS, Record};
pub use run::{Run, Spec};

/// A suite could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
    /// There is no such case.
    #[error("cyclonus has no case {0}: they are 1 to {1}")]
    NoCase(u16, usize),
    /// It ended before all of its specs had, or told of more than there are.
    #[error("the suite ended ({status}) after {seen} of {expected} specs; its last lines:\n{tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Specs that ended.
        seen: usize,
        /// Specs that should have.
        expected: usize,
        /// The end of its output.
        tail: String,
    },
}

/// The version of a module that a `go.mod` requires; empty if it does not.
fn required(go_mod: &'static str, module: &str) -> &'static str {
    let mut lines = go_mod.lines().map(|line| line.trim().trim_start_matches("require "));
    let version = lines.find_map(|line| line.strip_prefix(module)?.strip_prefix(' '));
    version.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default()
}

//! Suites of others, run on a real cluster, and what they say.

mod netpol;
mod report;

pub use netpol::{Netpol, run};
pub use report::{Run, Spec, document};

/// A suite could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::ClusterError),
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

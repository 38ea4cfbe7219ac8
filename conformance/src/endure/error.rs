//! What ends a run before its end.

use crate::{cluster::ClusterError, enforced::PolicydError, lab::LabError, preload::PreloadError};
use std::io;

/// The run cannot go on. A promise that is broken is no such error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum EndureError {
    /// The lab or a `policyd` in it.
    #[error(transparent)]
    Policyd(#[from] PolicydError),
    /// The API server that they follow.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A daemon that cannot be stopped or continued.
    #[error("cannot signal policyd: {0}")]
    Signal(io::Error),
    /// Our tables are not repaired.
    #[error(
        "the tables of node {node} differ from what policyd wants by {operations} operations after {seconds} s"
    )]
    NotRepaired {
        /// Which node.
        node: u8,
        /// By how much.
        operations: u64,
        /// How long it had.
        seconds: u64,
    },
    /// Pods stay denied although the kernel takes everything again.
    #[error(
        "{pods} pods of node {node} are still denied {seconds} s after the kernel has refused an object of theirs"
    )]
    StillDenied {
        /// Which node.
        node: u8,
        /// How many.
        pods: u64,
        /// How long it had.
        seconds: u64,
    },
    /// What a node enforces is not what the API server holds.
    #[error("node {node} does not enforce what its API server holds after {seconds} s: {operations}")]
    NotFollowed {
        /// Which node.
        node: u8,
        /// What the kernel lacks, or has too much.
        operations: String,
        /// How long it had.
        seconds: u64,
    },
    /// Streams and questions do not notice what they are there to notice.
    #[error("the control failed: {0}")]
    Blind(&'static str),
    /// What is kept of a failure, or the report.
    #[error("{path}: {source}")]
    Write {
        /// Where.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C, or the process was told to end.
    #[error("interrupted; the lab has been taken down")]
    Interrupted,
}

impl From<LabError> for EndureError {
    fn from(error: LabError) -> Self {
        Self::Policyd(error.into())
    }
}

impl From<PreloadError> for EndureError {
    fn from(error: PreloadError) -> Self {
        Self::Policyd(error.into())
    }
}

impl EndureError {
    /// For `map_err` after writing a file.
    pub(super) fn write(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        |source| Self::Write { path, source }
    }
}

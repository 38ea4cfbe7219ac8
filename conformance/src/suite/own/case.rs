//! One case: what it proves, and how it ends.

use crate::{cluster::ClusterError, lab::LabError, suite::Spec};
use std::time::{Duration, Instant};

/// A named proof, about what it needs.
pub(super) struct Case<G> {
    pub(super) name: &'static str,
    /// Said to readers of the report.
    pub(super) proves: &'static str,
    /// Gives what was counted.
    pub(super) prove: fn(&mut G) -> Result<String, Fault>,
}

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Something is not as it should be.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be tried on this cluster.
    #[error("{0}")]
    Skipped(&'static str),
    /// The cluster or one of its programs.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A namespace or a thread.
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl From<Fault> for ClusterError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Wrong(what) => Self::NotReady { what, said: String::new() },
            Fault::Skipped(reason) => Self::NotReady { what: reason.to_owned(), said: String::new() },
            Fault::Cluster(error) => error,
            Fault::Lab(error) => error.into(),
        }
    }
}

/// It is not as it should be.
pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(what.into()))
}

impl<G> Case<G> {
    pub(super) fn run(&self, ground: &mut G) -> Spec {
        let begin = Instant::now();
        let result = (self.prove)(ground);
        let took = begin.elapsed();
        match result {
            Ok(counted) => self.ended("passed", took, counted),
            Err(Fault::Skipped(reason)) => self.ended("skipped", took, reason.to_owned()),
            Err(fault) => self.ended("failed", took, fault.to_string()),
        }
    }

    pub(super) fn ended(&self, state: &str, took: Duration, message: String) -> Spec {
        let name = format!("{}: {}", self.name, self.proves);
        Spec { name, state: state.to_owned(), seconds: took.as_secs_f64(), message }
    }
}

/// How often something is looked at that takes a while.
const POLL: Duration = Duration::from_millis(200);

/// Waits until something is so.
///
/// # Errors
/// It is not within a minute and a half, or cannot be asked.
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> Result<bool, Fault>) -> Result<(), Fault> {
    const PATIENCE: Duration = Duration::from_secs(90);
    let end = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > end {
            return wrong(format!("not within {PATIENCE:?}: {what}"));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

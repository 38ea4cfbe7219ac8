//! What can go wrong while servers are built, started or asked.

use crate::lab::LabError;
use std::{io, path::PathBuf};

/// An error of the cluster. Each names the thing concerned and, where it is not plain, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no Go to build with.
    #[error(
        "`go` cannot be started ({0}): Kubernetes' servers are built from their Go modules; install Go {1} or newer \
         and put it into the path"
    )]
    NoGo(io::Error, String),
    /// Go could not build.
    #[error("building {what} failed; the whole output is in {}:\n{tail}", log.display())]
    Build {
        /// The program.
        what: &'static str,
        /// Its last lines of output.
        tail: String,
        /// Where all of it is.
        log: PathBuf,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where caches live.
    #[error("there is no folder for built programs: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// Namespaces, files, programs.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A server ended, or did not get ready.
    #[error("{server} {what}; its last lines, from {}:\n{tail}", log.display())]
    Server {
        /// Which one.
        server: &'static str,
        /// What it did.
        what: String,
        /// Its last log lines.
        tail: String,
        /// Its whole log; gone when the cluster is.
        log: PathBuf,
    },
    /// etcd said something unexpected.
    #[error("etcd answered {path} with: {answer}")]
    Etcd {
        /// What was asked.
        path: &'static str,
        /// What it said.
        answer: String,
    },
}

impl ClusterError {
    /// A maker of [`LabError::Io`] for `map_err`.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Lab(LabError::Io { what, source })
    }
}

/// The last lines of a log, for an error.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

//! What can go wrong while servers are built, started or asked.

use crate::{lab::LabError, log_tail::last_lines};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

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
    /// The disk is too full for a build.
    #[error(
        "{} has {free} MB free, and building takes up to {needed} MB with what Go keeps: make room, or set XDG_CACHE_HOME, GOCACHE and \
         GOMODCACHE to folders on a larger disk", folder.display()
    )]
    NoRoom {
        /// Where built programs are kept.
        folder: PathBuf,
        /// Megabytes that are free.
        free: u64,
        /// Megabytes that should be.
        needed: u64,
    },
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
    /// There is no cluster of this name.
    #[error("no cluster `{0}` is up; `cargo cluster up` starts one")]
    NoCluster(String),
    /// There is no node of this name.
    #[error("there is no node `{name}`; the nodes are {nodes}")]
    NoNode {
        /// What was asked for.
        name: String,
        /// Those that there are.
        nodes: String,
    },
    /// Something does not get ready.
    #[error("{what}:\n{said}")]
    NotReady {
        /// What, and after how long.
        what: String,
        /// What is known of it.
        said: String,
    },
    /// The machine has too little memory left.
    #[error(
        "{free} MB of memory are available, and a cluster takes {needed} MB: end something else, or use fewer workers"
    )]
    NoMemory {
        /// Megabytes that are available.
        free: u64,
        /// Megabytes that should be.
        needed: u64,
    },
    /// The disk is too full for the nodes.
    #[error(
        "{folder}: {free} MB are free, and a cluster takes {needed} MB, with the hundredth of the disk that its nodes leave free: make room"
    )]
    NoDisk {
        /// Where the nodes' files are.
        folder: &'static str,
        /// Megabytes that are free.
        free: u64,
        /// Megabytes that should be.
        needed: u64,
    },
    /// `policyd` has not been built.
    #[error(transparent)]
    Policyd(#[from] crate::enforced::PolicydError),
    /// An image archive could not be made.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
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
    /// A maker of [`LabError::Io`] for `map_err`; `what` is what was being done, and to what.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Lab(LabError::Io { what, source })
    }
}

/// The last lines of a log file, for an error.
pub(super) fn tail_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    format!("{}, from {}", tail(&text), log.display())
}

/// The last lines of a log, for an error.
pub(super) fn tail(text: &str) -> String {
    last_lines(text, 12)
}

//! What ends the demo before its end.

use crate::{enforced::PolicydError, lab::LabError, scenario::LoadError};
use std::{io, path::Path};

/// The demo cannot go on. A check that fails is no such error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The lab or a `policyd` in it.
    #[error(transparent)]
    Policyd(#[from] PolicydError),
    /// The company's manifests or expectations.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The demo and the company's manifests do not fit together.
    #[error("testdata/company is not what the demo is written for: {0}")]
    Company(String),
    /// Somebody pressed Ctrl-C, or the process was told to end.
    #[error("interrupted; the lab has been taken down")]
    Interrupted,
}

impl From<LabError> for DemoError {
    fn from(error: LabError) -> Self {
        Self::Policyd(error.into())
    }
}

impl DemoError {
    /// For `map_err` after an operation on a file.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        |source| Self::Io { what, source }
    }
}

//! Helm, which renders the chart of deploy/.

use super::{ClusterError, build};
use std::path::PathBuf;

/// Where the program `helm` is; builds it if it is not there, in about 5 minutes on two idle cores.
///
/// # Errors
/// As [`Binaries::ensure`](super::Binaries::ensure).
pub fn helm() -> Result<PathBuf, ClusterError> {
    Ok(build::ensure(&build::HELM)?.join("helm"))
}

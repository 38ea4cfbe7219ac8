//! cyclonus, whose `analyze` answers offline what `policyctl` does.

use super::{ClusterError, build};
use std::path::PathBuf;

/// Where the program `cyclonus` is; builds it if it is not there, in about a minute on two idle cores.
///
/// # Errors
/// As [`Binaries::ensure`](super::Binaries::ensure).
pub fn cyclonus() -> Result<PathBuf, ClusterError> {
    Ok(build::ensure(&build::CYCLONUS_ITSELF)?.join("cyclonus"))
}

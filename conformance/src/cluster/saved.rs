//! What is noted of a cluster for other processes.

use super::{ClusterError, Options};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Its name in the cluster's folder. It is there once all runs.
pub(super) const FILE: &str = "cluster.json";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) options: Options,
    /// The first process of each node, `n1` first.
    pub(super) nodes: Vec<u32>,
}

impl Saved {
    pub(super) fn read(dir: &Path) -> Result<Self, ClusterError> {
        let file = dir.join(FILE);
        let text = fs::read(&file).map_err(ClusterError::io(file.display().to_string()))?;
        serde_json::from_slice(&text).map_err(|e| ClusterError::io(file.display().to_string())(e.into()))
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), ClusterError> {
        let file = dir.join(FILE);
        let error = || ClusterError::io(file.display().to_string());
        let text = serde_json::to_vec(self).map_err(|e| error()(e.into()))?;
        fs::write(&file, text).map_err(error())
    }
}

//! The servers of an API server alone.

use super::{ClusterError, build};
use crate::lab::{LabError, Netns};
use std::path::{Path, PathBuf};

/// A folder with every component of Kubernetes, and etcd, under its usual name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// Finds them in the cache (`$XDG_CACHE_HOME/palisade` or `~/.cache/palisade`), and builds them if they are not there:
    /// about 6 minutes on two idle cores, with a line on standard error every 15 seconds. Who comes meanwhile waits.
    ///
    /// # Errors
    /// [`ClusterError::NoGo`], [`ClusterError::Build`] with Go's last lines, [`ClusterError::NoCache`],
    /// [`ClusterError::NoRoom`].
    pub fn ensure() -> Result<Self, ClusterError> {
        Ok(Self { dir: build::ensure(&build::KUBERNETES)? })
    }

    /// The path of a server.
    #[must_use]
    pub fn path(&self, server: &str) -> PathBuf {
        self.dir.join(server)
    }

    /// Runs kubectl in a namespace, with `input` on its standard input; gives its standard output.
    pub(super) fn kubectl(
        &self,
        netns: &Netns,
        kubeconfig: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, LabError> {
        let (program, kubeconfig) = (self.path("kubectl"), kubeconfig.to_string_lossy());
        netns.exec_with(
            &[&[&*program.to_string_lossy(), "--kubeconfig", &kubeconfig], arguments].concat(),
            input,
        )
    }
}

//! An API server that outlives the process that started it.

use super::{ApiServer, Binaries, ClusterError};
use crate::lab::{Netns, ownership};
use std::path::{Path, PathBuf};

/// A cluster that was left up on purpose.
#[derive(Debug)]
pub struct Kept {
    id: String,
}

impl Kept {
    /// Starts one and leaves it up. The name is of small letters and digits.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub fn start(name: &str) -> Result<Self, ClusterError> {
        let id = ApiServer::start(name)?.keep()?;
        Ok(Self { id })
    }

    /// The one of this name that is up, or was when its machine or its processes ended.
    ///
    /// # Errors
    /// The labs' folder cannot be read.
    pub fn find(name: &str) -> Result<Option<Self>, ClusterError> {
        Ok(ownership::kept_of(name)?.into_iter().next().map(|id| Self { id }))
    }

    /// Its network namespace: everything that shall reach it runs there.
    #[must_use]
    pub fn netns(&self) -> Netns {
        Netns::new(format!("{}-api", self.id))
    }

    /// The kubeconfig of its administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        Path::new(ownership::STATE_DIR).join(&self.id).join("admin.conf")
    }

    /// Where kubectl is.
    ///
    /// # Errors
    /// As [`Binaries::ensure`].
    pub fn kubectl(&self) -> Result<PathBuf, ClusterError> {
        Ok(Binaries::ensure()?.path("kubectl"))
    }

    /// Asks the API server whether it is ready.
    ///
    /// # Errors
    /// What kubectl says: it is not.
    pub fn require_ready(&self) -> Result<(), ClusterError> {
        let ask = ["get", "--raw", "/readyz"];
        Binaries::ensure()?.kubectl(&self.netns(), &self.kubeconfig(), &ask, "")?;
        Ok(())
    }

    /// Takes it down: processes, namespace, files.
    ///
    /// # Errors
    /// What the lab's reaper says.
    pub fn remove(self) -> Result<(), ClusterError> {
        Ok(ownership::remove(&self.id)?)
    }
}

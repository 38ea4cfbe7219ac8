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
        let prefix = format!("pal-{name}-");
        let is_it = |id: &String| id.strip_prefix(&prefix).is_some_and(|number| !number.contains('-'));
        Ok(ownership::kept()?.into_iter().find(is_it).map(|id| Self { id }))
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
        let (kubectl, config) = (self.kubectl()?, self.kubeconfig());
        let words = [
            &*kubectl.to_string_lossy(),
            "--kubeconfig",
            &config.to_string_lossy(),
            "get",
            "--raw",
            "/readyz",
        ];
        self.netns().exec(&words)?;
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

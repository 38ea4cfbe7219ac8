//! Credentials, and the client that is made of them.

use super::fault::reasons;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tracing::warn;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Where the API server's address, its certificate authority and our credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// In a kubeconfig; its current context counts.
    Kubeconfig(PathBuf),
    /// Where Kubernetes puts them for a pod.
    InCluster,
}

impl Credentials {
    /// Whether Kubernetes has put some here.
    #[must_use]
    pub fn are_in_cluster() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig is not there.
    #[error("{0}: no such file")]
    Missing(PathBuf),
    /// It is there and cannot be used.
    #[error("{path}: not a kubeconfig that can be used: {reason}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a pod is given is not here.
    #[error("this pod has no credentials for the API server: {0}")]
    InCluster(String),
    /// The credentials make no client: a certificate or key that is none.
    #[error("the credentials for the API server cannot be used: {0}")]
    Unusable(String),
}

/// A client that is made anew when its credentials are not valid any more: whoever renews them writes the files again.
#[derive(Debug)]
pub struct Connection {
    credentials: Credentials,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// Counts the clients that were made.
    number: u64,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the credentials. The API server is not asked yet. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(credentials: Credentials) -> Result<Self, ConnectError> {
        let client = client(&credentials).await?;
        Ok(Self { credentials, current: Mutex::new(Current { client, number: 0 }) })
    }

    /// The client now, and its number for [`Self::renew`].
    pub(crate) fn client(&self) -> (Client, u64) {
        let current = self.lock();
        (current.client.clone(), current.number)
    }

    /// The API server did not know the credentials of client `number`: reads them again, unless somebody just did.
    pub(crate) async fn renew(&self, number: u64) {
        if self.lock().number != number {
            return;
        }
        match client(&self.credentials).await {
            Ok(client) => {
                let mut current = self.lock();
                if current.number == number {
                    *current = Current { client, number: number + 1 };
                }
            }
            Err(error) => warn!(%error, "the credentials cannot be read again"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn client(credentials: &Credentials) -> Result<Client, ConnectError> {
    let mut config = match credentials {
        Credentials::Kubeconfig(path) => read(path).await?,
        Credentials::InCluster => Config::incluster().map_err(|e| ConnectError::InCluster(reasons(&e)))?,
    };
    config.connect_timeout = Some(CONNECT);
    // Followers wait and try again in their own way, and say so.
    config.default_retry = false;
    Client::try_from(config).map_err(|e| ConnectError::Unusable(reasons(&e)))
}

async fn read(path: &Path) -> Result<Config, ConnectError> {
    if !path.exists() {
        return Err(ConnectError::Missing(path.to_owned()));
    }
    let unusable = |e| ConnectError::Kubeconfig { path: path.to_owned(), reason: reasons(&e) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)
}

//! What runs on the nodes speaks to the API server as its own service account, with its published rights.

use super::{Cluster, ClusterError};
use std::{fs, path::PathBuf};

/// Namespaces, accounts and rights of Flannel, kube-proxy and kube-router.
const MANIFESTS: &str = include_str!("../../cluster/accounts.yaml");
/// As long as the certificates: a cluster of tests does not live as long.
const LIFETIME: &str = "--duration=720h";

/// Kubeconfigs of the accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) flannel: PathBuf,
    pub(super) kube_proxy: PathBuf,
    pub(super) kube_router: PathBuf,
}

impl Accounts {
    /// Makes the accounts and their tokens.
    pub(super) fn create(cluster: &Cluster) -> Result<Self, ClusterError> {
        cluster.kubectl_with(&["apply", "-f", "-"], MANIFESTS)?;
        Ok(Self {
            flannel: kubeconfig(cluster, "kube-flannel", "flannel")?,
            kube_proxy: kubeconfig(cluster, "kube-system", "kube-proxy")?,
            kube_router: kubeconfig(cluster, "kube-system", "kube-router")?,
        })
    }
}

/// Writes a kubeconfig for a service account.
pub(super) fn kubeconfig(cluster: &Cluster, namespace: &str, name: &str) -> Result<PathBuf, ClusterError> {
    let token = cluster.kubectl(&["create", "token", name, "--namespace", namespace, LIFETIME])?;
    let file = cluster.dir().join(format!("{name}.token"));
    fs::write(&file, token.trim()).map_err(ClusterError::io(file.display().to_string()))?;
    cluster.kubeconfig_of_token(name, &file)
}

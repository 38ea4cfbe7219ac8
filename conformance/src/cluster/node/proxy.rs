//! kube-proxy on a node.

use super::{Folders, Namespaces};
use crate::cluster::{ClusterError, ProxyMode, plan::Plan, server::Server};
use serde_json::json;
use std::{fs, path::Path};

/// Starts it; it is started again when it ends, as its DaemonSet does.
pub(super) fn start(
    namespaces: &Namespaces,
    folders: &Folders,
    node: &str,
    plan: Plan,
    mode: ProxyMode,
    program: &Path,
    kubeconfig: &Path,
) -> Result<Server, ClusterError> {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode.name(),
        "clusterCIDR": plan.pods(),
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": kubeconfig},
        // These are the whole machine's, and read-only in a network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    let file = folders.state.join("kube-proxy.json");
    fs::write(&file, configuration.to_string()).map_err(ClusterError::io(file.display().to_string()))?;
    let mut command = super::restarted(program);
    command.arg(format!("--config={}", file.display()));
    Server::start("kube-proxy", command, &folders.logs(), |command| namespaces.spawn(command))
}

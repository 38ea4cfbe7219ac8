//! The cluster's name service: CoreDNS.

use super::{Cluster, ClusterError, images::Archive};

const MANIFESTS: &str = include_str!("../../cluster/coredns.yaml");
const DEPLOYMENT: &str = "deployment/coredns";
const NAMESPACE: &str = "kube-system";
/// How long its pods may take to get ready.
const PATIENCE: &str = "--timeout=120s";

/// Installs it, and waits until it answers. Pods ask it already: kubelets tell them its Service's address.
pub(super) fn start(cluster: &Cluster, image: &Archive) -> Result<(), ClusterError> {
    let address = cluster.plan().dns_service().to_string();
    let manifests = MANIFESTS.replace("clusterIP: ADDRESS", &format!("clusterIP: \"{address}\""));
    cluster.kubectl_with(
        &["apply", "-f", "-"],
        &manifests.replace("image: IMAGE", &format!("image: {}", image.name)),
    )?;
    let rollout = cluster.kubectl(&["rollout", "status", DEPLOYMENT, "--namespace", NAMESPACE, PATIENCE]);
    rollout.map(drop).map_err(|error| {
        let logs = ["logs", DEPLOYMENT, "--namespace", NAMESPACE, "--all-pods", "--tail=20"];
        let said = cluster.kubectl(&logs).unwrap_or_else(|e| e.to_string());
        ClusterError::NotReady { what: format!("CoreDNS is not ready ({error})"), said }
    })
}

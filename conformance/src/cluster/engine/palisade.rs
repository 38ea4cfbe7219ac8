//! Palisade, as a user installs it: its image loaded on every node, `deploy/palisade.yaml` applied.

use crate::{
    cluster::{Cluster, ClusterError},
    enforced,
    image::Image,
};

/// What is applied.
pub(crate) const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/palisade.yaml");
/// Where it lives.
pub(crate) const NAMESPACE: &str = "palisade-system";
/// What runs it.
pub(crate) const DAEMONSET: &str = "daemonset/palisade";
/// How long its pods may take to get ready on all nodes.
const PATIENCE: &str = "--timeout=120s";

/// Installs it, and waits until its first revision is in force on every node.
pub(super) fn start(cluster: &Cluster) -> Result<(), ClusterError> {
    load(cluster, env!("CARGO_PKG_VERSION"))?;
    apply(cluster)?;
    wait(cluster)
}

/// Loads its image under a tag on every node; gives the image's whole name.
pub(crate) fn load(cluster: &Cluster, tag: &str) -> Result<String, ClusterError> {
    let policyd = enforced::binary()?;
    let archive = cluster.dir().join(format!("policyd-{tag}.tar"));
    let mut image = Image::policyd(&policyd, tag)?;
    // It does not travel.
    image.gzip = false;
    image.write(&archive)?;
    cluster.import(&archive)?;
    Ok(image.name.to_string())
}

/// `kubectl apply`, as a user does it.
pub(crate) fn apply(cluster: &Cluster) -> Result<(), ClusterError> {
    cluster.kubectl(&["apply", "--filename", MANIFEST]).map(drop)
}

/// Waits until the last change of its DaemonSet has reached every node.
pub(crate) fn wait(cluster: &Cluster) -> Result<(), ClusterError> {
    let rollout = cluster.kubectl(&["rollout", "status", DAEMONSET, "--namespace", NAMESPACE, PATIENCE]);
    rollout.map(drop).map_err(|error| {
        let asks: [&[&str]; 3] = [
            &["get", "pods", "--namespace", NAMESPACE, "--output", "wide"],
            &["events", "--namespace", NAMESPACE],
            &["logs", DAEMONSET, "--namespace", NAMESPACE, "--all-containers", "--all-pods", "--tail=20"],
        ];
        let said = asks.iter().map(|ask| cluster.kubectl(ask).unwrap_or_else(|e| e.to_string()));
        ClusterError::NotReady {
            what: format!("Palisade is not ready on all nodes ({error})"),
            said: said.collect::<Vec<_>>().join("\n"),
        }
    })
}

//! Palisade, as a user installs it: its image loaded on every node, `deploy/palisade.yaml` applied.

use crate::{
    cluster::{Cluster, ClusterError},
    enforced,
    image::Image,
};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/palisade.yaml");
const NAMESPACE: &str = "palisade-system";
const DAEMONSET: &str = "daemonset/palisade";
/// How long its pods may take to get ready on all nodes.
const PATIENCE: &str = "--timeout=120s";

/// Installs it, and waits until its first revision is in force on every node.
pub(super) fn start(cluster: &Cluster) -> Result<(), ClusterError> {
    let policyd = enforced::binary()?;
    let archive = cluster.dir().join("policyd.tar");
    let mut image = Image::policyd(&policyd, env!("CARGO_PKG_VERSION"))?;
    // It does not travel.
    image.gzip = false;
    image.write(&archive)?;
    cluster.import(&archive)?;
    cluster.kubectl(&["apply", "--filename", MANIFEST])?;
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

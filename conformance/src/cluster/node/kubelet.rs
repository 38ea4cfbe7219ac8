//! The kubelet of a node.

use super::{Folders, Namespaces, containerd::SOCKET};
use crate::cluster::{
    Binaries, ClusterError, Identity,
    certificates::Authority,
    kubeconfig,
    plan::{Plan, joined},
    server::Server,
};
use serde_json::json;
use std::{fs, process::Command};

/// What a kubelet is started from.
pub(super) struct Kubelet<'a> {
    pub(super) node: &'a str,
    pub(super) index: u8,
    pub(super) plan: Plan,
    pub(super) authority: &'a Authority,
    pub(super) binaries: &'a Binaries,
    pub(super) folders: &'a Folders,
}

impl Kubelet<'_> {
    /// Starts it; the node registers itself in time.
    pub(super) fn start(&self, namespaces: &Namespaces) -> Result<Server, ClusterError> {
        let addresses = self.plan.node(self.index);
        let names = addresses.iter().map(|address| format!(",IP:{address}")).collect::<String>();
        let certificate = format!("kubelet-{}", self.node);
        self.authority.issue(
            &certificate,
            &format!("/O=system:nodes/CN=system:node:{}", self.node),
            &format!("DNS:{}{names}", self.node),
        )?;
        let user = format!("system:node:{}", self.node);
        let identity = Identity { user: &user, group: "system:nodes" };
        let config =
            kubeconfig::of_identity(&self.folders.state, self.authority, &self.plan.server(), identity)?;
        let file = self.folders.state.join("kubelet.json");
        let text = self.configuration(&certificate).to_string();
        fs::write(&file, text).map_err(ClusterError::io(file.display().to_string()))?;
        let mut command = Command::new(self.binaries.path("kubelet"));
        command
            .arg(format!("--config={}", file.display()))
            .arg(format!("--kubeconfig={}", config.display()))
            .arg(format!("--node-ip={}", joined(&addresses)))
            .arg("--v=2");
        Server::start("kubelet", command, &self.folders.logs(), |command| namespaces.spawn(command))
    }

    fn configuration(&self, certificate: &str) -> serde_json::Value {
        let file = |name: &str| self.authority.path(name).to_string_lossy().into_owned();
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            // Of this machine.
            "failCgroupV1": false,
            "failSwapOn": false,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}/{}", self.folders.cluster_id(), self.node),
            "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": file("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": file(&format!("{certificate}.crt")),
            "tlsPrivateKeyFile": file(&format!("{certificate}.key")),
            "clusterDNS": [self.plan.dns_service()],
            "clusterDomain": "cluster.local",
            "resolvConf": "",
            // The disk is the machine's, and what others do with it is no reason to remove pods or images.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "maxPods": 250,
            "nodeStatusUpdateFrequency": "5s",
        })
    }
}

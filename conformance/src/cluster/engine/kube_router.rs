//! kube-router as a firewall alone, beside Flannel and kube-proxy.

use crate::cluster::{Cluster, ClusterError, accounts::Accounts, node};
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long it may take until its chains are there.
const PATIENCE: Duration = Duration::from_secs(60);
/// The chain that every packet of a pod goes through.
const CHAIN: &str = "KUBE-ROUTER-FORWARD";

pub(super) fn start(cluster: &mut Cluster, program: &Path, accounts: &Accounts) -> Result<(), ClusterError> {
    let plan = cluster.plan();
    for node in cluster.nodes_mut() {
        let mut command = node::restarted(program);
        command
            .arg(format!("--kubeconfig={}", accounts.kube_router.display()))
            .arg(format!("--hostname-override={}", node.name()))
            .args(["--run-firewall=true", "--run-router=false", "--run-service-proxy=false"])
            .args(["--run-loadbalancer=false", "--enable-cni=false"])
            .arg(format!("--enable-ipv4={}", plan.families().has_ipv4()))
            .arg(format!("--enable-ipv6={}", plan.families().has_ipv6()))
            .arg(format!("--service-cluster-ip-range={}", plan.services()))
            // It syncs on every event; the rest is repair.
            .arg("--iptables-sync-period=5m")
            .env("NODE_NAME", node.name());
        node.daemon("kube-router", command)?;
    }
    let tool = if plan.families().has_ipv4() { "iptables" } else { "ip6tables" };
    let begin = Instant::now();
    for node in cluster.nodes() {
        while node.exec(&[tool, "--wait", "--list", CHAIN]).is_err() {
            if begin.elapsed() > PATIENCE {
                let what = format!("kube-router on {} has no chain {CHAIN} after {PATIENCE:?}", node.name());
                let log = node.logs().join("kube-router.log");
                return Err(ClusterError::NotReady { what, said: super::super::error::tail_of(&log) });
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}

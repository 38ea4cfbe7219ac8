//! kube-router as a firewall alone, beside Flannel and kube-proxy.

use crate::{
    cluster::{
        ApiServer, Cluster, ClusterError, Families, Identity, accounts::Accounts, build, node, server::Server,
    },
    lab::Netns,
};
use std::{
    path::Path,
    process::Command,
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
        firewall(
            &mut command,
            &accounts.kube_router,
            node.name(),
            plan.families(),
            &plan.services().to_string(),
        );
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

/// What makes it a firewall and nothing else.
fn firewall(command: &mut Command, kubeconfig: &Path, node: &str, families: Families, services: &str) {
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--hostname-override={node}"))
        .args(["--run-firewall=true", "--run-router=false", "--run-service-proxy=false"])
        .args(["--run-loadbalancer=false", "--enable-cni=false"])
        .arg(format!("--enable-ipv4={}", families.has_ipv4()))
        .arg(format!("--enable-ipv6={}", families.has_ipv6()))
        .arg(format!("--service-cluster-ip-range={services}"))
        // It syncs on every event; the rest is repair.
        .arg("--iptables-sync-period=5m")
        .env("NODE_NAME", node);
}

/// kube-router for IPv4 in a network namespace that is linked to an API server alone. Dropping it ends it; what it has put into
/// the kernel stays.
#[derive(Debug)]
pub struct KubeRouter(Server);

impl KubeRouter {
    /// Builds it if it is not there, and starts it as the node of this name. It has no rule yet when this returns.
    ///
    /// # Errors
    /// As [`Binaries::ensure`](crate::cluster::Binaries::ensure), and what the system says.
    pub fn start(api: &ApiServer, netns: &Netns, node: &str) -> Result<Self, ClusterError> {
        let program = build::ensure(&build::KUBE_ROUTER)?.join("kube-router");
        let mut command = netns.command(&program.to_string_lossy());
        let kubeconfig = api.kubeconfig(Identity::ADMIN)?;
        firewall(&mut command, &kubeconfig, node, Families::Ipv4, ApiServer::SERVICES);
        let spawn = |mut command: Command| command.spawn().map_err(ClusterError::io("kube-router"));
        Ok(Self(Server::start("kube-router", command, api.dir(), spawn)?))
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// [`ClusterError::Server`] with its last lines if it has ended, or if it is not so after a minute; what `is_so` says.
    pub fn wait_until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut() -> Result<bool, ClusterError>,
    ) -> Result<(), ClusterError> {
        let begin = Instant::now();
        while !is_so()? {
            self.0.require_alive()?;
            if begin.elapsed() > PATIENCE {
                return Err(self.0.error(format!("has not done this in {PATIENCE:?}: {what}")));
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

//! Flannel on a node: its daemon and the configuration of its CNI plugins.

use super::{Folders, Namespaces};
use crate::cluster::{ClusterError, Families, links::UPLINK, plan::Plan, server::Server};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What the daemon writes once it has the node's ranges.
const SUBNETS: &str = "/run/flannel/subnet.env";
/// How long it may take: the node must be registered and have been given its ranges.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
const CONFLIST: &str = "/etc/cni/net.d/10-flannel.conflist";

/// Starts the daemon. It ends when its node has no ranges yet, and is started again, as its DaemonSet does.
pub(super) fn start(
    namespaces: &Namespaces,
    folders: &Folders,
    node: &str,
    plan: Plan,
    flanneld: &Path,
    kubeconfig: &Path,
) -> Result<Server, ClusterError> {
    let file = folders.state.join("net-conf.json");
    fs::write(&file, plan.flannel()).map_err(ClusterError::io(file.display().to_string()))?;
    let mut command = super::restarted(flanneld);
    command
        .arg("--kube-subnet-mgr")
        .arg(format!("--kubeconfig-file={}", kubeconfig.display()))
        .arg(format!("--net-config-path={}", file.display()))
        .arg(format!("--iface={UPLINK}"))
        .args(["--ip-masq", "--healthz-port=0"])
        .env("NODE_NAME", node);
    Server::start("flanneld", command, &folders.logs(), |command| namespaces.spawn(command))
}

/// Waits for the daemon, and says to the container runtime how pods get their network.
pub(super) fn configure(
    namespaces: &Namespaces,
    flanneld: &mut Server,
    plan: Plan,
) -> Result<(), ClusterError> {
    let begin = Instant::now();
    let text = loop {
        flanneld.require_alive()?;
        match namespaces.exec(&["cat", SUBNETS], "") {
            Ok(text) if !text.is_empty() => break text,
            _ if begin.elapsed() > PATIENCE => {
                return Err(flanneld.error(format!("has no range for pods after {PATIENCE:?}")));
            }
            _ => thread::sleep(POLL),
        }
    };
    let list = json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            plugin(plan, &variables(&text)),
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    // Renamed into place, as whoever watches the folder may read it at once.
    let write = format!("cat > {CONFLIST}.new && mv {CONFLIST}.new {CONFLIST}");
    namespaces.exec(&["sh", "-c", &write], &list.to_string()).map(drop)
}

fn variables(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

/// The plugin `flannel` that can be had (0.9.1) knows IPv4 alone. It delegates to `bridge`; with IPv6 the same is written out.
fn plugin(plan: Plan, variables: &BTreeMap<&str, &str>) -> Value {
    if plan.families() == Families::Ipv4 {
        return json!({"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}});
    }
    let value = |name: &str| variables.get(name).copied().unwrap_or_default();
    let ranges = ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"].map(|name| network(value(name)));
    let ranges: Vec<Value> = ranges.into_iter().flatten().map(|subnet| json!([{"subnet": subnet}])).collect();
    json!({
        "type": "bridge",
        "bridge": "cni0",
        "mtu": value("FLANNEL_MTU").parse::<u32>().unwrap_or(1450),
        "isDefaultGateway": true,
        "hairpinMode": true,
        "ipMasq": false,
        "ipam": {"type": "host-local", "ranges": ranges},
    })
}

/// The range of an address with a prefix length, as `10.244.1.1/24`.
fn network(address: &str) -> Option<String> {
    Some(address.parse::<IpNet>().ok()?.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_families_have_both_ranges_without_the_gateways_bits() {
        let text = "FLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1450\n";
        let plugin = plugin(Plan::new(Families::Dual), &variables(text));
        assert_eq!(
            plugin["ipam"]["ranges"],
            json!([[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:244:0:1::/64"}]])
        );
        let text = "FLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1430\n";
        let plugin = super::plugin(Plan::new(Families::Ipv6), &variables(text));
        assert_eq!(plugin["ipam"]["ranges"], json!([[{"subnet": "fd00:244:0:1::/64"}]]));
        assert_eq!(plugin["mtu"], 1430);
    }
}

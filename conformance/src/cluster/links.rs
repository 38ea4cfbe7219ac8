//! The network between the nodes: a bridge in the control plane's namespace.

use super::{ClusterError, plan::Plan};
use crate::lab::Netns;
use std::net::IpAddr;

/// The device with a node's addresses, on that node.
pub(super) const UPLINK: &str = "eth0";

/// `ip addr add`, for a host of the network between the nodes.
fn add(address: IpAddr, device: &str) -> String {
    match address {
        IpAddr::V4(address) => format!("addr add {address}/24 dev {device}\n"),
        // It must be of use at once; nobody else has it.
        IpAddr::V6(address) => format!("addr add {address}/64 dev {device} nodad\n"),
    }
}

/// Makes the bridge and the control plane's addresses on it.
pub(super) fn control_plane(netns: &Netns, plan: Plan) -> Result<(), ClusterError> {
    let mut lines = "link set lo up\nlink add br0 type bridge\n".to_owned();
    for address in plan.control_plane() {
        lines.push_str(&add(address, "br0"));
    }
    lines.push_str("link set br0 up\n");
    netns.ip(&lines)?;
    // Frames between nodes are no packets of this host.
    netns.sysctl(&[("bridge/bridge-nf-call-iptables", "0"), ("bridge/bridge-nf-call-ip6tables", "0")])?;
    Ok(())
}

/// Links a node to the bridge, gives it its addresses, and makes a router of it. How bridged frames are treated there is
/// left as it is in every new network namespace: that is the engine's to see to.
pub(super) fn node(netns: &Netns, control_plane: &Netns, plan: Plan, index: u8) -> Result<(), ClusterError> {
    let peer = format!("node{index}");
    let mut lines = "link set lo up\n".to_owned();
    lines.push_str(&format!("link add {UPLINK} type veth peer name {peer} netns {}\n", control_plane.name()));
    for address in plan.node(index) {
        lines.push_str(&add(address, UPLINK));
    }
    lines.push_str(&format!("link set {UPLINK} up\n"));
    for gateway in plan.control_plane() {
        let all = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        lines.push_str(&format!("route add {all} via {gateway}\n"));
    }
    // As the image of a node's system would have it.
    netns.sysctl(&[
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ])?;
    netns.ip(&lines)?;
    control_plane.ip(&format!("link set {peer} master br0 up\n"))?;
    Ok(())
}

/// Links a host to the nodes' network that is none of them, with two addresses of each family.
pub(super) fn outside(netns: &Netns, control_plane: &Netns, plan: Plan) -> Result<(), ClusterError> {
    let mut lines = "link set lo up\n".to_owned();
    lines
        .push_str(&format!("link add {UPLINK} type veth peer name outside netns {}\n", control_plane.name()));
    for address in plan.outside(0).into_iter().chain(plan.outside(1)) {
        lines.push_str(&add(address, UPLINK));
    }
    lines.push_str(&format!("link set {UPLINK} up\n"));
    netns.ip(&lines)?;
    control_plane.ip("link set outside master br0 up\n")?;
    netns.wait_until_running(&[UPLINK])?;
    Ok(())
}

/// Removes what a node's programs have made of its network: all links but the one to the others, and every rule.
pub(super) fn forget(netns: &Netns) -> Result<(), ClusterError> {
    let script = format!(
        "nft flush ruleset; for link in $(ls /sys/class/net); do \
         case $link in lo|{UPLINK}) ;; *) ip link delete $link 2>/dev/null ;; esac; done; true"
    );
    netns.exec(&["sh", "-c", &script])?;
    Ok(())
}

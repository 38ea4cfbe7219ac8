//! The underlay switch, and the host outside the cluster that stands for the internet.

use super::{LabError, Netns, addresses, netns::HOST, shell};
use std::fmt::Write;

/// Joins the nodes and the outside host by a bridge in the namespace `switch`. Each gets its `eth0`.
pub(crate) fn wire(switch: &Netns, outside: &Netns, nodes: &[&Netns]) -> Result<(), LabError> {
    // The switch is a wire: the bridge must not show its frames to any firewall.
    switch.sysctl(&[
        ("bridge/bridge-nf-call-iptables", "0"),
        ("bridge/bridge-nf-call-ip6tables", "0"),
        ("bridge/bridge-nf-call-arptables", "0"),
        ("ipv6/conf/default/disable_ipv6", "1"),
    ])?;
    let mut lines = "link add ul type bridge\nlink set ul up\n".to_owned();
    for (i, host) in nodes.iter().copied().chain([outside]).enumerate() {
        let lines = &mut lines;
        writeln!(lines, "link add p{i} type veth peer name eth0 netns {}", host.name()).ok();
        writeln!(lines, "link set p{i} master ul up").ok();
    }
    shell::ip_batch_in(switch.name(), &lines)
}

/// Gives the outside host its addresses, the ranges of the internet, and routes to the pods of `nodes` nodes.
pub(crate) fn configure(outside: &Netns, nodes: u8) -> Result<(), LabError> {
    let mut lines = format!(
        "link set lo up\naddr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\nlink set eth0 up\n",
        addresses::OUTSIDE4,
        addresses::OUTSIDE6
    );
    for range in addresses::INTERNET4.iter().chain(&addresses::INTERNET6) {
        // A local route makes the host answer for every address in the range.
        writeln!(lines, "route add local {range} dev lo").ok();
    }
    for n in 1..=nodes {
        writeln!(lines, "route add {}/24 via {}", addresses::pod4(n, 0), addresses::node4(n)).ok();
        writeln!(lines, "route add {}/64 via {}", addresses::pod6(n, 0), addresses::node6(n)).ok();
    }
    shell::ip_batch_in(outside.name(), &lines)
}

/// Waits until every port of the switch carries packets: those of the nodes, and the outside host's.
pub(crate) fn wait_for_underlay(switch: &Netns, nodes: u8) -> Result<(), LabError> {
    let ports: Vec<String> = (0..=nodes).map(|i| format!("p{i}")).collect();
    switch.wait_until_running(&ports.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What must hold before the outside host's `eth0` appears.
pub(crate) fn prepare(outside: &Netns) -> Result<(), LabError> {
    outside.sysctl(&HOST)?;
    outside.sysctl(&[
        // Its servers answer from any address of the internet ranges.
        ("ipv6/ip_nonlocal_bind", "1"),
    ])
}

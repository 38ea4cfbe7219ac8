//! Flannel's part of a node: the overlay, and the table in which it masquerades.
//!
//! Source: flannel v0.28 `pkg/backend/vxlan`, `pkg/trafficmngr/nftables`.

use super::addresses::{self, PODS4, PODS6};
use std::fmt::{Error, Write};

/// The lines for `ip -batch` and for `bridge -batch` that join `node` to the overlay of `nodes` nodes.
pub(crate) fn overlay(node: u8, nodes: u8) -> Result<(String, String), Error> {
    let (mut ip, mut fdb) = (String::new(), String::new());
    let families = [
        ("flannel.1", 4, 1450, "", "/32", addresses::node4(node).to_string()),
        ("flannel-v6.1", 6, 1430, " udp6zerocsumrx", "/128", addresses::node6(node).to_string()),
    ];
    for (dev, of, mtu, extra, host, local) in families {
        let mac = addresses::vtep_mac(node, of);
        let own = subnet_address(node, of);
        writeln!(
            ip,
            "link add {dev} address {mac} mtu {mtu} type vxlan id 1 local {local} dev eth0 dstport 8472 nolearning{extra}"
        )?;
        writeln!(ip, "addr add {own}{host} dev {dev}{}", if of == 6 { " nodad" } else { "" })?;
        writeln!(ip, "link set {dev} up")?;
        for other in (1..=nodes).filter(|&o| o != node) {
            let (vtep, via) = (addresses::vtep_mac(other, of), subnet_address(other, of));
            let (subnet, remote) = match of {
                4 => (format!("{via}/24"), addresses::node4(other).to_string()),
                _ => (format!("{via}/64"), addresses::node6(other).to_string()),
            };
            writeln!(ip, "route add {subnet} via {via} dev {dev} onlink")?;
            writeln!(ip, "neigh add {via} lladdr {vtep} dev {dev} nud permanent")?;
            writeln!(fdb, "fdb add {vtep} dev {dev} dst {remote}")?;
        }
    }
    Ok((ip, fdb))
}

/// The first address of a node's pod range, which its overlay device has.
fn subnet_address(node: u8, family: u8) -> String {
    match family {
        4 => addresses::pod4(node, 0).to_string(),
        _ => addresses::pod6(node, 0).to_string(),
    }
}

/// Flannel's tables on a node, in the text of `nft -f`.
///
/// In its iptables mode Flannel also masquerades what comes from outside and goes to a pod of another node; in its
/// nftables mode it does not. This is the nftables mode.
pub(crate) fn tables(node: u8) -> String {
    let table = |family: &str, name: &str, subnet: String, cluster: &str, multicast: &str| {
        format!(
            "table {family} {name} {{\n\
             \tcomment \"rules for {name}\"\n\
             \tchain postrtg {{\n\
             \t\tcomment \"chain to manage traffic masquerading by flannel\"\n\
             \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
             \t\tmeta mark & 0x00004000 == 0x00004000 return\n\
             \t\t{family} saddr {subnet} {family} daddr {cluster} return\n\
             \t\t{family} saddr {cluster} {family} daddr {subnet} return\n\
             \t\t{family} saddr != {subnet} {family} daddr {subnet} return\n\
             \t\t{family} saddr {cluster} {family} daddr != {multicast} masquerade fully-random\n\
             \t}}\n\
             \tchain forward {{\n\
             \t\tcomment \"chain to accept flannel traffic\"\n\
             \t\ttype filter hook forward priority filter; policy accept;\n\
             \t\t{family} saddr {cluster} accept\n\
             \t\t{family} daddr {cluster} accept\n\
             \t}}\n\
             }}\n"
        )
    };
    let (subnet4, subnet6) =
        (format!("{}/24", addresses::pod4(node, 0)), format!("{}/64", addresses::pod6(node, 0)));
    table("ip", "flannel-ipv4", subnet4, PODS4, "224.0.0.0/4")
        + &table("ip6", "flannel-ipv6", subnet6, PODS6, "ff00::/8")
}

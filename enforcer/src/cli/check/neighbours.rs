//! Who else filters or translates on this host.

use super::{super::preflight, line::Line};
use crate::{nft::ChainName, node::facts::Facts};

/// How kube-proxy's other modes show: nftables by its table, iptables by a chain.
const NFTABLES_TABLE: &str = "kube-proxy";
const IPTABLES_CHAIN: &str = "KUBE-SERVICES";

/// How a policy engine shows.
struct Engine {
    name: &'static str,
    /// Tables of nftables that are its own.
    tables: &'static [&'static str],
    /// How names of its chains begin.
    chains: &'static [&'static str],
    /// Devices that it makes.
    devices: &'static [&'static str],
}

const ENGINES: &[Engine] = &[
    Engine { name: "kube-network-policies", tables: &["kube-network-policies"], chains: &[], devices: &[] },
    Engine {
        name: "kube-router",
        tables: &[],
        chains: &["KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-"],
        devices: &[],
    },
    Engine {
        name: "Calico",
        tables: &["calico"],
        chains: &["cali-"],
        devices: &["vxlan.calico", "tunl-calico"],
    },
    Engine { name: "Cilium", tables: &[], chains: &["CILIUM_"], devices: &["cilium_host", "cilium_net"] },
    Engine { name: "Weave", tables: &[], chains: &["WEAVE-NPC"], devices: &["weave"] },
    Engine { name: "Antrea", tables: &["antrea"], chains: &["ANTREA-"], devices: &["antrea-gw0"] },
    Engine { name: "OVN-Kubernetes", tables: &["ovn-kubernetes"], chains: &[], devices: &["ovn-k8s-mp0"] },
];

pub(super) fn kube_proxy(facts: &Facts, chains: Option<&[ChainName]>) -> Line {
    let name = "kube-proxy";
    if preflight::is_ipvs(facts) {
        return Line::fail(name, preflight::IPVS, preflight::LEAVE_IPVS);
    }
    let Some(chains) = chains else { return not_known(name) };
    if chains.iter().any(|chain| chain.table == NFTABLES_TABLE) {
        Line::ok(name, "nftables mode")
    } else if chains.iter().any(|chain| chain.name == IPTABLES_CHAIN) {
        Line::ok(name, "iptables mode")
    } else {
        Line::ok(name, "not here, or not in IPVS mode")
    }
}

pub(super) fn second_engine(facts: &Facts, chains: Option<&[ChainName]>) -> Line {
    let name = "second engine";
    let found = engines(facts, chains.unwrap_or_default());
    if !found.is_empty() {
        let names = found.join(", ");
        return Line::warn(
            name,
            format!("{names} is here: both apply, and a packet passes only if both let it"),
            "keep one of them: remove the other's policy part, or policyd",
        );
    }
    if chains.is_none() { not_known(name) } else { Line::ok(name, "none found") }
}

fn not_known(name: &'static str) -> Line {
    Line::warn(name, "not known: chains of nftables cannot be listed", preflight::GIVE_CAPABILITY)
}

fn engines(facts: &Facts, chains: &[ChainName]) -> Vec<&'static str> {
    let is_here = |engine: &&Engine| {
        let by_chain = |chain: &ChainName| {
            engine.tables.contains(&chain.table.as_str())
                || engine.chains.iter().any(|beginning| chain.name.starts_with(beginning))
        };
        chains.iter().any(by_chain) || engine.devices.iter().any(|device| facts.link(device).is_some())
    };
    ENGINES.iter().filter(is_here).map(|engine| engine.name).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::line::Mark, *};
    use crate::node::rtnl::{Link, LinkKind};

    fn device(name: &str) -> Facts {
        let link = Link {
            index: 1,
            name: name.into(),
            mac: None,
            master: None,
            kind: LinkKind::Other(String::new()),
        };
        Facts { links: vec![link], ..Facts::default() }
    }

    fn chain(table: &str, name: &str) -> Vec<ChainName> {
        vec![ChainName { table: table.into(), name: name.into() }]
    }

    #[test]
    fn engines_are_named_by_table_chain_or_device() {
        let none = Facts::default();
        let found = |chains: &[ChainName]| engines(&none, chains);
        assert_eq!(found(&chain("kube-network-policies", "postrouting")), ["kube-network-policies"]);
        assert_eq!(found(&chain("filter", "KUBE-ROUTER-FORWARD")), ["kube-router"]);
        assert_eq!(found(&chain("filter", "cali-FORWARD")), ["Calico"]);
        assert_eq!(engines(&device("cilium_host"), &[]), ["Cilium"]);
        assert_eq!(found(&chain("palisade", "forward")), [""; 0], "ourselves");
        assert_eq!(found(&chain("flannel-ipv4", "postrtg")), [""; 0], "no policy engine");
    }

    #[test]
    fn kube_proxy_in_ipvs_mode_fails_and_other_modes_do_not() {
        let none = Facts::default();
        assert_eq!(kube_proxy(&device("kube-ipvs0"), Some(&[])).mark, Mark::Fail);
        assert_eq!(kube_proxy(&none, Some(&chain("kube-proxy", "services"))).what, "nftables mode");
        assert_eq!(kube_proxy(&none, Some(&chain("nat", "KUBE-SERVICES"))).what, "iptables mode");
        assert_eq!(kube_proxy(&none, None).mark, Mark::Warn);
    }
}

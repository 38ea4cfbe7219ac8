//! Who else filters or translates on this host.

use super::{Fact, Finding, GIVE_CAPABILITY};
use crate::{nft::ChainName, node::facts::Facts};

/// Why policy would not hold with kube-proxy in IPVS mode: a pod's packet to a Service is answered for in `input` and leaves by
/// `output`.
pub const IPVS: &str =
    "kube-proxy is in IPVS mode: Service traffic skips the forward hook, so policy would not hold";
/// What to do about it.
pub const LEAVE_IPVS: &str = "set mode: nftables in kube-proxy's ConfigMap (kube-system/kube-proxy), remove the device kube-ipvs0, run this again";
/// The device on which kube-proxy in IPVS mode keeps the Services' addresses.
const IPVS_DEVICE: &str = "kube-ipvs0";

/// Whether kube-proxy is in IPVS mode, or has left its device behind.
#[must_use]
pub fn is_ipvs(facts: &Facts) -> bool {
    facts.link(IPVS_DEVICE).is_some()
}

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
    /// How to have it leave policy to Palisade.
    help: &'static str,
}

const ENGINES: &[Engine] = &[
    Engine {
        name: "kube-network-policies",
        tables: &["kube-network-policies"],
        chains: &[],
        devices: &[],
        help: "without a gap: policyd takeover --from kube-network-policies; or delete its DaemonSet, then its table: nft delete \
               table inet kube-network-policies",
    },
    Engine {
        name: "kube-router",
        tables: &[],
        chains: &["KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-"],
        devices: &[],
        help: "without a gap: policyd takeover --from kube-router; it is switched off by --disable-network-policy on k3s, by \
               --run-firewall=false in kube-router's DaemonSet",
    },
    Engine {
        name: "Calico",
        tables: &["calico"],
        chains: &["cali-"],
        devices: &["vxlan.calico", "tunl-calico"],
        help: "with canal choose Flannel alone (rke2: cni: flannel); Calico's Felix enforces wherever calico-node runs: remove it, \
               or policyd",
    },
    Engine {
        name: "Cilium",
        tables: &[],
        chains: &["CILIUM_"],
        devices: &["cilium_host", "cilium_net"],
        help: "Cilium's datapath skips the hooks of nftables: run policyd on clusters without it",
    },
    Engine {
        name: "Weave",
        tables: &[],
        chains: &["WEAVE-NPC"],
        devices: &["weave"],
        help: "set EXPECT_NPC=0 in the DaemonSet weave-net and remove its container weave-npc",
    },
    Engine {
        name: "Antrea",
        tables: &["antrea"],
        chains: &["ANTREA-"],
        devices: &["antrea-gw0"],
        help: "Antrea's datapath skips the hooks of nftables: run policyd on clusters without it",
    },
    Engine {
        name: "OVN-Kubernetes",
        tables: &["ovn-kubernetes"],
        chains: &[],
        devices: &["ovn-k8s-mp0"],
        help: "its datapath skips the hooks of nftables: run policyd on clusters without it",
    },
];

pub(super) fn kube_proxy(facts: &Facts, chains: Option<&[ChainName]>) -> Finding {
    let fact = Fact::KubeProxy;
    if is_ipvs(facts) {
        return Finding::fail(fact, "ipvs", IPVS, LEAVE_IPVS);
    }
    let Some(chains) = chains else { return not_known(fact) };
    if chains.iter().any(|chain| chain.table == NFTABLES_TABLE) {
        Finding::ok(fact, "nftables", "nftables mode")
    } else if chains.iter().any(|chain| chain.name == IPTABLES_CHAIN) {
        Finding::ok(fact, "iptables", "iptables mode")
    } else {
        Finding::ok(fact, "none", "not here, or not in IPVS mode")
    }
}

pub(super) fn second_engine(facts: &Facts, chains: Option<&[ChainName]>) -> Finding {
    let fact = Fact::SecondEngine;
    let found = engines(facts, chains.unwrap_or_default());
    if !found.is_empty() {
        let names: Vec<&str> = found.iter().map(|engine| engine.name).collect();
        let names = names.join(", ");
        let help: Vec<&str> = found.iter().map(|engine| engine.help).collect();
        return Finding::warn(
            fact,
            names.clone(),
            format!("{names} is here: both apply, and a packet passes only if both let it"),
            help.join("; "),
        );
    }
    if chains.is_none() { not_known(fact) } else { Finding::ok(fact, "none", "none found") }
}

fn not_known(fact: Fact) -> Finding {
    Finding::warn(fact, "unknown", "not known: chains of nftables cannot be listed", GIVE_CAPABILITY)
}

fn engines(facts: &Facts, chains: &[ChainName]) -> Vec<&'static Engine> {
    let is_here = |engine: &&Engine| {
        let by_chain = |chain: &ChainName| {
            engine.tables.contains(&chain.table.as_str())
                || engine.chains.iter().any(|beginning| chain.name.starts_with(beginning))
        };
        chains.iter().any(by_chain) || engine.devices.iter().any(|device| facts.link(device).is_some())
    };
    ENGINES.iter().filter(is_here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fitness::Mark,
        node::rtnl::{Link, LinkKind},
    };

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
        let names = |engines: Vec<&Engine>| engines.iter().map(|engine| engine.name).collect::<Vec<_>>();
        let found = |chains: &[ChainName]| names(engines(&none, chains));
        assert_eq!(found(&chain("kube-network-policies", "postrouting")), ["kube-network-policies"]);
        assert_eq!(found(&chain("filter", "KUBE-ROUTER-FORWARD")), ["kube-router"]);
        assert_eq!(found(&chain("filter", "cali-FORWARD")), ["Calico"]);
        assert_eq!(names(engines(&device("cilium_host"), &[])), ["Cilium"]);
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

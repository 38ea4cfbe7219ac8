//! Which addresses are pods': told by several, and guessed by nobody.

use super::{Fact, Finding, Host};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};

/// This node's pod ranges with who says so. What no source tells stays unknown: the pods are then known one by one, and an
/// address of nobody is still dropped on the pod bridge.
pub(super) fn pod_ranges(host: &Host) -> Finding {
    let fact = Fact::PodRanges;
    let file = host.settings.folders.subnet_file.display();
    let mut said: Vec<String> = Vec::new();
    let mut ranges: BTreeSet<IpNet> = BTreeSet::new();
    let mut say = |from: &str, found: &[IpNet]| {
        if !found.is_empty() {
            ranges.extend(found.iter().map(IpNet::trunc));
            said.push(format!("{} ({from})", names(found.iter().map(IpNet::trunc))));
        }
    };
    match &host.subnet {
        Ok(Some(subnet)) => say(&file.to_string(), &subnet.own),
        Ok(None) => {}
        Err(error) => {
            return Finding::warn(
                fact,
                "unreadable",
                error.to_string(),
                "flanneld writes it anew when it starts; until then ranges come from the bridge and the Node",
            );
        }
    }
    for bridge in &host.bridges {
        let index = host.facts.link(bridge).map(|link| link.index);
        let own = host.facts.addresses.iter().filter(|a| Some(a.link) == index);
        let own: Vec<IpNet> = own
            .filter_map(|a| IpNet::new(a.address, a.prefix).ok())
            .filter(|net| !is_link_local(net))
            .collect();
        say(bridge, &own);
    }
    if let Some(spec) = &host.spec {
        say("spec.podCIDRs", spec);
    }
    let outside = outside(host, &ranges);
    if ranges.is_empty() {
        let pods = match outside.len() {
            0 => String::new(),
            count => format!("; {count} living pods are known by CNI's files"),
        };
        return Finding::warn(
            fact,
            "unknown",
            format!(
                "unknown, and not guessed: no {file}, no pod bridge with an address, no spec.podCIDRs{pods}"
            ),
            "pods are known one by one, and isolated all the same; --pod-interface names the bridge where it is not cni0",
        );
    }
    let value = names(ranges.iter().copied());
    let what = said.join("; ");
    if outside.is_empty() {
        return Finding::ok(fact, value, what);
    }
    Finding::warn(
        fact,
        format!("{value}, pods outside"),
        format!("{what}; living pods outside of them: {}", outside.join(", ")),
        "the node's range has changed under them: restart these pods; they are isolated all the same",
    )
}

/// Addresses of living pods that are in none of the ranges, the first few.
fn outside(host: &Host, ranges: &BTreeSet<IpNet>) -> Vec<String> {
    const SOME: usize = 5;
    let links: HashMap<&str, _> = host.facts.links.iter().map(|link| (link.name.as_str(), link)).collect();
    let alive = host.facts.claims().into_iter().filter(|claim| claim.has_link(&links));
    let addresses = alive.flat_map(|a| a.addresses.iter().map(move |address| (address, &a.pod)));
    let strangers = addresses.filter(|(address, _)| !ranges.iter().any(|range| range.contains(*address)));
    strangers.map(|(address, pod)| format!("{address} ({pod})")).take(SOME).collect()
}

fn is_link_local(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.addr().is_link_local(),
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    }
}

fn names(ranges: impl Iterator<Item = IpNet>) -> String {
    ranges.map(|range| range.to_string()).collect::<Vec<_>>().join(", ")
}

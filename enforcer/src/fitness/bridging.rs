//! Whether same-node traffic reaches the hooks, and which ports of the pod bridge are guarded.

use super::{Fact, Finding, GIVE_BR_NETFILTER, Host};
use crate::node::{facts::DEFAULT_BRIDGE, rtnl::LinkKind, sysctl};
use std::collections::HashMap;

pub(super) fn bridged_traffic(host: &Host) -> Finding {
    let fact = Fact::BridgedTraffic;
    let Some(sysctls) = host.facts.netfilter else {
        return Finding::fail(
            fact,
            "br_netfilter missing",
            "br_netfilter is not loaded: traffic between pods of this node would pass by every policy",
            GIVE_BR_NETFILTER,
        );
    };
    let ipv6 = sysctl::has_ipv6().unwrap_or(true);
    let switch = |on| u8::from(on);
    let values = format!(
        "bridge-nf-call-iptables={}, bridge-nf-call-ip6tables={}",
        switch(sysctls.iptables),
        switch(sysctls.ip6tables)
    );
    if sysctls.iptables && (sysctls.ip6tables || !ipv6) {
        return Finding::ok(fact, values.clone(), format!("br_netfilter is loaded, {values}"));
    }
    let is_off = |bridge: &&String| match host.facts.link(bridge).map(|link| &link.kind) {
        Some(LinkKind::Bridge(own)) => {
            !(sysctls.iptables || own.iptables) || (ipv6 && !(sysctls.ip6tables || own.ip6tables))
        }
        _ => true,
    };
    match host.bridges.iter().find(is_off) {
        None if !host.bridges.is_empty() => Finding::ok(
            fact,
            format!("{values}, own flags on"),
            format!("br_netfilter is loaded, {values}, and the pod bridge's own flags are on"),
        ),
        off => Finding::warn(
            fact,
            format!("{values}, own flags off"),
            format!("{values}, and the own flags of {} are off", off.map_or(DEFAULT_BRIDGE, String::as_str)),
            "policyd run sets the bridge's own flags; or set both sysctls to 1 for all bridges (sysctl -w net.bridge.…)",
        ),
    }
}

pub(super) fn pod_bridge(host: &Host) -> Finding {
    let fact = Fact::PodBridge;
    let set = host.settings.pod_interfaces.iter().map(String::as_str);
    let missing: Vec<&str> = set.filter(|name| host.facts.link(name).is_none()).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Finding::fail(
            fact,
            "missing",
            format!("{names}: no such device"),
            "give --pod-interface the bridge that pods hang on",
        );
    }
    if host.bridges.is_empty() {
        return Finding::warn(
            fact,
            "none",
            "none yet; the CNI plugin makes it with the first pod",
            format!("{DEFAULT_BRIDGE} is expected; if it is called otherwise, give --pod-interface"),
        );
    }
    let names = host.bridges.join(", ");
    Finding::ok(fact, names.clone(), names)
}

pub(super) fn port_guards(host: &Host) -> Finding {
    let fact = Fact::PortGuards;
    let guards = host.settings.guards;
    let off = [
        (guards.overlay, "overlay"),
        (guards.sources, "source"),
        (guards.routers, "router"),
        (guards.ethertypes, "ethertype"),
    ];
    let off: Vec<&str> = off.into_iter().filter(|(on, _)| !on).map(|(_, name)| name).collect();
    let switched = if off.is_empty() { String::new() } else { format!("; switched off: {}", off.join(", ")) };

    let links: HashMap<&str, _> = host.facts.links.iter().map(|link| (link.name.as_str(), link)).collect();
    let bridges: Vec<u32> =
        host.bridges.iter().filter_map(|b| host.facts.link(b)).map(|link| link.index).collect();
    let claims = host.facts.claims();
    let live = claims.iter().filter(|claim| claim.port(&links, &bridges).is_some()).count();
    let stale = claims.len() - live;
    let ports =
        host.facts.links.iter().filter(|link| link.master.is_some_and(|m| bridges.contains(&m))).count();
    let value = |word: &str| format!("{word}{switched}");
    match live {
        0 => Finding::warn(
            fact,
            value("none"),
            format!(
                "off: {} names no living pod's interface{switched}",
                host.settings.folders.cni_dir.join("results").display()
            ),
            "a pod could send with another pod's address; --cni-dir tells where CNI keeps its results",
        ),
        // Pods come and go, so that the numbers are no news.
        live if live < ports => Finding::warn(
            fact,
            value("some"),
            format!("on for {live} of {ports} ports of the pod bridge{switched}"),
            "the others are not in CNI's results: their frames are only judged by address",
        ),
        live => {
            let stale = if stale > 0 { format!(", {stale} stale results") } else { String::new() };
            Finding::ok(fact, value("all"), format!("on for {live} ports{stale}{switched}"))
        }
    }
}

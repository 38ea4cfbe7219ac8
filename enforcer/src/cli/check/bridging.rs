//! Whether same-node traffic reaches the hooks, and what is known of the pods' side of the host.

use super::{super::preflight, Host, line::Line};
use crate::node::{facts::DEFAULT_BRIDGE, rtnl::LinkKind, sysctl};
use std::{collections::HashMap, path::Path};

pub(super) fn bridged_traffic(host: &Host) -> Line {
    let name = "bridged traffic";
    let Some(sysctls) = host.facts.netfilter else {
        return Line::fail(
            name,
            "br_netfilter is not loaded: traffic between pods of this node would pass by every policy",
            preflight::GIVE_BR_NETFILTER,
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
        return Line::ok(name, format!("br_netfilter is loaded, {values}"));
    }
    let is_off = |bridge: &&String| match host.facts.link(bridge).map(|link| &link.kind) {
        Some(LinkKind::Bridge(own)) => {
            !(sysctls.iptables || own.iptables) || (ipv6 && !(sysctls.ip6tables || own.ip6tables))
        }
        _ => true,
    };
    match host.bridges.iter().find(is_off) {
        None if !host.bridges.is_empty() => {
            Line::ok(name, format!("br_netfilter is loaded, {values}, and the pod bridge's own flags are on"))
        }
        off => Line::warn(
            name,
            format!("{values}, and the own flags of {} are off", off.map_or(DEFAULT_BRIDGE, String::as_str)),
            "policyd run sets the bridge's own flags; or set both sysctls to 1 for all bridges (sysctl -w net.bridge.…)",
        ),
    }
}

pub(super) fn pod_bridge(host: &Host, set: &[String]) -> Line {
    let name = "pod bridge";
    let missing: Vec<&str> =
        set.iter().map(String::as_str).filter(|name| host.facts.link(name).is_none()).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Line::fail(
            name,
            format!("{names}: no such device"),
            "give --pod-interface the bridge that pods hang on",
        );
    }
    if host.bridges.is_empty() {
        let what = "none yet; the CNI plugin makes it with the first pod";
        return Line::warn(
            name,
            what,
            format!("{DEFAULT_BRIDGE} is expected; if it is called otherwise, give --pod-interface"),
        );
    }
    Line::ok(name, host.bridges.join(", "))
}

pub(super) fn overlay(host: &Host) -> Line {
    let ports: Vec<String> = host.overlay_ports.iter().map(u16::to_string).collect();
    let devices =
        host.facts.links.iter().filter(|l| matches!(l.kind, LinkKind::Vxlan(_) | LinkKind::WireGuard));
    let devices: Vec<&str> = devices.map(|link| link.name.as_str()).collect();
    let from = if devices.is_empty() { "no device tells otherwise".into() } else { devices.join(", ") };
    Line::ok("overlay", format!("udp {} ({from})", ports.join(", ")))
}

pub(super) fn source_guard(host: &Host, cni_dir: &Path) -> Line {
    let name = "source guard";
    let links: HashMap<&str, _> = host.facts.links.iter().map(|link| (link.name.as_str(), link)).collect();
    let bridges: Vec<u32> =
        host.bridges.iter().filter_map(|b| host.facts.link(b)).map(|link| link.index).collect();
    let attachments = &host.facts.attachments;
    let live = attachments.iter().filter(|attachment| attachment.port(&links, &bridges).is_some()).count();
    let stale = attachments.len() - live;
    let ports =
        host.facts.links.iter().filter(|link| link.master.is_some_and(|m| bridges.contains(&m))).count();
    match live {
        0 => Line::warn(
            name,
            format!("off: {} names no living pod's interface", cni_dir.join("results").display()),
            "a pod could send with another pod's address; --cni-dir tells where CNI keeps its results",
        ),
        live if live < ports => Line::warn(
            name,
            format!("on for {live} of {ports} ports of the pod bridge"),
            "the others are not in CNI's results: their frames are only judged by address",
        ),
        live => Line::ok(
            name,
            format!(
                "on for {live} ports{}",
                if stale > 0 { format!(", {stale} stale results") } else { String::new() }
            ),
        ),
    }
}

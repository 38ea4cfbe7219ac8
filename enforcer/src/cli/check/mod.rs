//! `policyd check`: whether policy would hold on this host, one line a check.

mod bridging;
mod kernel;
mod line;
mod neighbours;

use super::{Failure, HostOptions};
use crate::{
    nft,
    node::{facts::Facts, watch},
};
use line::{Line, print};

/// What the checks look at, read once.
struct Host {
    facts: Facts,
    /// Names of the pod bridges that are there.
    bridges: Vec<String>,
    /// Overlay ports that are set, else read from the devices.
    overlay_ports: Vec<u16>,
}

pub(super) fn run(options: &HostOptions) -> Result<(), Failure> {
    let facts = watch::read_once(&options.cni_folders())
        .map_err(|e| Failure::failed(format!("cannot read this host's links: {e}"), ""))?;
    let bridges = if options.pod_interface.is_empty() {
        facts.pod_bridges(&[], &pod_addresses(&facts)).iter().map(|link| link.name.clone()).collect()
    } else {
        options.pod_interface.iter().filter(|name| facts.link(name).is_some()).cloned().collect()
    };
    let overlay_ports =
        if options.overlay_port.is_empty() { facts.overlay_ports() } else { options.overlay_port.clone() };
    let host = Host { facts, bridges, overlay_ports };
    let findings = nft::probe();
    let others = nft::chains();

    let lines: Vec<Line> = [
        kernel::privileges(&findings),
        kernel::nf_tables(&findings),
        kernel::bridge_family(&findings),
        bridging::bridged_traffic(&host),
        bridging::pod_bridge(&host, &options.pod_interface),
        neighbours::kube_proxy(&host.facts, others.as_deref().ok()),
        neighbours::second_engine(&host.facts, others.as_deref().ok()),
        bridging::overlay(&host),
        bridging::source_guard(&host, &options.cni_dir),
    ]
    .into();
    if print(&lines) { Ok(()) } else { Err(Failure::Said) }
}

/// Addresses of pods that CNI's files know, dead or alive: they tell the pods' bridge.
fn pod_addresses(facts: &Facts) -> Vec<std::net::IpAddr> {
    facts.attachments.iter().flat_map(|attachment| attachment.addresses.iter().copied()).collect()
}

//! How packets get to other nodes' pods: Flannel's backend, and the port that no pod may send to.

use super::{Fact, Finding, Host};
use crate::node::rtnl::LinkKind;
use ipnet::IpNet;

/// Flannel's device of its `ipip` backend, and that of its `udp` backend.
const IPIP: &str = "flannel.ipip";
const UDP: &str = "flannel0";

pub(super) fn overlay(host: &Host) -> Finding {
    let fact = Fact::Overlay;
    let devices = host.facts.links.iter().filter_map(|link| {
        let backend = match &link.kind {
            LinkKind::Vxlan(port) => format!("VXLAN, UDP {port}"),
            LinkKind::WireGuard => "WireGuard".into(),
            _ if link.name == UDP => "UDP".into(),
            _ if link.name == IPIP => {
                "IPIP, which no UDP port guards: pods have no business with protocol 4".into()
            }
            _ => return None,
        };
        Some(format!("{backend} ({})", link.name))
    });
    let devices: Vec<String> = devices.collect();
    let ports: Vec<String> = host.overlay_ports.iter().map(u16::to_string).collect();
    let guarded = match (host.settings.guards.overlay, host.settings.overlay_ports.is_empty()) {
        (false, _) => "the guard is switched off".into(),
        (true, true) => format!("pods may not send to UDP {}", ports.join(", ")),
        (true, false) => format!("pods may not send to UDP {} (set)", ports.join(", ")),
    };
    if !devices.is_empty() {
        let backend = devices.join(", ");
        return Finding::ok(fact, backend.clone(), format!("{backend}; {guarded}"));
    }
    let gateways = routed(host);
    if gateways > 0 {
        let what = format!("none: {gateways} other nodes' ranges are routed (host-gw); {guarded}");
        return Finding::ok(fact, "host-gw", what);
    }
    Finding::ok(fact, "none", format!("no device yet; {guarded}"))
}

/// Routes into the cluster's range by way of another host: Flannel's `host-gw`, or DirectRouting.
fn routed(host: &Host) -> usize {
    let Ok(Some(subnet)) = &host.subnet else { return 0 };
    let in_cluster = |range: &IpNet| subnet.cluster.iter().any(|cluster| cluster.contains(range));
    let others = host.routes.iter().filter(|route| route.via_gateway && in_cluster(&route.to));
    others.count()
}

//! Who can reach an end, and whom an end does reach: one row or column of the matrix, for any end that can be written.

use crate::{
    connect::{self, Party, address_pairs, pod_addresses},
    endpoint::{Endpoint, Ports, ResolveError, Target, Transport},
    input::{Snapshot, workload_name},
    matrix::{Connections, Ranges, outside_words, ports_words},
    style::{Style, Tone},
};
use policy_model::{
    cluster::Cluster,
    object::Pod,
    policy::Direction,
    portset::{PortRanges, PortSet},
    reach::Reach,
    verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everybody at the other end.
#[derive(Clone, Debug)]
pub struct Who {
    /// Which end was asked about, as written.
    pub about: String,
    /// Whether it is the destination.
    pub is_destination: bool,
    /// Workloads, by name, with what may pass; never empty sets.
    pub workloads: BTreeMap<String, PortSet>,
    /// Addresses outside.
    pub outside: Reach,
}

/// Who can reach a destination on its ports.
///
/// # Errors
/// A destination that stands for nothing.
pub fn who_reaches(snapshot: &Snapshot, target: &Target) -> Result<Who, ResolveError> {
    let asked = destinations(snapshot, target)?;
    Ok(who(snapshot, &asked, Direction::Ingress, target.to_string()))
}

/// Whom a source does reach.
///
/// # Errors
/// A source that stands for nothing.
pub fn reached_by(snapshot: &Snapshot, source: &Endpoint) -> Result<Who, ResolveError> {
    let ends = source.resolve(&snapshot.cluster, &snapshot.slices)?;
    let asked: Vec<_> = ends.into_iter().map(|end| (end, PortSet::all())).collect();
    Ok(who(snapshot, &asked, Direction::Egress, source.to_string()))
}

/// Ends with the ports that are asked about.
type Asked = [(verdict::Endpoint, PortSet)];

fn destinations(
    snapshot: &Snapshot,
    target: &Target,
) -> Result<Vec<(verdict::Endpoint, PortSet)>, ResolveError> {
    let Snapshot { cluster, slices, .. } = snapshot;
    let is_service = target.is_translated(cluster);
    let set = match &target.ports {
        Ports::Everything if !is_service => Some(PortSet::all()),
        Ports::All(Transport::Ported(protocol)) if !is_service => {
            Some(PortSet::none().with(*protocol, PortRanges::all()))
        }
        Ports::All(Transport::Icmp) if !is_service => Some(PortSet::others()),
        Ports::Range(protocol, lo, hi) if !is_service => Some(PortSet::range(*protocol, *lo, *hi)),
        _ => None,
    };
    if let Some(set) = set {
        let ends = target.endpoint.resolve(cluster, slices)?;
        return Ok(ends.into_iter().map(|end| (end, set.clone())).collect());
    }
    let ends = target.resolve(cluster, slices)?.into_iter().filter_map(|destination| {
        let (Transport::Ported(protocol), Some(port)) = (destination.transport, destination.port) else {
            return None;
        };
        Some((destination.endpoint, PortSet::single(protocol, port)))
    });
    Ok(ends.collect())
}

/// `direction` is that of the end that was asked about.
fn who(snapshot: &Snapshot, asked: &Asked, direction: Direction, about: String) -> Who {
    let cluster = &snapshot.cluster;
    let ranges: Vec<_> = Ranges::new(cluster, direction, &[]).iter().collect();
    let mut workloads: BTreeMap<String, PortSet> = BTreeMap::new();
    let mut outside = Reach::none();
    for (end, ports) in asked {
        for pod in cluster.pods().filter(|pod| !pod.terminal && !is(end, pod)) {
            let passes = with_pod(cluster, end, pod, direction).intersection(ports);
            if !passes.is_empty() {
                let known = workloads.entry(workload_name(pod)).or_default();
                *known = known.union(&passes);
            }
        }
        let party = Party::of_endpoint(cluster, end);
        // Outside to outside is nobody's business here.
        if party.pods.is_empty() && matches!(end, verdict::Endpoint::Address(_)) {
            continue;
        }
        let fits = |lo: std::net::IpAddr| party.address.is_none_or(|own| own.is_ipv4() == lo.is_ipv4());
        let reach: Reach = ranges
            .iter()
            .filter(|range| fits(range.lo))
            .map(|range| {
                let passes = connect::side(cluster, &party, &Party::outside(range.lo), direction);
                (range.lo, range.hi, passes.intersection(ports))
            })
            .collect();
        outside = outside.union(&reach);
    }
    Who { about, is_destination: direction == Direction::Ingress, workloads, outside }
}

fn is(end: &verdict::Endpoint, pod: &Pod) -> bool {
    match end {
        verdict::Endpoint::Pod { key, .. } => *key == pod.key,
        verdict::Endpoint::Address(address) => pod.ips.contains(address),
    }
}

/// What may pass between an end and a pod, over every address of the pod that fits the end's.
fn with_pod(cluster: &Cluster, end: &verdict::Endpoint, pod: &Pod, direction: Direction) -> PortSet {
    let party = Party::of_endpoint(cluster, end);
    let own: Vec<_> = party.address.into_iter().collect();
    let pairs = address_pairs(&own, pod_addresses(cluster, pod));
    let passes = pairs.into_iter().map(|(_, at)| {
        let other = Party::of_pod(cluster, pod, at);
        match direction {
            Direction::Egress => connect::between(cluster, &party, &other).both(),
            Direction::Ingress => connect::between(cluster, &other, &party).both(),
        }
    });
    passes.fold(PortSet::none(), |all, ports| all.union(&ports))
}

impl Who {
    /// For people.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let Self { about, is_destination, workloads, .. } = self;
        let head = if *is_destination {
            format!("Who can reach {about}")
        } else {
            format!("Whom {about} does reach")
        };
        let outside = outside_words(&self.outside);
        let rows: Vec<(&str, &PortSet)> = workloads
            .iter()
            .map(|(name, ports)| (name.as_str(), ports))
            .chain(outside.iter().map(|(range, ports)| (range.as_str(), ports)))
            .collect();
        let mut text = style.paint(Tone::Strong, &head) + "\n";
        if rows.is_empty() {
            text += "  nobody\n";
        }
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, ports) in rows {
            text += &format!("  {name:width$}  {}\n", ports_words(ports));
        }
        text
    }

    /// For programs: rows as in the matrix.
    #[must_use]
    pub fn json(&self) -> Value {
        let inside = self.workloads.iter().map(|(name, ports)| (name.clone(), ports));
        let outside = self.outside.ranges().map(|(lo, hi, ports)| (format!("{lo}-{hi}"), ports));
        let rows: Vec<Value> = inside
            .chain(outside)
            .map(|(other, ports)| {
                let [source, destination] =
                    if self.is_destination { [&other, &self.about] } else { [&self.about, &other] };
                json!({ "source": source, "destination": destination, "connections": Connections::of(ports) })
            })
            .collect();
        json!({ "kind": "Reach", "rows": rows })
    }
}

//! The proof: policies are put into the cluster, everything is evaluated again and compared with what is wanted.

use super::{Wanted, plan::Plan};
use crate::{
    input::Snapshot,
    matrix::{Connections, End, Matrix, Options},
};
use policy_model::{
    cluster::{Change, Cluster},
    policy::{Direction, NetworkPolicy},
    portset::PortSet,
    reach::Reach,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that policies do otherwise than is wanted, a line each; empty if the two are equal.
///
/// Left out is what no policy decides: pods on the host network among themselves, a node and its own pods. Addresses that pods
/// hold are judged as these pods, not as addresses outside.
pub(super) fn differences(
    snapshot: &Snapshot,
    plan: &Plan<'_>,
    wanted: &Wanted,
    policies: &[NetworkPolicy],
) -> Vec<String> {
    let old = &snapshot.cluster;
    let kept = old.changes().filter(|change| !matches!(change, Change::Policy(_)));
    let cluster: Cluster = kept.chain(policies.iter().cloned().map(Change::Policy)).collect();
    let cuts = plan.ranges.iter().flatten().map(|range| range.lo).collect();
    let mut with = Snapshot::of(cluster);
    with.templates = snapshot.templates.clone();
    let matrix = Matrix::new(&with, &Options { cuts, ..Options::default() });

    let mut inside: BTreeMap<(String, String), PortSet> = BTreeMap::new();
    let mut outside: [BTreeMap<String, Vec<_>>; 2] = Default::default();
    for row in matrix.rows() {
        let ports = row.ports.clone();
        match (row.source, row.destination) {
            (End::Inside(source), End::Inside(destination)) => {
                inside.insert((source.to_string(), destination.to_string()), ports);
            }
            (End::Outside(range), End::Inside(name)) => {
                outside[Direction::Ingress as usize]
                    .entry(name.to_string())
                    .or_default()
                    .push((range.lo, range.hi, ports));
            }
            (End::Inside(name), End::Outside(range)) => {
                outside[Direction::Egress as usize]
                    .entry(name.to_string())
                    .or_default()
                    .push((range.lo, range.hi, ports));
            }
            (End::Outside(_), End::Outside(_)) => {}
        }
    }
    let mut found = pairs(old, plan, wanted, &inside);
    found.extend(
        Direction::BOTH
            .into_iter()
            .flat_map(|direction| ranges(old, plan, wanted, direction, &outside[direction as usize])),
    );
    found
}

fn pairs(
    cluster: &Cluster,
    plan: &Plan<'_>,
    wanted: &Wanted,
    inside: &BTreeMap<(String, String), PortSet>,
) -> Vec<String> {
    let keys: BTreeSet<_> = inside.keys().chain(wanted.inside.keys()).collect();
    let is_decided = |(source, destination): &(String, String)| {
        let host = |name: &String| plan.nodes.get(name).is_some_and(super::plan::Node::is_host);
        source != destination
            && !(host(source) && host(destination))
            && !(host(source) && plan.is_own_node(cluster, source, destination))
    };
    let keys = keys.into_iter().filter(|key| is_decided(key));
    keys.filter_map(|key| {
        let [is, wants] = [inside, &wanted.inside].map(|map| map.get(key).map(words).unwrap_or_else(none));
        (is != wants).then(|| format!("{} → {}: wanted {wants}, would be {is}", key.0, key.1))
    })
    .collect()
}

fn ranges(
    cluster: &Cluster,
    plan: &Plan<'_>,
    wanted: &Wanted,
    direction: Direction,
    evaluated: &BTreeMap<String, Vec<(std::net::IpAddr, std::net::IpAddr, PortSet)>>,
) -> Vec<String> {
    let rows: Vec<_> = match direction {
        Direction::Ingress => {
            wanted.from_outside.iter().map(|(range, name, ports)| (name, *range, ports)).collect()
        }
        Direction::Egress => {
            wanted.to_outside.iter().map(|(name, range, ports)| (name, *range, ports)).collect()
        }
    };
    let mut wants: BTreeMap<&String, Vec<_>> = BTreeMap::new();
    for (name, range, ports) in rows {
        wants.entry(name).or_default().push((range.lo, range.hi, ports.clone()));
    }
    let of_hosts = plan.nodes.values().flat_map(|node| node.pods.iter().filter(|pod| pod.host_network));
    let of_hosts = of_hosts.flat_map(|pod| crate::connect::pod_addresses(cluster, pod)).copied();
    let inner: Reach = cluster
        .claimed_addresses()
        .chain(of_hosts)
        .map(|address| (address, address, PortSet::all()))
        .collect();
    let reach = |ranges: Option<&Vec<_>>| -> Reach {
        ranges.into_iter().flatten().cloned().collect::<Reach>().difference(&inner)
    };
    let mut found = Vec::new();
    for node in plan.nodes.values().filter(|node| !node.is_host()) {
        let (is, wants) = (reach(evaluated.get(&node.name)), reach(wants.get(&node.name)));
        let Some(difference) = is.first_difference(&wants) else { continue };
        let range = format!("{}-{}", difference.lo, difference.hi);
        let (from, to) = match direction {
            Direction::Ingress => (&range, &node.name),
            Direction::Egress => (&node.name, &range),
        };
        let text = |ports: &PortSet| if ports.is_empty() { none() } else { words(ports) };
        found.push(format!(
            "{from} → {to}: wanted {}, would be {}",
            text(&difference.other),
            text(&difference.this)
        ));
    }
    found
}

fn none() -> String {
    "nothing".to_owned()
}

fn words(ports: &PortSet) -> String {
    let items = Connections::of(ports).into_iter().map(|item| format!("{} {}", item.protocol, item.ports));
    items.collect::<Vec<_>>().join(", ")
}

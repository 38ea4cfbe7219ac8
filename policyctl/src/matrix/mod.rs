//! Who reaches whom on what: every pair of workloads (or pods, or namespaces), and the addresses outside the cluster.
//!
//! Pods that no policy can tell apart are one [class](classes); what a class lets pass is computed once for all classes
//! that the same policies select ([`engine`]). A property test holds the result to [`Cluster::verdict`] pair by pair.

pub(crate) mod classes;
mod compare;
mod compile;
mod connections;
mod engine;
mod graph;
mod json;
mod nodes;
mod pairs;
mod ranges;
pub(crate) mod selection;
mod sets;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use connections::{Connections, ports_text};
pub use graph::{dot, mermaid};
pub use json::{write_json, write_yaml};
pub use nodes::Granularity;
pub(crate) use ranges::{Ranges, speaks_ipv6};
pub use svg::svg;
pub(crate) use table::outside_words;
pub use table::{OpenSide, table, words as ports_words};
pub use text::{csv, markdown};

use crate::{connect, input::Snapshot};
use classes::Classes;
use engine::Engine;
use nodes::{Node, Rows};
use pairs::Pairs;
use policy_model::{
    cluster::Cluster,
    object::Pod,
    policy::Direction,
    portset::PortSet,
    reach::{AddressRange, Reach},
};
use sets::{SetId, Sets};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

/// What the matrix is to be about.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Rows for workloads, pods or namespaces.
    pub granularity: Granularity,
    /// Only pairs of which one end is in this namespace.
    pub namespace: Option<String>,
    /// First addresses at which external ranges are cut besides the cuts that policies ask for.
    pub cuts: Vec<IpAddr>,
}

/// One end of a row. Displays as `ns/name[Kind]` or `a.b.c.d-e.f.g.h`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A workload, pod or namespace.
    Inside(Arc<str>),
    /// A range of addresses outside the cluster.
    Outside(AddressRange),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside(name) => f.write_str(name),
            Self::Outside(AddressRange { lo, hi }) => write!(f, "{lo}-{hi}"),
        }
    }
}

/// One row: a pair between which something may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Who opens the connections.
    pub source: End,
    /// Whom to.
    pub destination: End,
    /// On which ports; never empty.
    pub ports: &'a PortSet,
}

/// Every pair, ready to be shown.
pub struct Matrix {
    sets: Sets,
    nodes: Vec<Summary>,
    /// Ranges that sources outside are in, and ranges of destinations outside.
    ranges: [Vec<AddressRange>; 2],
    inside: Pairs,
    /// What each row may be sent from outside, and what it may send there.
    outside: [Vec<Reach>; 2],
    namespace: Option<String>,
}

/// What a matrix says about one of its rows by itself.
#[derive(Clone, Debug)]
struct Summary {
    name: Arc<str>,
    namespaces: BTreeSet<Arc<str>>,
    /// Whether every pod of it is isolated for ingress, for egress.
    isolated: [bool; 2],
    /// Whether it is on its node's network, so that no policy selects it.
    host_network: bool,
}

impl Matrix {
    /// Computes every pair.
    #[must_use]
    pub fn new(snapshot: &Snapshot, options: &Options) -> Self {
        let cluster = &snapshot.cluster;
        let [ingress, egress] =
            Direction::BOTH.map(|direction| Ranges::new(cluster, direction, &options.cuts));
        let mut classes = Classes::new(cluster, [&ingress, &egress]);
        let nodes = nodes::nodes(snapshot, options.granularity, &mut classes);
        let mut engine = Engine::new(cluster, classes, [&ingress, &egress]);

        let mut always: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (source, destination) in own_node_pairs(cluster, &nodes) {
            always.entry(source).or_default().push(destination);
        }
        let mut inside = Pairs::new(nodes.len());
        let mut rows = Rows::new(&nodes, &engine);
        for source in 0..nodes.len() {
            let mut row = rows.of(source, &mut engine);
            if let Some(always) = always.get(&source) {
                let always = always.iter().map(|destination| (*destination as u32, Sets::ALL));
                row = row.into_iter().chain(always).collect::<BTreeMap<_, _>>().into_iter().collect();
            }
            inside.push(row.into_iter().filter(|(destination, _)| *destination != source as u32));
        }
        let ipv6 = ingress.starts().iter().any(IpAddr::is_ipv6);
        let outside = Direction::BOTH
            .map(|direction| nodes.iter().map(|node| node.outside(direction, ipv6, &engine)).collect());
        let nodes = nodes.iter().map(|node| node.summary(&engine)).collect();
        Self {
            sets: engine.sets,
            nodes,
            ranges: [ingress.iter().collect(), egress.iter().collect()],
            inside,
            outside,
            namespace: options.namespace.clone(),
        }
    }

    /// Every pair between which something may pass: inside first, by source and destination; then from outside, then to it,
    /// by the end inside and the range.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let ends = self.inside.filled();
        let inside = ends.filter(|(source, destination, _)| self.shows([*source, *destination])).map(
            |(source, destination, set)| Row {
                source: self.end(source),
                destination: self.end(destination),
                ports: self.sets.get(set),
            },
        );
        let of_direction = move |direction: Direction| {
            let nodes = self.shown_nodes();
            nodes.flat_map(move |node| self.outside_of(node, direction)).map(move |(node, range, ports)| {
                let (inside, outside) = (self.end(node), End::Outside(range));
                match direction {
                    Direction::Ingress => Row { source: outside, destination: inside, ports },
                    Direction::Egress => Row { source: inside, destination: outside, ports },
                }
            })
        };
        inside.chain(of_direction(Direction::Ingress)).chain(of_direction(Direction::Egress))
    }

    /// Every range with which something may pass.
    fn outside_of(
        &self,
        node: usize,
        direction: Direction,
    ) -> impl Iterator<Item = (usize, AddressRange, &PortSet)> {
        let ranges = &self.ranges[direction as usize];
        self.outside[direction as usize][node].ranges().flat_map(move |(lo, hi, ports)| {
            // A stretch with the same ports is one range or several: it begins and ends where some policy cuts.
            let first = ranges.partition_point(|range| range.lo < lo);
            let within = ranges[first..].iter().take_while(move |range| range.lo <= hi);
            within.map(move |range| (node, *range, ports))
        })
    }

    /// The rows by their ends.
    #[cfg(test)]
    #[must_use]
    pub fn by_ends(&self) -> BTreeMap<(End, End), &PortSet> {
        self.rows().map(|row| ((row.source, row.destination), row.ports)).collect()
    }

    /// First addresses of the external ranges, of both directions.
    #[cfg(test)]
    #[must_use]
    pub fn cuts(&self) -> Vec<IpAddr> {
        self.ranges.iter().flatten().map(|range| range.lo).collect()
    }

    fn end(&self, node: usize) -> End {
        End::Inside(self.nodes[node].name.clone())
    }

    /// Whether one of the ends is in the namespace that was asked for.
    fn shows<const N: usize>(&self, nodes: [usize; N]) -> bool {
        let Some(namespace) = &self.namespace else { return true };
        nodes.iter().any(|node| self.nodes[*node].namespaces.contains(&**namespace))
    }

    fn shown_nodes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.shows([*node]))
    }
}

/// Pairs of a workload on its node's network and one with a pod on the same node, which the node may always reach.
fn own_node_pairs(cluster: &Cluster, nodes: &[Node<'_>]) -> Vec<(usize, usize)> {
    let mut on_node: BTreeMap<&str, Vec<(usize, &Pod)>> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for pod in node.pods.iter().filter(|pod| pod.is_policed()) {
            on_node.entry(pod.node.as_deref().unwrap_or_default()).or_default().push((index, pod));
        }
    }
    let mut pairs = Vec::new();
    for (source, node) in nodes.iter().enumerate() {
        for host in node.pods.iter().filter(|pod| pod.host_network) {
            let addresses = connect::pod_addresses(cluster, host);
            let names = cluster.nodes().filter(|n| n.own_addresses().any(|own| addresses.contains(&own)));
            let candidates = names.flat_map(|node| on_node.get(&*node.name)).flatten();
            let reached = candidates.filter(|(index, pod)| {
                *index != source && connect::between_pods(cluster, host, pod).is_all()
            });
            pairs.extend(reached.map(|(destination, _)| (source, *destination)));
        }
    }
    pairs
}

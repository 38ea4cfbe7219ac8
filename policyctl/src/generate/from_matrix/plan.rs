//! What every side of every pod must, may and must not let pass.

use super::{FromMatrixError, Wanted, blocks::next, isolate::Isolated, select::Subject};
use crate::{
    connect::pod_addresses,
    input::{Snapshot, workload_name},
};
use policy_model::{
    cluster::Cluster, manifest::nearest, object::Pod, policy::Direction, portset::PortSet,
    reach::AddressRange,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A workload: a row of the matrix.
pub(super) struct Node<'a> {
    pub(super) name: String,
    pub(super) pods: Vec<&'a Pod>,
    /// Its pods that policies see, as kinds.
    kinds: Vec<usize>,
}

/// What is wanted between pods that selectors can tell apart, and between these and addresses outside.
///
/// Others are numbered: kinds first, then the ranges of a direction.
pub(super) struct Plan<'a> {
    pub(super) nodes: BTreeMap<String, Node<'a>>,
    /// Everything that selectors can tell apart.
    pub(super) kinds: Vec<Subject>,
    /// The names of the workloads of each kind.
    pub(super) names: Vec<Vec<String>>,
    /// The addresses of the pods of each kind.
    pub(super) addresses: Vec<BTreeSet<IpAddr>>,
    /// Ranges of addresses outside, for ingress and for egress.
    pub(super) ranges: [Vec<AddressRange>; 2],
    /// By direction: subject, then other. `None`: nothing is wanted and nothing is unwanted.
    wants: [Vec<Vec<Option<PortSet>>>; 2],
    /// By direction: what each kind has to do with workloads on the host network that have no address.
    for_everybody: [Vec<PortSet>; 2],
    isolated: Isolated,
}

type Wish = Option<PortSet>;

impl<'a> Plan<'a> {
    /// Holds the list against the pods.
    ///
    /// # Errors
    /// A workload that is not there; two that labels cannot tell apart although different things are wanted of them.
    pub(super) fn new(snapshot: &'a Snapshot, wanted: &Wanted) -> Result<Self, FromMatrixError> {
        let cluster = &snapshot.cluster;
        let mut plan = Self {
            nodes: BTreeMap::new(),
            kinds: Vec::new(),
            names: Vec::new(),
            addresses: Vec::new(),
            ranges: [Vec::new(), Vec::new()],
            wants: [Vec::new(), Vec::new()],
            for_everybody: [Vec::new(), Vec::new()],
            isolated: [Vec::new(), Vec::new()],
        };
        plan.add_pods(cluster);
        plan.refuse_unknown(wanted)?;
        let ipv6 = speaks_ipv6(cluster, wanted);
        let hosts = hosts(cluster, &plan.nodes);
        plan.ranges = Direction::BOTH.map(|direction| cut(wanted, direction, ipv6, &hosts));
        for direction in Direction::BOTH {
            plan.wants[direction as usize] = plan.wants_of(cluster, wanted, direction, &hosts)?;
            plan.for_everybody[direction as usize] = plan.for_everybody(cluster, wanted, direction);
        }
        Ok(plan)
    }

    fn add_pods(&mut self, cluster: &'a Cluster) {
        let mut known: BTreeMap<Subject, usize> = BTreeMap::new();
        for pod in cluster.pods().filter(|pod| !pod.terminal) {
            let name = workload_name(pod);
            let node = self.nodes.entry(name.clone()).or_insert_with(|| Node {
                name: name.clone(),
                pods: Vec::new(),
                kinds: Vec::new(),
            });
            node.pods.push(pod);
            if !pod.is_policed() {
                continue;
            }
            let around = cluster.namespace_labels(&pod.key.namespace).into_owned();
            let subject =
                Subject { namespace: pod.key.namespace.clone(), around, labels: pod.labels.clone() };
            let kind = *known.entry(subject.clone()).or_insert_with(|| {
                self.kinds.push(subject);
                self.names.push(Vec::new());
                self.addresses.push(BTreeSet::new());
                self.kinds.len() - 1
            });
            self.addresses[kind].extend(&pod.ips);
            if !self.names[kind].contains(&name) {
                self.names[kind].push(name.clone());
            }
            if !node.kinds.contains(&kind) {
                node.kinds.push(kind);
            }
        }
    }

    fn refuse_unknown(&self, wanted: &Wanted) -> Result<(), FromMatrixError> {
        let inside = wanted.inside.keys().flat_map(|(a, b)| [a, b]);
        let outside =
            wanted.from_outside.iter().map(|row| &row.1).chain(wanted.to_outside.iter().map(|row| &row.0));
        match inside.chain(outside).find(|name| !self.nodes.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(FromMatrixError::NoWorkload {
                name: name.clone(),
                meant: nearest(name, self.nodes.keys().map(String::as_str)).map(str::to_owned),
            }),
        }
    }

    /// What a subject's side of a direction has to do with an other.
    pub(super) fn wish(&self, direction: Direction, subject: usize, other: usize) -> &Wish {
        &self.wants[direction as usize][subject][other]
    }

    /// Says who is isolated, so that [`Self::may`] knows where a pair can be left to its other side.
    pub(super) fn settle(&mut self, isolated: &Isolated) {
        self.isolated = isolated.clone();
    }

    /// Whether a subject's side of a direction may let these ports pass with an other.
    ///
    /// Both sides of a pair are exact, so that a mistake in one is held by the other, with one exception: a workload on the host
    /// network without an address is reached by rules without peers alone, and these are for everybody. Who needs such a
    /// rule leaves other pods to their own sides, where these are isolated and need no such rule for more than is wanted.
    pub(super) fn may(&self, direction: Direction, subject: usize, other: usize, ports: &PortSet) -> bool {
        let Some(wanted) = self.wish(direction, subject, other) else { return true };
        let opposite = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let is_within = |narrow: &PortSet, wide: &PortSet| narrow.difference(wide).is_empty();
        let is_held = || {
            other < self.kinds.len()
                && self.isolated[opposite as usize][other]
                && is_within(ports, &self.for_everybody[direction as usize][subject])
                && is_within(&self.for_everybody[opposite as usize][other].intersection(ports), wanted)
        };
        is_within(ports, wanted) || is_held()
    }

    /// How many others there are in a direction.
    pub(super) fn others(&self, direction: Direction) -> usize {
        self.kinds.len() + self.ranges[direction as usize].len()
    }

    /// The kinds of a namespace.
    pub(super) fn namespaces(&self) -> BTreeMap<&str, BTreeSet<usize>> {
        let mut namespaces: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (index, kind) in self.kinds.iter().enumerate() {
            namespaces.entry(&kind.namespace).or_default().insert(index);
        }
        namespaces
    }

    fn wants_of(
        &self,
        cluster: &Cluster,
        wanted: &Wanted,
        direction: Direction,
        hosts: &BTreeMap<IpAddr, Vec<String>>,
    ) -> Result<Vec<Vec<Wish>>, FromMatrixError> {
        let pair = |subject: &str, other: &str| {
            let (source, destination) = match direction {
                Direction::Ingress => (other, subject),
                Direction::Egress => (subject, other),
            };
            wanted.inside.get(&(source.to_owned(), destination.to_owned())).cloned().unwrap_or_default()
        };
        let outside = outside_by_name(wanted, direction);
        let mut wants = Vec::new();
        for (kind, names) in self.names.iter().enumerate() {
            let mut row: Vec<Wish> = Vec::new();
            for others in &self.names {
                let mut wish = Agreed::default();
                for name in names {
                    for other in others.iter().filter(|other| *other != name) {
                        wish.add([name, other], pair(name, other))?;
                    }
                }
                row.push(wish.agreed());
            }
            for range in &self.ranges[direction as usize] {
                let mut wish = Agreed::default();
                let hosts_here = hosts.get(&range.lo).filter(|_| range.lo == range.hi);
                for name in names {
                    match hosts_here {
                        Some(hosts) => {
                            for host in hosts {
                                let is_exempt =
                                    direction == Direction::Ingress && self.is_own_node(cluster, host, name);
                                if !is_exempt {
                                    wish.add([name, host], pair(name, host))?;
                                }
                            }
                        }
                        None if self.has_family(kind, range.lo) => {
                            let ports = outside.get(name.as_str()).into_iter().flatten();
                            let ports =
                                ports.filter(|(known, _)| known.lo <= range.lo && range.hi <= known.hi);
                            let ports = ports.fold(PortSet::none(), |all, (_, ports)| all.union(ports));
                            wish.add([name, name], ports)?;
                        }
                        // A pod without such an address is never asked.
                        None => {}
                    }
                }
                row.push(wish.agreed());
            }
            wants.push(row);
        }
        Ok(wants)
    }

    fn for_everybody(&self, cluster: &Cluster, wanted: &Wanted, direction: Direction) -> Vec<PortSet> {
        let is_nowhere = |name: &String| {
            self.nodes.get(name).is_some_and(|node| {
                node.pods.iter().any(|pod| pod.host_network && pod_addresses(cluster, pod).is_empty())
            })
        };
        let mut of_name: BTreeMap<&String, PortSet> = BTreeMap::new();
        for ((source, destination), ports) in &wanted.inside {
            let (subject, other) = match direction {
                Direction::Ingress => (destination, source),
                Direction::Egress => (source, destination),
            };
            if is_nowhere(other) {
                let known = of_name.entry(subject).or_default();
                *known = known.union(ports);
            }
        }
        let of_kind = |names: &Vec<String>| {
            let sets = names.iter().filter_map(|name| of_name.get(name));
            sets.fold(PortSet::none(), |all, set| all.union(set))
        };
        self.names.iter().map(of_kind).collect()
    }

    /// Whether the pods of a kind may be met over the family of an address. One without addresses may get either.
    fn has_family(&self, kind: usize, of: IpAddr) -> bool {
        let own = &self.addresses[kind];
        own.is_empty() || own.iter().any(|address| address.is_ipv4() == of.is_ipv4())
    }

    /// Whether a workload on the host network is on the node of a pod of another one: nothing can be denied there.
    pub(super) fn is_own_node(&self, cluster: &Cluster, host: &str, name: &str) -> bool {
        let (Some(host), Some(node)) = (self.nodes.get(host), self.nodes.get(name)) else { return false };
        let own: BTreeSet<IpAddr> =
            host.pods.iter().flat_map(|pod| pod_addresses(cluster, pod)).copied().collect();
        node.pods
            .iter()
            .filter_map(|pod| cluster.node(pod.node.as_deref()?))
            .any(|node| node.own_addresses().any(|address| own.contains(&address)))
    }
}

impl Node<'_> {
    /// Whether no policy sees any pod of it.
    pub(super) fn is_host(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// What several workloads of one kind want; they must want the same.
#[derive(Default)]
struct Agreed<'n> {
    wish: Option<([&'n String; 2], PortSet)>,
}

impl<'n> Agreed<'n> {
    fn add(&mut self, names: [&'n String; 2], ports: PortSet) -> Result<(), FromMatrixError> {
        match &self.wish {
            None => self.wish = Some((names, ports)),
            Some((_, known)) if *known == ports => {}
            Some((others, _)) => {
                // The ends that differ are the ones that cannot be told apart.
                let differing = (0..2).find(|end| others[*end] != names[*end]).unwrap_or(0);
                return Err(FromMatrixError::Alike {
                    first: others[differing].clone(),
                    second: names[differing].clone(),
                });
            }
        }
        Ok(())
    }

    fn agreed(self) -> Wish {
        self.wish.map(|(_, ports)| ports)
    }
}

fn outside_by_name(wanted: &Wanted, direction: Direction) -> BTreeMap<&str, Vec<(AddressRange, &PortSet)>> {
    let rows: Vec<(&str, AddressRange, &PortSet)> = match direction {
        Direction::Ingress => {
            wanted.from_outside.iter().map(|(range, name, ports)| (name.as_str(), *range, ports)).collect()
        }
        Direction::Egress => {
            wanted.to_outside.iter().map(|(name, range, ports)| (name.as_str(), *range, ports)).collect()
        }
    };
    let mut by_name: BTreeMap<&str, Vec<(AddressRange, &PortSet)>> = BTreeMap::new();
    for (name, range, ports) in rows {
        by_name.entry(name).or_default().push((range, ports));
    }
    by_name
}

/// The workloads on the host network at each address.
fn hosts(cluster: &Cluster, nodes: &BTreeMap<String, Node<'_>>) -> BTreeMap<IpAddr, Vec<String>> {
    let mut hosts: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    for node in nodes.values() {
        for pod in node.pods.iter().filter(|pod| pod.host_network) {
            for address in pod_addresses(cluster, pod) {
                let known = hosts.entry(*address).or_default();
                if !known.contains(&node.name) {
                    known.push(node.name.clone());
                }
            }
        }
    }
    hosts
}

fn speaks_ipv6(cluster: &Cluster, wanted: &Wanted) -> bool {
    let pods = cluster.pods().flat_map(|pod| &pod.ips).any(IpAddr::is_ipv6);
    let nodes = cluster.nodes().flat_map(|node| &node.addresses).any(IpAddr::is_ipv6);
    let outside =
        wanted.from_outside.iter().map(|row| row.0).chain(wanted.to_outside.iter().map(|row| row.1));
    pods || nodes || outside.into_iter().any(|range| range.lo.is_ipv6())
}

/// All addresses of the families, cut where a range that is wanted begins or ends, and around every host.
fn cut(
    wanted: &Wanted,
    direction: Direction,
    ipv6: bool,
    hosts: &BTreeMap<IpAddr, Vec<String>>,
) -> Vec<AddressRange> {
    let ranges: Vec<AddressRange> = match direction {
        Direction::Ingress => wanted.from_outside.iter().map(|row| row.0).collect(),
        Direction::Egress => wanted.to_outside.iter().map(|row| row.1).collect(),
    };
    let single = hosts.keys().map(|address| AddressRange { lo: *address, hi: *address });
    let mut starts = BTreeSet::from([IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    if ipv6 {
        starts.insert(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    for range in ranges.into_iter().chain(single).filter(|range| ipv6 || range.lo.is_ipv4()) {
        starts.insert(range.lo);
        starts.extend(next(range.hi));
    }
    let starts: Vec<IpAddr> = starts.into_iter().collect();
    let end = |index: usize| {
        let following = starts.get(index + 1).filter(|next| next.is_ipv4() == starts[index].is_ipv4());
        match (following, starts[index]) {
            (Some(IpAddr::V4(next)), _) => IpAddr::V4((next.to_bits() - 1).into()),
            (Some(IpAddr::V6(next)), _) => IpAddr::V6((next.to_bits() - 1).into()),
            (None, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::BROADCAST),
            (None, IpAddr::V6(_)) => IpAddr::V6(u128::MAX.into()),
        }
    };
    (0..starts.len()).map(|index| AddressRange { lo: starts[index], hi: end(index) }).collect()
}

//! One end of a connection, as policy sees it.

use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    verdict::Endpoint,
};
use std::net::IpAddr;

/// An address, and the policed pods that stand behind it.
#[derive(Clone, Debug)]
pub struct Party<'a> {
    /// Ordered by key. Usually one; none for what is no pod to policy; several where pods hold one address.
    pub pods: Vec<&'a Pod>,
    /// `None` for a pod that has no address yet, and for a template.
    pub address: Option<IpAddr>,
    /// Taken to be inside every block, to learn what depends on an address that nobody knows.
    pub(super) anywhere: bool,
    /// The pod that it was made of, policed or not.
    named: Option<&'a ObjectKey>,
}

impl<'a> Party<'a> {
    /// A pod at one of its addresses.
    #[must_use]
    pub fn of_pod(cluster: &'a Cluster, pod: &'a Pod, address: Option<IpAddr>) -> Self {
        let mut party = Self { pods: Vec::new(), address, anywhere: false, named: Some(&pod.key) };
        party.pods.extend(address.into_iter().flat_map(|address| cluster.claimants(address)));
        if pod.is_policed() {
            party.pods.push(pod);
            party.pods.sort_by_key(|pod| &pod.key);
            party.pods.dedup_by_key(|pod| &pod.key);
        }
        party
    }

    /// An address that is no pod's.
    #[must_use]
    pub fn outside(address: IpAddr) -> Self {
        Self { pods: Vec::new(), address: Some(address), anywhere: false, named: None }
    }

    /// A pod that is not in the cluster.
    #[must_use]
    pub fn imagined(pod: &'a Pod) -> Self {
        Self { pods: vec![pod], address: None, anywhere: false, named: None }
    }

    /// An endpoint of `policy-model`. A pod that is not there is nobody.
    #[must_use]
    pub fn of_endpoint(cluster: &'a Cluster, endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Address(address) => {
                Self { pods: cluster.claimants(*address).collect(), ..Self::outside(*address) }
            }
            Endpoint::Pod { key, address } => match cluster.pod(key) {
                Some(pod) => Self::of_pod(cluster, pod, *address),
                None => Self { pods: Vec::new(), address: *address, anywhere: false, named: None },
            },
        }
    }

    /// The same end if one of its pods were alone at its address.
    #[must_use]
    pub fn alone(&self, pod: &'a Pod) -> Self {
        Self { pods: vec![pod], ..self.clone() }
    }

    /// The same end, inside every block if nobody knows its address.
    #[must_use]
    pub fn at_best(&self) -> Self {
        Self { anywhere: self.address.is_none(), ..self.clone() }
    }

    /// Whether policies have no say: a pod to itself, or a node to the pods that run on it.
    pub(super) fn is_exempt(&self, destination: &Self, cluster: &Cluster) -> bool {
        self.is_same_pod(destination) || self.is_own_node_of(destination, cluster)
    }

    /// Whether both are one pod, by name or by address.
    pub(crate) fn is_same_pod(&self, other: &Self) -> bool {
        let same_address = self.address.is_some() && self.address == other.address;
        let same_name = self.named.is_some() && self.named == other.named;
        !self.pods.is_empty() && !other.pods.is_empty() && (same_address || same_name)
    }

    /// Whether this is a node, and the other runs on it.
    pub(crate) fn is_own_node_of(&self, other: &Self, cluster: &Cluster) -> bool {
        let Some(address) = self.address.filter(|_| self.pods.is_empty()) else { return false };
        !other.pods.is_empty() && other.pods.iter().all(|pod| runs_at(cluster, pod, address))
    }
}

/// Whether an address is one of the node that a pod runs on.
fn runs_at(cluster: &Cluster, pod: &Pod, address: IpAddr) -> bool {
    let node = pod.node.as_ref().and_then(|name| cluster.node(name));
    node.is_some_and(|node| node.own_addresses().any(|own| own == address))
}

/// The addresses that a pod may be met at. A pod on its node's network that has none itself is met at its node's.
#[must_use]
pub fn pod_addresses<'a>(cluster: &'a Cluster, pod: &'a Pod) -> &'a [IpAddr] {
    let of_node = pod.node.as_ref().filter(|_| pod.host_network && pod.ips.is_empty());
    match of_node.and_then(|name| cluster.node(name)) {
        _ if pod.terminal => &[],
        Some(node) => &node.addresses,
        None => &pod.ips,
    }
}

/// Every pair of addresses of one family. Where there is none the first of each: two pods that have no family in common
/// cannot talk, but policy is still asked about their labels.
#[must_use]
pub fn address_pairs(sources: &[IpAddr], destinations: &[IpAddr]) -> Vec<(Option<IpAddr>, Option<IpAddr>)> {
    let all = sources.iter().flat_map(|from| destinations.iter().map(move |to| (*from, *to)));
    let pairs: Vec<_> = all
        .filter(|(from, to)| from.is_ipv4() == to.is_ipv4())
        .map(|(from, to)| (Some(from), Some(to)))
        .collect();
    if !pairs.is_empty() {
        return pairs;
    }
    // An end without an address goes with each address of the other.
    match (sources, destinations) {
        ([], []) => vec![(None, None)],
        ([], _) => destinations.iter().map(|to| (None, Some(*to))).collect(),
        (_, []) => sources.iter().map(|from| (Some(*from), None)).collect(),
        ([from, ..], [to, ..]) => vec![(Some(*from), Some(*to))],
    }
}

//! Who an endpoint is to policy: an address, and the policed pods that stand behind it.

use super::{Endpoint, Flow};
use crate::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
};
use std::net::IpAddr;

/// An endpoint as policy sees it.
pub(super) struct Party<'a> {
    /// Its address; `None` for a pod that has none.
    pub(super) address: Option<IpAddr>,
    /// The policed pods that it is, ordered by key: usually one, none for a node or an outside address, several where
    /// pods hold the same address.
    pub(super) pods: Vec<&'a Pod>,
    /// The pod that was asked for by name, policed or not.
    pub(super) named: Option<ObjectKey>,
}

impl Party<'_> {
    /// Whether both are the same pod, or cannot be told apart because they have the same address.
    pub(super) fn is_same_pod(&self, other: &Self) -> bool {
        let same_address = self.address.is_some() && self.address == other.address;
        let same_name = self.named.is_some() && self.named == other.named;
        !self.pods.is_empty() && !other.pods.is_empty() && (same_address || same_name)
    }

    /// Whether this is the node that all pods of `other` run on.
    pub(super) fn is_own_node_of(&self, other: &Self, cluster: &Cluster) -> bool {
        let Some(address) = self.address.filter(|_| self.pods.is_empty()) else { return false };
        let is_node_of = |pod: &&Pod| {
            let node = pod.node.as_ref().and_then(|name| cluster.node(name));
            node.is_some_and(|node| node.own_addresses().any(|own| own == address))
        };
        !other.pods.is_empty() && other.pods.iter().all(is_node_of)
    }
}

/// Resolves both ends of a flow. Where an end may have several addresses, the first pair of one family is taken.
pub(super) fn resolve<'a>(cluster: &'a Cluster, flow: &Flow) -> [Party<'a>; 2] {
    let [sources, destinations] = [&flow.source, &flow.destination].map(|end| addresses(cluster, end));
    let pairs = sources.iter().flat_map(|s| destinations.iter().map(move |d| (*s, *d)));
    let of_one_family =
        pairs.filter(|(s, d)| s.is_ipv4() == d.is_ipv4()).map(|(s, d)| (Some(s), Some(d))).next();
    let (source, destination) =
        of_one_family.unwrap_or_else(|| (sources.first().copied(), destinations.first().copied()));
    [party(cluster, &flow.source, source), party(cluster, &flow.destination, destination)]
}

/// The addresses that an endpoint may be met at.
fn addresses(cluster: &Cluster, endpoint: &Endpoint) -> Vec<IpAddr> {
    match endpoint {
        Endpoint::Address(address) | Endpoint::Pod { address: Some(address), .. } => vec![*address],
        Endpoint::Pod { key, address: None } => match cluster.pod(key) {
            Some(pod) if pod.terminal => Vec::new(),
            Some(pod) if pod.host_network && pod.ips.is_empty() => {
                let node = pod.node.as_ref().and_then(|name| cluster.node(name));
                node.map(|node| node.addresses.clone()).unwrap_or_default()
            }
            Some(pod) => pod.ips.to_vec(),
            None => Vec::new(),
        },
    }
}

fn party<'a>(cluster: &'a Cluster, endpoint: &Endpoint, address: Option<IpAddr>) -> Party<'a> {
    let named = match endpoint {
        Endpoint::Pod { key, .. } => Some(key.clone()),
        Endpoint::Address(_) => None,
    };
    let mut pods: Vec<_> = address.into_iter().flat_map(|address| cluster.claimants(address)).collect();
    pods.extend(named.as_ref().and_then(|key| cluster.pod(key)).filter(|pod| pod.is_policed()));
    pods.sort_by_key(|pod| &pod.key);
    pods.dedup_by_key(|pod| &pod.key);
    Party { address, pods, named }
}

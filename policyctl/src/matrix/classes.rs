//! Pods that no policy can tell apart, as one.

use super::ranges::Ranges;
use crate::connect::Party;
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{NamedPort, Pod},
    policy::{Direction, Peer},
};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// What a policy can see of a policed pod apart from its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) namespace: Arc<str>,
    pub(crate) labels: Labels,
    pub(crate) ports: Vec<NamedPort>,
}

impl Kind {
    /// The kind of a pod.
    pub(crate) fn of(pod: &Pod) -> Self {
        Self { namespace: pod.key.namespace.clone(), labels: pod.labels.clone(), ports: pod.ports.clone() }
    }
}

/// One end of a connection: every party that gets the same answers, whoever is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// The policed pods behind it: usually one, none for what is no pod to policy, several where pods share an address.
    pub(super) kinds: Vec<usize>,
    /// The ranges that the address is in, for ingress and egress; `None` without an address, or where no policy has blocks.
    pub(super) ranges: [Option<usize>; 2],
    pub(super) is_ipv4: Option<bool>,
    /// The address, where several pods share it: to each other they are one pod.
    pub(super) shared: Option<IpAddr>,
}

/// All kinds and classes that have been met.
pub(super) struct Classes<'a> {
    cluster: &'a Cluster,
    ranges: [&'a Ranges; 2],
    /// Whether addresses count at all: some policy has a block, or pods share an address.
    by_address: bool,
    pub(super) kinds: Vec<Kind>,
    kind_ids: HashMap<Kind, usize>,
    pub(super) classes: Vec<Class>,
    class_ids: HashMap<Class, usize>,
}

impl<'a> Classes<'a> {
    /// `ranges` of ingress and of egress.
    pub(super) fn new(cluster: &'a Cluster, ranges: [&'a Ranges; 2]) -> Self {
        let has_blocks = |direction| {
            let rules =
                cluster.policies().flat_map(move |policy| policy.rules(direction).unwrap_or_default());
            rules.flat_map(|rule| &rule.peers).any(|peer| matches!(peer, Peer::IpBlock { .. }))
        };
        let is_shared = |address: IpAddr| cluster.claimants(address).nth(1).is_some();
        Self {
            cluster,
            ranges,
            by_address: Direction::BOTH.into_iter().any(has_blocks)
                || cluster.claimed_addresses().any(is_shared),
            kinds: Vec::new(),
            kind_ids: HashMap::new(),
            classes: Vec::new(),
            class_ids: HashMap::new(),
        }
    }

    /// The class of a pod at one of its addresses.
    pub(super) fn of(&mut self, pod: &'a Pod, address: Option<IpAddr>) -> usize {
        let party = Party::of_pod(self.cluster, pod, address);
        let mut kinds: Vec<usize> = party.pods.iter().map(|pod| self.kind(pod)).collect();
        kinds.sort_unstable();
        let shared = address.filter(|_| party.pods.len() > 1);
        kinds.dedup();
        let located = address.filter(|_| self.by_address);
        let ranges = self.ranges.map(|ranges| located.and_then(|address| ranges.of(address)));
        let class = Class { kinds, ranges, is_ipv4: located.map(|address| address.is_ipv4()), shared };
        if let Some(id) = self.class_ids.get(&class) {
            return *id;
        }
        let id = self.classes.len();
        self.classes.push(class.clone());
        self.class_ids.insert(class, id);
        id
    }

    fn kind(&mut self, pod: &Pod) -> usize {
        let kind = Kind {
            namespace: pod.key.namespace.clone(),
            labels: pod.labels.clone(),
            ports: pod.ports.clone(),
        };
        if let Some(id) = self.kind_ids.get(&kind) {
            return *id;
        }
        let id = self.kinds.len();
        self.kinds.push(kind.clone());
        self.kind_ids.insert(kind, id);
        id
    }
}

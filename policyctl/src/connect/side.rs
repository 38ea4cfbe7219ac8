//! What one side lets pass, as a set of ports.

use super::Party;
use policy_model::{
    cluster::Cluster,
    object::{NamedPort, ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    portset::{PortRanges, PortSet},
    selector::Selector,
};

/// What the policies of `subject` let pass between it and `other`. Of several pods at one address the strictest counts.
#[must_use]
pub fn side(cluster: &Cluster, subject: &Party<'_>, other: &Party<'_>, direction: Direction) -> PortSet {
    Subject::new(cluster, subject, direction).with(other)
}

/// One side of a party, with its policies looked up: to be asked about many others.
pub struct Subject<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    /// Each of its pods, with the policies that isolate it.
    pods: Vec<(&'a Pod, Vec<&'a NetworkPolicy>)>,
}

impl<'a> Subject<'a> {
    /// Looks the policies up.
    #[must_use]
    pub fn new(cluster: &'a Cluster, party: &Party<'a>, direction: Direction) -> Self {
        let of_pod = |pod: &&'a Pod| (*pod, cluster.isolating_policies(pod, direction).collect());
        Self { cluster, direction, pods: party.pods.iter().map(of_pod).collect() }
    }

    /// Whether each of its pods is isolated.
    #[must_use]
    pub fn is_isolated(&self) -> Vec<bool> {
        self.pods.iter().map(|(_, policies)| !policies.is_empty()).collect()
    }

    /// The policies that isolate some pod of it.
    pub fn policies(&self) -> impl Iterator<Item = &'a NetworkPolicy> + '_ {
        self.pods.iter().flat_map(|(_, policies)| policies.iter().copied())
    }

    /// What may pass between it and another party.
    #[must_use]
    pub fn with(&self, other: &Party<'_>) -> PortSet {
        let of_pods = self.pods.iter().map(|(pod, policies)| self.of_pod(pod, policies, other));
        of_pods.reduce(|a, b| a.intersection(&b)).unwrap_or_else(PortSet::all)
    }

    fn of_pod(&self, pod: &Pod, policies: &[&NetworkPolicy], other: &Party<'_>) -> PortSet {
        if policies.is_empty() {
            return PortSet::all();
        }
        let mut allowed = PortSet::none();
        for policy in policies {
            for rule in policy.rules(self.direction).unwrap_or_default() {
                let is_peer = |peer| is_peer(self.cluster, &policy.key, peer, other);
                if rule.peers.is_empty() || rule.peers.iter().any(is_peer) {
                    allowed = allowed.union(&ports_between(rule, self.direction, pod, other));
                }
            }
        }
        allowed
    }
}

/// The ports of a rule of a pod's policy, with names as the destination of the traffic means them.
#[must_use]
pub fn ports_between(rule: &Rule, direction: Direction, pod: &Pod, other: &Party<'_>) -> PortSet {
    let names: Vec<&[NamedPort]> = match direction {
        Direction::Ingress => vec![&pod.ports],
        Direction::Egress => other.pods.iter().map(|pod| &pod.ports[..]).collect(),
    };
    ports_of_rule(rule, &names)
}

/// Whether a peer of a policy covers a party.
#[must_use]
pub fn is_peer(cluster: &Cluster, policy: &ObjectKey, peer: &Peer, other: &Party<'_>) -> bool {
    match peer {
        Peer::IpBlock { .. } if other.anywhere => true,
        Peer::IpBlock { cidr, except } => other.address.is_some_and(|address| {
            cidr.contains(&address) && !except.iter().any(|block| block.contains(&address))
        }),
        Peer::Pods { namespaces, pods } => {
            let is_selected = |pod: &&Pod| is_selected(cluster, policy, namespaces.as_ref(), pods, pod);
            !other.pods.is_empty() && other.pods.iter().all(is_selected)
        }
    }
}

fn is_selected(
    cluster: &Cluster,
    policy: &ObjectKey,
    namespaces: Option<&Selector>,
    pods: &Selector,
    pod: &Pod,
) -> bool {
    let in_namespace = match namespaces {
        None => pod.key.namespace == policy.namespace,
        Some(selector) => selector.matches(&cluster.namespace_labels(&pod.key.namespace)),
    };
    in_namespace && pods.matches(&pod.labels)
}

/// The ports of a rule. `destinations` are the named ports of each pod that the traffic goes to; all of these must agree on
/// a name.
#[must_use]
pub fn ports_of_rule(rule: &Rule, destinations: &[&[NamedPort]]) -> PortSet {
    if rule.ports.is_empty() {
        return PortSet::all();
    }
    rule.ports.iter().fold(PortSet::none(), |all, port| all.union(&ports_of_entry(port, destinations)))
}

fn ports_of_entry(port: &PolicyPort, destinations: &[&[NamedPort]]) -> PortSet {
    match &port.port {
        PortMatch::All => PortSet::none().with(port.protocol, PortRanges::all()),
        PortMatch::Range(lo, hi) => PortSet::range(port.protocol, *lo, *hi),
        PortMatch::Named(name) => {
            let on = |ports: &&[NamedPort]| {
                let named =
                    ports.iter().filter(|known| known.protocol == port.protocol && known.name == *name);
                PortSet::none().with(port.protocol, named.map(|known| (known.port, known.port)).collect())
            };
            destinations.iter().map(on).reduce(|a, b| a.intersection(&b)).unwrap_or_default()
        }
    }
}

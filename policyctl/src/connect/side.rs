//! What one side lets pass, as a set of ports.

use super::Party;
use policy_model::{
    cluster::Cluster,
    object::{NamedPort, Pod},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    portset::{PortRanges, PortSet},
    selector::Selector,
};

/// What the policies of `subject` let pass between it and `other`. Of several pods at one address the strictest counts.
#[must_use]
pub fn side(cluster: &Cluster, subject: &Party<'_>, other: &Party<'_>, direction: Direction) -> PortSet {
    let of_pods = subject.pods.iter().map(|pod| side_of_pod(cluster, pod, other, direction));
    of_pods.reduce(|a, b| a.intersection(&b)).unwrap_or_else(PortSet::all)
}

fn side_of_pod(cluster: &Cluster, pod: &Pod, other: &Party<'_>, direction: Direction) -> PortSet {
    let mut policies = cluster.isolating_policies(pod, direction).peekable();
    if policies.peek().is_none() {
        return PortSet::all();
    }
    let mut allowed = PortSet::none();
    for policy in policies {
        for rule in policy.rules(direction).unwrap_or_default() {
            if rule.peers.is_empty() || rule.peers.iter().any(|peer| is_peer(cluster, policy, peer, other)) {
                let names: Vec<&[NamedPort]> = match direction {
                    Direction::Ingress => vec![&pod.ports],
                    Direction::Egress => other.pods.iter().map(|pod| &pod.ports[..]).collect(),
                };
                allowed = allowed.union(&ports_of_rule(rule, &names));
            }
        }
    }
    allowed
}

fn is_peer(cluster: &Cluster, policy: &NetworkPolicy, peer: &Peer, other: &Party<'_>) -> bool {
    match peer {
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
    policy: &NetworkPolicy,
    namespaces: Option<&Selector>,
    pods: &Selector,
    pod: &Pod,
) -> bool {
    let in_namespace = match namespaces {
        None => pod.key.namespace == policy.key.namespace,
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
                let named = ports.iter().filter(|known| known.protocol == port.protocol && known.name == *name);
                PortSet::none().with(port.protocol, named.map(|known| (known.port, known.port)).collect())
            };
            destinations.iter().map(on).reduce(|a, b| a.intersection(&b)).unwrap_or_default()
        }
    }
}

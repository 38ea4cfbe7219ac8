//! Named ports that no pod has.

use super::witnesses::{Place, Witnesses};
use policy_model::{
    cluster::Cluster,
    object::Pod,
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
};
use std::{collections::BTreeMap, sync::Arc};

/// Every named port with where it stands: direction, rule, place of the rule and of the port.
fn named_ports(policy: &NetworkPolicy) -> impl Iterator<Item = (Direction, &Rule, usize, usize, &Arc<str>)> {
    Direction::BOTH.into_iter().flat_map(move |direction| {
        let rules = policy.rules(direction).unwrap_or_default().iter().enumerate();
        rules.flat_map(move |(r, rule)| {
            rule.ports.iter().enumerate().filter_map(move |(p, port)| match &port.port {
                PortMatch::Named(name) => Some((direction, rule, r, p, name)),
                _ => None,
            })
        })
    })
}

/// What to say of each named port that nobody has. `has_pods`: the policy selects some; else none of its ports for ingress
/// is anybody's.
pub(super) fn unmet(
    cluster: &Cluster,
    policy: &NetworkPolicy,
    has_pods: bool,
    witnesses: &mut Witnesses,
) -> Vec<String> {
    let mut namespaces = BTreeMap::new();
    let mut found = Vec::new();
    let asked = named_ports(policy).filter(|(direction, ..)| has_pods || *direction == Direction::Egress);
    for (direction, rule, r, p, name) in asked {
        let protocol = rule.ports[p].protocol;
        let mut count = 0;
        let mut has_it = |pod: &Pod| {
            let is_destination = pod.is_policed()
                && match direction {
                    Direction::Ingress => {
                        pod.key.namespace == policy.key.namespace && policy.pod_selector.matches(&pod.labels)
                    }
                    Direction::Egress => {
                        rule.peers.is_empty()
                            || rule
                                .peers
                                .iter()
                                .any(|peer| selects(cluster, policy, peer, pod, &mut namespaces))
                    }
                };
            count += usize::from(is_destination);
            is_destination && pod.resolve_port(name, protocol).next().is_some()
        };
        let pods = || -> Box<dyn Iterator<Item = &Pod>> {
            match direction {
                Direction::Ingress => Box::new(cluster.pods_in(&policy.key.namespace)),
                Direction::Egress => Box::new(cluster.pods()),
            }
        };
        if witnesses.any(cluster, Place::Port(direction, r, p), &mut has_it, pods) || count == 0 {
            continue;
        }
        let whose = match direction {
            Direction::Ingress => "none of the pods that the policy selects",
            Direction::Egress => "none of the pods that the rule is about",
        };
        let note = format!(
            "spec.{direction}[{r}].ports[{p}]: {whose} has a {} port called {name:?}: this entry allows nothing",
            protocol.name()
        );
        found.push(note);
    }
    found
}

/// Whether a peer may be this pod. `namespaces` remembers, for one policy, which namespaces a peer's selector matches.
fn selects(
    cluster: &Cluster,
    policy: &NetworkPolicy,
    peer: &Peer,
    pod: &Pod,
    namespaces: &mut BTreeMap<(*const Peer, Arc<str>), bool>,
) -> bool {
    match peer {
        Peer::Pods { namespaces: None, pods } => {
            pod.key.namespace == policy.key.namespace && pods.matches(&pod.labels)
        }
        Peer::Pods { namespaces: Some(selector), pods } => {
            let key = (std::ptr::from_ref::<Peer>(peer), pod.key.namespace.clone());
            let namespace = &pod.key.namespace;
            let is_in = *namespaces
                .entry(key)
                .or_insert_with(|| selector.matches(&cluster.namespace_labels(namespace)));
            is_in && pods.matches(&pod.labels)
        }
        Peer::IpBlock { cidr, .. } => pod.ips.iter().any(|ip| cidr.contains(ip)),
    }
}

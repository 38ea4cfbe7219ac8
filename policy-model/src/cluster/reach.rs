//! What one side of a pod lets pass, for every packet at once.
//!
//! Said in sets where [`crate::verdict`] says it packet by packet; property tests hold the two to each other. A node's
//! traffic to its own pods is not part of a reach: it never comes to the hook that a reach describes.

use super::Cluster;
use crate::{
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    portset::{PortRanges, PortSet},
    reach::Reach,
    selector::Selector,
};
use std::net::IpAddr;

impl Cluster {
    /// What one side of a pod lets pass on the forward path: addresses are those of the other end, ports those of the
    /// destination.
    ///
    /// Everything if no policy isolates the pod, or there is no such policed pod; else the union of the rules, and the
    /// pod's own addresses with everything, for what it sends to itself. The exemption of the pod's own node
    /// ([`Exemption::OwnNode`](crate::verdict::Exemption::OwnNode)) is not in it: it is a property of the hook, not of
    /// the pod. Both address families are in it, since it is the answer for the pod, not for one of its addresses.
    #[must_use]
    pub fn reach(&self, pod: &ObjectKey, direction: Direction) -> Reach {
        self.pod(pod).map_or_else(Reach::all, |pod| self.reach_of_pod(pod, direction))
    }

    /// What one side of an address lets pass, about the other end's addresses of the same family.
    ///
    /// What all policed pods that hold the address let pass; everything if none does. The datapath, which knows
    /// addresses only, is compared with this.
    #[must_use]
    pub fn reach_of_address(&self, address: IpAddr, direction: Direction) -> Reach {
        let of_claimants = self.claimants(address).map(|pod| self.reach_of_pod(pod, direction));
        let strictest = of_claimants.reduce(|a, b| a.intersection(&b));
        strictest.unwrap_or_else(Reach::all).same_family(address)
    }

    /// What one side of a pod lets pass at an address that its status does not name, such as its link-local one: as for
    /// its other addresses, and with this one as its own.
    #[must_use]
    pub fn reach_at(&self, pod: &ObjectKey, address: IpAddr, direction: Direction) -> Reach {
        let of_pod = |pod: &Pod| {
            let pod = Pod { ips: [address].into_iter().collect(), ..pod.clone() };
            self.reach_of_pod(&pod, direction)
        };
        self.pod(pod).map_or_else(Reach::all, of_pod).same_family(address)
    }

    fn reach_of_pod(&self, pod: &Pod, direction: Direction) -> Reach {
        let mut policies = self.isolating_policies(pod, direction).peekable();
        if policies.peek().is_none() {
            return Reach::all();
        }
        let to_itself: Reach = pod.ips.iter().map(|&own| (own, own, PortSet::all())).collect();
        policies
            .flat_map(|policy| {
                let rules = policy.rules(direction).unwrap_or_default();
                rules.iter().map(move |rule| self.reach_of_rule(pod, policy, direction, rule))
            })
            .fold(to_itself, |all, rule| all.union(&rule))
    }

    fn reach_of_rule(&self, pod: &Pod, policy: &NetworkPolicy, direction: Direction, rule: &Rule) -> Reach {
        let peers = self.reach_of_peers(policy, &rule.peers);
        if rule.ports.is_empty() {
            return peers;
        }
        let numbers = union(rule.ports.iter().map(numbered_ports));
        match direction {
            // The destination is the pod itself: its names stand for the same numbers whoever asks.
            Direction::Ingress => {
                let names = union(rule.ports.iter().map(|port| named_ports(pod, port)));
                peers.intersection(&everywhere(&numbers.union(&names)))
            }
            // Every peer that is a pod is a destination and resolves the names for itself; those that hold one address
            // must agree.
            Direction::Egress => {
                let destinations = self.claims().filter(|(address, _)| !peers.ports_at(*address).is_empty());
                let names = destinations.map(|(address, pods)| {
                    let name = |port| {
                        let on_each = pods.clone().map(|pod| named_ports(pod, port));
                        on_each.reduce(|a, b| a.intersection(&b)).unwrap_or_default()
                    };
                    (address, address, union(rule.ports.iter().map(name)))
                });
                let names: Reach = names.collect();
                peers.intersection(&everywhere(&numbers).union(&names))
            }
        }
    }

    /// Every packet to or from the addresses that some peer covers.
    fn reach_of_peers(&self, policy: &NetworkPolicy, peers: &[Peer]) -> Reach {
        if peers.is_empty() {
            return Reach::all();
        }
        let of_peer = |peer: &Peer| match peer {
            Peer::IpBlock { cidr, except } => Reach::block(*cidr, except, PortSet::all()),
            Peer::Pods { namespaces, pods } => self
                .claims()
                .filter(|(_, claimants)| {
                    claimants.clone().all(|pod| self.is_peer(policy, namespaces.as_ref(), pods, pod))
                })
                .map(|(address, _)| (address, address, PortSet::all()))
                .collect(),
        };
        peers.iter().map(of_peer).fold(Reach::none(), |all, peer| all.union(&peer))
    }

    fn is_peer(
        &self,
        policy: &NetworkPolicy,
        namespaces: Option<&Selector>,
        pods: &Selector,
        pod: &Pod,
    ) -> bool {
        let in_namespace = match namespaces {
            None => pod.key.namespace == policy.key.namespace,
            Some(selector) => selector.matches(&self.namespace_labels(&pod.key.namespace)),
        };
        in_namespace && pods.matches(&pod.labels)
    }
}

/// The same ports at every address of both families.
fn everywhere(ports: &PortSet) -> Reach {
    Reach::all().ranges().map(|(lo, hi, _)| (lo, hi, ports.clone())).collect()
}

fn union(sets: impl Iterator<Item = PortSet>) -> PortSet {
    sets.fold(PortSet::none(), |all, set| all.union(&set))
}

fn numbered_ports(port: &PolicyPort) -> PortSet {
    match port.port {
        PortMatch::All => PortSet::none().with(port.protocol, PortRanges::all()),
        PortMatch::Range(lo, hi) => PortSet::range(port.protocol, lo, hi),
        PortMatch::Named(_) => PortSet::none(),
    }
}

fn named_ports(pod: &Pod, port: &PolicyPort) -> PortSet {
    match &port.port {
        PortMatch::Named(name) => {
            union(pod.resolve_port(name, port.protocol).map(|number| PortSet::single(port.protocol, number)))
        }
        PortMatch::All | PortMatch::Range(..) => PortSet::none(),
    }
}

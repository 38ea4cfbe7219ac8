//! Who may talk to whom on which ports: the verdict of `policy-model`, for all ports of two ends at once.
//!
//! [`Party`] is one end, [`between`] is the answer. Property tests hold it to [`Cluster::verdict`] port by port.

mod party;
mod side;
#[cfg(test)]
mod tests;

pub use party::{Party, address_pairs, pod_addresses};
pub use side::{Subject, is_peer, ports_between, ports_of_rule, side};

use policy_model::{cluster::Cluster, object::Pod, policy::Direction, portset::PortSet};

/// What both sides of two ends let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    /// What the policies of the source let out.
    pub egress: PortSet,
    /// What the policies of the destination let in.
    pub ingress: PortSet,
}

impl Between {
    /// What may pass: what both let pass.
    #[must_use]
    pub fn both(&self) -> PortSet {
        self.egress.intersection(&self.ingress)
    }
}

/// What may pass from one party to another.
#[must_use]
pub fn between(cluster: &Cluster, source: &Party<'_>, destination: &Party<'_>) -> Between {
    if source.is_exempt(destination, cluster) {
        return Between { egress: PortSet::all(), ingress: PortSet::all() };
    }
    Between {
        egress: side(cluster, source, destination, Direction::Egress),
        ingress: side(cluster, destination, source, Direction::Ingress),
    }
}

/// What may pass from one pod to another, over any pair of their addresses.
#[must_use]
pub fn between_pods(cluster: &Cluster, source: &Pod, destination: &Pod) -> PortSet {
    let [sources, destinations] = [source, destination].map(|pod| pod_addresses(cluster, pod));
    let pairs = address_pairs(sources, destinations);
    let of_pair = |(from, to)| {
        let [source, destination] =
            [(source, from), (destination, to)].map(|(pod, at)| Party::of_pod(cluster, pod, at));
        between(cluster, &source, &destination).both()
    };
    pairs.into_iter().map(of_pair).fold(PortSet::none(), |all, ports| all.union(&ports))
}

//! From what was written to the endpoints of `policy-model`.

use super::{Endpoint, Slices, WorkloadKind, sample, service};
use crate::input::owners;
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Owner, Pod},
    verdict,
};
use std::{net::IpAddr, sync::Arc};

/// An endpoint that stands for nothing in this cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No such pod.
    #[error("there is no pod {key}{}", there_are(.known))]
    NoPod {
        /// The pod that was written.
        key: ObjectKey,
        /// Pods of that namespace.
        known: Vec<Arc<str>>,
    },
    /// The pod has ended: its address is nobody's, or another pod's by now.
    #[error("pod {key} has ended (phase Succeeded or Failed); write the address that it had instead")]
    Ended {
        /// The pod that was written.
        key: ObjectKey,
    },
    /// Nothing matches.
    #[error("`{endpoint}` matches no pod")]
    NoMatch {
        /// As it was written.
        endpoint: String,
    },
    /// No such node.
    #[error("there is no node {name}{}", there_are(.known))]
    NoNode {
        /// The node that was written.
        name: Arc<str>,
        /// The nodes that there are.
        known: Vec<Arc<str>>,
    },
    /// No such Service.
    #[error("there is no Service {key}{}", there_are(.known))]
    NoService {
        /// The Service that was written.
        key: ObjectKey,
        /// Services of that namespace.
        known: Vec<Arc<str>>,
    },
    /// A Service whose pods nothing tells.
    #[error(
        "Service {key} has no selector and no EndpointSlice, so who is behind it is not known; write them instead"
    )]
    NoSelector {
        /// The Service that was written.
        key: ObjectKey,
    },
    /// A Service that is a name outside the cluster.
    #[error(
        "Service {key} is of type ExternalName: to its clients it is the name {name}, and policies see the addresses \
             behind that name; write one of these instead"
    )]
    ExternalName {
        /// The Service that was written.
        key: ObjectKey,
        /// What it stands for.
        name: Arc<str>,
    },
    /// The Service has no such port.
    #[error("`{target}`: the Service has no such port; it has {has}")]
    ServicePort {
        /// As it was written.
        target: String,
        /// The ports that it has.
        has: String,
    },
    /// No destination has a port of this name.
    #[error("`{endpoint}`: no pod of it has a port called {name}")]
    PortName {
        /// As it was written, without the port.
        endpoint: String,
        /// The port's name.
        name: Arc<str>,
    },
}

/// `; there are a, b`, if there are any; not more than fit a line or two.
fn there_are(names: &[Arc<str>]) -> String {
    const SHOWN: usize = 12;
    match names.len() {
        0 => String::new(),
        1..=SHOWN => format!("; there are {}", names.join(", ")),
        more => format!("; there are {} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

impl Endpoint {
    /// Every endpoint that it stands for: a pod or node once for each of its addresses.
    ///
    /// A CIDR stands for all of its addresses, and `internet` for every public address that is no pod's, node's or
    /// Service's: one is taken out of each stretch in which no policy can tell two addresses apart, so that a verdict
    /// about these is a verdict about all.
    ///
    /// # Errors
    /// What does not exist or matches nothing; a test about nothing would always hold.
    pub fn resolve(
        &self,
        cluster: &Cluster,
        slices: &Slices,
    ) -> Result<Vec<verdict::Endpoint>, ResolveError> {
        let addresses =
            |addresses: Vec<IpAddr>| addresses.into_iter().map(verdict::Endpoint::Address).collect();
        match self {
            Self::Pod(key) => pod(cluster, key).map(|pod| pod_endpoints(cluster, pod)),
            Self::Workload { kind, key } => self.pods(cluster, |pod| is_owned(pod, *kind, key)),
            Self::Selected { namespace, selector } => self.pods(cluster, |pod| {
                let here = namespace.as_ref().is_none_or(|name| *name == pod.key.namespace);
                here && pod.is_policed() && selector.matches(&pod.labels)
            }),
            Self::Service(key) => service::behind(cluster, slices, service::find(cluster, key)?),
            Self::Node(name) => match cluster.node(name) {
                Some(node) => Ok(addresses(node.addresses.clone())),
                None => Err(ResolveError::NoNode {
                    name: name.clone(),
                    known: cluster.nodes().map(|node| node.name.clone()).collect(),
                }),
            },
            Self::Address(address) => Ok(addresses(vec![*address])),
            Self::Block(block) => Ok(addresses(sample::block(cluster, *block))),
            Self::Internet => Ok(addresses(sample::internet(cluster))),
        }
    }

    fn pods(
        &self,
        cluster: &Cluster,
        matches: impl Fn(&Pod) -> bool,
    ) -> Result<Vec<verdict::Endpoint>, ResolveError> {
        let found: Vec<_> = cluster
            .pods()
            .filter(|pod| !pod.terminal && matches(pod))
            .flat_map(|pod| pod_endpoints(cluster, pod))
            .collect();
        if found.is_empty() { Err(ResolveError::NoMatch { endpoint: self.to_string() }) } else { Ok(found) }
    }
}

fn pod<'a>(cluster: &'a Cluster, key: &ObjectKey) -> Result<&'a Pod, ResolveError> {
    match cluster.pod(key) {
        Some(pod) if pod.terminal => Err(ResolveError::Ended { key: key.clone() }),
        Some(pod) => Ok(pod),
        None => {
            let known = cluster.pods().filter(|pod| pod.key.namespace == key.namespace);
            Err(ResolveError::NoPod {
                key: key.clone(),
                known: known.map(|pod| pod.key.name.clone()).collect(),
            })
        }
    }
}

/// A pod once for each of its addresses; once without an address if it has none.
pub(super) fn pod_endpoints(cluster: &Cluster, pod: &Pod) -> Vec<verdict::Endpoint> {
    let of_node = pod.node.as_ref().filter(|_| pod.host_network && pod.ips.is_empty());
    let addresses = match of_node.and_then(|name| cluster.node(name)) {
        Some(node) => &node.addresses[..],
        None => &pod.ips[..],
    };
    let endpoint = |address| verdict::Endpoint::Pod { key: pod.key.clone(), address };
    if addresses.is_empty() {
        return vec![endpoint(None)];
    }
    addresses.iter().map(|address| endpoint(Some(*address))).collect()
}

/// Whether a workload owns a pod, itself or through what it has made.
fn is_owned(pod: &Pod, kind: WorkloadKind, key: &ObjectKey) -> bool {
    let is_it = |owner: Owner| &*owner.kind == kind.kind() && owner.name == key.name;
    pod.key.namespace == key.namespace && owners(pod).any(is_it)
}

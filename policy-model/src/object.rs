//! The objects that a verdict is about, with only what policy needs of them.

use crate::labels::Labels;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Namespace and name of a namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// From its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A transport protocol that a policy port can name. The default of the API is TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `TCP`, IP protocol 6.
    #[default]
    Tcp,
    /// `UDP`, IP protocol 17.
    Udp,
    /// `SCTP`, IP protocol 132.
    Sctp,
}

impl Protocol {
    /// All three, in the order of the variants.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The number in an IP header (IANA).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// As the API writes it: `TCP`, `UDP`, `SCTP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }

    /// The protocol with this number, if a policy can name it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A container port with a name; what a named policy port resolves to. Init and sidecar containers' ports count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// `containers[].ports[].name`.
    pub name: Arc<str>,
    /// `containers[].ports[].protocol`.
    pub protocol: Protocol,
    /// `containers[].ports[].containerPort`, 1-65535.
    pub port: u16,
}

/// The controller that owns an object: its first owner reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Such as `ReplicaSet`.
    pub kind: Arc<str>,
    /// Its name, in the namespace of what it owns.
    pub name: Arc<str>,
}

/// A pod, or the pod template of a workload (then without addresses).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// Which pod.
    pub key: ObjectKey,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.podIPs`, at most one of each family, in the order of the API.
    pub ips: SmallVec<[IpAddr; 2]>,
    /// `spec.nodeName`, if bound.
    pub node: Option<Arc<str>>,
    /// `spec.hostNetwork`: such a pod has its node's addresses, is not selected by any policy and is never a pod peer.
    pub host_network: bool,
    /// `status.phase` is `Succeeded` or `Failed`: neither peer nor selected, its address may already be another pod's.
    pub terminal: bool,
    /// Named container ports, sorted and unique.
    pub ports: Vec<NamedPort>,
    /// First owner reference, if any.
    pub owner: Option<Owner>,
}

impl Pod {
    /// Whether policy sees this pod as a pod: selected by policies, a peer through selectors.
    #[must_use]
    pub fn is_policed(&self) -> bool {
        !self.host_network && !self.terminal
    }

    /// The port numbers that a policy's named port stands for on this pod; several where containers share the name.
    pub fn resolve_port<'a>(&'a self, name: &'a str, protocol: Protocol) -> impl Iterator<Item = u16> + 'a {
        self.ports.iter().filter(move |p| p.protocol == protocol && &*p.name == name).map(|p| p.port)
    }
}

/// A namespace. One that is used but not defined exists with the single label `kubernetes.io/metadata.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.labels`, always with `kubernetes.io/metadata.name`, which the API server sets.
    pub labels: Labels,
    /// `metadata.deletionTimestamp` is set: it is being deleted, with all that is in it.
    pub terminating: bool,
}

/// The label that the API server sets on every namespace to its name (KEP-2161).
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Namespace {
    /// A namespace with these labels and the one that the API server sets; not terminating.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, labels: &Labels) -> Self {
        let name = name.into();
        let labels = labels.with(NAMESPACE_NAME_LABEL, &name);
        Self { name, labels, terminating: false }
    }
}

/// A node: its addresses, and the ranges that its pods get theirs from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `status.addresses` of type `InternalIP` and `ExternalIP`.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
}

impl Node {
    /// The addresses that traffic of this node itself comes from: its own, and the first two of each pod range, which
    /// Flannel gives to the overlay device (`x.0`) and to the pod bridge (`x.1`).
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let gateways = self.pod_cidrs.iter().flat_map(|cidr| {
            let first = cidr.network();
            let second = match first {
                IpAddr::V4(a) => a.to_bits().checked_add(1).map(|a| IpAddr::V4(Ipv4Addr::from_bits(a))),
                IpAddr::V6(a) => a.to_bits().checked_add(1).map(|a| IpAddr::V6(Ipv6Addr::from_bits(a))),
            };
            [Some(first), second.filter(|a| cidr.contains(a))].into_iter().flatten()
        });
        self.addresses.iter().copied().chain(gateways)
    }
}

/// What a Service's `targetPort` says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetPort {
    /// This port of every pod.
    Number(u16),
    /// The container port of this name, by each pod for itself.
    Name(Arc<str>),
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServicePort {
    /// `name`, empty when the Service has one port without a name.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`: what clients of the Service's address use.
    pub port: u16,
    /// `targetPort`; the same number as `port` when absent.
    pub target: TargetPort,
    /// `nodePort`, if allotted.
    pub node_port: Option<u16>,
}

/// A Service: policy does not name it, but people ask for it; explanations follow it to its pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Which Service.
    pub key: ObjectKey,
    /// `spec.selector`; `None` without one (then EndpointSlices decide).
    pub selector: Option<Labels>,
    /// `spec.clusterIPs` that are addresses.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.clusterIP` is `None`: its name stands for the addresses of its pods, and nothing is translated.
    pub headless: bool,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.type` is `ExternalName`: this name.
    pub external_name: Option<Arc<str>>,
}

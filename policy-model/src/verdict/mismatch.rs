//! Why an entry of a rule does not match, in types and in words.

use crate::{
    labels::Labels,
    object::{ObjectKey, Protocol},
    policy::{PolicyPort, PortMatch},
    selector::{Requirement, Selector},
};
use ipnet::IpNet;
use std::{fmt, net::IpAddr, sync::Arc};

/// Why an entry of a rule does not match a flow. Displays as `subject: finding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The `podSelector` asks for other labels than the pod has.
    PodLabels {
        /// The peer's `podSelector`.
        selector: Selector,
        /// The pod at the other end.
        pod: ObjectKey,
        /// What it lacks.
        unmet: Unmet,
    },
    /// The `namespaceSelector` asks for other labels than the pod's namespace has.
    NamespaceLabels {
        /// The peer's `namespaceSelector`.
        selector: Selector,
        /// The namespace of the pod at the other end.
        namespace: Arc<str>,
        /// What it lacks.
        unmet: Unmet,
    },
    /// The peer has no `namespaceSelector`, so it means pods of the policy's namespace only.
    OtherNamespace {
        /// The peer's `podSelector`.
        pods: Selector,
        /// The policy's namespace.
        own: Arc<str>,
        /// The pod at the other end.
        pod: ObjectKey,
    },
    /// The peer is a selector, and the other end is no policed pod: a node, a host-network or ended pod, or outside.
    NotAPod {
        /// The peer's `namespaceSelector`.
        namespaces: Option<Selector>,
        /// The peer's `podSelector`.
        pods: Selector,
        /// The other end's address.
        address: Option<IpAddr>,
        /// The pod that was asked for, if it was one.
        named: Option<ObjectKey>,
    },
    /// The `ipBlock` does not cover the address.
    OutsideBlock {
        /// `cidr`.
        cidr: IpNet,
        /// The other end's address.
        address: IpAddr,
    },
    /// The `ipBlock` covers the address, but an entry of its `except` does too.
    Excepted {
        /// `cidr`.
        cidr: IpNet,
        /// The entry of `except`.
        except: IpNet,
        /// The other end's address.
        address: IpAddr,
    },
    /// The peer is an `ipBlock`, and the other end has no address.
    NoAddress {
        /// `cidr`.
        cidr: IpNet,
    },
    /// Another protocol or port number.
    Port {
        /// The entry.
        has: PolicyPort,
        /// The flow's IP protocol number.
        protocol: u8,
        /// The flow's port.
        port: Option<u16>,
    },
    /// The name stands for other numbers on the destination pod, or for none.
    NamedPort {
        /// The name.
        name: Arc<str>,
        /// The entry's protocol.
        protocol: Protocol,
        /// The destination pod.
        pod: ObjectKey,
        /// What the name stands for there.
        numbers: Vec<u16>,
        /// The flow's port.
        port: Option<u16>,
    },
    /// The name stands for nothing, because the destination is no policed pod.
    NameOfNoPod {
        /// The name.
        name: Arc<str>,
        /// The destination's address.
        address: Option<IpAddr>,
    },
}

/// The requirements of a selector that labels do not meet, each with the label's value, `None` where it is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet(Vec<(Requirement, Option<Arc<str>>)>);

impl Unmet {
    pub(super) fn of(selector: &Selector, labels: &Labels) -> Self {
        let unmet = selector.requirements().iter().filter(|requirement| !requirement.matches(labels));
        Self(unmet.map(|requirement| (requirement.clone(), labels.get(requirement.key()).cloned())).collect())
    }

    /// Each requirement with the value that the label has.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Requirement, Option<&Arc<str>>)> {
        self.0.iter().map(|(requirement, value)| (requirement, value.as_ref()))
    }

    /// Whether everything is met.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `app=front and no label tier`.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Vec::new();
        for (requirement, value) in self.iter() {
            let key = requirement.key();
            let words = value.map_or_else(|| format!("no label {key}"), |value| format!("{key}={value}"));
            if !said.contains(&words) {
                said.push(words);
            }
        }
        f.write_str(&said.join(" and "))
    }
}

impl Mismatch {
    /// What the entry, or for a port the flow, says: `podSelector app=api`, `port 5432/TCP`.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::PodLabels { selector, .. } => pod_selector(selector),
            Self::OtherNamespace { pods, .. } | Self::NotAPod { namespaces: None, pods, .. } => {
                pod_selector(pods)
            }
            Self::NamespaceLabels { selector, .. } => namespace_selector(selector),
            Self::NotAPod { namespaces: Some(namespaces), pods, .. } if pods.is_everything() => {
                namespace_selector(namespaces)
            }
            Self::NotAPod { namespaces: Some(namespaces), pods, .. } => {
                format!("{} {}", namespace_selector(namespaces), pod_selector(pods))
            }
            Self::OutsideBlock { cidr, .. } | Self::NoAddress { cidr } => format!("ipBlock {cidr}"),
            Self::Excepted { cidr, except, .. } => format!("ipBlock {cidr} except {except}"),
            Self::Port { protocol, port, .. } => flow_port(*protocol, *port),
            Self::NamedPort { protocol, port, .. } => flow_port(protocol.number(), *port),
            Self::NameOfNoPod { name, .. } => format!("port {name}"),
        }
    }

    /// Why that does not match: `the pod has app=front`.
    #[must_use]
    pub fn finding(&self) -> String {
        match self {
            Self::PodLabels { unmet, .. } => format!("the pod has {unmet}"),
            Self::NamespaceLabels { namespace, unmet, .. } => format!("namespace {namespace} has {unmet}"),
            Self::OtherNamespace { own, pod, .. } => {
                format!("without a namespaceSelector it means pods of {own}; the pod is in {}", pod.namespace)
            }
            Self::NotAPod { named: Some(key), .. } => {
                format!("{key} is on its node's network or not running, so no selector matches it")
            }
            Self::NotAPod { address: Some(address), .. } => {
                format!("{address} is no pod's address, so no selector matches it")
            }
            Self::NotAPod { .. } => "the other end is no pod".to_owned(),
            Self::OutsideBlock { address, .. } => format!("{address} is outside"),
            Self::Excepted { address, .. } => format!("{address} is excepted"),
            Self::NoAddress { .. } => "the pod has no address yet".to_owned(),
            Self::Port { has, .. } => format!("rule has {has}"),
            Self::NamedPort { name, protocol, pod, numbers, .. } if numbers.is_empty() => {
                format!("rule has {name}/{protocol}, which {pod} does not name")
            }
            Self::NamedPort { name, protocol, pod, numbers, .. } => {
                let numbers: Vec<_> = numbers.iter().map(|number| format!("{number}/{protocol}")).collect();
                format!("rule has {name}, which is {} on {pod}", numbers.join(" and "))
            }
            Self::NameOfNoPod { address: Some(address), .. } => {
                format!("{address} is no pod's address, so the name stands for nothing there")
            }
            Self::NameOfNoPod { .. } => {
                "the other end is no pod, so the name stands for nothing there".to_owned()
            }
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.finding())
    }
}

/// `80/TCP`, `8000-8100/UDP`, `web/TCP`, `all/SCTP`.
impl fmt::Display for PolicyPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            PortMatch::All => write!(f, "all/{}", self.protocol),
            PortMatch::Range(lo, hi) if lo == hi => write!(f, "{lo}/{}", self.protocol),
            PortMatch::Range(lo, hi) => write!(f, "{lo}-{hi}/{}", self.protocol),
            PortMatch::Named(name) => write!(f, "{name}/{}", self.protocol),
        }
    }
}

fn pod_selector(selector: &Selector) -> String {
    labelled("podSelector", selector)
}

fn namespace_selector(selector: &Selector) -> String {
    labelled("namespaceSelector", selector)
}

fn labelled(field: &str, selector: &Selector) -> String {
    if selector.is_everything() { format!("{field} {{}}") } else { format!("{field} {selector}") }
}

fn flow_port(protocol: u8, port: Option<u16>) -> String {
    match (Protocol::from_number(protocol), port) {
        (Some(protocol), Some(port)) => format!("port {port}/{protocol}"),
        (Some(protocol), None) => format!("{protocol} without a port"),
        (None, _) => format!("IP protocol {protocol}"),
    }
}

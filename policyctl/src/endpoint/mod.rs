//! The ends of a flow as people write them: `shop/db`, `shop/deploy/api`, `shop/[app=web]`, `203.0.113.0/24`, `internet`.
//!
//! The syntax is in `docs/testing-policies.md`. [`Endpoint`] is one end, [`Target`] is an end with ports. Resolving
//! them turns them into the endpoints of `policy-model`, of which a verdict can be asked.

mod parse;
mod resolve;
mod sample;
mod selector;
mod service;
mod target;
#[cfg(test)]
mod tests;

pub use parse::EndpointError;
pub use resolve::ResolveError;
pub use selector::SelectorError;
pub use service::Slices;
pub use target::{Destination, Ports, ServiceRoute, Target, Transport};

use ipnet::IpNet;
use policy_model::{object::ObjectKey, selector::Selector};
use std::{fmt, net::IpAddr, sync::Arc};

/// One end of a flow, as it was written. Parse it with [`str::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `ns/name`: this pod.
    Pod(ObjectKey),
    /// `ns/KIND/name`: every pod of a workload.
    Workload {
        /// What owns the pods.
        kind: WorkloadKind,
        /// Which one.
        key: ObjectKey,
    },
    /// `ns/svc/name`: every pod that a Service's selector matches, or who its EndpointSlices say is behind it.
    Service(ObjectKey),
    /// `ns/[app=web]`, `ns/*`, `*/[app=web]`, `*/*`: every pod that policies see and the labels match.
    Selected {
        /// Only in this namespace; `None` for `*`.
        namespace: Option<Arc<str>>,
        /// In the syntax of `kubectl -l`; matches everything for `*`.
        selector: Selector,
    },
    /// `node/NAME`: the addresses of a node.
    Node(Arc<str>),
    /// An address.
    Address(IpAddr),
    /// A CIDR: every address of it.
    Block(IpNet),
    /// `internet`: every public address, see [`Endpoint::resolve`].
    Internet,
}

/// The kinds of workload that own pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// `deploy`: through its ReplicaSets.
    Deployment,
    /// `sts`.
    StatefulSet,
    /// `ds`.
    DaemonSet,
    /// `rs`.
    ReplicaSet,
    /// `job`.
    Job,
    /// `cronjob`: through its Jobs.
    CronJob,
    /// `rc`.
    ReplicationController,
}

impl WorkloadKind {
    const ALL: [Self; 7] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::Job,
        Self::CronJob,
        Self::ReplicationController,
    ];

    /// As `kubectl` abbreviates it: `deploy`, `sts`.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Deployment => "deploy",
            Self::StatefulSet => "sts",
            Self::DaemonSet => "ds",
            Self::ReplicaSet => "rs",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::ReplicationController => "rc",
        }
    }

    /// As the API writes it in an owner reference: `Deployment`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::ReplicationController => "ReplicationController",
        }
    }

    /// From the short name, or the API's name in any case.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name == kind.short_name() || name.eq_ignore_ascii_case(kind.kind()))
    }
}

impl Endpoint {
    /// Whether it names one thing by itself, and not a pattern that happens to match one.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Pod(_) | Self::Service(_) | Self::Node(_) | Self::Address(_))
    }
}

/// As it is written.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(key) => write!(f, "{key}"),
            Self::Workload { kind, key } => write!(f, "{}/{}/{}", key.namespace, kind.short_name(), key.name),
            Self::Service(key) => write!(f, "{}/svc/{}", key.namespace, key.name),
            Self::Selected { namespace, selector } => {
                let namespace = namespace.as_deref().unwrap_or("*");
                if selector.is_everything() {
                    write!(f, "{namespace}/*")
                } else {
                    write!(f, "{namespace}/[{selector}]")
                }
            }
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Block(block) => write!(f, "{block}"),
            Self::Internet => f.write_str("internet"),
        }
    }
}

//! The objects that a manifest may hold.

use crate::{
    cluster::Change,
    object::{Namespace, Node, ObjectKey, Owner, Pod, Service},
    policy::NetworkPolicy,
};
use std::{fmt, sync::Arc};

/// An object that policy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// `v1` Pod.
    Pod(Pod),
    /// `v1` Namespace.
    Namespace(Namespace),
    /// `v1` Node.
    Node(Node),
    /// `v1` Service.
    Service(Service),
    /// `networking.k8s.io/v1` NetworkPolicy.
    Policy(NetworkPolicy),
    /// A workload, which stands for the pods of its template.
    Workload(Workload),
}

/// A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob or ReplicationController.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its kind.
    pub kind: Arc<str>,
    /// Its pod template as a pod of the workload's name and namespace: labels, named ports and `hostNetwork` of the
    /// template, no addresses and no node. Its owner is the workload.
    pub pod: Pod,
    /// The first of its owners: the Deployment of a ReplicaSet, the CronJob of a Job.
    pub owner: Option<Owner>,
}

impl Object {
    /// Its kind, as the API writes it.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Pod(_) => "Pod",
            Self::Namespace(_) => "Namespace",
            Self::Node(_) => "Node",
            Self::Service(_) => "Service",
            Self::Policy(_) => "NetworkPolicy",
            Self::Workload(workload) => &workload.kind,
        }
    }

    /// Its namespace, if its kind has one.
    #[must_use]
    pub fn namespace(&self) -> Option<&Arc<str>> {
        self.key().map(|key| &key.namespace)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Namespace(namespace) => &namespace.name,
            Self::Node(node) => &node.name,
            Self::Pod(Pod { key, .. })
            | Self::Service(Service { key, .. })
            | Self::Policy(NetworkPolicy { key, .. })
            | Self::Workload(Workload { pod: Pod { key, .. }, .. }) => &key.name,
        }
    }

    /// Namespace and name, if its kind has both.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Pod(Pod { key, .. })
            | Self::Service(Service { key, .. })
            | Self::Policy(NetworkPolicy { key, .. })
            | Self::Workload(Workload { pod: Pod { key, .. }, .. }) => Some(key),
            Self::Namespace(_) | Self::Node(_) => None,
        }
    }

    /// The change that brings it into a cluster; `None` for a workload, which is no pod yet.
    #[must_use]
    pub fn into_change(self) -> Option<Change> {
        match self {
            Self::Pod(pod) => Some(Change::Pod(pod)),
            Self::Namespace(namespace) => Some(Change::Namespace(namespace)),
            Self::Node(node) => Some(Change::Node(node)),
            Self::Service(service) => Some(Change::Service(service)),
            Self::Policy(policy) => Some(Change::Policy(policy)),
            Self::Workload(_) => None,
        }
    }
}

/// `NetworkPolicy prod/db`, `Node w1`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key() {
            Some(key) => write!(f, "{} {key}", self.kind()),
            None => write!(f, "{} {}", self.kind(), self.name()),
        }
    }
}

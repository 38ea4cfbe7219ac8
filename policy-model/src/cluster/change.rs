//! One change of the cluster's objects: what a watch or a folder of manifests reports, and what the compiler is fed.

use crate::{
    object::{Namespace, Node, ObjectKey, Pod, Service},
    policy::NetworkPolicy,
};
use std::sync::Arc;

/// An object that is new or has changed, whole, or one that is gone.
///
/// Applying a change twice is the same as applying it once, and deleting what is not there changes nothing, so that a
/// source may repeat itself after it lost its connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The pod is as given.
    Pod(Pod),
    /// There is no such pod any more.
    PodDeleted(ObjectKey),
    /// The namespace is as given.
    Namespace(Namespace),
    /// The namespace is not defined any more. While pods or policies of it are left it exists undefined, see
    /// [`Cluster::namespace`](super::Cluster::namespace).
    NamespaceDeleted(Arc<str>),
    /// The policy is as given.
    Policy(NetworkPolicy),
    /// There is no such policy any more.
    PolicyDeleted(ObjectKey),
    /// The node is as given.
    Node(Node),
    /// There is no such node any more.
    NodeDeleted(Arc<str>),
    /// The Service is as given.
    Service(Service),
    /// There is no such Service any more.
    ServiceDeleted(ObjectKey),
}

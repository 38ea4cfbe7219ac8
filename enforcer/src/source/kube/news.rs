//! What followers tell.

use super::{fault::Fault, kind::Kind};
use policy_model::{cluster::Change, object::ObjectKey};
use std::time::Instant;

/// One thing that a follower has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// An object has changed.
    Change {
        change: Change,
        /// When its line was read.
        seen: Instant,
    },
    /// A policy is deleted, perhaps with its namespace.
    PolicyDeleted {
        key: ObjectKey,
        /// Its namespace is ending in the cluster's state of this version; `None`: it is not.
        ending_at: Option<u64>,
        seen: Instant,
    },
    /// The watch of namespaces has seen everything up to this version.
    NamespacesAt(u64),
    /// So has that of policies.
    PoliciesAt(u64),
    /// A whole list has been told, deletions too.
    Complete(Kind),
    /// So many objects cannot be understood now.
    Problems(Kind, usize),
    /// A watch begins again.
    Restarted(Kind),
    /// It does not work now; it is tried again.
    Trouble(Kind, Fault),
    /// It works again.
    Recovered(Kind),
}

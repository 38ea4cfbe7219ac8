//! One change of one policy.

use policy_model::{cluster::Cluster, field::FieldPath, object::ObjectKey, policy::NetworkPolicy};
use serde_json::Value;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something is put into a list.
    Add,
    /// Something is taken out of a list.
    Remove,
    /// Something stands in place of what was there.
    Replace,
    /// A new policy.
    Create,
}

impl Action {
    /// `add`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::Create => "create",
        }
    }
}

/// One change of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Which policy.
    pub policy: ObjectKey,
    /// What is done.
    pub action: Action,
    /// Where: `spec.ingress[0].from`; the root for a new policy.
    pub field: FieldPath,
    /// What is put there or taken out, or the whole new policy.
    pub value: Value,
    /// The policy as it is afterwards.
    pub after: NetworkPolicy,
}

impl Edit {
    /// Whether it stands in the place of an earlier one.
    pub(super) fn supersedes(&self, earlier: &Self) -> bool {
        let both_replace = self.action == Action::Replace && earlier.action == Action::Replace;
        both_replace && self.policy == earlier.policy && self.field == earlier.field
    }

    /// Makes the change.
    pub fn apply(&self, cluster: &mut Cluster) {
        cluster.insert_policy(self.after.clone());
    }
}

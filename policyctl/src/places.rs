//! Fields of policies, as paths to look places up by.

use policy_model::{field::FieldPath, policy::Direction};

/// `spec.ingress[0]`.
pub(crate) fn rule_field(direction: Direction, rule: usize) -> FieldPath {
    FieldPath::root().field("spec").field(direction.name()).index(rule)
}

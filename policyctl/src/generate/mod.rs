//! `policyctl generate`: policies for common ends, and least privilege from a list of wanted connections.
//!
//! [`template`] has the common ends, [`from_matrix`] the list. Both give policies with a comment each, which [`yaml`] writes.

pub mod from_matrix;
pub mod template;

use crate::{manifest, yaml};
use policy_model::policy::NetworkPolicy;

/// A policy, and what to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// In sentences; stands over the policy.
    pub comment: String,
    /// The policy.
    pub policy: NetworkPolicy,
}

/// The policies as YAML documents, each with its comment.
#[must_use]
pub fn to_yaml(policies: &[Generated]) -> String {
    let documents: Vec<String> = policies.iter().map(document).collect();
    documents.join("---\n")
}

fn document(generated: &Generated) -> String {
    const WIDTH: usize = 100;
    let comment = crate::explain::wrapped("# ", &generated.comment, WIDTH);
    let comment: String = comment
        .lines()
        .enumerate()
        .map(
            |(index, line)| {
                if index == 0 { format!("{line}\n") } else { format!("# {}\n", line.trim_start()) }
            },
        )
        .collect();
    format!("{comment}{}", yaml::to_yaml(&manifest::policy(&generated.policy)))
}

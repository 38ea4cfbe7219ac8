//! Least privilege from a list of wanted connections.
//!
//! [`Wanted`] is the list. [`plan`] says what each side of each pod must and must not let pass, [`isolate`] whom to isolate,
//! [`rectangles`] finds rules that many pods share, [`select`] the selectors, [`assemble`] puts policies together, and [`prove`]
//! evaluates them again: what is shown is what was asked for, or nothing is.

mod assemble;
mod blocks;
mod isolate;
mod plan;
mod prove;
mod rectangles;
mod select;
#[cfg(test)]
mod tests;
mod wanted;

pub use wanted::{Wanted, WantedError};

use super::Generated;
use crate::input::Snapshot;
use plan::Plan;
use policy_model::policy::{Direction, NetworkPolicy};

/// Why there are no policies for a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FromMatrixError {
    /// A workload that is not among the manifests.
    #[error("there is no workload {name} among the manifests")]
    NoWorkload {
        /// As the list has it.
        name: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// Two workloads with the same labels, or on the network of one node: nothing tells them apart.
    #[error(
        "no policy can tell {first} and {second} apart (the same labels, or the address of one node), but different things are \
         wanted of them"
    )]
    Alike {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// Policies cannot say this.
    #[error("no policies do exactly this:\n  {}", .0.join("\n  "))]
    Different(Vec<String>),
}

/// Policies that allow exactly what is wanted among the workloads of a snapshot, in place of those that are there.
///
/// # Errors
/// See [`FromMatrixError`]. Nothing is returned that is not equal to the list.
pub fn from_matrix(snapshot: &Snapshot, wanted: &Wanted) -> Result<Vec<Generated>, FromMatrixError> {
    let mut plan = Plan::new(snapshot, wanted)?;
    let isolated = isolate::isolated(&plan);
    plan.settle(&isolated);
    let policies = assemble::policies(&plan, &isolated);
    let differences = prove::differences(snapshot, &plan, wanted, &policies);
    if !differences.is_empty() {
        const SHOWN: usize = 10;
        let more = differences.len().saturating_sub(SHOWN);
        let mut shown: Vec<String> = differences.into_iter().take(SHOWN).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        return Err(FromMatrixError::Different(shown));
    }
    Ok(policies.into_iter().map(|policy| Generated { comment: comment(&plan, &policy), policy }).collect())
}

/// Whom a policy is for, and what it does.
fn comment(plan: &Plan<'_>, policy: &NetworkPolicy) -> String {
    let kinds = plan.kinds.iter().zip(&plan.names);
    let selected = kinds.filter(|(kind, _)| {
        kind.namespace == policy.key.namespace && policy.pod_selector.matches(&kind.labels)
    });
    let mut names: Vec<&String> = selected.flat_map(|(_, names)| names).collect();
    names.sort();
    names.dedup();
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let listed = names.iter().take(SHOWN).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let listed = if more > 0 { format!("{listed} and {more} more") } else { listed };
    let side = |(direction, word): (Direction, &str)| {
        policy.rules(direction).map(|rules| match rules {
            [] => format!("{word} nothing"),
            [_] => format!("{word} 1 rule"),
            _ => format!("{word} {} rules", rules.len()),
        })
    };
    let sides = [(Direction::Ingress, "in"), (Direction::Egress, "out")].into_iter().filter_map(side);
    format!("Isolates {listed}: {}.", sides.collect::<Vec<_>>().join(", "))
}

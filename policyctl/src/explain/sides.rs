//! What one side of all pairs says, put together.

use super::Answer;
use policy_model::{
    object::ObjectKey,
    verdict::{self, NearMiss, RuleRef},
};
use std::collections::BTreeSet;

/// The egress of the sources, or the ingress of the destinations.
#[derive(Clone, Debug)]
pub struct Side {
    /// Whether a policy isolates some pod of this side.
    pub isolated: bool,
    /// The policies that do.
    pub policies: BTreeSet<ObjectKey>,
    /// What this side says by itself.
    pub verdict: Answer,
    /// The rules that allow what is allowed.
    pub allowed_by: BTreeSet<RuleRef>,
    /// The rules that come near to allowing what is denied, the nearest first.
    pub near_misses: Vec<NearMiss>,
}

/// Takes in what the verdicts of the pairs say about one side.
#[derive(Default)]
pub(super) struct Collector {
    isolated: bool,
    policies: BTreeSet<ObjectKey>,
    answers: BTreeSet<Answer>,
    allowed_by: BTreeSet<RuleRef>,
    near_misses: Vec<NearMiss>,
}

impl Collector {
    /// `unknown`: that it denies depends on an address that nobody knows. `many`: the question is about many ports, of which
    /// the first that a rule misses says it all.
    pub(super) fn add(&mut self, side: &verdict::Side, unknown: bool, many: bool) {
        self.isolated |= side.isolated;
        self.policies.extend(side.policies.iter().cloned());
        self.answers.insert(match (side.allowed, unknown) {
            (true, _) => Answer::Allowed,
            (false, true) => Answer::Unknown,
            (false, false) => Answer::Denied,
        });
        self.allowed_by.extend(side.allowed_by.iter().cloned());
        for miss in &side.near_misses {
            let same_rule = |known: &NearMiss| {
                (&known.policy, known.direction, known.rule) == (&miss.policy, miss.direction, miss.rule)
            };
            let is_known = |known| known == miss || (many && same_rule(known));
            if !self.near_misses.iter().any(is_known) {
                self.near_misses.push(miss.clone());
            }
        }
    }

    pub(super) fn finish(mut self) -> Side {
        // A rule of which one half matches is nearer than one of which nothing does.
        self.near_misses.sort_by_key(|miss| {
            let halves = usize::from(has_failed_peer(miss)) + usize::from(has_failed_port(miss));
            (halves, miss.failed.len(), miss.policy.clone(), miss.rule)
        });
        Side {
            isolated: self.isolated,
            policies: self.policies,
            verdict: Answer::of_all(self.answers),
            allowed_by: self.allowed_by,
            near_misses: self.near_misses,
        }
    }
}

fn has_failed_peer(miss: &NearMiss) -> bool {
    miss.failed.iter().any(|failure| matches!(failure.entry, verdict::Entry::Peer(_)))
}

fn has_failed_port(miss: &NearMiss) -> bool {
    miss.failed.iter().any(|failure| matches!(failure.entry, verdict::Entry::Port(_)))
}

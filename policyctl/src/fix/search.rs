//! The search for the candidate that moves least.

use super::{
    Edit, Fix, Goal, Move, Wanted, helps,
    moved::{Comparison, Cost, Others},
};
use crate::input::Snapshot;
use policy_model::{cluster::Cluster, object::ObjectKey};

/// The cluster with the edits that have been taken, and a copy to try candidates on.
pub(super) struct Search<'a> {
    goal: Goal,
    wanted: &'a [Wanted],
    others: Others<'a>,
    pub(super) cluster: Cluster,
    trial: Cluster,
}

impl<'a> Search<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, goal: Goal, wanted: &'a [Wanted]) -> Self {
        let cluster = snapshot.cluster.clone();
        let trial = cluster.clone();
        Self { goal, wanted, others: Others::of(&snapshot.cluster), cluster, trial }
    }

    /// The candidate that helps and moves least; of equals the one that comes first.
    pub(super) fn best(&mut self, candidates: Vec<Vec<Edit>>, open: &Wanted) -> Option<Vec<Edit>> {
        let mut best: Option<(Cost, Vec<Edit>)> = None;
        for edits in candidates {
            edits.iter().for_each(|edit| edit.apply(&mut self.trial));
            let limit = best.as_ref().map(|(cost, _)| *cost);
            let cost = self.cost(&edits, open, limit);
            edits.iter().for_each(|edit| restore(&mut self.trial, &self.cluster, &edit.policy));
            if let Some(cost) = cost {
                best = Some((cost, edits));
            }
        }
        best.map(|(_, edits)| edits)
    }

    /// What the edits that are on trial cost; `None` if they do not help, cost too much, or move anything the wrong way.
    fn cost(&self, edits: &[Edit], open: &Wanted, limit: Option<Cost>) -> Option<Cost> {
        let Self { goal, wanted, others, cluster, trial } = self;
        if !helps(cluster, trial, open, *goal) {
            return None;
        }
        let keys: Vec<_> = edits.iter().map(|edit| &edit.policy).collect();
        let comparison = Comparison { before: cluster, after: trial, others, wanted };
        let beside = comparison.beside(&keys, limit)?;
        let is_wrong_way = |moved: &Move| match goal {
            Goal::Allow => !moved.lost.is_empty(),
            Goal::Deny => !moved.gained.is_empty(),
        };
        (!beside.moves.iter().any(is_wrong_way)).then_some(beside.cost)
    }

    pub(super) fn take(&mut self, edits: &[Edit]) {
        for edit in edits {
            edit.apply(&mut self.cluster);
            edit.apply(&mut self.trial);
        }
    }

    pub(super) fn finish(self, snapshot: &Snapshot, edits: Vec<Edit>) -> Fix {
        let Self { goal, wanted, others, cluster, .. } = self;
        let mut keys: Vec<_> = edits.iter().map(|edit| &edit.policy).collect();
        keys.sort();
        keys.dedup();
        let comparison = Comparison { before: &snapshot.cluster, after: &cluster, others: &others, wanted };
        let also = comparison.beside(&keys, None).map(|beside| beside.moves).unwrap_or_default();
        let policies = keys.iter().filter_map(|key| cluster.policy(key).cloned()).collect();
        let place = |edit: &Edit| {
            let location = snapshot.place(&edit.policy, &edit.field)?;
            Some(format!("{}:{}", location.file, location.line))
        };
        let places = edits.iter().map(place).collect();
        Fix { goal, edits, policies, also, places }
    }
}

/// Makes a policy what it is in another cluster.
fn restore(cluster: &mut Cluster, from: &Cluster, policy: &ObjectKey) {
    match from.policy(policy) {
        Some(before) => cluster.insert_policy(before.clone()),
        None => cluster.remove_policy(policy),
    }
}

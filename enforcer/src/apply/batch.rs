//! What has come since the last commit, and since when each of it waits.

use policy_model::cluster::Change;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Span;

/// So many are waited for. Where a namespace's pods are put off again and again, more are not counted.
const UNFINISHED: usize = 1024;

/// What has come since the last commit.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: usize,
    pub(super) seen: Vec<Seen>,
    /// How often the source has been read.
    pub(super) reads: u64,
    /// Some pod's addresses may be another's now.
    pub(super) addresses_moved: bool,
    pub(super) span: Span,
}

impl Default for Batch {
    fn default() -> Self {
        Self { events: 0, seen: Vec::new(), reads: 0, addresses_moved: false, span: Span::none() }
    }
}

/// Something that was told at once.
#[derive(Debug)]
pub(super) struct Seen {
    at: Instant,
    /// Where it may have changed what pods may do.
    namespaces: BTreeSet<Arc<str>>,
}

impl Seen {
    /// Of the host, whose pods are decided at once.
    pub(super) fn of_host(at: Instant) -> Self {
        Self { at, namespaces: BTreeSet::new() }
    }

    /// Of the source. Only pods and policies of a namespace change what its pods may do; what else changes is who their peers
    /// are, and that is never put off.
    pub(super) fn of_source(changes: &[Change], at: Instant) -> Self {
        let namespace = |change: &Change| match change {
            Change::Pod(pod) => Some(pod.key.namespace.clone()),
            Change::Policy(policy) => Some(policy.key.namespace.clone()),
            Change::PodDeleted(key) | Change::PolicyDeleted(key) => Some(key.namespace.clone()),
            _ => None,
        };
        Self { at, namespaces: changes.iter().filter_map(namespace).collect() }
    }
}

/// What is not in force yet, although it has been committed: pods that it concerns are put off.
#[derive(Debug, Default)]
pub(super) struct Unfinished(Vec<Seen>);

impl Unfinished {
    /// A commit has taken `seen` in, and has put off pods of the namespaces in `waiting`. Gives how long each has taken that
    /// is in force since `now`.
    pub(super) fn committed(
        &mut self,
        seen: Vec<Seen>,
        waiting: &BTreeSet<Arc<str>>,
        now: Instant,
    ) -> Vec<Duration> {
        self.0.extend(seen);
        let waits = |seen: &Seen| !seen.namespaces.is_disjoint(waiting);
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for seen in std::mem::take(&mut self.0) {
            if waits(&seen) {
                left.push(seen);
            } else {
                done.push(now.saturating_duration_since(seen.at));
            }
        }
        left.truncate(UNFINISHED);
        self.0 = left;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::object::ObjectKey;

    #[test]
    fn what_concerns_pods_that_are_put_off_is_in_force_when_they_are_decided() {
        const SECOND: Duration = Duration::from_secs(1);
        let (begin, mut unfinished) = (Instant::now(), Unfinished::default());
        let seen = |namespace: &str| {
            Seen::of_source(&[Change::PolicyDeleted(ObjectKey::new(namespace, "p"))], begin)
        };
        let waiting = BTreeSet::from(["greedy".into()]);
        let done = unfinished.committed(
            vec![seen("greedy"), seen("modest"), Seen::of_host(begin)],
            &waiting,
            begin + SECOND,
        );
        assert_eq!(done, [SECOND; 2]);
        assert_eq!(unfinished.committed(vec![seen("modest")], &waiting, begin + 2 * SECOND), [2 * SECOND]);
        assert_eq!(unfinished.committed(Vec::new(), &BTreeSet::new(), begin + 3 * SECOND), [3 * SECOND]);
        assert!(unfinished.committed(Vec::new(), &BTreeSet::new(), begin + 4 * SECOND).is_empty());
    }
}

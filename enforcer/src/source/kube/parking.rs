//! Deletions of policies whose namespace is ending wait until that has been seen.
//!
//! Each kind has its own watch, and any of them may be ahead. If a namespace and its policies are deleted and the watch of
//! policies is ahead, the policies would seem to be deleted alone, and pods that still run would be open. So whoever
//! follows policies asks for the namespace's state first, and a deletion that comes from an ending namespace waits here
//! until the watch of namespaces is that far; then `TerminationHold` knows, and holds it.

use policy_model::{cluster::Change, object::ObjectKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The deletions that wait, and how far the watch of namespaces is.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// Each with the version in which its namespace is known to be ending.
    waiting: BTreeMap<ObjectKey, u64>,
    /// Namespaces that are being deleted or are gone, of those with a deletion waiting or a change seen.
    ending: BTreeSet<Arc<str>>,
    seen: u64,
}

impl Parking {
    /// A policy is deleted. Gives the deletion back if it need not wait.
    pub(super) fn delete(&mut self, key: ObjectKey, ending_at: Option<u64>) -> Option<Change> {
        if let Some(version) = ending_at
            && version > self.seen
            && !self.ending.contains(&key.namespace)
        {
            self.waiting.insert(key, version);
            return None;
        }
        Some(Change::PolicyDeleted(key))
    }

    /// A change goes by. Call it before the change is passed on; what it gives goes after the change.
    pub(super) fn pass(&mut self, change: &Change) -> Vec<Change> {
        match change {
            Change::Namespace(namespace) if namespace.terminating => self.ends(&namespace.name),
            Change::Namespace(namespace) => {
                self.ending.remove(&namespace.name);
                Vec::new()
            }
            Change::NamespaceDeleted(name) => self.ends(name),
            Change::Policy(policy) => {
                self.waiting.remove(&policy.key);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The watch of namespaces has seen everything up to this version.
    pub(super) fn seen(&mut self, version: u64) -> Vec<Change> {
        self.seen = self.seen.max(version);
        let seen = self.seen;
        self.release(|_, version| version <= seen)
    }

    fn ends(&mut self, namespace: &Arc<str>) -> Vec<Change> {
        self.ending.insert(namespace.clone());
        self.release(|key, _| key.namespace == *namespace)
    }

    fn release(&mut self, is_due: impl Fn(&ObjectKey, u64) -> bool) -> Vec<Change> {
        let mut due = Vec::new();
        self.waiting.retain(|key, version| {
            let is_due = is_due(key, *version);
            due.extend(is_due.then(|| Change::PolicyDeleted(key.clone())));
            !is_due
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::{labels::Labels, object::Namespace};

    fn key() -> ObjectKey {
        ObjectKey::new("prod", "deny")
    }

    fn namespace(terminating: bool) -> Change {
        Change::Namespace(Namespace { terminating, ..Namespace::new("prod", &Labels::default()) })
    }

    #[test]
    fn a_deletion_alone_does_not_wait() {
        let mut parking = Parking::default();
        assert_eq!(parking.delete(key(), None), Some(Change::PolicyDeleted(key())));
    }

    #[test]
    fn a_deletion_with_its_namespace_follows_the_namespaces_end() {
        for end in [namespace(true), Change::NamespaceDeleted("prod".into())] {
            let mut parking = Parking::default();
            parking.seen(6);
            assert_eq!(parking.delete(key(), Some(7)), None, "the watch of namespaces is behind");
            assert!(parking.pass(&namespace(false)).is_empty(), "something older");
            assert_eq!(parking.pass(&end), [Change::PolicyDeleted(key())]);
            assert_eq!(parking.delete(key(), Some(9)), Some(Change::PolicyDeleted(key())), "it is known now");
        }
    }

    #[test]
    fn a_namespace_that_ended_and_came_back_unseen_is_waited_for_no_longer_than_its_version() {
        let mut parking = Parking::default();
        assert_eq!(parking.delete(key(), Some(7)), None);
        assert!(parking.pass(&namespace(false)).is_empty());
        assert!(parking.seen(6).is_empty());
        assert_eq!(parking.seen(7), [Change::PolicyDeleted(key())]);
        assert_eq!(
            parking.delete(key(), Some(7)),
            Some(Change::PolicyDeleted(key())),
            "seen that far already"
        );
    }

    #[test]
    fn a_policy_that_is_there_again_is_not_deleted() {
        let mut parking = Parking::default();
        assert_eq!(parking.delete(key(), Some(7)), None);
        let policy = policy_model::policy::NetworkPolicy {
            key: key(),
            pod_selector: policy_model::selector::Selector::everything(),
            ingress: None,
            egress: None,
        };
        assert!(parking.pass(&Change::Policy(policy)).is_empty());
        assert!(parking.seen(8).is_empty());
    }
}

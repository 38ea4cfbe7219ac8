//! Policies of a namespace that is being deleted hold until its last pod is gone.
//!
//! Deleting a namespace deletes what is in it in no fixed order. A pod that is still running while its policies are
//! already gone would be open to everyone (CVE-2024-7598). So the deletion of a policy waits for the pods.

use super::Change;
use crate::object::ObjectKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Stands between a source of changes and whoever takes them, and holds back the deletions that must wait.
///
/// It must see every change of pods, namespaces and policies. What it passes on is in the order of what it is given.
#[derive(Clone, Debug, Default)]
pub struct TerminationHold {
    /// Namespaces that are being deleted, or were gone before their last pod was.
    terminating: BTreeSet<Arc<str>>,
    /// The pods of each namespace.
    pods: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Policies whose deletion waits.
    held: BTreeSet<ObjectKey>,
}

impl TerminationHold {
    /// What follows from a change: the change itself unless it must wait, and the deletions that waited for it.
    #[must_use]
    pub fn pass(&mut self, change: Change) -> Vec<Change> {
        let mut passed = Vec::new();
        let namespace = match &change {
            Change::Namespace(namespace) => {
                if namespace.terminating {
                    self.terminating.insert(namespace.name.clone());
                } else {
                    // Another namespace of that name: the old one's pods are gone, whatever we have heard of them.
                    self.terminating.remove(&namespace.name);
                }
                namespace.name.clone()
            }
            Change::NamespaceDeleted(name) => {
                if self.pods.contains_key(name) {
                    self.terminating.insert(name.clone());
                } else {
                    self.terminating.remove(name);
                }
                name.clone()
            }
            Change::Pod(pod) => {
                self.pods.entry(pod.key.namespace.clone()).or_default().insert(pod.key.name.clone());
                pod.key.namespace.clone()
            }
            Change::PodDeleted(key) => {
                if let Some(pods) = self.pods.get_mut(&key.namespace) {
                    pods.remove(&key.name);
                }
                key.namespace.clone()
            }
            Change::Policy(policy) => {
                self.held.remove(&policy.key);
                policy.key.namespace.clone()
            }
            Change::PolicyDeleted(key) if self.must_wait(&key.namespace) => {
                self.held.insert(key.clone());
                return passed;
            }
            _ => return vec![change],
        };
        passed.push(change);
        if !self.must_wait(&namespace) {
            let (due, waiting) =
                std::mem::take(&mut self.held).into_iter().partition(|key| key.namespace == namespace);
            self.held = waiting;
            let due: BTreeSet<ObjectKey> = due;
            passed.extend(due.into_iter().map(Change::PolicyDeleted));
        }
        if self.pods.get(&namespace).is_some_and(BTreeSet::is_empty) {
            self.pods.remove(&namespace);
        }
        passed
    }

    /// The policies whose deletion waits, ordered by key.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &ObjectKey> {
        self.held.iter()
    }

    fn must_wait(&self, namespace: &Arc<str>) -> bool {
        self.terminating.contains(namespace) && self.pods.get(namespace).is_some_and(|pods| !pods.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::Cluster,
        labels::Labels,
        object::{Namespace, Pod},
        policy::{Direction, NetworkPolicy},
        selector::Selector,
        strategies,
    };
    use proptest::prelude::*;
    use smallvec::SmallVec;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("prod", name)
    }

    fn namespace(terminating: bool) -> Change {
        Change::Namespace(Namespace { terminating, ..Namespace::new("prod", &Labels::default()) })
    }

    fn pod(name: &str) -> Change {
        Change::Pod(Pod {
            key: key(name),
            labels: Labels::default(),
            ips: SmallVec::new(),
            node: None,
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        })
    }

    fn policy() -> Change {
        let pod_selector = Selector::everything();
        Change::Policy(NetworkPolicy {
            key: key("deny"),
            pod_selector,
            ingress: Some(Vec::new()),
            egress: None,
        })
    }

    #[test]
    fn a_policy_of_a_terminating_namespace_goes_with_its_last_pod() {
        let (mut hold, mut cluster) = (TerminationHold::default(), Cluster::new());
        let mut isolated = |change| {
            cluster.extend(hold.pass(change));
            let isolated = |name| {
                let pod = cluster.pod(&key(name));
                pod.is_some_and(|pod| cluster.isolating_policies(pod, Direction::Ingress).next().is_some())
            };
            (isolated("a"), isolated("b"), cluster.policies().len())
        };
        for change in [namespace(false), policy(), pod("a")] {
            isolated(change);
        }
        assert_eq!(isolated(pod("b")), (true, true, 1));
        assert_eq!(isolated(namespace(true)), (true, true, 1));
        assert_eq!(isolated(Change::PolicyDeleted(key("deny"))), (true, true, 1), "it waits");
        assert_eq!(isolated(Change::PodDeleted(key("a"))), (false, true, 1));
        assert_eq!(
            isolated(Change::NamespaceDeleted("prod".into())),
            (false, true, 1),
            "heard before the last pod"
        );
        assert_eq!(isolated(Change::PodDeleted(key("b"))), (false, false, 0));
    }

    #[test]
    fn a_policy_of_a_namespace_that_stays_goes_at_once() {
        let mut hold = TerminationHold::default();
        for change in [namespace(false), policy(), pod("a")] {
            assert_eq!(hold.pass(change.clone()), [change]);
        }
        assert_eq!(hold.pass(Change::PolicyDeleted(key("deny"))), [Change::PolicyDeleted(key("deny"))]);
    }

    #[test]
    fn a_namespace_made_anew_holds_nothing_back() {
        let mut hold = TerminationHold::default();
        for change in [namespace(true), policy(), pod("a")] {
            let _ = hold.pass(change);
        }
        assert_eq!(hold.pass(Change::PolicyDeleted(key("deny"))), []);
        assert_eq!(hold.held().len(), 1);
        assert_eq!(hold.pass(namespace(false)), [namespace(false), Change::PolicyDeleted(key("deny"))]);
        assert_eq!(hold.held().len(), 0);
    }

    proptest! {
        /// Whatever happened, once every pod is gone nothing is held, and the cluster is as if nothing ever was.
        #[test]
        fn nothing_is_held_for_ever(changes in strategies::changes(40)) {
            let (mut hold, mut passed, mut direct) = (TerminationHold::default(), Cluster::new(), Cluster::new());
            let gone: Vec<_> = changes.iter().filter_map(|change| match change {
                Change::Pod(pod) => Some(Change::PodDeleted(pod.key.clone())),
                _ => None,
            }).collect();
            for change in changes.into_iter().chain(gone) {
                passed.extend(hold.pass(change.clone()));
                direct.apply(change);
            }
            prop_assert_eq!(hold.held().len(), 0);
            prop_assert_eq!(passed, direct);
        }
    }
}

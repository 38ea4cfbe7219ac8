//! What an earlier run has left on disk, against what the first lists say: what is in none of them is gone.

use policy_model::{
    cluster::{Change, TerminationHold},
    object::ObjectKey,
};
use std::{collections::BTreeSet, sync::Arc};

/// The objects of the state on disk that no list has named yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    pods: BTreeSet<ObjectKey>,
    policies: BTreeSet<ObjectKey>,
    nodes: BTreeSet<Arc<str>>,
    namespaces: BTreeSet<Arc<str>>,
}

impl Known {
    /// Of a state; the hold learns of it too, so that policies of ending namespaces hold across a restart.
    pub(super) fn new(state: &[Change], hold: &mut TerminationHold) -> Self {
        let mut known = Self::default();
        for change in state {
            match change {
                Change::Pod(pod) => drop(known.pods.insert(pod.key.clone())),
                Change::Policy(policy) => drop(known.policies.insert(policy.key.clone())),
                Change::Node(node) => drop(known.nodes.insert(node.name.clone())),
                Change::Namespace(namespace) => drop(known.namespaces.insert(namespace.name.clone())),
                _ => continue,
            }
            // Nothing can wait yet, so all of it passes.
            let _ = hold.pass(change.clone());
        }
        known
    }

    /// A list or a watch says something of an object.
    pub(super) fn named(&mut self, change: &Change) {
        match change {
            Change::Pod(pod) => drop(self.pods.remove(&pod.key)),
            Change::PodDeleted(key) => drop(self.pods.remove(key)),
            Change::Policy(policy) => drop(self.policies.remove(&policy.key)),
            Change::PolicyDeleted(key) => drop(self.policies.remove(key)),
            Change::Node(node) => drop(self.nodes.remove(&node.name)),
            Change::NodeDeleted(name) => drop(self.nodes.remove(name)),
            Change::Namespace(namespace) => drop(self.namespaces.remove(&namespace.name)),
            Change::NamespaceDeleted(name) => drop(self.namespaces.remove(name)),
            Change::Service(_) | Change::ServiceDeleted(_) => {}
        }
    }

    /// Every list is complete: what none has named is gone. Pods first, since their namespaces' policies hold for them.
    pub(super) fn gone(&mut self) -> Vec<Change> {
        let Self { pods, policies, nodes, namespaces } = std::mem::take(self);
        let pods = pods.into_iter().map(Change::PodDeleted);
        let policies = policies.into_iter().map(Change::PolicyDeleted);
        let nodes = nodes.into_iter().map(Change::NodeDeleted);
        let namespaces = namespaces.into_iter().map(Change::NamespaceDeleted);
        pods.chain(policies).chain(nodes).chain(namespaces).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::{cluster::Cluster, labels::Labels, object::Namespace, strategies};
    use proptest::prelude::*;

    proptest! {
        /// Whatever was known: after the lists the cluster is what they say.
        #[test]
        fn what_no_list_names_is_gone(known in strategies::cluster(), listed in strategies::cluster()) {
            let mut hold = TerminationHold::default();
            let state: Vec<_> = known.changes().filter(|c| !matches!(c, Change::Service(_))).collect();
            let mut missing = Known::new(&state, &mut hold);
            let mut cluster: Cluster = state.into_iter().collect();
            for change in listed.changes() {
                missing.named(&change);
                cluster.extend(hold.pass(change));
            }
            for change in missing.gone() {
                cluster.extend(hold.pass(change));
            }
            // Those that wait for the pods of an ending namespace are all that is left over.
            let held: Vec<_> = hold.held().cloned().collect();
            for key in &held {
                prop_assert!(cluster.pods().any(|pod| pod.key.namespace == key.namespace));
                cluster.remove_policy(key);
            }
            prop_assert_eq!(cluster, listed);
        }
    }

    #[test]
    fn policies_of_an_ending_namespace_hold_across_a_restart() {
        let policy = Change::Policy(policy_model::policy::NetworkPolicy {
            key: ObjectKey::new("prod", "deny"),
            pod_selector: policy_model::selector::Selector::everything(),
            ingress: Some(Vec::new()),
            egress: None,
        });
        let namespace = |terminating| {
            Change::Namespace(Namespace { terminating, ..Namespace::new("prod", &Labels::default()) })
        };
        let mut hold = TerminationHold::default();
        let mut known = Known::new(&[namespace(false), pod(1), policy], &mut hold);
        for listed in [namespace(true), pod(1)] {
            known.named(&listed);
            let _ = hold.pass(listed);
        }
        let passed: Vec<_> = known.gone().into_iter().flat_map(|change| hold.pass(change)).collect();
        assert_eq!(passed, [], "its pod is still there");
        let gone = hold.pass(Change::PodDeleted(ObjectKey::new("prod", "p1")));
        assert!(gone.contains(&Change::PolicyDeleted(ObjectKey::new("prod", "deny"))));
    }

    fn pod(n: u8) -> Change {
        Change::Pod(policy_model::object::Pod {
            key: ObjectKey::new("prod", format!("p{n}")),
            labels: Labels::default(),
            ips: Default::default(),
            node: None,
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        })
    }
}

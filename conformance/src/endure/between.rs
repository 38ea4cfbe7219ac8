//! From one state of a cluster to another by an API server, object by object: what changes, and what may be seen on the way.

use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
};

/// So many objects at most change in one round that goes through an API server: the states in between are all sets of them.
pub(super) const MOST: usize = 6;

/// The changes of single objects from one state to another, those that go first.
pub(super) fn changes(before: &Cluster, after: &Cluster) -> Vec<Change> {
    let pods = before.pods().filter(|pod| after.pod(&pod.key).is_none());
    let policies = before.policies().filter(|policy| after.policy(&policy.key).is_none());
    let gone = pods
        .map(|pod| Change::PodDeleted(pod.key.clone()))
        .chain(policies.map(|policy| Change::PolicyDeleted(policy.key.clone())));
    gone.chain(after.changes().filter(|change| !holds(before, change))).collect()
}

fn holds(cluster: &Cluster, change: &Change) -> bool {
    match change {
        Change::Pod(pod) => cluster.pod(&pod.key) == Some(pod),
        Change::Namespace(namespace) => cluster.namespace(&namespace.name) == Some(namespace),
        Change::Policy(policy) => cluster.policy(&policy.key) == Some(policy),
        Change::Node(node) => cluster.node(&node.name) == Some(node),
        Change::Service(service) => cluster.service(&service.key) == Some(service),
        _ => false,
    }
}

/// Every state that a node may be in on the way, the first and the last among them. Each kind of object comes by a watch of its own, and a
/// list that is read anew comes in the order of names: so any set of the changes may be known before the others.
pub(super) fn states(before: &Cluster, after: &Cluster) -> Vec<Cluster> {
    let changes = changes(before, after);
    if changes.len() > MOST {
        // Nothing is said of what lies in between; the ends are still what they are.
        return vec![before.clone(), after.clone()];
    }
    let state = |known: u32| {
        let mut cluster = before.clone();
        let known = changes.iter().enumerate().filter(|(index, _)| known >> index & 1 == 1);
        known.for_each(|(_, change)| cluster.apply(change.clone()));
        cluster
    };
    (0..1 << changes.len()).map(state).collect()
}

/// Makes a state one that an API server lets `before` become. A pod there keeps its ports, and no two of them have one name.
pub(super) fn admit(before: &Cluster, after: &mut Cluster) {
    let pods: Vec<_> = after.pods().cloned().collect();
    for mut pod in pods {
        match before.pod(&pod.key).filter(|old| stays(old.ips.len(), pod.ips.len())) {
            Some(old) => pod.ports.clone_from(&old.ports),
            None => {
                let mut names = std::collections::BTreeSet::new();
                pod.ports.retain(|port| names.insert(port.name.clone()));
            }
        }
        after.insert_pod(pod);
    }
}

/// Whether a pod may be the same object still: an address comes once, and goes with its pod.
fn stays(before: usize, after: usize) -> bool {
    before == 0 || after == before
}

/// Whether a pod of the state before has to be deleted and created again to become what it is after.
pub(super) fn is_another(before: &Cluster, after: &Cluster, key: &ObjectKey) -> bool {
    match (before.pod(key), after.pod(key)) {
        (Some(old), Some(new)) => old.ports != new.ports || (!old.ips.is_empty() && old.ips != new.ips),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Draw};

    #[test]
    fn all_sets_of_changes_lie_between_two_states() {
        let mut draw = Draw::new(3);
        let before = random::cluster(&mut draw, |_| vec![]);
        let mut after = before.clone();
        after.insert_namespace(draw.namespace("east"));
        let gone = before.policies().next().unwrap().key.clone();
        after.remove_policy(&gone);
        assert_eq!(changes(&before, &after).len(), 2);
        let states = states(&before, &after);
        assert_eq!(states.len(), 4);
        assert!(states.contains(&before) && states.contains(&after));
        assert!(
            states
                .iter()
                .any(|s| s.policy(&gone).is_none() && s.namespace("east") == before.namespace("east"))
        );
    }

    #[test]
    fn a_pod_that_stays_keeps_its_ports() {
        let mut draw = Draw::new(4);
        let before = random::cluster(&mut draw, |_| vec!["10.0.0.1".parse().unwrap()]);
        let mut after = random::cluster(&mut draw, |_| vec!["10.0.0.1".parse().unwrap()]);
        admit(&before, &mut after);
        assert!(before.pods().all(|pod| !is_another(&before, &after, &pod.key)));
        let mut anew = random::cluster(&mut draw, |_| vec![]);
        admit(&before, &mut anew);
        assert!(before.pods().all(|pod| is_another(&before, &anew, &pod.key)));
    }
}

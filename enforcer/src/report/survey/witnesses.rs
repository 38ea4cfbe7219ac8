//! Pods by which a policy was found to do what it should: looked at first next time, so that the others need not be.

use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::Direction,
};
use std::collections::BTreeMap;

/// What of a policy a pod stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The pods that it selects.
    Subject,
    /// A named port, by its rule's place and its own.
    Port(Direction, usize, usize),
}

/// Of one policy.
#[derive(Debug, Default)]
pub(super) struct Witnesses(BTreeMap<Place, ObjectKey>);

impl Witnesses {
    /// Whether `holds` of some pod of the cluster; of `pods`, which are those that it can hold of, if not of the last one.
    pub(super) fn any<'a, Pods: Iterator<Item = &'a Pod>>(
        &mut self,
        cluster: &'a Cluster,
        place: Place,
        mut holds: impl FnMut(&Pod) -> bool,
        pods: impl FnOnce() -> Pods,
    ) -> bool {
        let last = self.0.get(&place).and_then(|key| cluster.pod(key));
        if last.is_some_and(&mut holds) {
            return true;
        }
        let found = pods().find(|pod| holds(pod));
        match found {
            Some(pod) => self.0.insert(place, pod.key.clone()),
            None => self.0.remove(&place),
        };
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::labels::Labels;

    #[test]
    fn who_stood_for_it_is_asked_first_and_another_when_it_is_gone() {
        let mut cluster = Cluster::new();
        let pod = |name: &str| Pod {
            key: ObjectKey::new("shop", name),
            labels: Labels::default(),
            ips: Default::default(),
            node: None,
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        };
        for name in ["a", "b", "c"] {
            cluster.insert_pod(pod(name));
        }
        let (mut witnesses, mut asked) = (Witnesses::default(), Vec::new());
        let mut any = |cluster: &Cluster, names: &str| {
            let holds = |pod: &Pod| {
                asked.push(pod.key.name.to_string());
                names.contains(&*pod.key.name)
            };
            let found = witnesses.any(cluster, Place::Subject, holds, || cluster.pods());
            (found, std::mem::take(&mut asked).concat())
        };
        assert_eq!(any(&cluster, "bc"), (true, "ab".into()));
        assert_eq!(any(&cluster, "bc"), (true, "b".into()));
        cluster.remove_pod(&ObjectKey::new("shop", "b"));
        assert_eq!(any(&cluster, "bc"), (true, "ac".into()));
        assert_eq!(any(&cluster, ""), (false, "cac".into()));
        assert_eq!(any(&cluster, ""), (false, "ac".into()));
    }
}

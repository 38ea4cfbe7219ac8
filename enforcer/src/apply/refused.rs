//! What people are told when the kernel refuses objects: on the Node which pods are denied, on each policy that selects them
//! that it is not met there; and the end of it.

use crate::report::Event;
use compiler::LocalPod;
use policy_model::object::ObjectKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The reason of these Events, and that of their end.
const REASONS: (&str, &str) = ("ObjectsRefused", "ObjectsAccepted");

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Refused {
    node: Arc<str>,
    /// As comments in the dispatch maps name them: `ns/name`, several with commas where they have one address.
    pods: BTreeSet<String>,
    policies: BTreeSet<ObjectKey>,
}

impl Refused {
    pub(super) fn new(node: Arc<str>) -> Self {
        Self { node, ..Self::default() }
    }

    /// These pods are denied now. Gives what is to be told, if they are others than before.
    pub(super) fn now(
        &mut self,
        pods: &BTreeSet<String>,
        local: impl FnOnce() -> Vec<LocalPod>,
    ) -> Vec<Event> {
        if *pods == self.pods {
            return Vec::new();
        }
        self.pods.clone_from(pods);
        let names: BTreeSet<&str> = pods.iter().flat_map(|comment| comment.split(',')).collect();
        let all = names.iter().copied().collect::<Vec<_>>().join(", ");
        let mut denied: BTreeMap<ObjectKey, Vec<String>> = BTreeMap::new();
        for pod in local() {
            let name = pod.key.to_string();
            if names.contains(name.as_str()) {
                pod.policies
                    .into_iter()
                    .for_each(|policy| denied.entry(policy).or_default().push(name.clone()));
            }
        }
        let (refused, accepted) = REASONS;
        let mut events = vec![match all.as_str() {
            "" => Event::node(
                false,
                accepted,
                "the kernel takes all objects again: nothing is denied for want of them".into(),
            ),
            pods => Event::node(
                true,
                refused,
                format!(
                    "the kernel refuses objects of {pods}: what they send and get is denied in the directions concerned until it \
                     takes them; the log of policyd has its words"
                ),
            ),
        }];
        let node = &self.node;
        for (policy, pods) in &denied {
            let note = format!(
                "on node {node} the kernel refuses objects that this policy needs: {} {} denied until it takes them",
                pods.join(", "),
                if pods.len() == 1 { "is" } else { "are" }
            );
            events.push(Event::policy(policy.clone(), refused, note));
        }
        for policy in self.policies.iter().filter(|policy| !denied.contains_key(*policy)) {
            let note = format!("on node {node} the kernel takes all objects that this policy needs");
            events.push(Event { is_warning: false, ..Event::policy(policy.clone(), accepted, note) });
        }
        self.policies = denied.into_keys().collect();
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Regarding;

    fn local() -> Vec<LocalPod> {
        let pod = |name: &str, policies: &[&str]| LocalPod {
            key: ObjectKey::new("shop", name),
            addresses: Vec::new(),
            programs: [None, None],
            policies: policies.iter().map(|name| ObjectKey::new("shop", *name)).collect(),
        };
        vec![pod("a", &["db", "all"]), pod("b", &["all"]), pod("c", &["other"])]
    }

    /// `what it is about, reason, whether it is a warning`.
    fn told(refused: &mut Refused, pods: &[&str]) -> Vec<(String, String, bool)> {
        let pods = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let about = |event: Event| {
            let about = match event.regarding {
                Regarding::Policy(key) => key.to_string(),
                Regarding::Node => "node".into(),
            };
            (about, event.reason, event.is_warning)
        };
        refused.now(&pods, local).into_iter().map(about).collect()
    }

    #[test]
    fn whom_it_concerns_is_told_and_its_end_too() {
        let mut refused = Refused::new("w1".into());
        let warn = |about: &str| (about.to_owned(), "ObjectsRefused".to_owned(), true);
        let end = |about: &str| (about.to_owned(), "ObjectsAccepted".to_owned(), false);
        assert_eq!(told(&mut refused, &[]), []);
        assert_eq!(told(&mut refused, &["shop/a,shop/b"]), ["node", "shop/all", "shop/db"].map(warn));
        assert_eq!(told(&mut refused, &["shop/a,shop/b"]), [], "nothing is new");
        assert_eq!(told(&mut refused, &["shop/b"]), [warn("node"), warn("shop/all"), end("shop/db")]);
        assert_eq!(told(&mut refused, &[]), ["node", "shop/all"].map(end));
    }
}

//! What people are told of policies that ask for more than the limits allow: in the log, on each policy that is named and on the
//! Node; and of the end of it.

use crate::report::Event;
use compiler::{Compiler, Excess};
use policy_model::{object::ObjectKey, policy::Direction};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{error, info};

/// The reason of these Events, and that of their end.
const REASONS: (&str, &str) = ("LimitExceeded", "LimitsKept");
/// So many pods are named; of more, only how many.
const NAMED: usize = 5;

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Limited {
    /// [`Compiler::weighed`] at the last look.
    weighed: Option<u64>,
    denied: BTreeSet<(ObjectKey, Direction)>,
    policies: BTreeMap<ObjectKey, String>,
}

impl Limited {
    /// Pods that are denied in some direction.
    pub(super) fn count(&self) -> usize {
        self.denied.iter().map(|(pod, _)| pod).collect::<BTreeSet<_>>().len()
    }

    /// One line about all of them, for the node's status; `None` if there are none.
    pub(super) fn summary(&self) -> Option<String> {
        if self.denied.is_empty() {
            return None;
        }
        let policies: Vec<_> = self.policies.keys().map(ToString::to_string).collect();
        Some(format!("beyond limits: {}: {} denied", policies.join(", "), self.pods()))
    }

    fn pods(&self) -> String {
        let pods: BTreeSet<String> = self.denied.iter().map(|(pod, _)| pod.to_string()).collect();
        let named: Vec<_> = pods.iter().take(NAMED).map(String::as_str).collect();
        let more = pods.len() - named.len();
        let are = if pods.len() == 1 { "is" } else { "are" };
        if more == 0 {
            format!("{} {are}", named.join(", "))
        } else {
            format!("{} and {more} more {are}", named.join(", "))
        }
    }

    /// Looks who is denied now. Gives what is to be told, if they are others than before.
    pub(super) fn now(&mut self, compiler: &Compiler) -> Vec<Event> {
        if self.weighed.replace(compiler.weighed()) == Some(compiler.weighed()) {
            return Vec::new();
        }
        let denied = compiler.beyond_limits();
        if denied == self.denied {
            return Vec::new();
        }
        self.denied = denied;
        let excesses = compiler.excesses();
        excesses.iter().take(NAMED).for_each(|excess| error!("{excess}"));
        self.tell(&excesses)
    }

    fn tell(&mut self, excesses: &[Excess]) -> Vec<Event> {
        let (exceeded, kept) = REASONS;
        let mut policies: BTreeMap<ObjectKey, String> = BTreeMap::new();
        for excess in excesses {
            for policy in &excess.policies {
                policies.entry(policy.clone()).or_insert_with(|| excess.to_string());
            }
        }
        let mut events = Vec::new();
        if excesses.is_empty() {
            let note = "all policies are within the limits again: no pod is denied for what they ask";
            info!("{note}");
            events.push(Event::node(false, kept, note.into()));
        } else {
            let note = format!("policies ask for more than the limits allow: {} denied for it", self.pods());
            events.push(Event::node(true, exceeded, note));
        }
        for (policy, note) in policies.iter().filter(|(policy, _)| !self.policies.contains_key(*policy)) {
            events.push(Event::policy(policy.clone(), exceeded, note.clone()));
        }
        for policy in self.policies.keys().filter(|policy| !policies.contains_key(*policy)) {
            let note = "it is within the limits again".to_owned();
            events.push(Event { is_warning: false, ..Event::policy(policy.clone(), kept, note) });
        }
        self.policies = policies;
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Regarding;
    use compiler::{
        Event as Change,
        config::{Config, Limits, Listed},
    };
    use policy_model::{
        cluster::Change::{Pod as AddPod, Policy, PolicyDeleted},
        labels::Labels,
        object::Pod,
        policy::{NetworkPolicy, Peer, Rule},
        selector::{Requirement, Selector},
    };

    fn policy(name: &str, peers: usize) -> Change {
        let excluding = Selector::new([Requirement::DoesNotExist("batch".into())]);
        let peer = Peer::Pods { namespaces: None, pods: excluding };
        let rule = Rule { peers: vec![peer; peers], ports: Vec::new() };
        Change::Cluster(Policy(NetworkPolicy {
            key: ObjectKey::new("shop", name),
            pod_selector: Selector::everything(),
            ingress: Some(vec![rule]),
            egress: None,
        }))
    }

    #[test]
    fn who_asks_too_much_is_named_once_and_its_end_is_told() {
        let pod = Pod {
            key: ObjectKey::new("shop", "db"),
            labels: Labels::default(),
            ips: [[10, 244, 1, 2].into()].into_iter().collect(),
            node: Some("w1".into()),
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        };
        let limits = Limits { pod: Listed { entries: 10, selectors: 3 }, ..Limits::default() };
        let mut compiler = Compiler::new(Config { limits, ..Config::new("w1", "cni0") });
        let mut limited = Limited::default();
        let mut after = |event: Change| {
            compiler.apply(event);
            let _ = compiler.commit();
            let told = |event: Event| {
                let about = match event.regarding {
                    Regarding::Policy(key) => key.to_string(),
                    Regarding::Node => "node".into(),
                };
                format!("{about} {}", event.reason)
            };
            let events: Vec<_> = limited.now(&compiler).into_iter().map(told).collect();
            (events, limited.count(), limited.summary())
        };
        assert_eq!(after(Change::Cluster(AddPod(pod))), (vec![], 0, None));
        assert_eq!(after(policy("few", 3)), (vec![], 0, None), "it may ask for three");
        let (events, count, summary) = after(policy("many", 2));
        assert_eq!(events, ["node LimitExceeded", "shop/few LimitExceeded", "shop/many LimitExceeded"]);
        assert_eq!(
            (count, summary.as_deref()),
            (1, Some("beyond limits: shop/few, shop/many: shop/db is denied"))
        );
        assert_eq!(after(policy("many", 3)).0, [""; 0], "nobody else is denied");
        let (events, count, _) = after(Change::Cluster(PolicyDeleted(ObjectKey::new("shop", "many"))));
        assert_eq!(events, ["node LimitsKept", "shop/few LimitsKept", "shop/many LimitsKept"]);
        assert_eq!(count, 0);
    }
}

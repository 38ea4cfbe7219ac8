//! Looks for policies that do not do what whoever wrote them may believe: a named port that no pod has, a selector that
//! selects nobody. It is looked for while the loop has nothing else to do, one policy at a time, and told when it has been
//! so for a while: pods come after their policy, and a Deployment may be scaled to nothing for a night.

mod ports;
mod witnesses;

use super::{Event, event::hash};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::NetworkPolicy,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use witnesses::{Place, Witnesses};

/// Between two looks at all policies, and how long a named port may be unknown.
const PAUSE: Duration = Duration::from_secs(10);
/// After a look so many times what it took: a two-thousandth of a processor, however large the cluster is.
const REST: u32 = 2000;
/// ... but not longer than this.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// What is still so is told again, since an API server forgets an Event after an hour.
const AGAIN: Duration = Duration::from_secs(3600);
/// Nodes that look after one policy: if one has no policyd, the other tells. Both tell with one name.
const WATCHERS: usize = 2;

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Port,
    Nothing,
}

impl Kind {
    const fn reason(self) -> &'static str {
        match self {
            Self::Port => "NamedPortUnknown",
            Self::Nothing => "SelectsNothing",
        }
    }

    /// The end of it.
    const fn end(self) -> (&'static str, &'static str) {
        match self {
            Self::Port => ("NamedPortFound", "a pod has the port now, or the entry is gone. It was said: "),
            Self::Nothing => ("SelectsPods", "it selects a pod now. It was said: "),
        }
    }
}

/// One thing that is wrong, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unmet {
    kind: Kind,
    note: String,
    since: Instant,
    told: Option<Instant>,
}

impl Unmet {
    /// When it is to be told next.
    fn due(&self, nothing_for: Duration) -> Instant {
        match (self.told, self.kind) {
            (Some(told), _) => told + AGAIN,
            (None, Kind::Port) => self.since + PAUSE,
            (None, Kind::Nothing) => self.since + nothing_for,
        }
    }
}

/// What is to be looked at, and what was seen.
#[derive(Debug)]
pub struct Survey {
    node: Arc<str>,
    /// For how long a policy may select nothing.
    nothing_for: Duration,
    /// Policies to look at, whosever they are.
    queue: Vec<ObjectKey>,
    /// Something has changed since the queue was filled.
    is_stale: bool,
    not_before: Instant,
    unmet: BTreeMap<ObjectKey, Vec<Unmet>>,
    witnesses: BTreeMap<ObjectKey, Witnesses>,
}

impl Survey {
    /// By this node. A policy is told of that has selected nothing for `nothing_for`.
    #[must_use]
    pub fn new(node: Arc<str>, nothing_for: Duration, now: Instant) -> Self {
        let (queue, unmet) = (Vec::new(), BTreeMap::new());
        let witnesses = BTreeMap::new();
        Self { node, nothing_for, queue, is_stale: true, not_before: now + PAUSE, unmet, witnesses }
    }

    /// The cluster has changed.
    pub fn changed(&mut self) {
        self.is_stale = true;
    }

    /// When there is something to do; `None`: not before something changes.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.is_stale || !self.queue.is_empty() {
            return Some(self.not_before);
        }
        let due = self.unmet.values().flatten().map(|unmet| unmet.due(self.nothing_for)).min();
        due.map(|due| due.max(self.not_before))
    }

    /// Looks at one policy. What it gives is to be told.
    pub fn step(&mut self, cluster: &Cluster, now: Instant) -> Vec<Event> {
        if now < self.not_before {
            return Vec::new();
        }
        if self.queue.is_empty() {
            self.fill(cluster, now);
        }
        let Some(key) = self.queue.pop() else { return Vec::new() };
        if self.queue.is_empty() {
            self.not_before = now + PAUSE;
        }
        let policy = cluster.policy(&key).filter(|_| self.is_mine(cluster, &key));
        let Some(policy) = policy else {
            self.unmet.remove(&key);
            self.witnesses.remove(&key);
            return Vec::new();
        };
        self.look(cluster, policy, now)
    }

    /// The last steps took so long, of the processor's time.
    pub fn rest(&mut self, took: Duration, now: Instant) {
        self.not_before = self.not_before.max(now + LONGEST_REST.min(took * REST));
    }

    /// All policies, or those of which something is due.
    fn fill(&mut self, cluster: &Cluster, now: Instant) {
        if std::mem::take(&mut self.is_stale) {
            self.unmet.retain(|key, _| cluster.policy(key).is_some());
            self.witnesses.retain(|key, _| cluster.policy(key).is_some());
            self.queue = cluster.policies().map(|policy| policy.key.clone()).collect();
        } else {
            let is_due = |unmet: &Unmet| unmet.due(self.nothing_for) <= now;
            let due = self.unmet.iter().filter(|(_, unmet)| unmet.iter().any(is_due));
            self.queue = due.map(|(key, _)| key.clone()).collect();
        }
    }

    fn look(&mut self, cluster: &Cluster, policy: &NetworkPolicy, now: Instant) -> Vec<Event> {
        let key = &policy.key;
        let mut before = self.unmet.remove(key).unwrap_or_default();
        let mut witnesses = self.witnesses.remove(key).unwrap_or_default();
        let nothing = self.selects_nothing(cluster, policy, &mut witnesses);
        let ports = ports::unmet(cluster, policy, nothing.is_none(), &mut witnesses);
        let ports = ports.into_iter().map(|note| (Kind::Port, note));
        let found = ports.chain(nothing.map(|note| (Kind::Nothing, note)));
        self.witnesses.insert(key.clone(), witnesses);
        let mut events = Vec::new();
        let mut unmet = Vec::new();
        for (kind, note) in found {
            let known = before.iter().position(|unmet| unmet.kind == kind && unmet.note == note);
            let mut one = known
                .map_or_else(|| Unmet { kind, note, since: now, told: None }, |at| before.swap_remove(at));
            if one.due(self.nothing_for) <= now {
                one.told = Some(now);
                events.push(Event::policy(key.clone(), kind.reason(), one.note.clone()));
            }
            unmet.push(one);
        }
        for gone in before.into_iter().filter(|unmet| unmet.told.is_some()) {
            let (reason, words) = gone.kind.end();
            let note = format!("{words}{}", gone.note);
            events.push(Event { is_warning: false, ..Event::policy(key.clone(), reason, note) });
        }
        if !unmet.is_empty() {
            self.unmet.insert(key.clone(), unmet);
        }
        events
    }

    fn selects_nothing(
        &self,
        cluster: &Cluster,
        policy: &NetworkPolicy,
        witnesses: &mut Witnesses,
    ) -> Option<String> {
        let is_selected = |pod: &Pod| {
            pod.is_policed()
                && pod.key.namespace == policy.key.namespace
                && policy.pod_selector.matches(&pod.labels)
        };
        let pods = || cluster.pods_in(&policy.key.namespace);
        let selects = witnesses.any(cluster, Place::Subject, is_selected, pods);
        let seconds = self.nothing_for.as_secs();
        let long = if seconds.is_multiple_of(60) {
            format!("{} minutes", seconds / 60)
        } else {
            format!("{seconds} s")
        };
        (!selects)
            .then(|| format!("spec.podSelector has selected no pod for {long} and more: it protects nothing"))
    }

    /// Whether this node looks after a policy.
    fn is_mine(&self, cluster: &Cluster, key: &ObjectKey) -> bool {
        let weight = |node: &str| hash(&format!("{key} {node}"));
        let own = weight(&self.node);
        cluster.nodes().filter(|node| weight(&node.name) < own).nth(WATCHERS - 1).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::{labels::Labels, selector::Selector};

    const MINUTE: Duration = Duration::from_secs(60);

    fn policy() -> NetworkPolicy {
        NetworkPolicy {
            key: ObjectKey::new("shop", "db"),
            pod_selector: Selector::everything(),
            ingress: Some(Vec::new()),
            egress: None,
        }
    }

    fn reasons(survey: &mut Survey, cluster: &Cluster, now: Instant) -> Vec<(String, bool)> {
        let mut events = Vec::new();
        while survey.next().is_some_and(|at| at <= now) {
            events.extend(survey.step(cluster, now));
        }
        events.into_iter().map(|event| (event.reason, event.is_warning)).collect()
    }

    #[test]
    fn a_policy_that_selects_nothing_is_told_after_its_time_once_an_hour_and_at_its_end() {
        let begin = Instant::now();
        let mut survey = Survey::new("w1".into(), 10 * MINUTE, begin);
        let mut cluster = Cluster::new();
        cluster.insert_policy(policy());
        assert_eq!(reasons(&mut survey, &cluster, begin + MINUTE), []);
        assert_eq!(reasons(&mut survey, &cluster, begin + 10 * MINUTE), [], "first seen a minute later");
        let told = [("SelectsNothing".to_owned(), true)];
        assert_eq!(reasons(&mut survey, &cluster, begin + 11 * MINUTE), told);
        survey.changed();
        assert_eq!(reasons(&mut survey, &cluster, begin + 20 * MINUTE), [], "told already");
        assert_eq!(reasons(&mut survey, &cluster, begin + 80 * MINUTE), told);

        cluster.insert_pod(Pod {
            key: ObjectKey::new("shop", "db-0"),
            labels: Labels::default(),
            ips: Default::default(),
            node: None,
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        });
        survey.changed();
        assert_eq!(reasons(&mut survey, &cluster, begin + 90 * MINUTE), [("SelectsPods".to_owned(), false)]);
        assert_eq!(survey.next(), None, "nothing is due");
    }

    #[test]
    fn of_what_is_deleted_nothing_is_told() {
        let begin = Instant::now();
        let mut survey = Survey::new("w1".into(), MINUTE, begin);
        let mut cluster = Cluster::new();
        cluster.insert_policy(policy());
        assert_eq!(reasons(&mut survey, &cluster, begin + MINUTE), []);
        cluster.remove_policy(&policy().key);
        survey.changed();
        assert_eq!(reasons(&mut survey, &cluster, begin + 5 * MINUTE), []);
        assert_eq!(survey.next(), None);
    }
}

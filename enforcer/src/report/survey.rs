//! Looks for policies that say what cannot be so: a named port that no pod has. It is looked for while the loop has nothing
//! else to do, one policy at a time, and told when it is still so at a second look: pods may come after their policy.

use super::{Event, event::hash};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(10);
/// Nodes that look after one policy: if one has no policyd, the other tells. Both tell with one name.
const WATCHERS: usize = 2;

/// One named port that nobody has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unmet {
    policy: ObjectKey,
    note: String,
}

/// What is to be looked at, and what was seen.
#[derive(Debug)]
pub struct Survey {
    node: Arc<str>,
    /// Policies with named ports, whosever they are.
    queue: Vec<ObjectKey>,
    /// Something has changed since the queue was filled.
    is_stale: bool,
    not_before: Instant,
    /// Found in this round; in the one before.
    found: BTreeSet<Unmet>,
    before: BTreeSet<Unmet>,
}

impl Survey {
    /// By this node.
    #[must_use]
    pub fn new(node: Arc<str>, now: Instant) -> Self {
        let (found, before) = (BTreeSet::new(), BTreeSet::new());
        Self { node, queue: Vec::new(), is_stale: true, not_before: now + PAUSE, found, before }
    }

    /// The cluster has changed.
    pub fn changed(&mut self) {
        self.is_stale = true;
    }

    /// When there is something to do; `None`: not before something changes.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        (self.is_stale || !self.queue.is_empty()).then_some(self.not_before)
    }

    /// Looks at one policy. What it gives is to be told.
    pub fn step(&mut self, cluster: &Cluster, now: Instant) -> Vec<Event> {
        if now < self.not_before {
            return Vec::new();
        }
        if self.queue.is_empty() && self.is_stale {
            self.is_stale = false;
            self.before = std::mem::take(&mut self.found);
            let named = cluster.policies().filter(|policy| named_ports(policy).next().is_some());
            self.queue = named.map(|policy| policy.key.clone()).collect();
        }
        let policy = self.queue.pop().filter(|key| self.is_mine(cluster, key));
        let policy = policy.and_then(|key| cluster.policy(&key));
        let unmet = policy.map(|policy| unmet(cluster, policy)).unwrap_or_default();
        let (again, new): (Vec<_>, Vec<_>) = unmet.into_iter().partition(|one| self.before.contains(one));
        // A second look, although nothing may change until then.
        self.is_stale |= !new.is_empty();
        self.found.extend(again.iter().cloned().chain(new));
        if self.queue.is_empty() {
            self.not_before = now + PAUSE;
        }
        again
            .into_iter()
            .map(|Unmet { policy, note }| Event::policy(policy, "NamedPortUnknown", note))
            .collect()
    }

    /// Whether this node looks after a policy.
    fn is_mine(&self, cluster: &Cluster, key: &ObjectKey) -> bool {
        let weight = |node: &str| hash(&format!("{key} {node}"));
        let own = weight(&self.node);
        cluster.nodes().filter(|node| weight(&node.name) < own).nth(WATCHERS - 1).is_none()
    }
}

/// Every named port with where it stands: direction, rule, place of the rule and of the port.
fn named_ports(policy: &NetworkPolicy) -> impl Iterator<Item = (Direction, &Rule, usize, usize, &Arc<str>)> {
    Direction::BOTH.into_iter().flat_map(move |direction| {
        let rules = policy.rules(direction).unwrap_or_default().iter().enumerate();
        rules.flat_map(move |(r, rule)| {
            rule.ports.iter().enumerate().filter_map(move |(p, port)| match &port.port {
                PortMatch::Named(name) => Some((direction, rule, r, p, name)),
                _ => None,
            })
        })
    })
}

fn unmet(cluster: &Cluster, policy: &NetworkPolicy) -> Vec<Unmet> {
    let mut namespaces = BTreeMap::new();
    let mut found = Vec::new();
    for (direction, rule, r, p, name) in named_ports(policy) {
        let protocol = rule.ports[p].protocol;
        let mut is_destination = |pod: &Pod| match direction {
            Direction::Ingress => {
                pod.key.namespace == policy.key.namespace && policy.pod_selector.matches(&pod.labels)
            }
            Direction::Egress => {
                rule.peers.is_empty()
                    || rule.peers.iter().any(|peer| selects(cluster, policy, peer, pod, &mut namespaces))
            }
        };
        let destinations = cluster.pods().filter(|pod| pod.is_policed() && is_destination(pod));
        let mut count = 0;
        let has_it =
            destinations.inspect(|_| count += 1).any(|pod| pod.resolve_port(name, protocol).next().is_some());
        if has_it || count == 0 {
            continue;
        }
        let whose = match direction {
            Direction::Ingress => "none of the pods that the policy selects",
            Direction::Egress => "none of the pods that the rule is about",
        };
        let note = format!(
            "spec.{direction}[{r}].ports[{p}]: {whose} has a {} port called {name:?}: this entry allows nothing",
            protocol.name()
        );
        found.push(Unmet { policy: policy.key.clone(), note });
    }
    found
}

/// Whether a peer may be this pod. `namespaces` remembers, for one policy, which namespaces a peer's selector matches.
fn selects(
    cluster: &Cluster,
    policy: &NetworkPolicy,
    peer: &Peer,
    pod: &Pod,
    namespaces: &mut BTreeMap<(*const Peer, Arc<str>), bool>,
) -> bool {
    match peer {
        Peer::Pods { namespaces: None, pods } => {
            pod.key.namespace == policy.key.namespace && pods.matches(&pod.labels)
        }
        Peer::Pods { namespaces: Some(selector), pods } => {
            let key = (std::ptr::from_ref::<Peer>(peer), pod.key.namespace.clone());
            let namespace = &pod.key.namespace;
            let is_in = *namespaces
                .entry(key)
                .or_insert_with(|| selector.matches(&cluster.namespace_labels(namespace)));
            is_in && pods.matches(&pod.labels)
        }
        Peer::IpBlock { cidr, .. } => pod.ips.iter().any(|ip| cidr.contains(ip)),
    }
}

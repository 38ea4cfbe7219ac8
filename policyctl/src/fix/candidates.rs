//! Changes that let something pass, the least ones first.

use super::{
    End, Wanted,
    edit::{Action, Edit},
    peers::{entries_of, labels_of, peers_of, selector_of},
};
use crate::{
    connect::{self, Party},
    manifest,
    places::rule_field,
};
use policy_model::{
    cluster::Cluster,
    field::FieldPath,
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy, Rule},
};

/// How many policies of a pod are tried.
const TRIED: usize = 8;

/// Candidates for the first side that does not let everything pass: more in a rule, a rule more, a new policy.
pub(super) fn allowing(cluster: &Cluster, wanted: &Wanted) -> Vec<Edit> {
    let [source, destination] = wanted.parties(cluster);
    let sides = [
        (Direction::Egress, &source, &destination, &wanted.destination),
        (Direction::Ingress, &destination, &source, &wanted.source),
    ];
    for (direction, subject, other, end) in sides {
        let passes = connect::side(cluster, subject, other, direction);
        if wanted.ports.difference(&passes).is_empty() {
            continue;
        }
        // Several pods at one address are judged each for itself.
        let denies = |pod: &&&Pod| {
            let alone = connect::side(cluster, &subject.alone(pod), other, direction);
            !wanted.ports.difference(&alone).is_empty()
        };
        let Some(pod) = subject.pods.iter().find(denies) else { continue };
        return Side { cluster, wanted, direction, pod, other, end }.candidates();
    }
    Vec::new()
}

struct Side<'a> {
    cluster: &'a Cluster,
    wanted: &'a Wanted,
    direction: Direction,
    /// The pod whose policies do not let it pass.
    pod: &'a Pod,
    other: &'a Party<'a>,
    end: &'a End,
}

impl Side<'_> {
    fn candidates(&self) -> Vec<Edit> {
        let mut policies: Vec<_> = self.cluster.isolating_policies(self.pod, self.direction).collect();
        // A policy of few pods is the better place: a change of it moves less, now and later.
        policies.sort_by_cached_key(|policy| self.selected(policy));
        policies.truncate(TRIED);
        let mut edits = Vec::new();
        for policy in &policies {
            let rules = policy.rules(self.direction).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                edits.extend(self.peer_in(policy, index, rule));
                edits.extend(self.ports_in(policy, index, rule));
            }
        }
        edits.extend(policies.iter().filter_map(|policy| self.rule_in(policy)));
        edits.extend(self.new_policy());
        edits
    }

    fn selected(&self, policy: &NetworkPolicy) -> usize {
        let pods = self.cluster.pods().filter(|pod| pod.key.namespace == policy.key.namespace);
        pods.filter(|pod| policy.pod_selector.matches(&pod.labels)).count()
    }

    /// A peer more, in a rule that has the ports.
    fn peer_in(&self, policy: &NetworkPolicy, index: usize, rule: &Rule) -> Option<Edit> {
        let ports = connect::ports_between(rule, self.direction, self.pod, self.other);
        let peers = peers_of(self.cluster, self.end, &policy.key.namespace);
        if rule.peers.is_empty() || peers.is_empty() || !self.wanted.ports.difference(&ports).is_empty() {
            return None;
        }
        let mut changed = rule.clone();
        changed.peers.extend(peers.iter().cloned());
        let field = rule_field(self.direction, index).field(self.direction.peers_field());
        let value = peers.iter().map(manifest::peer).collect();
        self.edit(policy, index, changed, Action::Add, field, value)
    }

    /// Ports more, in a rule that has the peer.
    fn ports_in(&self, policy: &NetworkPolicy, index: usize, rule: &Rule) -> Option<Edit> {
        let is_peer = |peer| connect::is_peer(self.cluster, &policy.key, peer, self.other);
        let entries = entries_of(&self.wanted.ports).filter(|entries| !entries.is_empty())?;
        if rule.ports.is_empty() || !(rule.peers.is_empty() || rule.peers.iter().any(is_peer)) {
            return None;
        }
        let mut changed = rule.clone();
        changed.ports.extend(entries.iter().cloned());
        let field = rule_field(self.direction, index).field("ports");
        let value = entries.iter().map(manifest::port).collect();
        self.edit(policy, index, changed, Action::Add, field, value)
    }

    fn rule_in(&self, policy: &NetworkPolicy) -> Option<Edit> {
        let rule = self.rule(policy)?;
        let field = FieldPath::root().field("spec").field(self.direction.name());
        let value = serde_json::Value::from(vec![manifest::rule(&rule, self.direction)]);
        let mut after = policy.clone();
        rules_mut(&mut after, self.direction)?.push(rule);
        Some(Edit { policy: policy.key.clone(), action: Action::Add, field, value, after })
    }

    fn rule(&self, policy: &NetworkPolicy) -> Option<Rule> {
        let peers = peers_of(self.cluster, self.end, &policy.key.namespace);
        let ports = entries_of(&self.wanted.ports).or_else(|| self.wanted.ports.other.then(Vec::new))?;
        (!peers.is_empty()).then_some(Rule { peers, ports })
    }

    fn new_policy(&self) -> Option<Edit> {
        let namespace = self.pod.key.namespace.clone();
        let name = free_name(self.cluster, self.pod, self.direction, self.other);
        let key = ObjectKey { namespace, name: name.into() };
        let pod_selector = selector_of(&labels_of(self.cluster, self.pod));
        let mut after = NetworkPolicy { key, pod_selector, ingress: None, egress: None };
        let rules = Some(vec![self.rule(&after)?]);
        match self.direction {
            Direction::Ingress => after.ingress = rules,
            Direction::Egress => after.egress = rules,
        }
        Some(created(after))
    }

    fn edit(
        &self,
        policy: &NetworkPolicy,
        index: usize,
        rule: Rule,
        action: Action,
        field: FieldPath,
        value: serde_json::Value,
    ) -> Option<Edit> {
        let mut after = policy.clone();
        *rules_mut(&mut after, self.direction)?.get_mut(index)? = rule;
        Some(Edit { policy: policy.key.clone(), action, field, value, after })
    }
}

/// A policy that was not there.
pub(super) fn created(policy: NetworkPolicy) -> Edit {
    Edit {
        policy: policy.key.clone(),
        action: Action::Create,
        field: FieldPath::root(),
        value: manifest::policy(&policy),
        after: policy,
    }
}

pub(super) fn rules_mut(policy: &mut NetworkPolicy, direction: Direction) -> Option<&mut Vec<Rule>> {
    match direction {
        Direction::Ingress => policy.ingress.as_mut(),
        Direction::Egress => policy.egress.as_mut(),
    }
}

/// A name for a policy that no policy of the namespace has: `db-from-front`, `front-to-192.0.2.1`.
pub(super) fn free_name(cluster: &Cluster, pod: &Pod, direction: Direction, other: &Party<'_>) -> String {
    let word = if direction == Direction::Ingress { "from" } else { "to" };
    let of_pod = |pod: &Pod| match &pod.owner {
        Some(owner) if &*owner.kind != "Node" => owner.name.to_string(),
        _ => pod.key.name.to_string(),
    };
    let other = match (&other.pods[..], other.address) {
        ([pod, ..], _) => of_pod(pod),
        ([], Some(address)) => address.to_string().replace(':', "-"),
        ([], None) => "outside".to_owned(),
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let base: String =
        format!("{}-{word}-{other}", of_pod(pod)).chars().filter(|c| is_name(*c)).take(200).collect();
    let base = base.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let is_free = |name: &str| cluster.policy(&ObjectKey::new(pod.key.namespace.clone(), name)).is_none();
    let numbered = (2u32..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| is_free(name)).unwrap_or(base)
}

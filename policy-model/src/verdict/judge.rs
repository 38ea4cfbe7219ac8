//! How a flow is judged: isolation, rules, peers, ports, in the order in which the API describes them.

use super::{
    Entry, Exemption, Failure, Flow, Mismatch, NearMiss, RuleRef, Side, Verdict,
    mismatch::Unmet,
    party::{Party, resolve},
};
use crate::{
    cluster::Cluster,
    object::{ObjectKey, Pod, Protocol},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::Selector,
};

impl Cluster {
    /// Whether a flow may pass, and why.
    #[must_use]
    pub fn verdict(&self, flow: &Flow) -> Verdict {
        let [source, destination] = resolve(self, flow);
        let exemption = match () {
            () if source.is_same_pod(&destination) => Some(Exemption::SelfTraffic),
            () if source.is_own_node_of(&destination, self) => Some(Exemption::OwnNode),
            () => None,
        };
        let side = |direction| {
            let (subject, other) = match direction {
                Direction::Egress => (&source, &destination),
                Direction::Ingress => (&destination, &source),
            };
            let side = Question { cluster: self, direction, other, flow }.judge(subject);
            if exemption.is_some() { side.exempted() } else { side }
        };
        let (egress, ingress) = (side(Direction::Egress), side(Direction::Ingress));
        Verdict { allowed: egress.allowed && ingress.allowed, egress, ingress, exemption }
    }

    /// The policies that select a pod in one direction, ordered by name. None for a pod that is not policed.
    pub fn isolating_policies<'a>(
        &'a self,
        pod: &'a Pod,
        direction: Direction,
    ) -> impl Iterator<Item = &'a NetworkPolicy> {
        self.policies_in(&pod.key.namespace).filter(move |policy| {
            pod.is_policed() && policy.rules(direction).is_some() && policy.pod_selector.matches(&pod.labels)
        })
    }
}

impl Side {
    /// A side that nothing isolates.
    fn open() -> Self {
        Self { allowed: true, ..Self::default() }
    }

    /// Allowed whatever its rules say.
    fn exempted(self) -> Self {
        Self { allowed: true, near_misses: Vec::new(), ..self }
    }

    /// The stricter of two, for pods that hold the same address.
    fn stricter(mut self, other: Self) -> Self {
        self.isolated |= other.isolated;
        self.allowed &= other.allowed;
        self.policies.extend(other.policies);
        self.policies.sort();
        self.policies.dedup();
        self.near_misses.extend(other.near_misses);
        self.allowed_by.extend(other.allowed_by);
        self.allowed_by.sort();
        self.allowed_by.dedup();
        if !self.allowed {
            self.allowed_by.clear();
        }
        self
    }
}

/// What one side is asked.
struct Question<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    /// The end that peers are compared with.
    other: &'a Party<'a>,
    flow: &'a Flow,
}

impl Question<'_> {
    /// An end that is no policed pod is not isolated; one that is several pods gets the strictest of their answers.
    fn judge(&self, subject: &Party<'_>) -> Side {
        subject.pods.iter().map(|pod| self.judge_pod(pod)).reduce(Side::stricter).unwrap_or_else(Side::open)
    }

    /// A pod that no policy selects allows everything; else it allows what some rule of some policy allows.
    fn judge_pod(&self, pod: &Pod) -> Side {
        let mut side = Side::default();
        for policy in self.cluster.isolating_policies(pod, self.direction) {
            side.isolated = true;
            side.policies.push(policy.key.clone());
            for (index, rule) in policy.rules(self.direction).unwrap_or_default().iter().enumerate() {
                match self.judge_rule(pod, policy, index, rule) {
                    Ok(allowing) => side.allowed_by.push(allowing),
                    Err(miss) => side.near_misses.push(miss),
                }
            }
        }
        side.allowed = !side.isolated || !side.allowed_by.is_empty();
        if side.allowed {
            side.near_misses.clear();
        }
        side
    }

    /// A rule allows what matches one of its peers *and* one of its ports; a list that is absent or empty matches all.
    fn judge_rule(
        &self,
        pod: &Pod,
        policy: &NetworkPolicy,
        index: usize,
        rule: &Rule,
    ) -> Result<RuleRef, NearMiss> {
        let peer = first_match(&rule.peers, |peer| self.match_peer(&policy.key, peer));
        let port = first_match(&rule.ports, |port| self.match_port(pod, port));
        let (policy, direction, rule) = (policy.key.clone(), self.direction, index);
        match (peer, port) {
            (Ok(peer), Ok(port)) => Ok(RuleRef { policy, direction, rule, peer, port }),
            (peer, port) => {
                let (matching_peer, peers) = split(peer);
                let (matching_port, ports) = split(port);
                let peers = peers.into_iter().map(|(i, m)| Failure { entry: Entry::Peer(i), mismatch: m });
                let ports = ports.into_iter().map(|(i, m)| Failure { entry: Entry::Port(i), mismatch: m });
                let failed = peers.chain(ports).collect();
                Err(NearMiss { policy, direction, rule, peer: matching_peer, port: matching_port, failed })
            }
        }
    }

    fn match_peer(&self, policy: &ObjectKey, peer: &Peer) -> Result<(), Mismatch> {
        match peer {
            Peer::Pods { namespaces, pods } => self.match_pods(policy, namespaces.as_ref(), pods),
            Peer::IpBlock { cidr, except } => {
                let Some(address) = self.other.address else {
                    return Err(Mismatch::NoAddress { cidr: *cidr });
                };
                if !cidr.contains(&address) {
                    return Err(Mismatch::OutsideBlock { cidr: *cidr, address });
                }
                match except.iter().find(|except| except.contains(&address)) {
                    Some(except) => Err(Mismatch::Excepted { cidr: *cidr, except: *except, address }),
                    None => Ok(()),
                }
            }
        }
    }

    /// Selectors match policed pods only, and an address that several of these hold only if they match all of them.
    fn match_pods(
        &self,
        policy: &ObjectKey,
        namespaces: Option<&Selector>,
        pods: &Selector,
    ) -> Result<(), Mismatch> {
        if self.other.pods.is_empty() {
            return Err(Mismatch::NotAPod {
                namespaces: namespaces.cloned(),
                pods: pods.clone(),
                address: self.other.address,
                named: self.other.named.clone(),
            });
        }
        self.other.pods.iter().try_for_each(|pod| {
            let namespace = &pod.key.namespace;
            match namespaces {
                None if *namespace != policy.namespace => {
                    let own = policy.namespace.clone();
                    return Err(Mismatch::OtherNamespace { pods: pods.clone(), own, pod: pod.key.clone() });
                }
                None => {}
                Some(selector) => {
                    let unmet = Unmet::of(selector, &self.cluster.namespace_labels(namespace));
                    if !unmet.is_empty() {
                        let (selector, namespace) = (selector.clone(), namespace.clone());
                        return Err(Mismatch::NamespaceLabels { selector, namespace, unmet });
                    }
                }
            }
            let unmet = Unmet::of(pods, &pod.labels);
            if unmet.is_empty() {
                return Ok(());
            }
            Err(Mismatch::PodLabels { selector: pods.clone(), pod: pod.key.clone(), unmet })
        })
    }

    /// A named port is what the destination calls so: the judged pod itself for ingress, the other end for egress. An
    /// address that several pods hold must have it on all of them.
    fn match_port(&self, pod: &Pod, port: &PolicyPort) -> Result<(), Mismatch> {
        let mismatch =
            || Mismatch::Port { has: port.clone(), protocol: self.flow.protocol, port: self.flow.port };
        if self.flow.protocol != port.protocol.number() {
            return Err(mismatch());
        }
        match (&port.port, self.flow.port) {
            (PortMatch::All, _) => Ok(()),
            (PortMatch::Range(lo, hi), Some(wanted)) if (lo..=hi).contains(&&wanted) => Ok(()),
            (PortMatch::Range(..), _) => Err(mismatch()),
            (PortMatch::Named(name), wanted) => match self.direction {
                Direction::Ingress => self.match_name(pod, name, port.protocol, wanted),
                Direction::Egress if self.other.pods.is_empty() => {
                    Err(Mismatch::NameOfNoPod { name: name.clone(), address: self.other.address })
                }
                Direction::Egress => self
                    .other
                    .pods
                    .iter()
                    .try_for_each(|pod| self.match_name(pod, name, port.protocol, wanted)),
            },
        }
    }

    fn match_name(
        &self,
        pod: &Pod,
        name: &std::sync::Arc<str>,
        protocol: Protocol,
        wanted: Option<u16>,
    ) -> Result<(), Mismatch> {
        let numbers: Vec<u16> = pod.resolve_port(name, protocol).collect();
        if wanted.is_some_and(|wanted| numbers.contains(&wanted)) {
            return Ok(());
        }
        let (name, pod) = (name.clone(), pod.key.clone());
        Err(Mismatch::NamedPort { name, protocol, pod, numbers, port: wanted })
    }
}

/// The index of the first entry that matches, `None` where there are no entries; or why each of them does not.
type Outcome = Result<Option<usize>, Vec<(usize, Mismatch)>>;

fn first_match<T>(entries: &[T], matches: impl Fn(&T) -> Result<(), Mismatch>) -> Outcome {
    let mut failed = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match matches(entry) {
            Ok(()) => return Ok(Some(index)),
            Err(mismatch) => failed.push((index, mismatch)),
        }
    }
    if entries.is_empty() { Ok(None) } else { Err(failed) }
}

fn split(outcome: Outcome) -> (Option<usize>, Vec<(usize, Mismatch)>) {
    match outcome {
        Ok(index) => (index, Vec::new()),
        Err(failed) => (None, failed),
    }
}

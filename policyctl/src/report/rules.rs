//! Which workloads each policy isolates, and which each rule covers: what explanations on the page are made of.

use crate::{
    input::{Snapshot, workload_name},
    lint::context::{Context, RuleAt, rules_of},
    matrix::classes::Kind,
};
use policy_model::{
    field::FieldPath,
    object::Pod,
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch},
    selector::Selector,
};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// A policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyFacts {
    /// `ns/name`.
    pub name: String,
    /// `file:line`, if it comes from a file.
    pub place: Option<String>,
    /// Rules of ingress and of egress.
    pub rules: [Vec<RuleFacts>; 2],
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleFacts {
    /// `ingress[0]`.
    pub name: String,
    /// `file:line`.
    pub place: Option<String>,
    /// Its peers in words; empty for everybody.
    pub peers: Vec<String>,
    /// Its ports in words.
    pub ports: String,
    /// The workloads of which some pod is a peer, by number; `None` for everybody.
    pub covers: Option<Vec<usize>>,
}

/// By workload: the policies that isolate it for ingress, for egress.
type IsolatedBy = Vec<[Vec<usize>; 2]>;

/// The facts of every policy, and which of them isolate each workload.
pub(super) fn facts(snapshot: &Snapshot, workloads: &HashMap<&str, usize>) -> (Vec<PolicyFacts>, IsolatedBy) {
    let pods: Vec<&Pod> = snapshot.cluster.pods().filter(|pod| !pod.terminal).collect();
    let kinds: Vec<Kind> = pods.iter().map(|pod| Kind::of(pod)).collect();
    let context = Context::new(snapshot, &pods, &kinds);
    let workload_of: Vec<usize> = pods
        .iter()
        .map(|pod| workloads.get(workload_name(pod).as_str()).copied().unwrap_or_default())
        .collect();
    let facts = Facts { context: &context, workload_of };
    let mut isolated_by: IsolatedBy = vec![Default::default(); workloads.len()];
    let mut policies = Vec::new();
    for (number, policy) in snapshot.cluster.policies().enumerate() {
        for direction in Direction::BOTH.into_iter().filter(|direction| policy.rules(*direction).is_some()) {
            for workload in facts.of_pods(context.selected(policy).iter().copied()) {
                isolated_by[workload][direction as usize].push(number);
            }
        }
        policies.push(facts.of_policy(policy));
    }
    (policies, isolated_by)
}

struct Facts<'a> {
    context: &'a Context<'a>,
    workload_of: Vec<usize>,
}

impl Facts<'_> {
    /// The workloads of pods that policies see.
    fn of_pods(&self, pods: impl Iterator<Item = usize>) -> BTreeSet<usize> {
        pods.filter(|pod| self.context.pods[*pod].is_policed()).map(|pod| self.workload_of[pod]).collect()
    }

    fn of_policy(&self, policy: &NetworkPolicy) -> PolicyFacts {
        let place = |field: &FieldPath| {
            let place = self.context.snapshot.place(&policy.key, field)?;
            Some(format!("{}:{}", place.file, place.line))
        };
        let of_direction = |direction: Direction| {
            let rules = rules_of(policy).filter(|rule| rule.direction == direction);
            rules.map(|rule| self.of_rule(rule, place(&rule.path()))).collect()
        };
        PolicyFacts {
            name: policy.key.to_string(),
            place: place(&FieldPath::root()),
            rules: Direction::BOTH.map(of_direction),
        }
    }

    fn of_rule(&self, at: RuleAt<'_>, place: Option<String>) -> RuleFacts {
        let covers =
            at.rule.peers.iter().flat_map(|peer| self.covered(at, peer)).collect::<BTreeSet<usize>>();
        RuleFacts {
            name: at.name(),
            place,
            peers: at.rule.peers.iter().map(peer_words).collect(),
            ports: port_words(&at.rule.ports),
            covers: (!at.rule.peers.is_empty()).then(|| covers.into_iter().collect()),
        }
    }

    fn covered(&self, at: RuleAt<'_>, peer: &Peer) -> BTreeSet<usize> {
        match (peer, self.context.peer_pods(&at.policy.key, peer)) {
            (_, Some(pods)) => self.of_pods(pods.iter().copied()),
            (Peer::IpBlock { cidr, except }, None) => {
                let cluster = &self.context.snapshot.cluster;
                let is_in = |pod: &Pod| {
                    crate::connect::pod_addresses(cluster, pod).iter().any(|address| {
                        cidr.contains(address) && !except.iter().any(|block| block.contains(address))
                    })
                };
                let pods = self.context.pods.iter().enumerate().filter(|(_, pod)| is_in(pod));
                pods.map(|(index, _)| self.workload_of[index]).collect()
            }
            (Peer::Pods { .. }, None) => BTreeSet::new(),
        }
    }
}

fn peer_words(peer: &Peer) -> String {
    let pods = |pods: &Selector| {
        if pods.is_everything() { "every pod".to_owned() } else { format!("pods with {pods}") }
    };
    match peer {
        Peer::Pods { namespaces: None, pods: selector } => {
            format!("{} of the same namespace", pods(selector))
        }
        Peer::Pods { namespaces: Some(namespaces), pods: selector } if namespaces.is_everything() => {
            format!("{} of any namespace", pods(selector))
        }
        Peer::Pods { namespaces: Some(namespaces), pods: selector } => {
            format!("{} of namespaces with {namespaces}", pods(selector))
        }
        Peer::IpBlock { cidr, except } if except.is_empty() => cidr.to_string(),
        Peer::IpBlock { cidr, except } => {
            let except: Vec<String> = except.iter().map(ToString::to_string).collect();
            format!("{cidr} except {}", except.join(", "))
        }
    }
}

fn port_words(ports: &[PolicyPort]) -> String {
    let word = |port: &PolicyPort| match &port.port {
        PortMatch::All => format!("all/{}", port.protocol),
        PortMatch::Range(lo, hi) if lo == hi => format!("{lo}/{}", port.protocol),
        PortMatch::Range(lo, hi) => format!("{lo}-{hi}/{}", port.protocol),
        PortMatch::Named(name) => format!("{name}/{}", port.protocol),
    };
    if ports.is_empty() {
        "every port".to_owned()
    } else {
        ports.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

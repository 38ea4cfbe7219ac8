//! Policies and parts of them back to YAML, for people to apply.

use ipnet::IpNet;
use policy_model::{
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use serde_json::{Map, Value, json};

/// A whole policy, as `kubectl apply` takes it.
#[must_use]
pub fn policy(policy: &NetworkPolicy) -> Value {
    let types: Vec<&str> = Direction::BOTH
        .into_iter()
        .filter(|direction| policy.rules(*direction).is_some())
        .map(|direction| match direction {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        })
        .collect();
    let mut spec = Map::new();
    spec.insert("podSelector".to_owned(), selector(&policy.pod_selector));
    spec.insert("policyTypes".to_owned(), json!(types));
    for direction in Direction::BOTH {
        if let Some(rules) = policy.rules(direction) {
            let rules = rules.iter().map(|item| rule(item, direction)).collect();
            spec.insert(direction.name().to_owned(), rules);
        }
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": &*policy.key.name, "namespace": &*policy.key.namespace },
        "spec": spec,
    })
}

/// One rule.
#[must_use]
pub fn rule(rule: &Rule, direction: Direction) -> Value {
    let mut fields = Map::new();
    if !rule.peers.is_empty() {
        fields.insert(direction.peers_field().to_owned(), rule.peers.iter().map(peer).collect());
    }
    if !rule.ports.is_empty() {
        fields.insert("ports".to_owned(), rule.ports.iter().map(port).collect());
    }
    fields.into()
}

/// One entry of `from` or `to`.
#[must_use]
pub fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Pods { namespaces: None, pods } => json!({ "podSelector": selector(pods) }),
        Peer::Pods { namespaces: Some(namespaces), pods } if pods.is_everything() => {
            json!({ "namespaceSelector": selector(namespaces) })
        }
        Peer::Pods { namespaces: Some(namespaces), pods } => {
            json!({ "namespaceSelector": selector(namespaces), "podSelector": selector(pods) })
        }
        Peer::IpBlock { cidr, except } if except.is_empty() => json!({ "ipBlock": { "cidr": cidr } }),
        Peer::IpBlock { cidr, except } => {
            let except: Vec<String> = except.iter().map(IpNet::to_string).collect();
            json!({ "ipBlock": { "cidr": cidr, "except": except } })
        }
    }
}

/// One entry of `ports`.
#[must_use]
pub fn port(port: &PolicyPort) -> Value {
    let protocol = port.protocol.name();
    match &port.port {
        PortMatch::All => json!({ "protocol": protocol }),
        PortMatch::Range(lo, hi) if lo == hi => json!({ "protocol": protocol, "port": lo }),
        PortMatch::Range(lo, hi) => json!({ "protocol": protocol, "port": lo, "endPort": hi }),
        PortMatch::Named(name) => json!({ "protocol": protocol, "port": &**name }),
    }
}

/// A label selector: one value of a key as `matchLabels`, where nothing else is said about the key.
#[must_use]
pub fn selector(selector: &Selector) -> Value {
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for requirement in selector.requirements() {
        let key = &**requirement.key();
        let (operator, values) = match requirement {
            Requirement::In(_, values) if values.len() == 1 && !labels.contains_key(key) => {
                labels.insert(key.to_owned(), json!(&*values[0]));
                continue;
            }
            Requirement::In(_, values) => ("In", Some(values)),
            Requirement::NotIn(_, values) => ("NotIn", Some(values)),
            Requirement::Exists(_) => ("Exists", None),
            Requirement::DoesNotExist(_) => ("DoesNotExist", None),
        };
        let mut expression = json!({ "key": key, "operator": operator });
        if let Some(values) = values {
            expression["values"] = values.iter().map(|value| json!(&**value)).collect();
        }
        expressions.push(expression);
    }
    let mut fields = Map::new();
    if !labels.is_empty() {
        fields.insert("matchLabels".to_owned(), labels.into());
    }
    if !expressions.is_empty() {
        fields.insert("matchExpressions".to_owned(), expressions.into());
    }
    fields.into()
}

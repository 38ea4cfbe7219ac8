//! `explain -o json`: section 6 of the design, with more beside it that a program may ignore.

use super::{Answer, Asked, Explanation, Pair, Ports, Side};
use crate::{
    endpoint::{Endpoint, Transport},
    input::Snapshot,
    matrix::Connections,
    places::rule_field,
};
use policy_model::{
    policy::Direction,
    verdict::{self, NearMiss, RuleRef},
};
use serde_json::{Value, json};

/// The explanation as a value, for JSON and YAML.
#[must_use]
pub fn json(snapshot: &Snapshot, explanation: &Explanation) -> Value {
    let Explanation { asked, sources, destinations, port, verdict, pairs, .. } = explanation;
    let (protocol, number) = match port {
        Some((transport, number)) => (Some(transport.name()), *number),
        None => (None, None),
    };
    let mut value = json!({
        "kind": "Explanation",
        "source": end(&asked.source, sources),
        "destination": end(&asked.target.endpoint, destinations),
        "protocol": protocol,
        "port": number,
        "verdict": verdict,
        "egress": side(snapshot, &explanation.egress),
        "ingress": side(snapshot, &explanation.ingress),
        "fix": explanation.fix.as_ref().map(|fix| fix.json()),
        "notes": explanation.notes,
    });
    if let Some(ports) = &explanation.ports {
        value["ports"] = ports_json(ports);
    }
    if pairs.len() > 1 {
        value["pairs"] = pairs.iter().map(pair_json).collect();
    }
    value
}

fn end(endpoint: &Endpoint, stands_for: &[String]) -> Value {
    json!({ "kind": kind(endpoint), "name": endpoint.to_string(), "standsFor": stands_for })
}

fn kind(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Pod(_) => "Pod",
        Endpoint::Workload { kind, .. } => kind.kind(),
        Endpoint::Service(_) => "Service",
        Endpoint::Selected { .. } => "Pods",
        Endpoint::Node(_) => "Node",
        Endpoint::Address(_) => "Address",
        Endpoint::Block(_) => "CIDR",
        Endpoint::Internet => "Internet",
    }
}

fn side(snapshot: &Snapshot, side: &Side) -> Value {
    let policies: Vec<_> = side.policies.iter().map(ToString::to_string).collect();
    let allowed_by: Vec<_> = side.allowed_by.iter().map(|rule| allowed_by(snapshot, rule)).collect();
    let near_misses: Vec<_> = side.near_misses.iter().map(|miss| near_miss(snapshot, miss)).collect();
    json!({
        "isolated": side.isolated,
        "policies": policies,
        "verdict": side.verdict,
        "allowedBy": allowed_by,
        "nearMisses": near_misses,
    })
}

fn allowed_by(snapshot: &Snapshot, rule: &RuleRef) -> Value {
    json!({
        "policy": rule.policy.to_string(),
        "rule": rule.rule_path(),
        "peer": rule.peer_path(),
        "port": rule.port_path(),
        "place": place(snapshot, &rule.policy, rule.direction, rule.rule),
    })
}

fn near_miss(snapshot: &Snapshot, miss: &NearMiss) -> Value {
    let failed = miss
        .failed
        .iter()
        .map(|failure| format!("{}: {}", failure.entry.path(miss.direction), failure.mismatch));
    json!({
        "policy": miss.policy.to_string(),
        "rule": miss.rule_path(),
        "failed": failed.collect::<Vec<_>>(),
        "place": place(snapshot, &miss.policy, miss.direction, miss.rule),
    })
}

fn place(
    snapshot: &Snapshot,
    policy: &policy_model::object::ObjectKey,
    direction: Direction,
    rule: usize,
) -> Option<String> {
    let location = snapshot.place(policy, &rule_field(direction, rule))?;
    Some(format!("{}:{}", location.file, location.line))
}

fn ports_json(ports: &Ports) -> Value {
    let parts = [
        (Answer::Allowed, &ports.allowed),
        (Answer::Mixed, &ports.mixed),
        (Answer::Unknown, &ports.unknown),
        (Answer::Denied, &ports.denied),
    ];
    let items = parts.into_iter().filter(|(_, set)| !set.is_empty());
    items
        .map(|(answer, set)| json!({ "verdict": answer, "connections": Connections::exactly(set) }))
        .collect()
}

fn pair_json(pair: &Pair) -> Value {
    let (protocol, port) = match pair.asked {
        Asked::One(transport, port, _) => (Some(transport), port),
        Asked::Many(_) => (None, None),
    };
    json!({
        "source": endpoint(&pair.source),
        "destination": endpoint(&pair.destination),
        "protocol": protocol.map(Transport::name),
        "port": port,
        "verdict": pair.verdict,
    })
}

fn endpoint(endpoint: &verdict::Endpoint) -> Value {
    match endpoint {
        verdict::Endpoint::Pod { key, address } => json!({ "pod": key.to_string(), "address": address }),
        verdict::Endpoint::Address(address) => json!({ "address": address }),
    }
}

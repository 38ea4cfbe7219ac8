//! P006: names of ports that no destination has.

use crate::lint::{
    Code, Finding,
    context::{Context, RuleAt, listed},
};
use policy_model::{
    manifest::nearest,
    object::{NamedPort, Protocol},
    policy::{Direction, PortMatch},
};
use std::collections::BTreeSet;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    context.rules().flat_map(|rule| of_rule(context, rule)).collect()
}

fn of_rule(context: &Context<'_>, rule: RuleAt<'_>) -> Vec<Finding> {
    let named: Vec<(usize, Protocol, &str)> = rule
        .rule
        .ports
        .iter()
        .enumerate()
        .filter_map(|(index, port)| match &port.port {
            PortMatch::Named(name) => Some((index, port.protocol, &**name)),
            _ => None,
        })
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let destinations = destinations(context, rule);
    // What selects nothing is said of the selector.
    if destinations.is_empty() {
        return Vec::new();
    }
    let ports: BTreeSet<&NamedPort> = destinations.iter().flat_map(|pod| &context.pods[*pod].ports).collect();
    let is_unknown = |(_, protocol, name): &(usize, Protocol, &str)| {
        !ports.iter().any(|port| port.protocol == *protocol && &*port.name == *name)
    };
    let finding = |(index, protocol, name): (usize, Protocol, &str)| {
        let path = rule.path().field("ports").index(index);
        let whose = match rule.direction {
            Direction::Ingress => "selected pods",
            Direction::Egress => "pods that the rule leads to",
        };
        let message =
            format!("none of the {whose} has a port called {name} ({protocol}), so the entry allows nothing");
        let same_name: Vec<String> = ports
            .iter()
            .filter(|port| &*port.name == name)
            .map(|port| format!("{name} is {}/{} there", port.port, port.protocol))
            .collect();
        let near =
            nearest(name, ports.iter().filter(|port| port.protocol == protocol).map(|port| &*port.name));
        let remedy = match (near, ports.is_empty()) {
            _ if !same_name.is_empty() => format!("{}: set protocol", listed(same_name)),
            (Some(near), _) => format!("did you mean {near}?"),
            (None, true) => "these pods give no port a name; use the number".to_owned(),
            (None, false) => {
                let known =
                    ports.iter().map(|port| format!("{} ({}/{})", port.name, port.port, port.protocol));
                format!("the names there are {}", listed(known))
            }
        };
        context.finding(Code::P006, &rule.policy.key, &path, message, remedy)
    };
    named.into_iter().filter(is_unknown).map(finding).collect()
}

/// The pods on which names of a rule are looked up.
fn destinations(context: &Context<'_>, rule: RuleAt<'_>) -> Vec<usize> {
    let is_policed = |pod: &usize| context.pods[*pod].is_policed();
    match rule.direction {
        Direction::Ingress => context.selected(rule.policy).iter().copied().filter(is_policed).collect(),
        Direction::Egress if rule.rule.peers.is_empty() => {
            (0..context.pods.len()).filter(is_policed).collect()
        }
        Direction::Egress => {
            let peers = rule.rule.peers.iter().filter_map(|peer| context.peer_pods(&rule.policy.key, peer));
            peers.flat_map(|pods| pods.to_vec()).filter(is_policed).collect()
        }
    }
}

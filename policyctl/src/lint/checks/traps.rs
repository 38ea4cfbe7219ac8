//! P012, P013, P019: what reads otherwise than it is meant.

use crate::{
    lint::{
        Code, Finding,
        context::{Context, RuleAt},
    },
    matrix::selection::Scope,
};
use policy_model::{
    field::FieldPath,
    policy::{Direction, NetworkPolicy, Peer},
};

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let of_rules = context.rules().flat_map(|rule| {
        let lists = empty_lists(context, rule);
        lists.into_iter().chain(split_peers(context, rule))
    });
    of_rules.chain(context.policies().flat_map(|policy| missing_types(context, policy))).collect()
}

fn empty_lists(context: &Context<'_>, rule: RuleAt<'_>) -> Vec<Finding> {
    let peers = rule.direction.peers_field();
    let who = match rule.direction {
        Direction::Ingress => "from everybody, external addresses included",
        Direction::Egress => "to everybody, external addresses included",
    };
    let lists = [
        (peers, rule.rule.peers.is_empty(), who),
        ("ports", rule.rule.ports.is_empty(), "on every protocol and port"),
    ];
    let policy = &rule.policy.key;
    let is_written = |(field, is_empty, _): &(&str, bool, &str)| {
        *is_empty && context.snapshot.has_field(policy, &rule.path().field((*field).to_owned()))
    };
    let finding = |(field, _, meaning): (&str, bool, &str)| {
        let message = format!("{}.{field} is empty, which means: {meaning}", rule.name());
        let path = rule.path().field(field.to_owned());
        let remedy = format!("to allow nothing, leave {} out; to allow this, leave {field} out", rule.name());
        context.finding(Code::P012, policy, &path, message, remedy)
    };
    lists.into_iter().filter(is_written).map(finding).collect()
}

/// An entry with a namespaceSelector alone, and next to it one with a podSelector alone that fits its pods.
fn split_peers(context: &Context<'_>, rule: RuleAt<'_>) -> Vec<Finding> {
    let policy = &rule.policy.key;
    let neighbours = rule.rule.peers.windows(2).enumerate();
    neighbours
        .filter_map(|(index, pair)| {
            let (namespaces, pods) = match pair {
                [
                    Peer::Pods { namespaces: Some(namespaces), pods: any },
                    Peer::Pods { namespaces: None, pods },
                ]
                | [
                    Peer::Pods { namespaces: None, pods },
                    Peer::Pods { namespaces: Some(namespaces), pods: any },
                ] if any.is_everything() && !namespaces.is_everything() && !pods.is_everything() => (namespaces, pods),
                _ => return None,
            };
            let both = context.matching(Scope::Labelled(namespaces.clone()), pods);
            // Pods with such labels in those namespaces: then both together say something.
            if both.is_empty() && !context.pods.is_empty() {
                return None;
            }
            let message = format!(
                "two entries: every pod of a namespace with {namespaces}, or a pod of {} with {pods}",
                policy.namespace
            );
            let remedy = format!(
                "if pods with {pods} in these namespaces were meant, make it one entry: take away the dash in front of the second selector"
            );
            Some(context.finding(Code::P013, policy, &rule.peer_path(index), message, remedy))
        })
        .collect()
}

fn missing_types(context: &Context<'_>, policy: &NetworkPolicy) -> Vec<Finding> {
    let is_left_out = |direction: &Direction| {
        let first = crate::places::rule_field(*direction, 0);
        policy.rules(*direction).is_none() && context.snapshot.has_field(&policy.key, &first)
    };
    let finding = |direction: Direction| {
        let path = FieldPath::root().field("spec").field(direction.name());
        let message = format!(
            "there are {direction} rules, but policyTypes leaves {direction} out: they have no effect, and nothing is isolated for {direction}"
        );
        let name = match direction {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        };
        let remedy = format!("add {name} to policyTypes, or delete spec.{direction}");
        context.finding(Code::P019, &policy.key, &path, message, remedy)
    };
    Direction::BOTH.into_iter().filter(is_left_out).map(finding).collect()
}

//! The programs in force as JSON: whose they are, their steps in nft's words, and the sizes of their sets.

use compiler::{
    Compiler,
    ir::{Chain, Family, Statement, Table},
    text,
};
use policy_model::policy::Direction;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `{"revision":…,"pods":[…],"programs":[…]}`.
#[must_use]
pub fn programs(compiler: &Compiler, revision: u64) -> Value {
    let pods = compiler.local_pods();
    let mut users: BTreeMap<(&str, &'static str), Vec<String>> = BTreeMap::new();
    for pod in &pods {
        for (direction, program) in Direction::BOTH.into_iter().zip(&pod.programs) {
            if let Some(program) = program {
                users.entry((program, direction.name())).or_default().push(pod.key.to_string());
            }
        }
    }
    let table = compiler.ruleset().tables.get(&Family::Inet);
    let programs: Vec<Value> = users
        .iter()
        .map(|((name, direction), pods)| {
            let chains = table.map(|table| chains(table, name)).unwrap_or_default();
            json!({
                "name": name,
                "direction": direction,
                "pods": pods,
                "chains": chains.iter().map(|(name, chain)| steps(name, chain)).collect::<Vec<_>>(),
                "sets": table.map(|table| sets(table, &chains)).unwrap_or_default(),
            })
        })
        .collect();
    let pods: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let [ingress, egress] = &pod.programs;
            let policies: Vec<String> = pod.policies.iter().map(ToString::to_string).collect();
            json!({
                "pod": pod.key.to_string(),
                "addresses": pod.addresses,
                "ingress": ingress.as_deref(),
                "egress": egress.as_deref(),
                "policies": policies,
            })
        })
        .collect();
    json!({ "kind": "Programs", "revision": revision, "pods": pods, "programs": programs })
}

/// A program's chains: one each family and orientation, `in-1-o4` of `in-1`.
fn chains<'a>(table: &'a Table, program: &str) -> Vec<(&'a str, &'a Chain)> {
    let of_program = |name: &str| name.strip_prefix(program).is_some_and(|rest| rest.starts_with('-'));
    table.chains.iter().filter(|(name, _)| of_program(name)).map(|(name, chain)| (&**name, chain)).collect()
}

fn steps(name: &str, chain: &Chain) -> Value {
    let steps: Vec<String> = chain.rules.iter().map(|rule| text::rule(Family::Inet, rule)).collect();
    json!({ "name": name, "steps": steps })
}

fn sets(table: &Table, chains: &[(&str, &Chain)]) -> Vec<Value> {
    let statements = chains.iter().flat_map(|(_, chain)| &chain.rules).flat_map(|rule| &rule.statements);
    let used: BTreeSet<_> = statements
        .filter_map(|statement| match statement {
            Statement::Lookup { set, .. } | Statement::VerdictMap(_, set) => Some(set),
            _ => None,
        })
        .collect();
    let size = |name: &&std::sync::Arc<str>| table.sets.get(*name).map_or(0, |set| set.elements.len());
    used.iter().map(|name| json!({ "name": &***name, "elements": size(name) })).collect()
}

//! What there is: policies and whom they select, pods with their isolation and the programs that judge them, by node.

use super::{Agent, Agents, LiveError};
use crate::{
    input::Snapshot,
    style::{Style, Tone},
};
use compiler::readback::ReadbackPod;
use policy_model::{
    object::{ObjectKey, Pod},
    policy::{Direction, NetworkPolicy},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};

/// What a node says of its programs (`/v1/programs`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Programs {
    /// Number of its ruleset.
    pub revision: u64,
    /// Its pods with their programs.
    pub pods: Vec<ReadbackPod>,
}

impl Agents {
    /// The programs of some nodes, in the order in which they are given.
    pub fn programs(&self, of: &[&Agent], done: impl FnMut()) -> Vec<Result<Programs, LiveError>> {
        self.ask(of, "/v1/programs", done)
    }
}

/// The listing.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Policies by name.
    pub policies: Vec<PolicyRow>,
    /// Pods by node and name.
    pub pods: Vec<PodRow>,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct PolicyRow {
    /// Its name.
    pub policy: ObjectKey,
    /// Directions in which it isolates.
    pub directions: Vec<Direction>,
    /// How many pods it selects.
    pub pods: usize,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodRow {
    /// Its node; empty before it is bound.
    pub node: String,
    /// Its name.
    pub pod: ObjectKey,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// For what it receives, then for what it sends.
    pub sides: [Side; 2],
}

/// One direction of a pod.
#[derive(Clone, Debug)]
pub struct Side {
    /// The policies that isolate it; none = everything is allowed.
    pub policies: Vec<ObjectKey>,
    /// The program in force; `None` where none is, or where the node was not asked.
    pub program: Option<String>,
}

impl Listing {
    /// Of a state, and of the programs that nodes have told. With a namespace, of that alone; with a node, of its pods alone.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        programs: &BTreeMap<String, Programs>,
        namespace: Option<&str>,
        node: Option<&str>,
    ) -> Self {
        let cluster = &snapshot.cluster;
        let shown = |key: &ObjectKey| namespace.is_none_or(|namespace| *key.namespace == *namespace);
        let selects = |policy: &NetworkPolicy, pod: &Pod| {
            policy.key.namespace == pod.key.namespace && policy.pod_selector.matches(&pod.labels)
        };
        let policed: Vec<&Pod> = cluster.pods().filter(|pod| pod.is_policed() && shown(&pod.key)).collect();
        let policies = cluster.policies().filter(|policy| shown(&policy.key)).map(|policy| PolicyRow {
            policy: policy.key.clone(),
            directions: Direction::BOTH.into_iter().filter(|d| policy.rules(*d).is_some()).collect(),
            pods: policed.iter().filter(|pod| selects(policy, pod)).count(),
        });
        let told: BTreeMap<&str, &ReadbackPod> =
            programs.values().flat_map(|node| &node.pods).map(|pod| (&*pod.pod, pod)).collect();
        let side = |pod: &Pod, direction: Direction| {
            let isolating = cluster.policies_in(&pod.key.namespace);
            let isolating =
                isolating.filter(|policy| policy.rules(direction).is_some() && selects(policy, pod));
            let mut policies: Vec<_> = isolating.map(|policy| policy.key.clone()).collect();
            policies.sort();
            let program = told.get(&*pod.key.to_string()).and_then(|told| match direction {
                Direction::Ingress => told.ingress.clone(),
                Direction::Egress => told.egress.clone(),
            });
            Side { policies, program }
        };
        let on_node = |pod: &&&Pod| node.is_none_or(|node| pod.node.as_deref() == Some(node));
        let pods = policed.iter().filter(on_node).map(|pod| PodRow {
            node: pod.node.as_deref().unwrap_or_default().to_owned(),
            pod: pod.key.clone(),
            addresses: pod.ips.to_vec(),
            sides: Direction::BOTH.map(|direction| side(pod, direction)),
        });
        let mut listing = Self { policies: policies.collect(), pods: pods.collect() };
        listing.policies.sort_by(|a, b| a.policy.cmp(&b.policy));
        listing.pods.sort_by(|a, b| (&a.node, &a.pod).cmp(&(&b.node, &b.pod)));
        listing
    }
}

/// For people: two tables.
#[must_use]
pub fn text(listing: &Listing, style: Style) -> String {
    let policies = listing.policies.iter().map(|row| {
        let directions: Vec<_> = row.directions.iter().map(|direction| direction.name()).collect();
        vec![row.policy.to_string(), directions.join(","), row.pods.to_string()]
    });
    let pods = listing.pods.iter().map(|row| {
        let addresses: Vec<_> = row.addresses.iter().map(ToString::to_string).collect();
        let [ingress, egress] = &row.sides;
        let node = if row.node.is_empty() { "-".to_owned() } else { row.node.clone() };
        let addresses = if addresses.is_empty() { "-".to_owned() } else { addresses.join(",") };
        vec![node, row.pod.to_string(), addresses, words(ingress), words(egress)]
    });
    let mut out = String::new();
    if !listing.policies.is_empty() {
        out += &columns(&["POLICY", "ISOLATES FOR", "PODS"], policies.collect(), style);
        out += "\n";
    }
    out += &columns(&["NODE", "POD", "ADDRESSES", "INGRESS", "EGRESS"], pods.collect(), style);
    let isolated =
        |side: usize| listing.pods.iter().filter(|row| !row.sides[side].policies.is_empty()).count();
    out += &format!(
        "{}, {}: {} isolated for ingress, {} for egress\n",
        counted(listing.policies.len(), "policy", "policies"),
        counted(listing.pods.len(), "pod", "pods"),
        isolated(0),
        isolated(1)
    );
    out
}

/// `–`, `2 policies`, `1 policy in-38`.
fn words(side: &Side) -> String {
    if side.policies.is_empty() {
        return "–".to_owned();
    }
    let policies = counted(side.policies.len(), "policy", "policies");
    match &side.program {
        Some(program) => format!("{policies} {program}"),
        None => policies,
    }
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Columns from the left as long as they fit.
fn columns(heads: &[&str], rows: Vec<Vec<String>>, style: Style) -> String {
    const GAP: usize = 2;
    let length = |text: &str| text.chars().count();
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| rows.iter().map(|row| length(&row[at])).max().unwrap_or(0).max(length(head)))
        .collect();
    let mut shown = 0;
    let mut total = 0;
    for width in &widths {
        total += width + GAP;
        if shown > 1 && total - GAP > style.width {
            break;
        }
        shown += 1;
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).take(shown).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let head = line(heads.to_vec());
    let mut out = style.paint(Tone::Faint, head.trim_end()) + "\n";
    rows.iter().for_each(|row| out += &line(row.iter().map(String::as_str).collect()));
    out
}

/// For programs.
#[must_use]
pub fn json(listing: &Listing, programs: &BTreeMap<String, Programs>) -> Value {
    let names = |keys: &[ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let side = |side: &Side| {
        json!({
            "isolated": !side.policies.is_empty(),
            "policies": names(&side.policies),
            "program": side.program,
        })
    };
    let policy = |row: &PolicyRow| {
        let directions: Vec<_> = row.directions.iter().map(|direction| direction.name()).collect();
        json!({ "policy": row.policy.to_string(), "directions": directions, "pods": row.pods })
    };
    let pod = |row: &PodRow| {
        json!({
            "node": row.node,
            "pod": row.pod.to_string(),
            "addresses": row.addresses,
            "ingress": side(&row.sides[0]),
            "egress": side(&row.sides[1]),
        })
    };
    let nodes = programs.iter().map(|(node, told)| json!({ "node": node, "revision": told.revision }));
    json!({
        "kind": "Listing",
        "policies": listing.policies.iter().map(policy).collect::<Vec<_>>(),
        "pods": listing.pods.iter().map(pod).collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

//! Proofs for people and for programs.

use super::{Finding, Proof};
use crate::{
    explain::wrapped,
    style::{Style, Tone},
};
use compiler::skeleton::Orientation;
use serde_json::{Value, json};

/// A node's proof as text: one line if it holds, else what differs.
#[must_use]
pub fn text(proof: &Proof, style: Style) -> String {
    let Proof { node, revision, pods, reaches, elements, rules, drift, findings, notes } = proof;
    let pods = if *pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
    let counts =
        format!("revision {revision}: {pods}, {reaches} reaches from {elements} elements and {rules} rules");
    let mut out = match proof.holds() {
        true => format!("{}  {node}  {counts}\n", style.paint(Tone::Good, "equal  ")),
        false => format!("{}  {node}  {counts}\n", style.paint(Tone::Bad, "DIFFERS")),
    };
    for finding in findings {
        out += &self::finding(finding, style);
    }
    if *drift > 0 {
        let what = format!(
            "policyd itself sees that the kernel is {drift} operations from what it wants there: it repairs that by itself, or \
             says in its log why it cannot"
        );
        out += &wrapped("  Note  ", &what, style.width);
    }
    for note in notes {
        out += &wrapped("  Note  ", note, style.width);
    }
    out
}

fn finding(finding: &Finding, style: Style) -> String {
    let word = |allows: bool| match allows {
        true => style.paint(Tone::Good, "allowed"),
        false => style.paint(Tone::Bad, "denied"),
    };
    match finding {
        Finding::Reach { pod, direction, smallest, ranges } => {
            let more = if *ranges > 1 { format!("; {ranges} ranges differ") } else { String::new() };
            let answers = match smallest.orientation {
                Orientation::Original => "",
                Orientation::Reply => " (its answers)",
            };
            format!(
                "  {pod} ({})  {direction}  {}  {}{answers}: model {}, kernel {}{more}\n",
                smallest.own,
                smallest.peers,
                smallest.packets(),
                word(smallest.model_allows),
                word(!smallest.model_allows),
            )
        }
        Finding::Unclear { pod, address, direction, why } => {
            format!("  {pod} ({address})  {direction}: {why}\n")
        }
        Finding::Fixed { object, what } => wrapped("  ", &format!("{object}: {what}"), style.width),
        Finding::Stranger { map, address } => {
            format!("  map {map} has {address}, which is no local pod's address\n")
        }
    }
}

/// A node's proof for programs.
#[must_use]
pub fn json(proof: &Proof) -> Value {
    json!({
        "node": proof.node,
        "revision": proof.revision,
        "equal": proof.holds(),
        "pods": proof.pods,
        "reaches": proof.reaches,
        "elements": proof.elements,
        "rules": proof.rules,
        "drift": proof.drift,
        "differences": proof.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "notes": proof.notes,
    })
}

fn finding_json(finding: &Finding) -> Value {
    let word = |allows: bool| if allows { "Allowed" } else { "Denied" };
    match finding {
        Finding::Reach { pod, direction, smallest, ranges } => json!({
            "pod": pod.to_string(),
            "address": smallest.own,
            "direction": direction.name(),
            "packets": match smallest.orientation {
                Orientation::Original => "original",
                Orientation::Reply => "reply",
            },
            "peers": { "first": smallest.peers.lo, "last": smallest.peers.hi },
            "protocol": smallest.protocol.map_or("OTHER", |protocol| protocol.name()),
            "ports": smallest.protocol.map(|_| json!({ "first": smallest.ports.0, "last": smallest.ports.1 })),
            "model": word(smallest.model_allows),
            "kernel": word(!smallest.model_allows),
            "ranges": ranges,
        }),
        Finding::Unclear { pod, address, direction, why } => json!({
            "pod": pod.to_string(), "address": address, "direction": direction.name(), "why": why,
        }),
        Finding::Fixed { object, what } => json!({ "object": object, "why": what }),
        Finding::Stranger { map, address } => json!({
            "object": format!("map inet palisade {map}"), "address": address, "why": "it is no local pod's address",
        }),
    }
}

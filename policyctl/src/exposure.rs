//! What the outside reaches, what reaches the outside, and what nothing isolates.

use crate::{
    matrix::{Connections, End, Matrix, OpenSide, outside_words, ports_words},
    style::{Style, Tone},
};
use policy_model::{policy::Direction, portset::PortSet, reach::Reach};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The outside's part of a matrix.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// What addresses outside may send to each workload.
    pub from_outside: BTreeMap<String, Reach>,
    /// What each workload may send to addresses outside.
    pub to_outside: BTreeMap<String, Reach>,
    /// Workloads with a pod that nothing isolates, in a direction or both.
    pub open: Vec<OpenSide>,
}

/// Reads it off a matrix.
#[must_use]
pub fn exposure(matrix: &Matrix) -> Exposure {
    let mut ranges: [BTreeMap<String, Vec<_>>; 2] = Default::default();
    for row in matrix.rows() {
        let (direction, name, range) = match (row.source, row.destination) {
            (End::Outside(range), End::Inside(name)) => (Direction::Ingress, name, range),
            (End::Inside(name), End::Outside(range)) => (Direction::Egress, name, range),
            _ => continue,
        };
        let of_name = ranges[direction as usize].entry(name.to_string()).or_default();
        of_name.push((range.lo, range.hi, row.ports.clone()));
    }
    let [from_outside, to_outside] = ranges
        .map(|side| side.into_iter().map(|(name, ranges)| (name, ranges.into_iter().collect())).collect());
    Exposure { from_outside, to_outside, open: matrix.open_sides() }
}

impl Exposure {
    /// For people.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let sides = [
            ("Reached from outside", &self.from_outside, "nothing is reached from outside"),
            ("Reaching the outside", &self.to_outside, "nothing reaches the outside"),
        ];
        for (heading, reaches, none) in sides {
            text += &style.paint(Tone::Strong, heading);
            text += "\n";
            let rows: Vec<(&str, String, PortSet)> = reaches
                .iter()
                .flat_map(|(name, reach)| {
                    outside_words(reach).into_iter().map(move |(range, ports)| (name.as_str(), range, ports))
                })
                .collect();
            let name = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0);
            let range = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0);
            for (workload, addresses, ports) in &rows {
                text += &format!("  {workload:name$}  {addresses:range$}  {}\n", ports_words(ports));
            }
            if rows.is_empty() {
                text += &format!("  {none}\n");
            }
            text += "\n";
        }
        text += &style.paint(Tone::Strong, "Not isolated");
        text += "\n";
        let width = self.open.iter().map(|open| open.name.chars().count()).max().unwrap_or(0);
        for open in &self.open {
            text += &format!("  {:width$}  {}\n", open.name, open.words());
        }
        if self.open.is_empty() {
            text += "  every workload is isolated in both directions\n";
        }
        text
    }

    /// For programs: rows as in the matrix, neighbouring ranges with the same ports put together.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = |reaches: &BTreeMap<String, Reach>, direction| -> Vec<Value> {
            let all = reaches.iter().flat_map(|(name, reach)| reach.ranges().map(move |range| (name, range)));
            let row = |(name, (lo, hi, ports)): (&String, (std::net::IpAddr, std::net::IpAddr, &PortSet))| {
                let range = format!("{lo}-{hi}");
                let [source, destination] =
                    if direction == Direction::Ingress { [&range, name] } else { [name, &range] };
                json!({ "source": source, "destination": destination, "connections": Connections::of(ports) })
            };
            all.map(row).collect()
        };
        let open = self.open.iter().map(|open| {
            json!({
                "workload": open.name,
                "ingress": open.ingress,
                "egress": open.egress,
                "hostNetwork": open.host_network,
            })
        });
        json!({
            "kind": "Exposure",
            "fromOutside": rows(&self.from_outside, Direction::Ingress),
            "toOutside": rows(&self.to_outside, Direction::Egress),
            "notIsolated": open.collect::<Vec<_>>(),
        })
    }
}

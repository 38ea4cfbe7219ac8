//! The page: one file with its data, style and script in it. It asks nothing of any network, and says so to the browser.

use super::{
    data::{Cell, Outside, Report, Workload},
    graph::{self, Graph},
};
use crate::{lint::output, xml::escaped_text};
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The report as HTML.
#[must_use]
pub fn html(report: &Report) -> String {
    let graph = Graph::new(report);
    let parts = [
        ("title", escaped_text(&report.title)),
        ("style", STYLE.to_owned()),
        ("graph", graph::svg(&graph)),
        ("data", for_script(&data(report, &graph))),
        ("script", SCRIPT.to_owned()),
    ];
    // Cut at the marks once, so that nothing that is put in can be taken for a mark.
    let mut html = String::new();
    for (index, piece) in TEMPLATE.split("{{").enumerate() {
        match piece.split_once("}}") {
            Some((mark, rest)) if index > 0 => {
                let part = parts.iter().find(|(name, _)| *name == mark).map(|(_, part)| part.as_str());
                html += part.unwrap_or_default();
                html += rest;
            }
            _ => html += piece,
        }
    }
    html
}

/// JSON that cannot end the script element that it is in, whatever names and labels there are.
fn for_script(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn data(report: &Report, graph: &Graph<'_>) -> Value {
    let count = report.workloads.len();
    let workloads =
        report.workloads.iter().enumerate().map(|(index, workload)| self::workload(workload, graph, index));
    let rows = (0..count).map(|row| run_lengths(&report.cells[row * count..(row + 1) * count]));
    let [open, part, denied] = report.counts();
    json!({
        "kind": "Report",
        "version": env!("CARGO_PKG_VERSION"),
        "workloads": workloads.collect::<Vec<_>>(),
        "sets": (0..report.sets.len()).map(|set| report.words(set as Cell)).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
        "policies": report.policies,
        "findings": report.findings.iter().map(output::finding).collect::<Vec<_>>(),
        "counts": {
            "open": open, "part": part, "denied": denied,
            "namespaces": report.namespaces().len(),
            "components": graph.components,
            "exposed": graph.hops.iter().filter(|hops| **hops == Some(1)).count(),
        },
    })
}

fn workload(workload: &Workload, graph: &Graph<'_>, index: usize) -> Value {
    let outside =
        |ranges: &Outside| ranges.iter().map(|(range, set)| json!([range, set])).collect::<Vec<_>>();
    json!({
        "name": workload.name,
        "namespace": workload.namespace,
        "labels": workload.labels,
        "pods": workload.pods,
        "onHost": workload.on_host,
        "ingress": workload.isolated_by[0],
        "egress": workload.isolated_by[1],
        "fromOutside": outside(&workload.outside[0]),
        "toOutside": outside(&workload.outside[1]),
        "way": graph.hops[index].map(|_| graph.way(index)),
    })
}

/// `[value, how often, value, how often, …]`: rows of large matrices are long and even.
fn run_lengths(row: &[Cell]) -> Vec<u32> {
    row.chunk_by(|a, b| a == b).flat_map(|run| [run[0], run.len() as u32]).collect()
}

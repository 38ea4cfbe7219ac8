//! The page: one file with its data, style and script in it. It asks nothing of any network, and says so to the browser.

use super::{
    data::{Cell, Outside, Report, Workload},
    graph::{self, Graph},
    rules::PolicyFacts,
};
use crate::{lint::output, xml::escaped_text};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::io::{self, Write};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Writes the report as HTML.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let graph = Graph::new(report);
    // Cut at the marks once, so that nothing that is put in can be taken for a mark.
    for (index, piece) in TEMPLATE.split("{{").enumerate() {
        match piece.split_once("}}") {
            Some((mark, rest)) if index > 0 => {
                match mark {
                    "title" => out.write_all(escaped_text(&report.title).as_bytes())?,
                    "style" => out.write_all(STYLE.as_bytes())?,
                    "graph" => out.write_all(graph::svg(&graph).as_bytes())?,
                    "data" => serde_json::to_writer(InScript(&mut *out), &data(report, &graph))?,
                    "script" => out.write_all(SCRIPT.as_bytes())?,
                    _ => {}
                }
                out.write_all(rest.as_bytes())?;
            }
            _ => out.write_all(piece.as_bytes())?,
        }
    }
    Ok(())
}

/// Writes JSON that cannot end the script element that it is in, whatever names and labels there are.
struct InScript<'a>(&'a mut dyn Write);

/// What is escaped: what HTML knows, and the two ends of line that old scripts do not take in a string.
const IN_SCRIPT: [(&str, &str); 5] =
    [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];

impl Write for InScript<'_> {
    /// The writer of JSON never cuts a character in two.
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        let mut rest = json;
        let escape = |rest: &[u8]| IN_SCRIPT.iter().find(|(text, _)| rest.starts_with(text.as_bytes()));
        while let Some((at, (text, escaped))) =
            (0..rest.len()).find_map(|at| escape(&rest[at..]).map(|found| (at, found)))
        {
            self.0.write_all(&rest[..at])?;
            self.0.write_all(escaped.as_bytes())?;
            rest = &rest[at + text.len()..];
        }
        self.0.write_all(rest)?;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What the script works on.
#[derive(Serialize)]
struct Data<'a> {
    kind: &'static str,
    version: &'static str,
    workloads: Vec<WorkloadData<'a>>,
    /// The sets of ports in words.
    sets: Vec<String>,
    rows: Rows<'a>,
    policies: &'a [PolicyFacts],
    findings: Vec<Value>,
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    open: usize,
    part: usize,
    denied: usize,
    namespaces: usize,
    components: usize,
    exposed: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadData<'a> {
    name: &'a str,
    namespace: &'a str,
    labels: &'a str,
    pods: usize,
    on_host: bool,
    ingress: &'a [usize],
    egress: &'a [usize],
    from_outside: &'a Outside,
    to_outside: &'a Outside,
    way: Option<Vec<usize>>,
}

/// The rows of the matrix, each as `[value, how often, value, how often, …]`: those of large ones are long and even. Written
/// one by one, since all of them together are most of what a report has.
struct Rows<'a>(&'a Report);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // No workloads, no cells.
        let rows = self.0.cells.chunks_exact(self.0.workloads.len().max(1));
        let run_lengths = |row: &[Cell]| -> Vec<u32> {
            row.chunk_by(|a, b| a == b).flat_map(|run| [run[0], run.len() as u32]).collect()
        };
        serializer.collect_seq(rows.map(run_lengths))
    }
}

fn data<'a>(report: &'a Report, graph: &Graph<'_>) -> Data<'a> {
    let [open, part, denied] = report.counts();
    let workloads = report.workloads.iter().enumerate();
    Data {
        kind: "Report",
        version: env!("CARGO_PKG_VERSION"),
        workloads: workloads.map(|(index, workload)| self::workload(workload, graph, index)).collect(),
        sets: (0..report.sets.len()).map(|set| report.words(set as Cell)).collect(),
        rows: Rows(report),
        policies: &report.policies,
        findings: report.findings.iter().map(output::finding).collect(),
        counts: Counts {
            open,
            part,
            denied,
            namespaces: report.namespaces().len(),
            components: graph.components,
            exposed: graph.hops.iter().filter(|hops| **hops == Some(1)).count(),
        },
    }
}

fn workload<'a>(workload: &'a Workload, graph: &Graph<'_>, index: usize) -> WorkloadData<'a> {
    let [ingress, egress] = &workload.isolated_by;
    let [from_outside, to_outside] = &workload.outside;
    WorkloadData {
        name: &workload.name,
        namespace: &workload.namespace,
        labels: &workload.labels,
        pods: workload.pods,
        on_host: workload.on_host,
        ingress,
        egress,
        from_outside,
        to_outside,
        way: graph.hops[index].map(|_| graph.way(index)),
    }
}

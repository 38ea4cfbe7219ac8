//! A matrix as a graph: DOT for Graphviz, Mermaid for Markdown.

use super::{Matrix, table::words};
use std::{collections::BTreeMap, fmt::Write};

/// The nodes of a graph in the order of their first use, and its edges.
struct Graph {
    nodes: Vec<String>,
    edges: Vec<(usize, usize, String)>,
}

impl Graph {
    /// Every row that is shown is a node, whether anything reaches it or not; pairs that may talk both ways are two edges.
    fn of(matrix: &Matrix) -> Self {
        let mut nodes: Vec<String> =
            matrix.shown_nodes().map(|node| matrix.nodes[node].name.to_string()).collect();
        let mut known: BTreeMap<String, usize> =
            nodes.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let mut edges = Vec::new();
        for (source, destination, ports) in matrix.merged_rows() {
            let [source, destination] = [source, destination].map(|name| {
                *known.entry(name.clone()).or_insert_with(|| {
                    nodes.push(name);
                    nodes.len() - 1
                })
            });
            edges.push((source, destination, words(&ports)));
        }
        Self { nodes, edges }
    }
}

/// For `dot -Tsvg`.
#[must_use]
pub fn dot(matrix: &Matrix) -> String {
    let graph = Graph::of(matrix);
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text =
        "digraph matrix {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n".to_owned();
    for name in &graph.nodes {
        let outside = if name.contains('[') { "" } else { " [shape=ellipse]" };
        let _ = writeln!(text, "  {}{outside};", quoted(name));
    }
    for (source, destination, ports) in &graph.edges {
        let [source, destination] = [source, destination].map(|node| quoted(&graph.nodes[*node]));
        let _ = writeln!(text, "  {source} -> {destination} [label={}];", quoted(ports));
    }
    text + "}\n"
}

/// For a `mermaid` block of Markdown.
#[must_use]
pub fn mermaid(matrix: &Matrix) -> String {
    let graph = Graph::of(matrix);
    // Mermaid ends a label at a quote and knows entities.
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "#quot;"));
    let mut text = "flowchart LR\n".to_owned();
    for (index, name) in graph.nodes.iter().enumerate() {
        let (open, close) = if name.contains('[') { ("[", "]") } else { ("([", "])") };
        let _ = writeln!(text, "  n{index}{open}{}{close}", quoted(name));
    }
    for (source, destination, ports) in &graph.edges {
        let _ = writeln!(text, "  n{source} -->|{}| n{destination}", quoted(ports));
    }
    text
}

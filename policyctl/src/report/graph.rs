//! The graph of workloads: who may talk to whom, how far each is from the outside, and what hangs together.

use super::data::{EVERYTHING, NOTHING, Report};
use crate::xml::{escaped, escaped_text};
use petgraph::{
    algo::connected_components,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
};

/// Reachability from the outside.
pub struct Graph<'a> {
    report: &'a Report,
    /// By workload: over how many connections it can be reached from outside, if it can.
    pub hops: Vec<Option<usize>>,
    /// By workload: the one before it on a shortest way from outside; `None` where it is reached from outside itself.
    pub before: Vec<Option<usize>>,
    /// How many groups of workloads there are with nothing between them.
    pub components: usize,
}

/// The outside, as a node of the graph.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vertex {
    Outside,
    Workload(usize),
}

impl<'a> Graph<'a> {
    /// Looks at every pair that may talk.
    #[must_use]
    pub fn new(report: &'a Report) -> Self {
        let count = report.workloads.len();
        let mut inner: DiGraph<Vertex, ()> = DiGraph::new();
        let vertices: Vec<NodeIndex> =
            (0..count).map(|index| inner.add_node(Vertex::Workload(index))).collect();
        for (source, destination) in pairs(report) {
            inner.add_edge(vertices[source], vertices[destination], ());
        }
        let components = connected_components(&inner);
        let outside = inner.add_node(Vertex::Outside);
        for (index, workload) in report.workloads.iter().enumerate() {
            if !workload.outside[0].is_empty() {
                inner.add_edge(outside, vertices[index], ());
            }
        }
        let (hops, before) = from_outside(&inner, outside, count);
        Self { report, hops, before, components }
    }

    /// The way by which the outside comes to a workload in the fewest connections, from the first workload on.
    #[must_use]
    pub fn way(&self, workload: usize) -> Vec<usize> {
        let mut way = vec![workload];
        while let Some(before) = self.before[way[way.len() - 1]] {
            way.push(before);
        }
        way.reverse();
        way
    }
}

fn pairs(report: &Report) -> impl Iterator<Item = (usize, usize)> + '_ {
    let count = report.workloads.len();
    let all = (0..count).flat_map(move |source| (0..count).map(move |destination| (source, destination)));
    all.filter(|(source, destination)| source != destination && report.cell(*source, *destination) != NOTHING)
}

/// Breadth first, so that every way is a shortest one.
fn from_outside(
    graph: &DiGraph<Vertex, ()>,
    outside: NodeIndex,
    count: usize,
) -> (Vec<Option<usize>>, Vec<Option<usize>>) {
    let (mut hops, mut before) = (vec![None; count], vec![None; count]);
    let mut queue = VecDeque::from([(outside, 0)]);
    while let Some((from, distance)) = queue.pop_front() {
        let mut next: Vec<NodeIndex> = graph.edges(from).map(|edge| edge.target()).collect();
        next.sort();
        for to in next {
            let Vertex::Workload(index) = graph[to] else { continue };
            if hops[index].is_none() {
                hops[index] = Some(distance + 1);
                before[index] = match graph[from] {
                    Vertex::Workload(source) => Some(source),
                    Vertex::Outside => None,
                };
                queue.push_back((to, distance + 1));
            }
        }
    }
    (hops, before)
}

/// For `dot -Tsvg`: a cluster a namespace.
#[must_use]
pub fn dot(report: &Report) -> String {
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let mut text =
        "digraph workloads {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
            .to_owned();
    let _ = writeln!(text, "  outside [shape=ellipse];");
    let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, workload) in report.workloads.iter().enumerate() {
        by_namespace.entry(&workload.namespace).or_default().push(index);
    }
    for (number, (namespace, members)) in by_namespace.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(namespace));
        for index in members {
            let name = &report.workloads[*index].name;
            let short = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
            let _ = writeln!(text, "    w{index} [label={}];", quoted(short));
        }
        text += "  }\n";
    }
    for (source, destination) in pairs(report) {
        let label = quoted(&report.words(report.cell(source, destination)));
        let _ = writeln!(text, "  w{source} -> w{destination} [label={label}];");
    }
    for (index, workload) in report.workloads.iter().enumerate() {
        if !workload.outside[0].is_empty() {
            let _ = writeln!(text, "  outside -> w{index};");
        }
        if !workload.outside[1].is_empty() {
            let _ = writeln!(text, "  w{index} -> outside [style=dashed];");
        }
    }
    text + "}\n"
}

/// More than this is drawn as namespaces.
const MOST_NODES: usize = 60;
const ROW: usize = 34;
const BOX: (usize, usize) = (220, 24);
const COLUMN: usize = 360;

/// A box of the picture.
struct Drawn {
    title: String,
    detail: String,
    column: usize,
    row: usize,
}

/// A picture: columns by the distance from the outside. Many workloads are drawn as their namespaces.
#[must_use]
pub fn svg(graph: &Graph<'_>) -> String {
    let report = graph.report;
    let by_workload = report.workloads.len() <= MOST_NODES;
    let group: Vec<String> = report
        .workloads
        .iter()
        .map(|workload| if by_workload { workload.name.clone() } else { workload.namespace.clone() })
        .collect();
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, name) in group.iter().enumerate() {
        members.entry(name).or_default().push(index);
    }
    let number: BTreeMap<&str, usize> =
        members.keys().enumerate().map(|(index, name)| (*name, index)).collect();
    let mut edges: BTreeMap<(usize, usize), (usize, bool)> = BTreeMap::new();
    for (source, destination) in pairs(report) {
        let pair = (number[group[source].as_str()], number[group[destination].as_str()]);
        if pair.0 != pair.1 {
            let edge = edges.entry(pair).or_insert((0, true));
            edge.0 += 1;
            edge.1 &= report.cell(source, destination) == EVERYTHING;
        }
    }
    let drawn = place(graph, &members, by_workload);
    draw(graph, &drawn, &edges, &members)
}

fn place(graph: &Graph<'_>, members: &BTreeMap<&str, Vec<usize>>, by_workload: bool) -> Vec<Drawn> {
    let last = graph.hops.iter().flatten().max().map_or(1, |most| most + 1);
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    members
        .iter()
        .map(|(name, workloads)| {
            let column = workloads.iter().filter_map(|workload| graph.hops[*workload]).min().unwrap_or(last);
            let row = rows.entry(column).or_default();
            *row += 1;
            let detail = match by_workload {
                true => String::new(),
                false => format!(" ({})", workloads.len()),
            };
            Drawn { title: (*name).to_owned(), detail, column, row: *row }
        })
        .collect()
}

fn draw(
    graph: &Graph<'_>,
    drawn: &[Drawn],
    edges: &BTreeMap<(usize, usize), (usize, bool)>,
    members: &BTreeMap<&str, Vec<usize>>,
) -> String {
    let columns = drawn.iter().map(|one| one.column).max().unwrap_or(1) + 1;
    let rows = drawn.iter().map(|one| one.row).max().unwrap_or(1) + 1;
    let (width, height) = (columns * COLUMN - 90, rows * ROW + 20);
    let corner = |one: &Drawn| (one.column * COLUMN - 150, one.row * ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" class=\"graph\" role=\"img\">\n\
         <title>Who may talk to whom</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"head\"/></marker></defs>\n"
    );
    let _ = writeln!(
        svg,
        "<g class=\"node outside\"><rect x=\"10\" y=\"{ROW}\" width=\"100\" height=\"24\" rx=\"12\"/><text x=\"60\" y=\"{}\" text-anchor=\"middle\">outside</text></g>",
        ROW + 16
    );
    for ((source, destination), (count, open)) in edges {
        let (from, to) = (corner(&drawn[*source]), corner(&drawn[*destination]));
        let class = if *open { "open" } else { "part" };
        let path = curve((from.0, from.1, BOX.0), (to.0, to.1, BOX.0));
        let _ = writeln!(
            svg,
            "<path class=\"edge {class}\" data-from=\"{source}\" data-to=\"{destination}\" d=\"{path}\" marker-end=\"url(#arrow)\"><title>{} → {}: {count} pairs</title></path>",
            escaped_text(&drawn[*source].title),
            escaped_text(&drawn[*destination].title)
        );
    }
    for (index, (one, workloads)) in drawn.iter().zip(members.values()).enumerate() {
        let (x, y) = corner(one);
        let from_outside =
            workloads.iter().any(|workload| !graph.report.workloads[*workload].outside[0].is_empty());
        if from_outside {
            let path = curve((10, ROW, 100), (x, y, BOX.0));
            let _ = writeln!(
                svg,
                "<path class=\"edge outside\" data-from=\"outside\" data-to=\"{index}\" d=\"{path}\" marker-end=\"url(#arrow)\"/>"
            );
        }
        let title = format!("{}{}", one.title, one.detail);
        let shown: String = if title.chars().count() > 30 {
            title.chars().take(29).chain(['…']).collect()
        } else {
            title.clone()
        };
        let class = if from_outside { "node exposed" } else { "node" };
        let _ = writeln!(
            svg,
            "<g class=\"{class}\" data-node=\"{index}\" data-name=\"{}\" tabindex=\"0\"><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"5\"/><text x=\"{}\" y=\"{}\">{}</text><title>{}</title></g>",
            escaped(&one.title),
            BOX.0,
            BOX.1,
            x + 8,
            y + 16,
            escaped_text(&shown),
            escaped_text(&title)
        );
    }
    svg + "</svg>\n"
}

/// From the right side of one box to the left side of one further on; back, from left to right; within a column around the right
/// side, so that no line runs behind a box.
fn curve((x1, y1, w1): (usize, usize, usize), (x2, y2, w2): (usize, usize, usize)) -> String {
    let half = BOX.1 / 2;
    let (y1, y2) = (y1 + half, y2 + half);
    match x1.cmp(&x2) {
        std::cmp::Ordering::Less => {
            let (start, middle) = (x1 + w1, (x1 + w1 + x2) / 2);
            format!("M{start} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
        }
        std::cmp::Ordering::Greater => {
            let (end, middle) = (x2 + w2, (x2 + w2 + x1) / 2);
            format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {end} {y2}")
        }
        std::cmp::Ordering::Equal => {
            let (side, out) = (x1 + w1, x1 + w1 + 24 + (y1.abs_diff(y2) / 6).min(100));
            format!("M{side} {y1}C{out} {y1} {out} {y2} {side} {y2}")
        }
    }
}

const STYLE: &str = "\
.graph text{font:12px system-ui,sans-serif;fill:var(--text,#1b1f24)}\
.node rect{fill:var(--panel,#fff);stroke:var(--line,#8c959f)}\
.node.exposed rect{stroke:var(--bad,#cf222e);stroke-width:1.5}\
.node.outside rect{fill:var(--soft,#eaeef2)}\
.edge{fill:none;stroke:var(--line,#8c959f);opacity:.55}.edge.open{stroke:var(--open,#2da44e)}.edge.part{stroke:var(--part,#bf8700)}\
.edge.outside{stroke-dasharray:4 3}.head{fill:var(--line,#8c959f)}\
.graph.focused .edge{opacity:.06}.graph.focused .edge.lit{opacity:1;stroke-width:2}.graph.focused .node{opacity:.35}.graph.focused .node.lit{opacity:1}";

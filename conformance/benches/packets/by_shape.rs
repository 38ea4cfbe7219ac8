//! By what one policy lists: few and many peers, ipBlocks, ranges of ports. On one node; both ends isolated; a flow that the last
//! thing listed permits, and a flood to a port that nothing permits.

use super::progress;
use compiler::ir;
use conformance::{
    bench::{
        Asked, Comparison, Contender, Measured, Paired, Shape, Stage, WAYS, Way, flatness, load::Load,
        measure, statistics::Middle,
    },
    lab::LabError,
};

/// A kind of things that a policy lists.
struct Kind {
    /// Its name in the budgets, and on a plot.
    name: &'static str,
    shape: fn(usize) -> Shape,
    counts: &'static [usize],
}

const KINDS: [Kind; 3] = [
    Kind { name: "peers", shape: Shape::Peers, counts: &[10, 100, 1_000, 10_000, 100_000] },
    Kind { name: "ipBlocks with exceptions", shape: Shape::Blocks, counts: &[10, 100, 1_000, 10_000] },
    Kind { name: "ranges of ports", shape: Shape::PortRanges, counts: &[1, 10, 100, 1_000] },
];
/// The dearest of a kind over its cheapest.
const FLATNESS_BUDGET: f64 = 1.1;
/// Of the rounds that are asked for: these tables are many.
const SHARE: usize = 2;
/// What goes each way: the flow, then the flood.
const LOADS: usize = 2;

/// Palisade's tables for each shape, kind by kind.
pub(crate) struct Contenders {
    asked: Asked,
    tables: Vec<Contender>,
}

/// Makes and loads all tables.
pub(crate) fn contenders(stage: &Stage, asked: Asked) -> Result<Contenders, LabError> {
    let ports = [stage.ports(1)?, stage.ports(2)?];
    let mut tables = Vec::new();
    let shapes =
        KINDS.iter().flat_map(|kind| asked.sizes(kind.counts).iter().map(|&count| (kind.shape)(count)));
    for (number, shape) in shapes.enumerate() {
        let rulesets = shape.compile(stage.lab(), |node| ports[usize::from(node) - 1].clone());
        let table = format!("shape-{number}");
        let contender = Contender::of_rulesets(&shape.to_string(), &table, &rulesets, ir::Family::Inet);
        stage.install(&contender)?;
        tables.push(contender);
    }
    Ok(Contenders { asked, tables })
}

/// What the rounds said.
pub(crate) struct Outcome<'a> {
    asked: Asked,
    comparisons: Vec<Comparison<'a>>,
    /// By comparison and path.
    measured: Vec<Vec<Measured>>,
}

impl Contenders {
    /// Compares all of it with the base.
    pub(crate) fn measure<'a>(
        &'a self,
        empty: &'a Contender,
        stage: &mut Stage,
        rounds: usize,
    ) -> Result<Outcome<'a>, LabError> {
        let rounds = rounds.div_ceil(SHARE);
        let mut paths = Vec::new();
        for way in ways() {
            let denied = stage.denied(way)?;
            stage.require_denied(&self.tables, &denied)?;
            let loads: [Box<dyn Load>; LOADS] = [Box::new(stage.flow(way)?), Box::new(denied)];
            paths.extend(loads.map(|load| way.path(load)));
        }
        let comparisons: Vec<_> =
            self.tables.iter().map(|subject| Comparison::over(subject, empty)).collect();
        let measured = measure(stage, &comparisons, &paths, rounds, |round| progress(round, rounds))?;
        Ok(Outcome { asked: self.asked, comparisons, measured })
    }
}

fn ways() -> impl Iterator<Item = Way> {
    WAYS.into_iter().filter(|way| way.near)
}

/// A denied datagram over a permitted one of the same round.
fn denied_over_permitted(flow: &Measured, flood: &Measured) -> Middle {
    let [permitted, denied] = [&flow.0[0], &flood.0[0]].map(Paired::subjects);
    Middle::of(denied.zip(permitted).map(|(denied, permitted)| denied / permitted).collect())
}

impl Outcome<'_> {
    /// By way: the numbers of the flow's path and of the flood's.
    fn of_way(&self) -> impl Iterator<Item = (usize, Way)> {
        ways().enumerate().map(|(number, way)| (number * LOADS, way))
    }

    /// A table a way.
    pub(crate) fn print(&self) {
        for (flow, way) in self.of_way() {
            let base = self.measured.iter().flat_map(|paths| paths[flow].mean().base).collect();
            println!(
                "\n{}, one policy for both sides, by what it lists: the base takes {:.0} ns a packet",
                way.name,
                Middle::of(base).median
            );
            println!(
                "  {:<58} {:>8} {:>16} {:>7} {:>12} {:>17}",
                "", "ns over", "", "ratio", "a denied, ns", "over a permitted"
            );
            for (comparison, paths) in self.comparisons.iter().zip(&self.measured) {
                let (mean, over) = (paths[flow].mean(), paths[flow].mean().over());
                println!(
                    "  {:<58} {:>8.0} {:>16} {:>7.3} {:>12.0} {:>17.2}",
                    comparison.name,
                    over.median,
                    format!("[{:.0}, {:.0}]", over.low, over.high),
                    mean.ratio().median,
                    paths[flow + 1].0[0].subject().median,
                    denied_over_permitted(&paths[flow], &paths[flow + 1]).median,
                );
            }
        }
    }

    /// Lines for `cargo bench-all`.
    pub(crate) fn budgets(&self) {
        for (flow, way) in self.of_way() {
            let mut first = 0;
            for kind in &KINDS {
                let counts = self.asked.sizes(kind.counts);
                let name = kind.name;
                let range = format!(
                    "{} to {}",
                    counts.first().copied().unwrap_or_default(),
                    counts.last().copied().unwrap_or_default()
                );
                let rows = &self.measured[first..first + counts.len()];
                first += counts.len();
                let of_flow: Vec<&Measured> = rows.iter().map(|paths| &paths[flow]).collect();
                let flat = flatness(&of_flow);
                println!(
                    "budget: {}: {name}, {range}: dearest over cheapest | {FLATNESS_BUDGET} | {:.2} [{:.2}, {:.2}] | {}",
                    way.name,
                    flat.median,
                    flat.low,
                    flat.high,
                    flat.within(FLATNESS_BUDGET)
                );
                let dearest = rows
                    .iter()
                    .map(|paths| denied_over_permitted(&paths[flow], &paths[flow + 1]))
                    .max_by(|a, b| a.median.total_cmp(&b.median));
                if let Some(ratio) = dearest {
                    println!(
                        "budget: {}: {name}, {range}: a denied packet over a permitted one, the dearest | 1 | {:.2} [{:.2}, {:.2}] | {}",
                        way.name,
                        ratio.median,
                        ratio.low,
                        ratio.high,
                        ratio.within(1.0)
                    );
                }
                for (count, measured) in counts.iter().zip(of_flow) {
                    println!(
                        "plot: A packet by what one policy lists, {} | how many | ns over an empty chain | {name} | {count} | {:.1}",
                        way.name,
                        measured.mean().over().median
                    );
                }
            }
        }
    }
}

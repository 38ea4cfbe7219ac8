//! What policy costs a packet of one established UDP flow, over an empty forward chain with conntrack on; on one node and
//! across VXLAN, IPv4 and IPv6. [`conformance::bench`] tells how it is measured.
//!
//! `cargo bench -p conformance --bench packets [-- --rounds N]`; needs root. Lines that begin with `budget:` are what
//! `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

use compiler::ir::{self, Ruleset};
use conformance::{
    bench::{
        self, Comparison, Contender, Measured, Path, Stage, WAYS, Way,
        cluster::{Isolated, PermittedBy, Plan},
        layout::{self, Established},
        measure, processor,
        statistics::Middle,
    },
    lab::LabError,
};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Instant,
};

/// Numbers of policies that are compared.
const POLICIES: [usize; 5] = [1, 10, USUAL, 1_000, 10_000];
/// The number at which everything else is measured.
const USUAL: usize = 100;
const ISOLATED: [(Isolated, &str, f64); 3] = [
    (Isolated::None, "none", 80.0),
    (Isolated::One, "one side", 120.0),
    (Isolated::Both, "both sides", 180.0),
];
const GUARD_BUDGET: f64 = 80.0;
const FLATNESS_BUDGET: f64 = 1.1;
const ROUNDS: usize = 80;

/// Everything that is compared.
struct Contenders {
    empty: Contender,
    again: Contender,
    nothing: Contender,
    /// By isolation, by number of policies.
    palisade: Vec<Vec<Contender>>,
    by_block: Contender,
    guard: Contender,
    layouts: Vec<Contender>,
    steps: Vec<Contender>,
}

fn main() -> ExitCode {
    bench::main(ROUNDS, run)
}

fn run(rounds: usize) -> Result<(), LabError> {
    let start = Instant::now();
    let mut stage = Stage::raise()?;
    let contenders = contenders(&stage)?;
    let path = |way: Way| Ok::<_, LabError>(way.path(Box::new(stage.flow(way)?)));
    let paths = WAYS.into_iter().map(path).collect::<Result<Vec<_>, _>>()?;
    let comparisons = comparisons(&contenders);
    let load = processor::load();
    processor::claim()?;
    let measured = measure(&mut stage, &comparisons, &paths, rounds, |round| progress(round, rounds))?;
    let steps: Vec<_> = contenders.steps.iter().map(|step| over_empty(&contenders, step)).collect();
    let of_steps = measure(&mut stage, &steps, &paths[..1], rounds.div_ceil(2), |_| {})?;
    println!(
        "{rounds} rounds in {:.0} s, load {load} at the start and {} at the end.",
        start.elapsed().as_secs_f64(),
        processor::load()
    );
    println!(
        "Nanoseconds a packet; medians of paired rounds, in brackets what holds the true median at 95 %."
    );
    let of_path = |number: usize| measured.iter().map(|paths| &paths[number]).collect::<Vec<_>>();
    for (number, path) in paths.iter().enumerate() {
        table(path, &comparisons, &of_path(number));
    }
    println!("\nwhat one step costs, {} of them in a chain ({})", layout::REPEATED, paths[0].name);
    for (step, paths) in steps.iter().zip(&of_steps) {
        let one = paths[0].mean().over().times(1.0 / f64::from(layout::REPEATED));
        println!(
            "  {:<58} {:>8.0} {:>16}",
            step.name,
            one.median,
            format!("[{:.0}, {:.0}]", one.low, one.high)
        );
    }
    println!();
    for (number, path) in paths.iter().enumerate() {
        budgets(path, &comparisons, &of_path(number));
        plot(path, &of_path(number));
    }
    Ok(())
}

fn progress(round: usize, rounds: usize) {
    let mut screen = std::io::stderr();
    if screen.is_terminal() {
        // A progress line that cannot be shown is no reason to stop.
        let _ = write!(screen, "\rround {round} of {rounds}{}", if round == rounds { "\n" } else { "" });
    }
}

/// Makes and loads all tables.
fn contenders(stage: &Stage) -> Result<Contenders, LabError> {
    let lab = stage.lab();
    let ports = [stage.ports(1)?, stage.ports(2)?];
    let compile = |policies, isolated, by| -> Vec<Ruleset> {
        Plan { policies, isolated, by }.compile(lab, |node| ports[usize::from(node) - 1].clone())
    };
    let inet = |name: String, table: String, rulesets: &[Ruleset]| {
        Contender::of_rulesets(&name, &table, rulesets, ir::Family::Inet)
    };
    let mut palisade = Vec::new();
    for (number, (isolated, name, _)) in ISOLATED.into_iter().enumerate() {
        let of_size = POLICIES.map(|policies| {
            let rulesets = compile(policies, isolated, PermittedBy::Exact);
            let policies_text = format!("{policies} {}", if policies == 1 { "policy" } else { "policies" });
            inet(format!("{name} isolated, {policies_text}"), format!("p-{number}-{policies}"), &rulesets)
        });
        palisade.push(of_size.into());
    }
    let by_block = compile(USUAL, Isolated::Both, PermittedBy::Block);
    let all = Contenders {
        empty: layout::empty(lab, "the base", "empty"),
        again: layout::empty(lab, "the base again (shows the noise)", "again"),
        nothing: Contender::nothing("no such chain at all"),
        palisade,
        by_block: inet(
            "both sides, by the last step (ipBlock), 100 policies".into(),
            "p-block".into(),
            &by_block,
        ),
        guard: Contender::of_rulesets("guard", "guard", &by_block, ir::Family::Bridge),
        layouts: vec![
            layout::linear(lab, "judged", USUAL, Established::Judged),
            layout::linear(lab, "accepted", USUAL, Established::Accepted),
            layout::kube_router(lab, "kube-router", USUAL),
            layout::calico(lab, "calico", USUAL),
        ],
        steps: layout::steps(lab),
    };
    let single = [&all.empty, &all.again, &all.nothing, &all.by_block, &all.guard];
    single
        .into_iter()
        .chain(all.palisade.iter().flatten())
        .chain(&all.layouts)
        .chain(&all.steps)
        .try_for_each(|c| stage.install(c))?;
    Ok(all)
}

/// The index of Palisade's rows begins here.
const FIRST: usize = 2;
/// … and of the guard's.
const GUARD: usize = FIRST + ISOLATED.len() * POLICIES.len() + 1;

/// A contender against the empty chain.
fn over_empty<'a>(all: &'a Contenders, subject: &'a Contender) -> Comparison<'a> {
    Comparison { name: subject.name.clone(), subject: vec![subject], base: vec![&all.empty] }
}

fn comparisons(all: &Contenders) -> Vec<Comparison<'_>> {
    let first = [&all.again, &all.nothing].into_iter();
    let palisade = all.palisade.iter().flatten();
    let mut comparisons: Vec<_> =
        first.chain(palisade).chain([&all.by_block]).map(|subject| over_empty(all, subject)).collect();
    // Both sides at the usual number of policies, with and without the guard.
    let usual = &all.palisade[2][2];
    comparisons.push(Comparison {
        name: "the bridge guard, over both sides isolated".into(),
        subject: vec![usual, &all.guard],
        base: vec![usual],
    });
    comparisons.extend(all.layouts.iter().map(|layout| over_empty(all, layout)));
    comparisons
}

fn table(path: &Path, comparisons: &[Comparison<'_>], measured: &[&Measured]) {
    let base = Middle::of(measured.iter().flat_map(|m| m.mean().base).collect()).median;
    let nodes =
        if path.nodes == 1 { String::new() } else { format!(", over {} nodes with the tables", path.nodes) };
    println!("\n{}{nodes}: the base takes {base:.0} ns a packet", path.name);
    println!("  {:<58} {:>8} {:>16} {:>9} {:>6} {:>7}", "", "ns over", "", "original", "reply", "ratio");
    for (comparison, m) in comparisons.iter().zip(measured) {
        let over = m.mean().over();
        let way = |way: usize| m.0[way].over().median;
        println!(
            "  {:<58} {:>8.0} {:>16} {:>9.0} {:>6.0} {:>7.3}",
            comparison.name,
            over.median,
            format!("[{:.0}, {:.0}]", over.low, over.high),
            way(0),
            way(1),
            m.mean().ratio().median,
        );
    }
}

/// How the cost goes with the number of policies.
fn plot(path: &Path, measured: &[&Measured]) {
    for (number, (_, name, _)) in ISOLATED.into_iter().enumerate() {
        for (policies, measured) in POLICIES.into_iter().zip(&measured[FIRST + number * POLICIES.len()..]) {
            println!(
                "plot: A packet, {} | policies | ns over an empty chain | {name} isolated | {policies} | {:.1}",
                path.name,
                measured.mean().over().median
            );
        }
    }
}

/// The dearest number of policies over the cheapest, by what they cost over the base.
fn flatness(measured: &[&Measured]) -> Middle {
    let by_cost = |m: &&&Measured| m.mean().over().median;
    let compare = |a: &&&Measured, b: &&&Measured| by_cost(a).total_cmp(&by_cost(b));
    let (best, worst) = (measured.iter().min_by(compare), measured.iter().max_by(compare));
    let ratios = best.zip(worst).map(|(best, worst)| {
        let pairs = best.mean().over.into_iter().zip(worst.mean().over);
        pairs.filter(|(best, _)| *best > 0.0).map(|(best, worst)| worst / best).collect()
    });
    Middle::of(ratios.unwrap_or_default())
}

/// Limits are for one node, so what packets pay on two is halved; the guard is on the sender's node alone.
fn budgets(path: &Path, comparisons: &[Comparison<'_>], measured: &[&Measured]) {
    let cost = |what: &str, m: &Measured, nodes: u8, limit: f64| {
        let over = m.mean().over().times(1.0 / f64::from(nodes));
        let node = if nodes == 1 { "" } else { ", a node" };
        let value = format!(
            "{:.0} ns [{:.0}, {:.0}], x{:.3}",
            over.median,
            over.low,
            over.high,
            m.mean().ratio().median
        );
        println!("budget: {}: {what}{node} | {limit:.0} ns | {value} | {}", path.name, over.within(limit));
    };
    for (number, (_, name, limit)) in ISOLATED.into_iter().enumerate() {
        let rows = FIRST + number * POLICIES.len()..FIRST + (number + 1) * POLICIES.len();
        let cost_of = |row: usize| measured[row].mean().over().median;
        let flat = flatness(&measured[rows.clone()]);
        let dearest = rows.max_by(|&a, &b| cost_of(a).total_cmp(&cost_of(b)));
        if let Some(dearest) = dearest {
            cost(
                &format!("{} (the dearest)", comparisons[dearest].name),
                measured[dearest],
                path.nodes,
                limit,
            );
        }
        println!(
            "budget: {}: {name} isolated, dearest over cheapest number of policies | {FLATNESS_BUDGET} | \
             {:.2} [{:.2}, {:.2}] | {}",
            path.name,
            flat.median,
            flat.low,
            flat.high,
            flat.within(FLATNESS_BUDGET),
        );
    }
    cost(&comparisons[GUARD].name, measured[GUARD], 1, GUARD_BUDGET);
}

//! By number of policies, which ends they isolate, and beside the layouts of others.

use super::progress;
use compiler::ir::{self, Ruleset};
use conformance::{
    bench::{
        Asked, Comparison, Contender, Measured, Path, Stage,
        cluster::{Isolated, PermittedBy, Plan},
        flatness,
        layout::{self, Established},
        measure,
        statistics::Middle,
    },
    lab::LabError,
};

/// Numbers of policies that are compared.
const POLICIES: [usize; 5] = [1, 10, USUAL, 1_000, 10_000];
/// The number at which everything else is measured.
const USUAL: usize = 100;
const ISOLATED: [(Isolated, &str, f64); 3] = [
    (Isolated::None, "none", 80.0),
    (Isolated::One, "one side", 100.0),
    (Isolated::Both, "both sides", 180.0),
];
const GUARD_BUDGET: f64 = 80.0;
const FLATNESS_BUDGET: f64 = 1.1;

/// Everything that is compared, beside the base.
pub(crate) struct Contenders {
    /// Numbers of policies.
    policies: &'static [usize],
    again: Contender,
    nothing: Contender,
    /// By isolation, by number of policies.
    palisade: Vec<Vec<Contender>>,
    by_block: Contender,
    guard: Contender,
    layouts: Vec<Contender>,
    steps: Vec<Contender>,
}

/// What the rounds said: by comparison and path, and of each step.
pub(crate) struct Outcome<'a> {
    /// Numbers of policies.
    policies: &'static [usize],
    comparisons: Vec<Comparison<'a>>,
    measured: Vec<Vec<Measured>>,
    steps: Vec<(&'a str, Middle)>,
}

impl Contenders {
    /// Compares all of it with the base.
    pub(crate) fn measure<'a>(
        &'a self,
        empty: &'a Contender,
        stage: &mut Stage,
        paths: &[Path],
        rounds: usize,
    ) -> Result<Outcome<'a>, LabError> {
        let comparisons = comparisons(self, empty);
        let measured = measure(stage, &comparisons, paths, rounds, |round| progress(round, rounds))?;
        let steps: Vec<_> = self.steps.iter().map(|step| Comparison::over(step, empty)).collect();
        let of_steps = measure(stage, &steps, &paths[..1], rounds.div_ceil(2), |_| {})?;
        let one = |paths: &Vec<Measured>| paths[0].mean().over().times(1.0 / f64::from(layout::REPEATED));
        let steps = self.steps.iter().zip(&of_steps).map(|(step, paths)| (&*step.name, one(paths)));
        Ok(Outcome { policies: self.policies, steps: steps.collect(), comparisons, measured })
    }
}

impl Outcome<'_> {
    fn of_path(&self, number: usize) -> Vec<&Measured> {
        self.measured.iter().map(|paths| &paths[number]).collect()
    }

    /// The tables: one a path, and one of the steps.
    pub(crate) fn print(&self, paths: &[Path]) {
        for (number, path) in paths.iter().enumerate() {
            table(path, &self.comparisons, &self.of_path(number));
        }
        println!("\nwhat one step costs, {} of them in a chain ({})", layout::REPEATED, paths[0].name);
        for (name, one) in &self.steps {
            let range = format!("[{:.0}, {:.0}]", one.low, one.high);
            println!("  {name:<58} {:>8.0} {range:>16}", one.median);
        }
    }

    /// Lines for `cargo bench-all`.
    pub(crate) fn budgets(&self, paths: &[Path]) {
        for (number, path) in paths.iter().enumerate() {
            budgets(self.policies, path, &self.comparisons, &self.of_path(number));
            plot(self.policies, path, &self.of_path(number));
        }
    }
}

/// Makes and loads all tables.
pub(crate) fn contenders(stage: &Stage, asked: Asked) -> Result<Contenders, LabError> {
    let lab = stage.lab();
    let ports = [stage.ports(1)?, stage.ports(2)?];
    let compile = |policies, isolated, by| -> Vec<Ruleset> {
        Plan { policies, isolated, by }.compile(lab, |node| ports[usize::from(node) - 1].clone())
    };
    let inet = |name: String, table: String, rulesets: &[Ruleset]| {
        Contender::of_rulesets(&name, &table, rulesets, ir::Family::Inet)
    };
    let policies = asked.sizes(&POLICIES);
    let mut palisade = Vec::new();
    for (number, (isolated, name, _)) in ISOLATED.into_iter().enumerate() {
        let of_size = policies.iter().map(|&policies| {
            let rulesets = compile(policies, isolated, PermittedBy::Exact);
            let policies_text = format!("{policies} {}", if policies == 1 { "policy" } else { "policies" });
            inet(format!("{name} isolated, {policies_text}"), format!("p-{number}-{policies}"), &rulesets)
        });
        palisade.push(of_size.collect());
    }
    let by_block = compile(USUAL, Isolated::Both, PermittedBy::Block);
    let all = Contenders {
        policies,
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
            layout::kube_router_iptables(lab, "accepted", USUAL, Established::Accepted),
            layout::kube_router_iptables(lab, "judged", USUAL, Established::Judged),
            layout::kube_router_nftables(lab, "kube-router", USUAL),
            layout::calico(lab, "calico", USUAL),
        ],
        steps: layout::steps(lab),
    };
    let single = [&all.again, &all.nothing, &all.by_block, &all.guard];
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

fn comparisons<'a>(all: &'a Contenders, empty: &'a Contender) -> Vec<Comparison<'a>> {
    let first = [&all.again, &all.nothing].into_iter();
    let palisade = all.palisade.iter().flatten();
    let mut comparisons: Vec<_> = first
        .chain(palisade)
        .chain([&all.by_block])
        .map(|subject| Comparison::over(subject, empty))
        .collect();
    // Both sides at the usual number of policies, with and without the guard.
    let usual = &all.palisade[2][2];
    comparisons.push(Comparison {
        name: "the bridge guard, over both sides isolated".into(),
        subject: vec![usual, &all.guard],
        base: vec![usual],
    });
    comparisons.extend(all.layouts.iter().map(|layout| Comparison::over(layout, empty)));
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
fn plot(policies: &[usize], path: &Path, measured: &[&Measured]) {
    for (number, (_, name, _)) in ISOLATED.into_iter().enumerate() {
        for (policies, measured) in policies.iter().zip(&measured[FIRST + number * policies.len()..]) {
            println!(
                "plot: A packet, {} | policies | ns over an empty chain | {name} isolated | {policies} | {:.1}",
                path.name,
                measured.mean().over().median
            );
        }
    }
}

/// Limits are for one node, so what packets pay on two is halved; the guard is on the sender's node alone.
fn budgets(policies: &[usize], path: &Path, comparisons: &[Comparison<'_>], measured: &[&Measured]) {
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
        let rows = FIRST + number * policies.len()..FIRST + (number + 1) * policies.len();
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
    // Behind Palisade's rows and the one that an ipBlock permits.
    let guard = FIRST + ISOLATED.len() * policies.len() + 1;
    cost(&comparisons[guard].name, measured[guard], 1, GUARD_BUDGET);
}

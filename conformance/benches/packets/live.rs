//! Beside kube-router itself, with its iptables rules and ipsets: on one node, IPv4, the same policies.

use compiler::ir;
use conformance::{
    bench::{
        Comparison, Contender, Measured, Path, Stage, WAYS,
        cluster::{Isolated, PermittedBy, Plan},
        layout,
        live::kube_router,
        load::Load,
        measure,
        statistics::{Middle, Verdict},
    },
    cluster::ClusterError,
    lab::LabError,
};

const PLAN: Plan = Plan { policies: 100, isolated: Isolated::Both, by: PermittedBy::Exact };
/// How many times less than kube-router's what Palisade costs shall be.
const TIMES: f64 = 10.0;
/// Where they stand.
const PALISADE: usize = 1;
const KUBE_ROUTER: usize = 2;
/// What is sent: its name in a budget.
const LOADS: [&str; 2] = ["a packet of an established flow", "a new flow"];

/// The base again, Palisade, and kube-router.
pub(crate) struct Contenders([Contender; 3]);

/// Lets kube-router write its rules, and makes and loads the others.
pub(crate) fn contenders(stage: &Stage) -> Result<Contenders, ClusterError> {
    let kube_router = kube_router(stage, &PLAN)?;
    let ports = [stage.ports(1)?, stage.ports(2)?];
    let rulesets = PLAN.compile(stage.lab(), |node| ports[usize::from(node) - 1].clone());
    let name = format!("Palisade, both sides isolated, {} policies", PLAN.policies);
    let all = [
        layout::empty(stage.lab(), "the base again (shows the noise)", "live-again"),
        Contender::of_rulesets(&name, "live", &rulesets, ir::Family::Inet),
        kube_router,
    ];
    all.iter().try_for_each(|contender| stage.install(contender))?;
    Ok(Contenders(all))
}

/// What the rounds said.
pub(crate) struct Outcome<'a> {
    comparisons: Vec<Comparison<'a>>,
    paths: [Path; LOADS.len()],
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
        let way = WAYS[0];
        let denied = stage.denied(way)?;
        stage.require_denied(&self.0[PALISADE..], &denied)?;
        stage.wake(&[empty])?;
        let loads: [Box<dyn Load>; LOADS.len()] =
            [Box::new(stage.flow(way)?), Box::new(stage.new_flows(way)?)];
        let paths = loads.map(|load| way.path(load));
        let comparisons: Vec<_> = self.0.iter().map(|subject| Comparison::over(subject, empty)).collect();
        // One after the other: new flows make conntrack forget the established one.
        let mut measured = vec![Vec::new(); comparisons.len()];
        for path in &paths {
            let of_path = measure(stage, &comparisons, std::slice::from_ref(path), rounds, |_| {})?;
            measured.iter_mut().zip(of_path).for_each(|(all, more)| all.extend(more));
        }
        Ok(Outcome { comparisons, paths, measured })
    }
}

impl Outcome<'_> {
    fn over(&self, comparison: usize, load: usize) -> Middle {
        self.measured[comparison][load].mean().over()
    }

    /// A table for each load.
    pub(crate) fn print(&self) {
        for (load, (name, path)) in LOADS.into_iter().zip(&self.paths).enumerate() {
            let base = self.measured.iter().flat_map(|loads| loads[load].mean().base).collect();
            println!(
                "\n{}, {name}, beside kube-router itself: the base takes {:.0} ns",
                path.name,
                Middle::of(base).median
            );
            println!("  {:<58} {:>8} {:>16} {:>7}", "", "ns over", "", "ratio");
            for (number, comparison) in self.comparisons.iter().enumerate() {
                let over = self.over(number, load);
                println!(
                    "  {:<58} {:>8.0} {:>16} {:>7.3}",
                    comparison.name,
                    over.median,
                    format!("[{:.0}, {:.0}]", over.low, over.high),
                    self.measured[number][load].mean().ratio().median,
                );
            }
        }
    }

    /// Lines for `cargo bench-all`. Of two medians that have a range each: the range of their ratio is from end to end.
    pub(crate) fn budgets(&self) {
        for (load, (name, path)) in LOADS.into_iter().zip(&self.paths).enumerate() {
            let (own, other) = (self.over(PALISADE, load), self.over(KUBE_ROUTER, load));
            let at_least = |ns: f64| ns.max(1.0);
            let times = Middle {
                median: other.median / at_least(own.median),
                low: other.low / at_least(own.high),
                high: other.high / at_least(own.low),
            };
            let verdict = match times.within(TIMES) {
                Verdict::Met => Verdict::Missed,
                Verdict::Missed => Verdict::Met,
                Verdict::Drowned => Verdict::Drowned,
            };
            println!(
                "budget: {}: kube-router itself over Palisade, 100 policies, ns over the base of {name} | at least {TIMES} times | \
                 {:.1} times [{:.1}, {:.1}] | {verdict}",
                path.name, times.median, times.low, times.high
            );
        }
    }
}

//! What policy costs traffic as people measure it: flows that begin, a TCP connection at full speed, requests and answers, and
//! a flood that is denied; on one node and across VXLAN, IPv4 and IPv6. [`conformance::bench`] tells how it is measured.
//!
//! `cargo bench -p conformance --bench traffic [-- --rounds N | --small]`; needs root. `--small` leaves out 10,000 policies. Lines that begin with `budget:` are what
//! `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

use compiler::ir;
use conformance::{
    bench::{
        self, Asked, Comparison, Contender, Measured, Paired, Path, Stage, WAYS, Way,
        cluster::{Isolated, PermittedBy, Plan},
        layout::{self, Established},
        load::{Denied, Load},
        measure, processor,
        statistics::Middle,
    },
    lab::LabError,
};
use std::{process::ExitCode, time::Instant};

const ROUNDS: usize = 30;

/// The name of what the budgets are about.
const USUAL: &str = "both sides isolated, 100 policies";

/// What may be at least left of what there is without policies.
const NEW_FLOWS_BUDGET: f64 = 0.95;
const THROUGHPUT_BUDGET: f64 = 0.97;

fn main() -> ExitCode {
    bench::main(ROUNDS, run)
}

/// Where the loads of a way stand among its paths.
const FLOW: usize = 0;
const STREAM: usize = 2;
const DENIED: usize = 3;
const LOADS: usize = 4;

fn run(Asked { rounds, small }: Asked) -> Result<(), LabError> {
    let start = Instant::now();
    let mut stage = Stage::raise()?;
    let empty = layout::empty(stage.lab(), "the base", "empty");
    let subjects = subjects(&stage, small)?;
    for contender in subjects.iter().chain([&empty]) {
        stage.install(contender)?;
    }
    let (mut lasting, mut beginning) = (Vec::new(), Vec::new());
    for way in WAYS {
        let denied = stage.denied(way)?;
        check_denied(&mut stage, &subjects, &denied)?;
        let loads: [Box<dyn Load>; LOADS] = [
            Box::new(stage.flow(way)?),
            Box::new(stage.requests(way)?),
            Box::new(stage.stream(way)?),
            Box::new(denied),
        ];
        lasting.extend(loads.map(|load| way.path(load)));
        beginning.push(way.path(Box::new(stage.new_flows(way)?)));
    }
    let comparisons: Vec<_> = subjects.iter().map(|subject| Comparison::over(subject, &empty)).collect();
    let load = processor::load();
    processor::claim()?;
    let of_lasting = measure(&mut stage, &comparisons, &lasting, rounds, |_| {})?;
    // Last, since it makes conntrack forget everything.
    let of_beginning = measure(&mut stage, &comparisons, &beginning, rounds, |_| {})?;
    println!(
        "{rounds} rounds in {:.0} s, load {load} at the start and {} at the end.",
        start.elapsed().as_secs_f64(),
        processor::load()
    );
    println!(
        "Medians; ratios to the base of the same round, in brackets what holds the true median at 95 %."
    );
    for (way, Way { name, .. }) in WAYS.iter().enumerate() {
        println!("\n{name}");
        for load in 0..LOADS {
            let path = way * LOADS + load;
            table(&lasting[path], &comparisons, &column(&of_lasting, path));
        }
        table(&beginning[way], &comparisons, &column(&of_beginning, way));
    }
    println!();
    let Some(usual) = comparisons.iter().position(|comparison| comparison.name == USUAL) else {
        return Ok(());
    };
    for (way, Way { name, .. }) in WAYS.iter().enumerate() {
        let of = &of_lasting[usual][way * LOADS..(way + 1) * LOADS];
        rest(name, "new flows a second against no policy", NEW_FLOWS_BUDGET, &of_beginning[usual][way]);
        rest(name, "TCP throughput against no policy", THROUGHPUT_BUDGET, &of[STREAM]);
        let [permitted, denied] = [&of[FLOW].0[0], &of[DENIED].0[0]].map(Paired::subjects);
        let ratio = Middle::of(denied.zip(permitted).map(|(denied, permitted)| denied / permitted).collect());
        println!(
            "budget: {name}: a denied packet over a permitted one | 1 | {:.2} [{:.2}, {:.2}] | {}",
            ratio.median,
            ratio.low,
            ratio.high,
            ratio.within(1.0)
        );
    }
    Ok(())
}

/// Everything that stands in the way of the traffic in turn.
fn subjects(stage: &Stage, small: bool) -> Result<Vec<Contender>, LabError> {
    let lab = stage.lab();
    let ports = [stage.ports(1)?, stage.ports(2)?];
    let palisade = |name: &str, table: &str, policies, isolated| {
        let plan = Plan { policies, isolated, by: PermittedBy::Exact };
        let rulesets = plan.compile(lab, |node| ports[usize::from(node) - 1].clone());
        Contender::of_rulesets(name, table, &rulesets, ir::Family::Inet)
    };
    let mut subjects = vec![
        layout::empty(lab, "the base again (shows the noise)", "again"),
        palisade("one side isolated, 100 policies", "one-100", 100, Isolated::One),
        palisade(USUAL, "both-100", 100, Isolated::Both),
        layout::kube_router_iptables(lab, "accepted", 100, Established::Accepted),
        layout::kube_router_nftables(lab, "kube-router", 100),
        layout::calico(lab, "calico", 100),
    ];
    if !small {
        subjects.push(palisade("both sides isolated, 10000 policies", "both-10000", 10_000, Isolated::Both));
    }
    Ok(subjects)
}

/// A flood counts as denied only where none of it arrives, and as a flood only if it arrives without policies.
fn check_denied(stage: &mut Stage, subjects: &[Contender], denied: &Denied) -> Result<(), LabError> {
    let Some((base, others)) = subjects.split_first() else { return Ok(()) };
    if stage.arriving_past(base, denied)? == 0 {
        return Err(LabError::Invalid(format!("nothing of the flood arrives past {}", base.name)));
    }
    stage.require_denied(others, denied)
}

fn column(measured: &[Vec<Measured>], path: usize) -> Vec<&Measured> {
    measured.iter().map(|paths| &paths[path]).collect()
}

fn table(path: &Path, comparisons: &[Comparison<'_>], measured: &[&Measured]) {
    for (figure, name) in path.load.figures().iter().enumerate() {
        let base = Middle::of(measured.iter().flat_map(|m| m.0[figure].base.iter().copied()).collect());
        println!("  {:<58} {:>10.0}", format!("{name}: the base"), base.median);
        for (comparison, measured) in comparisons.iter().zip(measured) {
            let paired = &measured.0[figure];
            let (subject, ratio) = (paired.subject(), paired.ratio());
            let range = format!("[{:.3}, {:.3}]", ratio.low, ratio.high);
            println!(
                "    {:<56} {:>10.0}  x{:.3} {range:>16}",
                comparison.name, subject.median, ratio.median
            );
        }
    }
}

/// How much of a rate is left: the time of the base over that of the subject.
fn rest(path: &str, what: &str, limit: f64, measured: &Measured) {
    let ratio = measured.mean().ratio();
    println!(
        "budget: {path}: {what} | {limit} | {:.3} [{:.3}, {:.3}] | {}",
        1.0 / ratio.median,
        1.0 / ratio.high,
        1.0 / ratio.low,
        ratio.within(1.0 / limit)
    );
}

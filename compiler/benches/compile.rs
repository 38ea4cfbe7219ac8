//! What compiling costs: from nothing, and for one event, as the cluster grows. Times are of the thread's processor time:
//! there is only one thread, and it waits for nothing. Every figure is a median of rounds that take the sizes in turn, and is
//! printed as a ratio to the smallest size as well.
//!
//! `cargo bench -p compiler --bench compile [-- --small]`; `--small` leaves out 100,000 pods and 10,000 policies. Lines that
//! begin with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

mod cluster;
mod happening;

use allocation_counter::measure;
use cluster::{LOCAL_PODS, NODE, Size, changes, crowd};
use compiler::{
    Compiler, Event,
    config::Config,
    delta::{Delta, Op},
};
use happening::{CROWD_MOVES, HAPPENINGS, Happening};
use nix::time::{ClockId, clock_gettime};
use policy_model::cluster::Change;
use std::{collections::BTreeMap, time::Duration};

/// How often each event happens.
const ROUNDS: usize = 200;
/// How often one that touches 10,000 pods does.
const FEW_ROUNDS: usize = 20;
/// What an event may cost at the largest size over what it costs at the smallest.
const GROWTH: f64 = 1.3;

fn compile(changes: Vec<Change>) -> Compiler {
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    changes.into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
    let _ = compiler.commit();
    compiler
}

/// Processor time of this thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Resident memory of this process, in bytes (`/proc/self/statm`, pages of 4 KiB).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

/// What one event took.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Until its Delta is there, and until nothing waits to be removed.
    delta: Duration,
    whole: Duration,
    /// Of the whole.
    allocations: u64,
    /// Elements that come or go in the kernel because of it.
    elements: usize,
}

fn elements(delta: &Delta) -> usize {
    let count = |op: &Op| match op {
        Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. } => elements.len(),
        _ => 0,
    };
    delta.ops.iter().map(count).sum()
}

fn event(compiler: &mut Compiler, change: Change) -> Cost {
    let mut cost = Cost::default();
    let begin = cpu();
    let allocated = measure(|| {
        compiler.apply(Event::Cluster(change));
        let delta = compiler.commit();
        cost.delta = cpu() - begin;
        cost.elements = elements(&delta);
        while !compiler.settled() {
            let _ = compiler.commit();
        }
    });
    Cost { whole: cpu() - begin, allocations: allocated.count_total, ..cost }
}

/// The median of each figure.
fn median(costs: &[Cost]) -> Cost {
    fn of<T: Ord + Copy + Default>(costs: &[Cost], figure: impl Fn(&Cost) -> T) -> T {
        let mut all: Vec<T> = costs.iter().map(figure).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
    Cost {
        delta: of(costs, |c| c.delta),
        whole: of(costs, |c| c.whole),
        allocations: of(costs, |c| c.allocations),
        elements: of(costs, |c| c.elements),
    }
}

fn main() {
    let small = std::env::args().any(|argument| argument == "--small");
    let mut sizes = vec![Size::new(1_000, 100), Size::new(10_000, 1_000)];
    if !small {
        sizes.push(Size::new(100_000, 10_000));
    }
    println!("from nothing, {LOCAL_PODS} local pods (least of 5; of 3 for the largest)");
    let (mut compilers, mut budgets) = (Vec::new(), Vec::new());
    for size in &sizes {
        let rounds = if size.pods > 50_000 { 3 } else { 5 };
        let before = resident();
        let (mut times, mut allocations) = (Vec::new(), 0);
        let mut compiler = None;
        for _ in 0..rounds {
            drop(compiler.take());
            let changes = changes(size);
            let begin = cpu();
            allocations = measure(|| compiler = Some(compile(changes))).count_total;
            times.push(cpu() - begin);
        }
        let Some(compiler) = compiler else { continue };
        let stats = compiler.stats();
        let least = times.into_iter().min().unwrap_or_default();
        let more = resident().saturating_sub(before);
        println!(
            "  {:>7} pods {:>6} policies: {:>9.1?}  {:>9} allocations  {:>4} programs {:>8} elements  {:>4} MiB resident more",
            size.pods,
            size.policies,
            least,
            allocations,
            stats.programs,
            stats.elements,
            more >> 20,
        );
        budgets.extend(from_nothing(size, least, more));
        compilers.push(compiler);
    }
    budgets.extend(each(&mut compilers, &sizes, ""));
    // The namespaces so far have 100 pods.
    let mut large: Vec<_> =
        compilers.iter_mut().zip(&sizes).filter(|(_, size)| size.pods >= 10_000).collect();
    for (compiler, size) in &mut large {
        crowd(size).into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
        let _ = compiler.commit();
    }
    budgets.extend(grows(CROWD_MOVES, large, FEW_ROUNDS, ""));
    drop(compilers);
    let sizes: Vec<Size> = sizes.into_iter().map(Size::with_small_teams).collect();
    let mut compilers: Vec<Compiler> = sizes.iter().map(|size| compile(changes(size))).collect();
    budgets.extend(each(&mut compilers, &sizes, ", with small teams"));
    println!(
        "  (Delta: from the change to it; CPU: until nothing waits to be removed, one thread; elements: that come or go;\n  \
         small teams: a team for each namespace, so that what a program lists does not grow with the cluster)"
    );
    println!();
    budgets.iter().for_each(|line| println!("{line}"));
}

/// Each of the usual events, and its budget; `shape` says in which cluster.
fn each(compilers: &mut [Compiler], sizes: &[Size], shape: &str) -> Vec<String> {
    println!(
        "\none event{shape}, {LOCAL_PODS} local pods (medians of {ROUNDS}, sizes in turn; growth over {} pods)",
        sizes[0].pods
    );
    println!(
        "  {:<58} {:>8} {:>10} {:>10} {:>12} {:>9} {:>7}",
        "", "pods", "Delta", "CPU", "allocations", "elements", "growth"
    );
    let of =
        |happening: &Happening| grows(*happening, compilers.iter_mut().zip(sizes).collect(), ROUNDS, shape);
    HAPPENINGS.iter().flat_map(of).collect()
}

/// Lets it happen at each size, prints a line for each of its events and size, and gives the budgets.
fn grows(
    happening: Happening,
    mut sized: Vec<(&mut Compiler, &Size)>,
    rounds: usize,
    shape: &str,
) -> Vec<String> {
    let mut costs: BTreeMap<(usize, usize), Vec<Cost>> = BTreeMap::new();
    let mut names = Vec::new();
    for n in 0..rounds {
        for (at, (compiler, size)) in sized.iter_mut().enumerate() {
            let steps = happening(size, n);
            names = steps.iter().map(|(name, _)| *name).collect();
            for (step, (_, change)) in steps.into_iter().enumerate() {
                costs.entry((step, at)).or_default().push(event(compiler, change));
            }
        }
    }
    let mut budgets = Vec::new();
    for (step, name) in names.into_iter().enumerate() {
        let of = |at: usize| median(costs.get(&(step, at)).map_or(&[], Vec::as_slice));
        let base = of(0).whole.as_secs_f64().max(1e-9);
        let mut growth = 1.0;
        for (at, (_, size)) in sized.iter().enumerate() {
            let cost = of(at);
            growth = cost.whole.as_secs_f64() / base;
            println!(
                "  {:<58} {:>8} {:>10.1?} {:>10.1?} {:>12} {:>9} {:>7.2}",
                if at == 0 { name } else { "" },
                size.pods,
                cost.delta,
                cost.whole,
                cost.allocations,
                cost.elements,
                growth
            );
        }
        if let (Some((_, first)), Some((_, last))) = (sized.first(), sized.last()) {
            let what = format!("{name}{shape}: at {} pods over at {}", last.pods, first.pods);
            budgets.push(budget(&what, &GROWTH.to_string(), &format!("{growth:.2}"), growth <= GROWTH));
        }
    }
    budgets
}

fn budget(what: &str, limit: &str, measured: &str, met: bool) -> String {
    format!("budget: {what} | {limit} | {measured} | {}", if met { "met" } else { "not met" })
}

/// Limits of the design for a cluster of this size, if it has any: the time, and the resident memory.
fn from_nothing(size: &Size, took: Duration, resident: usize) -> Vec<String> {
    let what = format!("compile {} pods and {} policies from nothing", size.pods, size.policies);
    let time = |limit: Duration| budget(&what, &format!("{limit:?}"), &format!("{took:.1?}"), took <= limit);
    match size.pods {
        10_000 => vec![time(Duration::from_millis(500))],
        100_000 => {
            let mb = resident / 1_000_000;
            vec![
                time(Duration::from_secs(1)),
                budget(&format!("{what}, resident"), "250 MB", &format!("{mb} MB"), mb <= 250),
            ]
        }
        _ => Vec::new(),
    }
}

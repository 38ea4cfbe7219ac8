//! What compiling costs: from nothing, and for one event, as the cluster grows. Every figure is a median of rounds that
//! take the sizes in turn, and is printed as a ratio to the smallest size as well.
//!
//! `cargo bench -p compiler --bench compile [-- --small]`; `--small` leaves out 100,000 pods and 10,000 policies. Lines that
//! begin with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

mod cluster;

use cluster::{APPS, LOCAL_PODS, NODE, Size, changes, label, pod, policy, policy_for_everywhere};
use compiler::{Compiler, Event, config::Config};
use policy_model::{cluster::Change, object::Namespace};
use std::time::{Duration, Instant};

fn compile(changes: Vec<Change>) -> Compiler {
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    changes.into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
    let _ = compiler.commit();
    compiler
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Resident memory of this process, in bytes (`/proc/self/statm`, pages of 4 KiB).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

type Episode = fn(&mut Compiler, &Size, usize);

fn one(compiler: &mut Compiler, change: Change) {
    compiler.apply(Event::Cluster(change));
    let _ = compiler.commit();
}

/// One event each, and its undoing where the state must not drift.
const EVENTS: &[(&str, Episode)] = &[
    ("a remote pod's label changes and no selector cares", |c, size, n| {
        one(c, Change::Pod(pod(size, 1, n + 1)));
    }),
    ("a remote pod changes its app", |c, size, n| {
        let mut changed = pod(size, 1, 0);
        changed.labels = changed.labels.with("app", &format!("app-{}", n % APPS));
        one(c, Change::Pod(changed));
    }),
    ("a local pod changes its app", |c, size, n| {
        // After the last round it is what it was.
        let mut changed = pod(size, 0, 0);
        changed.labels = changed.labels.with("app", &format!("app-{}", (n + 1) % APPS));
        one(c, Change::Pod(changed));
    }),
    ("a remote pod goes and comes", |c, size, _| {
        let pod = pod(size, 1, 0);
        one(c, Change::PodDeleted(pod.key.clone()));
        one(c, Change::Pod(pod));
    }),
    ("a policy goes and comes", |c, size, _| {
        let policy = policy(size, 0);
        one(c, Change::PolicyDeleted(policy.key.clone()));
        one(c, Change::Policy(policy));
    }),
    ("a policy with a selector over all namespaces comes and goes", |c, size, n| {
        let policy = policy_for_everywhere(size, n);
        let key = policy.key.clone();
        one(c, Change::Policy(policy));
        one(c, Change::PolicyDeleted(key));
    }),
    ("a namespace of 100 pods changes its team", |c, size, n| {
        let team = [label("team", format!("team-{}", n % 50))].into_iter().collect();
        one(c, Change::Namespace(Namespace::new(format!("ns-{}", 1 % size.pods.div_ceil(100)), &team)));
    }),
];

fn main() {
    let small = std::env::args().any(|argument| argument == "--small");
    let mut sizes = vec![Size { pods: 1_000, policies: 100 }, Size { pods: 10_000, policies: 1_000 }];
    if !small {
        sizes.push(Size { pods: 100_000, policies: 10_000 });
    }
    println!("from nothing, {LOCAL_PODS} local pods (least of 5; of 3 for the largest)");
    let (mut compilers, mut budgets) = (Vec::new(), Vec::new());
    for size in &sizes {
        let rounds = if size.pods > 50_000 { 3 } else { 5 };
        let before = resident();
        let mut times = Vec::new();
        let mut compiler = None;
        for _ in 0..rounds {
            drop(compiler.take());
            let changes = changes(size);
            times.push(timed(|| compiler = Some(compile(changes))));
        }
        let Some(compiler) = compiler else { continue };
        let stats = compiler.stats();
        let least = times.into_iter().min().unwrap_or_default();
        let more = resident().saturating_sub(before);
        println!(
            "  {:>7} pods {:>6} policies: {:>9.1?}  {:>4} programs {:>8} elements  {:>4} MiB resident more",
            size.pods,
            size.policies,
            least,
            stats.programs,
            stats.elements,
            more >> 20,
        );
        budgets.extend(from_nothing(size, least, more));
        compilers.push(compiler);
    }
    println!("one event to its Delta (median of 200, sizes in turn; ratio to {} pods)", sizes[0].pods);
    for (name, episode) in EVENTS {
        let mut times = vec![Vec::new(); sizes.len()];
        for n in 0..200 {
            for ((compiler, size), times) in compilers.iter_mut().zip(&sizes).zip(&mut times) {
                times.push(timed(|| episode(compiler, size, n)));
            }
        }
        let medians: Vec<_> = times.into_iter().map(median).collect();
        let base = medians[0].as_secs_f64().max(1e-9);
        let columns: Vec<_> = medians
            .iter()
            .zip(&sizes)
            .map(|(time, size)| format!("{:>7}: {time:>8.1?} x{:.2}", size.pods, time.as_secs_f64() / base))
            .collect();
        println!("  {name:<60} {}", columns.join("   "));
        let growth = medians[medians.len() - 1].as_secs_f64() / base;
        let pods = sizes[sizes.len() - 1].pods;
        let what = format!("{name}: at {pods} pods over at {}", sizes[0].pods);
        budgets.push(budget(&what, "1.5", &format!("{growth:.2}"), growth <= 1.5));
    }
    println!();
    budgets.iter().for_each(|line| println!("{line}"));
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
                time(Duration::from_secs(2)),
                budget(&format!("{what}, resident"), "300 MB", &format!("{mb} MB"), mb <= 300),
            ]
        }
        _ => Vec::new(),
    }
}

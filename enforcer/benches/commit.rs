//! From an event to the kernel: compile it and commit the difference, in a network namespace of its own.
//!
//! `cargo bench -p enforcer --bench commit`; needs root. Times are of the wall and of this thread's processor time, the
//! kernel's work for the transaction included (what the kernel frees later, it does on its own account). Lines that begin
//! with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

#[path = "../../compiler/benches/cluster/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod cluster;
#[path = "../../compiler/benches/happening/mod.rs"]
mod happening;
mod node;

use cluster::{LOCAL_PODS, Size, crowd, pod};
use compiler::{
    Event,
    delta::{Delta, Op, diff},
    ir::{Attributes, DataType, Family, Key, Name, Ruleset, Set, SetSpec, Table},
};
use enforcer::nft::{Backend, Error};
use happening::{CROWD_MOVES, HAPPENINGS, with_another_app};
use node::{Node, budget, cpu, fresh_kernel, percentile, real_time};
use policy_model::cluster::Change;
use std::{
    net::Ipv4Addr,
    process::ExitCode,
    time::{Duration, Instant},
};

const SIZES: [Size; 3] = [Size::new(1_000, 100), Size::new(10_000, 1_000), Size::new(100_000, 10_000)];
/// The size of the budgets for one event.
const USUAL: usize = 10_000;
/// How often each event happens.
const EVENTS: usize = 400;
/// How often one that touches 10,000 pods does.
const FEW_EVENTS: usize = 10;
/// Events that come at once.
const BATCH: usize = 1_000;
/// How often each set changes.
const ELEMENTS: usize = 200;
const SET_SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

const CPU_BUDGET: Duration = Duration::from_micros(200);
const WALL_BUDGET: Duration = Duration::from_millis(5);
/// What an event may cost at the largest size over what it costs at the smallest.
const GROWTH: f64 = 1.3;
const BINARY_BUDGET: u64 = 15_000_000;

fn main() -> ExitCode {
    match real_time().and_then(|()| events()).and_then(|()| batches()).and_then(|()| elements()) {
        Ok(()) => {
            binary();
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What one kind of event took.
#[derive(Default)]
struct Times {
    name: &'static str,
    /// Deriving the difference.
    compile: Vec<Duration>,
    /// From the event to the kernel's acknowledgement.
    wall: Vec<Duration>,
    /// Processor time of the same.
    cpu: Vec<Duration>,
    /// Processor time of the transactions after it, which remove what nothing refers to any more.
    after: Vec<Duration>,
    /// Netlink messages of the first.
    messages: usize,
}

impl Times {
    fn event(&mut self, node: &mut Node, change: Change) -> Result<(), Error> {
        let (start, processor) = (Instant::now(), cpu());
        node.compiler.apply(Event::Cluster(change));
        let delta = node.compiler.commit();
        self.compile.push(start.elapsed());
        if !delta.is_empty() {
            self.messages += node.kernel.commit(&delta, None)?.messages;
        }
        let committed = cpu();
        self.wall.push(start.elapsed());
        self.cpu.push(committed - processor);
        node.clean_up()?;
        self.after.push(cpu() - committed);
        Ok(())
    }

    fn row(&self, size: &Size, first: bool) {
        println!(
            "  {:<58} {:>8} {:>10.1?} {:>10.1?} {:>10.1?} {:>10.1?} {:>10.1?} {:>9.1}",
            if first { self.name } else { "" },
            size.pods,
            percentile(&self.compile, 50),
            percentile(&self.wall, 50),
            percentile(&self.wall, 99),
            percentile(&self.cpu, 50),
            percentile(&self.after, 50),
            self.messages as f64 / self.wall.len().max(1) as f64,
        );
    }

    fn budgets(&self) -> [String; 2] {
        let (cpu, wall) = (percentile(&self.cpu, 50), percentile(&self.wall, 99));
        let what = |figure: &str| format!("{}, {USUAL} pods: {figure}", self.name);
        let limit = |limit: Duration| format!("{limit:?}");
        [
            budget(
                &what("CPU to the kernel, median"),
                &limit(CPU_BUDGET),
                &format!("{cpu:.1?}"),
                cpu <= CPU_BUDGET,
            ),
            budget(
                &what("event to kernel, p99"),
                &limit(WALL_BUDGET),
                &format!("{wall:.1?}"),
                wall <= WALL_BUDGET,
            ),
        ]
    }
}

fn events() -> Result<(), String> {
    let mut nodes = Vec::new();
    for size in &SIZES {
        let node = Node::start(size)?;
        let stats = node.compiler.stats();
        println!(
            "{} pods, {} policies, {} local pods: {} programs, {} elements",
            stats.pods, stats.policies, stats.local_pods, stats.programs, stats.elements
        );
        nodes.push((node, size));
    }
    println!("\none event to the kernel ({EVENTS} of each, sizes in turn)");
    println!(
        "  {:<58} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9}",
        "", "pods", "compile", "wall p50", "wall p99", "CPU p50", "clean-up", "messages"
    );
    let mut budgets = Vec::new();
    for happening in HAPPENINGS {
        budgets.extend(happens(*happening, &mut nodes.iter_mut().collect::<Vec<_>>(), EVENTS)?);
    }
    let mut large: Vec<_> = nodes.iter_mut().filter(|(_, size)| size.pods >= USUAL).collect();
    for (node, size) in &mut large {
        crowd(size).into_iter().for_each(|change| node.compiler.apply(Event::Cluster(change)));
        node.commit().and_then(|_| node.clean_up()).map_err(|error| error.to_string())?;
    }
    budgets.extend(happens(CROWD_MOVES, &mut large, FEW_EVENTS)?);
    println!(
        "  (compile, CPU and clean-up: medians; clean-up: CPU of the commits that follow, mostly a second later)\n"
    );
    budgets.iter().for_each(|line| println!("{line}"));
    Ok(())
}

type Sized<'a> = &'a mut (Node, &'static Size);

/// Lets it happen at each size in turn; prints what it took, and gives the budgets.
fn happens(
    happening: happening::Happening,
    nodes: &mut [Sized<'_>],
    rounds: usize,
) -> Result<Vec<String>, String> {
    let mut times: Vec<Vec<Times>> = nodes.iter().map(|_| Vec::new()).collect();
    for n in 0..rounds {
        for ((node, size), times) in nodes.iter_mut().map(|sized| (&mut sized.0, sized.1)).zip(&mut times) {
            for (step, (name, change)) in happening(size, n).into_iter().enumerate() {
                if times.len() == step {
                    times.push(Times { name, ..Times::default() });
                }
                times[step].event(node, change).map_err(|error| format!("{name}: {error}"))?;
            }
        }
    }
    let mut budgets = Vec::new();
    for step in 0..times.first().map_or(0, Vec::len) {
        let of_step: Vec<_> =
            times.iter().map(|times| &times[step]).zip(nodes.iter().map(|sized| sized.1)).collect();
        for (at, (times, size)) in of_step.iter().enumerate() {
            times.row(size, at == 0);
            if size.pods == USUAL && times.name.contains("changes its app") {
                budgets.extend(times.budgets());
            }
        }
        if let ([(least, smallest), .., (most, largest)], true) = (&of_step[..], rounds == EVENTS) {
            let cpu = |times: &Times| percentile(&times.cpu, 50).as_secs_f64();
            let growth = cpu(most) / cpu(least);
            let what =
                format!("{}: CPU to the kernel, {} pods over {}", least.name, largest.pods, smallest.pods);
            budgets.push(budget(&what, &GROWTH.to_string(), &format!("{growth:.2}"), growth <= GROWTH));
        }
    }
    Ok(budgets)
}

/// The same events one by one, and together in one transaction.
fn batches() -> Result<(), String> {
    let size = &SIZES[1];
    let mut node = Node::start(size)?;
    let changes: Vec<[Change; 2]> = (0..BATCH)
        .map(|n| {
            let i = size.pods / BATCH * n;
            let before = pod(size, i, 0);
            [Change::Pod(with_another_app(&before, i / size.pods.div_ceil(100), n)), Change::Pod(before)]
        })
        .collect();
    let mut run = |there: usize, at_once: bool| -> Result<(Duration, usize), Error> {
        let (begin, mut transactions) = (cpu(), 0);
        for pair in &changes {
            node.compiler.apply(Event::Cluster(pair[there].clone()));
            if !at_once {
                transactions += usize::from(node.commit()?.1 > 0);
            }
        }
        transactions += usize::from(node.commit()?.1 > 0);
        node.clean_up()?;
        Ok((cpu() - begin, transactions))
    };
    let (alone, commits) = run(0, false).map_err(|error| error.to_string())?;
    run(1, true).map_err(|error| error.to_string())?;
    let (together, commit) = run(0, true).map_err(|error| error.to_string())?;
    let ratio = alone.as_secs_f64() / together.as_secs_f64();
    println!(
        "\n{BATCH} pods ({} of them local) change their app, {} pods: one by one {alone:.1?} CPU in {commits} transactions, \
         at once {together:.1?} in {commit}: {ratio:.1} times less\n",
        LOCAL_PODS.min(BATCH),
        size.pods
    );
    println!(
        "{}",
        budget(
            "1000 label changes one by one over the same at once, CPU",
            "> 2",
            &format!("{ratio:.1}"),
            ratio > 2.0
        )
    );
    Ok(())
}

type Spec = fn() -> SetSpec;

/// The sets whose commits are measured.
const KINDS: [(&str, Spec); 3] = [
    ("addresses", || SetSpec::plain(&[DataType::Ipv4Addr])),
    ("address . protocol . port", || {
        SetSpec::plain(&[DataType::Ipv4Addr, DataType::InetProto, DataType::InetService])
    }),
    ("address ranges", || SetSpec::intervals(DataType::Ipv4Addr)),
];

type Element = (Key, Option<Box<Attributes>>);

fn element(spec: &SetSpec, i: u32) -> Element {
    let address = Key::address(Ipv4Addr::from(0x0a00_0000 + 4 * i).into());
    if spec.interval {
        let end = Some(Key::address(Ipv4Addr::from(0x0a00_0000 + 4 * i + 1).into()));
        return (address, Some(Box::new(Attributes { end, ..Attributes::default() })));
    }
    let key = if spec.key.len() == 1 { address } else { address.then(&[6]).then(&8080_u16.to_be_bytes()) };
    (key, None)
}

fn elements() -> Result<(), String> {
    println!("\none element more or less, the transaction alone (median of {ELEMENTS}; sizes in turn)");
    let mut columns: Vec<String> = Vec::new();
    for (kind, spec) in KINDS {
        let spec = spec();
        let name = Name::from("bench");
        let mut kernels = Vec::new();
        for size in SET_SIZES {
            let mut kernel = fresh_kernel()?;
            let mut set = Set::new(spec.clone());
            set.elements = (0..size).map(|i| element(&spec, i)).collect();
            let table = Table { sets: [(name.clone(), set)].into(), ..Table::default() };
            let ruleset = Ruleset { tables: [(Family::Inet, table)].into() };
            let load = diff(&Ruleset::default(), &ruleset);
            kernel.commit(&load, None).map_err(|error| error.to_string())?;
            kernels.push((kernel, size, Times::default()));
        }
        for _ in 0..ELEMENTS / 2 {
            for (kernel, size, times) in &mut kernels {
                let one = vec![element(&spec, *size)];
                let (family, set, spec) = (Family::Inet, name.clone(), spec.clone());
                let add =
                    Op::AddElements { family, set: set.clone(), spec: spec.clone(), elements: one.clone() };
                let delete = Op::DeleteElements { family, set, spec, elements: one };
                for op in [add, delete] {
                    let (wall, processor) = (Instant::now(), cpu());
                    kernel.commit(&Delta { ops: vec![op] }, None).map_err(|error| error.to_string())?;
                    times.wall.push(wall.elapsed());
                    times.cpu.push(cpu() - processor);
                }
            }
        }
        for (_, size, times) in &kernels {
            let (wall, cpu) = (percentile(&times.wall, 50), percentile(&times.cpu, 50));
            columns.push(format!("{size:>7}: {wall:>8.1?} (CPU {cpu:>8.1?})"));
        }
        println!("  {kind:<28} {}", columns.join("  "));
        columns.clear();
    }
    Ok(())
}

/// The size of the program beside this benchmark, built with the same profile.
fn binary() {
    let path = env!("CARGO_BIN_EXE_policyd");
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    println!(
        "\n{}",
        budget("size of the program policyd", &mb(BINARY_BUDGET), &mb(size), size <= BINARY_BUDGET)
    );
}

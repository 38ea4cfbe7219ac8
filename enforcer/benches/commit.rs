//! From an event to the kernel: compile it and commit the difference, in a network namespace of its own.
//!
//! `cargo bench -p enforcer --bench commit`; needs root. Times are of the wall and of this thread's processor time, the
//! kernel's work for the transaction included (what the kernel frees later, it does on its own account). Lines that begin
//! with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

#[path = "../../compiler/benches/cluster/mod.rs"]
mod cluster;

use cluster::{APPS, LOCAL_PODS, NODE, Size, changes, label, pod, policy, policy_for_everywhere};
use compiler::{
    Compiler, Event,
    config::Config,
    delta::{Delta, Op, diff},
    ir::{Attributes, DataType, Family, Key, Name, Ruleset, Set, SetSpec, Table},
};
use enforcer::nft::{Backend, Error, Kernel};
use nix::{
    sched::{CloneFlags, unshare},
    time::{ClockId, clock_gettime},
    unistd::gettid,
};
use policy_model::{cluster::Change, object::Namespace};
use std::{
    net::Ipv4Addr,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size { pods: 10_000, policies: 1_000 };
/// How often each event happens.
const EVENTS: usize = 1_000;
/// How often each set changes.
const ELEMENTS: usize = 200;
const SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

const CPU_BUDGET: Duration = Duration::from_micros(200);
const WALL_BUDGET: Duration = Duration::from_millis(5);
const BINARY_BUDGET: u64 = 15_000_000;

fn main() -> ExitCode {
    match real_time().and_then(|()| events()).and_then(|()| elements()) {
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

/// Ahead of all normal processes: the budget is for an idle node.
fn real_time() -> Result<(), String> {
    let output = Command::new("chrt").args(["--fifo", "--pid", "10", &gettid().to_string()]).output();
    let output = output.map_err(|error| format!("start chrt: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A socket to a network namespace that exists as long as the socket does.
fn fresh_kernel() -> Result<Kernel, String> {
    let open = || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("make a network namespace: {error}"))?;
        Kernel::open().map_err(|error| error.to_string())
    };
    thread::spawn(open).join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// Processor time of the calling thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// What the events that changed something in the kernel took.
#[derive(Default)]
struct Times {
    /// Deriving the difference.
    compile: Vec<Duration>,
    /// From the event to the kernel's acknowledgement.
    wall: Vec<Duration>,
    /// Processor time of the same.
    cpu: Vec<Duration>,
    /// Processor time of the transactions after it, which remove what nothing refers to any more.
    after: Vec<Duration>,
    /// Netlink messages of them all.
    messages: usize,
    /// Events that changed nothing in the kernel of this node.
    idle: usize,
}

impl Times {
    fn of(times: &[Duration], hundredth: usize) -> Duration {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() * hundredth / 100).copied().unwrap_or_default()
    }

    fn row(&self, name: &str) {
        println!(
            "  {name:<56} {:>9.1?} {:>9.1?} {:>9.1?} {:>9.1?} {:>9.1?} {:>9.1} {:>6}",
            Self::of(&self.compile, 50),
            Self::of(&self.wall, 50),
            Self::of(&self.wall, 99),
            Self::of(&self.cpu, 50),
            Self::of(&self.after, 50),
            self.messages as f64 / self.wall.len().max(1) as f64,
            self.idle,
        );
    }
}

/// One node's compiler and the kernel that follows it.
struct Node {
    compiler: Compiler,
    kernel: Kernel,
}

impl Node {
    fn start() -> Result<Self, String> {
        let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
        changes(&SIZE).into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
        let mut node = Self { compiler, kernel: fresh_kernel()? };
        let delta = node.compiler.commit();
        node.kernel.commit(&delta, None).map_err(|error| error.to_string())?;
        node.clean_up().map_err(|error| error.to_string())?;
        Ok(node)
    }

    /// Commits until nothing waits to be removed; gives the number of messages.
    fn clean_up(&mut self) -> Result<usize, Error> {
        let mut messages = 0;
        while !self.compiler.settled() {
            let delta = self.compiler.commit();
            if !delta.is_empty() {
                messages += self.kernel.commit(&delta, None)?.messages;
            }
        }
        Ok(messages)
    }

    fn event(&mut self, change: Change, times: &mut Times) -> Result<(), Error> {
        let (start, processor) = (Instant::now(), cpu());
        self.compiler.apply(Event::Cluster(change));
        let delta = self.compiler.commit();
        let compiled = start.elapsed();
        if delta.is_empty() {
            times.idle += 1;
            self.clean_up()?;
            return Ok(());
        }
        times.messages += self.kernel.commit(&delta, None)?.messages;
        let committed = cpu();
        times.wall.push(start.elapsed());
        times.cpu.push(committed - processor);
        times.compile.push(compiled);
        times.messages += self.clean_up()?;
        times.after.push(cpu() - committed);
        Ok(())
    }
}

/// A pod that is not of this node but shares a namespace with pods that are, so that local programs name it as a peer.
fn neighbour(n: usize) -> usize {
    let candidates =
        (0..SIZE.pods).filter(|i| i.is_multiple_of(10) && pod(&SIZE, *i, 0).node.as_deref() != Some(NODE));
    candidates.collect::<Vec<_>>()[n * 7 % 800]
}

/// An app that pod `i` is not of.
fn other_app(i: usize, n: usize) -> String {
    format!("app-{}", (i / SIZE.pods.div_ceil(100) + 1 + n % (APPS - 1)) % APPS)
}

type Happens = fn(usize) -> [Change; 2];

/// Each event and its undoing.
const HAPPENINGS: &[(&str, Happens)] = &[
    ("a remote pod's app changes", |n| {
        let before = pod(&SIZE, neighbour(n), 0);
        let mut after = before.clone();
        after.labels = after.labels.with("app", &other_app(neighbour(n), n));
        [Change::Pod(after), Change::Pod(before)]
    }),
    ("a local pod's app changes", |n| {
        let before = pod(&SIZE, SIZE.pods / LOCAL_PODS * (n % LOCAL_PODS), 0);
        let mut after = before.clone();
        after.labels = after.labels.with("app", &other_app(SIZE.pods / LOCAL_PODS * (n % LOCAL_PODS), n));
        [Change::Pod(after), Change::Pod(before)]
    }),
    ("a remote pod goes, comes", |n| {
        let pod = pod(&SIZE, neighbour(n), 0);
        [Change::PodDeleted(pod.key.clone()), Change::Pod(pod)]
    }),
    ("a local pod goes, comes", |n| {
        let pod = pod(&SIZE, SIZE.pods / LOCAL_PODS * (n % LOCAL_PODS), 0);
        [Change::PodDeleted(pod.key.clone()), Change::Pod(pod)]
    }),
    ("a policy goes, comes", |n| {
        let policy = policy(&SIZE, n * 10 % SIZE.policies);
        [Change::PolicyDeleted(policy.key.clone()), Change::Policy(policy)]
    }),
    ("a policy with a selector over all namespaces comes, goes", |n| {
        let policy = policy_for_everywhere(&SIZE, n);
        let key = policy.key.clone();
        [Change::Policy(policy), Change::PolicyDeleted(key)]
    }),
    ("a namespace of 100 pods changes its team", |n| {
        let name = format!("ns-{}", n % 100);
        let team = |n: usize| {
            Namespace::new(&*name, &[label("team", format!("team-{}", n % 50))].into_iter().collect())
        };
        [Change::Namespace(team(n + 1)), Change::Namespace(team(n))]
    }),
];

fn events() -> Result<(), String> {
    let mut node = Node::start()?;
    let stats = node.compiler.stats();
    println!(
        "one event to the kernel: {} pods, {} policies, {} local pods, {} programs, {} elements ({EVENTS} of each event)",
        stats.pods, stats.policies, stats.local_pods, stats.programs, stats.elements
    );
    println!(
        "  {:<56} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "", "compile", "wall p50", "wall p99", "CPU p50", "clean-up", "messages", "idle"
    );
    let mut all: Vec<Times> = HAPPENINGS.iter().map(|_| Times::default()).collect();
    // All kinds in turn, so that a busy moment of the machine is everyone's.
    for n in 0..EVENTS / 2 {
        for ((_, happens), times) in HAPPENINGS.iter().zip(&mut all) {
            for change in happens(n) {
                node.event(change, times).map_err(|error| error.to_string())?;
            }
        }
    }
    HAPPENINGS.iter().zip(&all).for_each(|((name, _), times)| times.row(name));
    println!(
        "  (medians; clean-up: CPU of what follows; idle: events that change nothing on this node, not counted)"
    );
    println!();
    for ((name, _), times) in HAPPENINGS.iter().zip(&all).take(2) {
        let met = |within: bool| if within { "met" } else { "not met" };
        let (cpu, wall) = (Times::of(&times.cpu, 50), Times::of(&times.wall, 99));
        println!(
            "budget: {name}: CPU to the kernel, median | {CPU_BUDGET:?} | {cpu:.1?} | {}",
            met(cpu <= CPU_BUDGET)
        );
        println!(
            "budget: {name}: event to kernel, p99 | {WALL_BUDGET:?} | {wall:.1?} | {}",
            met(wall <= WALL_BUDGET)
        );
    }
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
        for size in SIZES {
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
            let (wall, cpu) = (Times::of(&times.wall, 50), Times::of(&times.cpu, 50));
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
    let verdict = if size <= BINARY_BUDGET { "met" } else { "not met" };
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    println!("\nbudget: size of the program policyd | {} | {} | {verdict}", mb(BINARY_BUDGET), mb(size));
}

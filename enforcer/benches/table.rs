//! The table in the kernel at full size: its bytes, and what it takes to load it, to read it back at a restart, and to
//! delete it.
//!
//! `cargo bench -p enforcer --bench table`; needs root and a memory cgroup. The bytes are those that the kernel charges to
//! the cgroup of the thread that commits. Hash tables' buckets are charged to nobody, so that they are reckoned: 8 bytes for
//! each, a power of two of them, at most 3/4 full.

mod cgroup;
#[path = "../../compiler/benches/cluster/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod cluster;
#[expect(dead_code, reason = "it is shared with other benches")]
mod node;

use cgroup::{Cgroup, machine};
use cluster::{LOCAL_PODS, NODE, Size, changes};
use compiler::{
    Compiler, Event,
    config::Config,
    delta::diff,
    ir::{Ruleset, Set},
};
use enforcer::{
    apply::{Engine, Outcome},
    nft::{Backend, Kernel},
};
use node::{budget, cpu, in_namespace};
use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

const SIZES: [Size; 2] = [Size::new(10_000, 1_000), Size::new(100_000, 10_000)];
/// Bytes of the table at the largest.
const BUDGET: u64 = 64_000_000;
/// The kernel frees what is deleted a moment later.
const FREED: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    for size in &SIZES {
        if let Err(message) = in_namespace(|| measure(size)) {
            eprintln!("error: {message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Bytes of the buckets of a set's hash table.
fn buckets(set: &Set) -> u64 {
    if set.spec.interval { 0 } else { 8 * ((set.elements.len() as u64 * 4).div_ceil(3)).next_power_of_two() }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn measure(size: &Size) -> Result<(), String> {
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    changes(size).into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
    let load = compiler.commit();
    let stats = compiler.stats();
    println!(
        "{} pods, {} policies, {LOCAL_PODS} local pods: {} programs, {} elements",
        stats.pods, stats.policies, stats.programs, stats.elements
    );
    let failed = |error: enforcer::nft::Error| error.to_string();
    let cgroup = Cgroup::enter().map_err(|error| format!("make a memory cgroup: {error}"))?;
    let mut kernel = Kernel::open().map_err(failed)?;
    let empty = (cgroup.kernel_bytes()?, machine());
    let commit = timed(|| kernel.commit(&load, None).map_err(failed))?;
    println!(
        "  load: {:.1?} CPU ({:.1?} in the kernel, {} messages, {})",
        commit.cpu,
        commit.value.took,
        commit.value.messages,
        megabytes(commit.value.bytes as u64)
    );
    thread::sleep(FREED);
    let charged = cgroup.kernel_bytes()?.saturating_sub(empty.0);
    let grown = machine().saturating_sub(empty.1);
    let sets = compiler.ruleset().tables.values().flat_map(|table| table.sets.values());
    let buckets: u64 = sets.map(buckets).sum();
    let bytes = charged + buckets;
    println!(
        "  bytes: {} ({} charged, {} of buckets; {} an element); the whole machine's slabs and vmalloc grew by {}",
        megabytes(bytes),
        megabytes(charged),
        megabytes(buckets),
        bytes / (stats.elements as u64).max(1),
        megabytes(grown)
    );

    // A restart: the tables are there, and the compiler has everything again.
    let mut engine = Engine::new(Kernel::open().map_err(failed)?, compiler);
    let started = timed(|| engine.start().map_err(failed))?;
    if started.value != Outcome::Unchanged {
        return Err("a restart changes something".to_owned());
    }
    println!(
        "  restart: {:.1?} to read it back and find it the same ({:.1?} CPU)",
        started.wall, started.cpu
    );
    let verified = timed(|| engine.verify().map_err(failed))?;
    println!("  the check of each minute: {:.1?} ({:.1?} CPU)", verified.wall, verified.cpu);

    let delete = diff(engine.compiler().ruleset(), &Ruleset::default());
    let deleted = timed(|| kernel.commit(&delete, None).map_err(failed))?;
    thread::sleep(FREED);
    let left = cgroup.kernel_bytes()?.saturating_sub(empty.0);
    println!(
        "  delete: {:.1?} ({:.1?} CPU); {} are left charged\n",
        deleted.wall,
        deleted.cpu,
        megabytes(left)
    );
    if size.pods == SIZES[SIZES.len() - 1].pods {
        let what = format!("kernel memory of the table at {} pods and {} policies", size.pods, size.policies);
        println!("{}", budget(&what, &megabytes(BUDGET), &megabytes(bytes), bytes <= BUDGET));
    }
    Ok(())
}

struct Timed<T> {
    value: T,
    wall: Duration,
    cpu: Duration,
}

fn timed<T>(work: impl FnOnce() -> Result<T, String>) -> Result<Timed<T>, String> {
    let (begin, processor) = (Instant::now(), cpu());
    let value = work()?;
    Ok(Timed { value, wall: begin.elapsed(), cpu: cpu() - processor })
}

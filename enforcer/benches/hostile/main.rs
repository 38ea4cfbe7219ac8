//! How late a namespace's own events become in the kernel while the owner of another namespace does all that policies allow:
//! the whole loop of `policyd`, from the change of an object to the kernel's acknowledgement, in a network namespace of its own.
//!
//! `cargo bench -p enforcer --bench hostile [-- NAME]`; needs root.

#[path = "../../../compiler/benches/cluster/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod cluster;
#[path = "../observed/mod.rs"]
mod observed;
mod owner;
mod victim;

use cluster::{NODE, Size, changes};
use enforcer::{
    apply::{Daemon, Input},
    nft::Kernel,
    node::{
        facts::Facts,
        tracker::{Settings, Tracker},
    },
    observe::metrics::Metrics,
};
use nix::sched::{CloneFlags, unshare};
use observed::observed;
use owner::{OWNERS, Owner};
use policy_model::cluster::Change;
use std::{
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(10_000, 1_000);
/// How often the owner changes something once everything of theirs is there.
const EVERY: Duration = Duration::from_millis(2);
/// How long it goes on.
const TIME: Duration = Duration::from_secs(8);
/// What the victim waits between two events.
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    println!(
        "a namespace's events while another's owner is hostile: {} pods, {} policies of others; the owner changes an object every {EVERY:?}",
        SIZE.pods, SIZE.policies
    );
    println!(
        "  {:<58} {:>9} {:>9} {:>9} {:>7} {:>8} {:>9}",
        "", "p50", "p99", "longest", "events", "owner's", "resident"
    );
    for owner in
        OWNERS.iter().filter(|o| chosen.is_empty() || chosen.iter().any(|name| o.name.contains(name)))
    {
        // A namespace of its own, and memory that is given back, for each.
        let run = || run(owner);
        if let Err(message) =
            thread::spawn(run).join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
        {
            eprintln!("error: {}: {message}", owner.name);
            return ExitCode::FAILURE;
        }
    }
    println!("  (owner's: their changes in that time; resident: policyd's loop with its objects)");
    ExitCode::SUCCESS
}

fn send(inputs: &Sender<Input>, changes: Vec<Change>) -> Result<(), String> {
    inputs.send(Input::Changes { changes, seen: Instant::now() }).map_err(|error| error.to_string())
}

fn run(owner: &'static Owner) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("make a network namespace: {error}"))?;
    let kernel = Kernel::open().map_err(|error| error.to_string())?;
    let (acknowledged, commits) = channel();
    let watching = observed(kernel, victim::acknowledgements(acknowledged));
    let objects = changes(&SIZE).into_iter().chain(victim::objects()).chain(owner::pods()).collect();
    let tracker = Tracker::new(Settings::new(NODE));
    let mut daemon = Daemon::new(watching, tracker, Facts::default(), objects, Arc::new(Metrics::new()));
    daemon.start().map_err(|error| error.to_string())?;
    let (inputs, receiver) = channel();
    let daemon = thread::spawn(move || daemon.run(&receiver));

    let end = Instant::now() + TIME;
    let hostile = {
        let inputs = inputs.clone();
        thread::spawn(move || -> Result<usize, String> {
            let mut count = 0;
            // As fast as a watch tells of them: one object an event.
            for change in (owner.begins)() {
                send(&inputs, vec![change])?;
                count += 1;
            }
            for n in 0.. {
                if Instant::now() >= end {
                    break;
                }
                let Some(change) = (owner.goes_on)(n) else { break };
                send(&inputs, vec![change])?;
                count += 1;
                thread::sleep(EVERY);
            }
            Ok(count)
        })
    };
    let mut times = Vec::new();
    for n in 0.. {
        if Instant::now() >= end {
            break;
        }
        let sent = Instant::now();
        send(&inputs, vec![victim::change(n)])?;
        let arrived = commits
            .recv_timeout(Duration::from_secs(120))
            .map_err(|error| format!("never in force: {error}"))?;
        times.push(arrived.saturating_duration_since(sent));
        thread::sleep(PAUSE);
    }
    let count = hostile.join().map_err(|_| "a thread panicked")??;
    let resident = resident();
    let _ = inputs.send(Input::Stop);
    daemon.join().map_err(|_| "the loop panicked")?;
    times.sort_unstable();
    let at = |hundredth: usize| times.get(times.len() * hundredth / 100).copied().unwrap_or_default();
    println!(
        "  {:<58} {:>9.1?} {:>9.1?} {:>9.1?} {:>7} {:>8} {:>6} MB",
        owner.name,
        at(50),
        at(99),
        times.last().copied().unwrap_or_default(),
        times.len(),
        count,
        resident / 1_000_000
    );
    Ok(())
}

/// Resident memory of this process, in bytes (`/proc/self/statm`, pages of 4 KiB).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

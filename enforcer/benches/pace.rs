//! How long an event takes into the kernel while they come at a pace: through policyd's own loop, which gathers what comes
//! together, to the kernel's acknowledgement of the very element that the event changes.
//!
//! `cargo bench -p enforcer --bench pace`; needs root and a minute.

#[path = "../../compiler/benches/cluster/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod cluster;
#[path = "../../compiler/benches/happening/mod.rs"]
#[expect(dead_code, reason = "it is shared with other benches")]
mod happening;
#[expect(dead_code, reason = "it is shared with other benches")]
mod node;
mod observed;

use cluster::{APPS, LOCAL_PODS, NODE, Size, changes, local_pod, pod};
use compiler::{
    delta::{Delta, Op},
    ir::DataType,
};
use enforcer::{
    apply::{Daemon, Input},
    node::{
        facts::Facts,
        tracker::{Settings, Tracker},
    },
    observe::metrics::Metrics,
};
use nix::unistd::Pid;
use node::{budget, cpu, fresh_kernel, percentile, real_time};
use observed::observed;
use policy_model::cluster::Change;
use std::{
    collections::HashMap,
    net::IpAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(10_000, 1_000);
/// Events a second, and how many.
const PACES: [(u32, usize); 4] = [(1, 30), (10, 200), (100, 1_000), (1_000, 4_000)];
const BUDGET: Duration = Duration::from_millis(5);

/// When the change of each address was sent, and how long it took until the kernel had it.
#[derive(Default)]
struct Clock {
    sent: HashMap<IpAddr, Instant>,
    took: Vec<Duration>,
    transactions: usize,
    cpu: Duration,
}

impl Clock {
    /// A transaction is in the kernel.
    fn taken(&mut self, delta: &Delta) {
        let now = Instant::now();
        self.transactions += 1;
        // Of this thread, which is the loop's: all that it has done until now.
        self.cpu = cpu();
        for op in &delta.ops {
            let (Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. }) = op else {
                continue;
            };
            for (key, _) in elements {
                let family = if key.as_bytes().len() < 16 { DataType::Ipv4Addr } else { DataType::Ipv6Addr };
                let sent = key.first_address(family).and_then(|address| self.sent.remove(&address));
                self.took.extend(sent.map(|sent| now - sent));
            }
        }
    }
}

/// Remote pods of namespaces with local pods, each with another app than it has: what local programs may have as peers.
fn events() -> Vec<[Change; 2]> {
    let namespaces = SIZE.pods.div_ceil(100);
    let local: Vec<usize> = (0..LOCAL_PODS).map(|n| local_pod(&SIZE, n)).collect();
    let with_local: Vec<usize> = local.iter().map(|i| i % namespaces).collect();
    let remote = (0..SIZE.pods).filter(|i| with_local.contains(&(i % namespaces)) && !local.contains(i));
    remote
        .map(|i| {
            let before = pod(&SIZE, i, 0);
            let app = i / namespaces % APPS;
            [Change::Pod(happening::with_another_app(&before, app, i)), Change::Pod(before)]
        })
        .collect()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let clock = Arc::new(Mutex::new(Clock::default()));
    let own = clock.clone();
    let taken = move |delta: &Delta| own.lock().unwrap_or_else(PoisonError::into_inner).taken(delta);
    let watched = observed(fresh_kernel()?, taken);
    let tracker = Tracker::new(Settings::new(NODE));
    let mut daemon =
        Daemon::new(watched, tracker, Facts::default(), changes(&SIZE), Arc::new(Metrics::new()));
    daemon.start().map_err(|error| error.to_string())?;
    // The first revision was this thread's.
    clock.lock().unwrap_or_else(PoisonError::into_inner).cpu = Duration::ZERO;
    let (inputs, receiver) = mpsc::channel();
    let work = move || {
        let ready = real_time();
        daemon.run(&receiver);
        ready
    };
    let thread = thread::spawn(work);
    real_time()?;
    println!(
        "label changes of remote pods at a pace, through the loop of process {}: {} pods, {} policies",
        Pid::this(),
        SIZE.pods,
        SIZE.policies
    );
    let events = events();
    let mut lines = Vec::new();
    let mut next = 0;
    for (pace, count) in PACES {
        let before = {
            let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.sent.clear();
            clock.took.clear();
            (clock.transactions, clock.cpu)
        };
        let begin = Instant::now();
        for i in 0..count {
            let due = begin + Duration::from_secs(1) / pace * u32::try_from(i).unwrap_or(u32::MAX);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // All of them, then all of them back: a change and its undoing within one transaction would be none.
            let change = events[next % events.len()][next / events.len() % 2].clone();
            next += 1;
            let seen = Instant::now();
            if let Change::Pod(pod) = &change {
                let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
                clock.sent.extend(pod.ips.iter().take(1).map(|&address| (address, seen)));
            }
            inputs
                .send(Input::Changes { changes: vec![change], seen })
                .map_err(|_| "the loop has ended".to_owned())?;
        }
        // Whatever is held back is out by then.
        thread::sleep(Duration::from_millis(200));
        let clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (middle, worst) = (percentile(&clock.took, 50), percentile(&clock.took, 99));
        let busy = clock.cpu.saturating_sub(before.1) / u32::try_from(count).unwrap_or(u32::MAX);
        println!(
            "  {pace:>5} a second: {:>5} of {count:>5} change this node's tables, p50 {middle:>8.1?}, p99 {worst:>8.1?}; {:>5} transactions; \
             {busy:>8.1?} CPU of the loop an event",
            clock.took.len(),
            clock.transactions - before.0,
        );
        if pace <= 10 {
            let what = format!("a remote pod changes its app, {pace} a second: event to kernel, p99");
            lines.push(budget(&what, &format!("{BUDGET:?}"), &format!("{worst:.1?}"), worst <= BUDGET));
        }
    }
    let _ = inputs.send(Input::Stop);
    thread.join().map_err(|_| "the loop panicked".to_owned())??;
    println!(
        "  (below 50 a second each is a transaction of its own; above, what comes within some milliseconds is one)\n"
    );
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

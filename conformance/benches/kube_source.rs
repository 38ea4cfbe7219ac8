//! `policyd` on a real API server with 10,000 pods and 1,000 policies: how long until its first revision, how much memory,
//! what it costs to do nothing, and how long an event takes into the kernel at 50 a second.
//!
//! `cargo bench -p conformance --bench kube_source`; needs root and about three minutes. Lines that begin with `budget:` are
//! what `cargo bench-all` gathers.
#![expect(dead_code, reason = "it shares the tests' modules and uses a part of them")]

#[path = "../tests/kube_source/burst.rs"]
mod burst;
#[path = "../tests/kube_source/daemon.rs"]
mod daemon;
#[path = "../tests/kube_source/ground.rs"]
mod ground;

use daemon::Daemon;
use ground::{Ground, eventually};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

const PODS: usize = 10_000;
const POLICIES: usize = 1_000;
/// Resident memory, in megabytes.
const BUDGET: f64 = 80.0;
const IDLE: Duration = Duration::from_secs(60);
/// Half a minute of them: in that time the state is written to disk once, as it is in any other.
const EVENTS: usize = 1_500;
/// 50 a second.
const PACE: Duration = Duration::from_millis(20);
/// Of one event: until the kernel has it, and processor time of all of policyd.
const LATENCY_BUDGET: f64 = 0.005;
const CPU_BUDGET: f64 = 0.000_2;

fn main() {
    let ground = Ground::new("kube bench");
    let begin = Instant::now();
    burst::create(&ground, 0..PODS);
    let list: Vec<Value> = (0..POLICIES).map(policy).collect();
    ground.apply(&json!({"apiVersion": "v1", "kind": "List", "items": list}));
    println!("{PODS} pods and {POLICIES} policies made in {:.0} s", begin.elapsed().as_secs_f64());

    let begin = Instant::now();
    let daemon = Daemon::start(&ground);
    println!("start to first revision      {:7.2} s", begin.elapsed().as_secs_f64());
    println!("read from the API server      {:7.1} MB", daemon.metric("palisade_api_read_bytes") / 1e6);
    println!("CPU until then                {:7.2} s", total(&cpu(&daemon)));
    println!(
        "resident                      {:7.1} MB (at most {:.1})",
        memory(&daemon, "VmRSS"),
        memory(&daemon, "VmHWM")
    );

    let (before, read) = (cpu(&daemon), daemon.metric("palisade_api_read_bytes"));
    thread::sleep(IDLE);
    let idle = since(&before, &daemon);
    println!("CPU over {} idle s            {:7.3} s ({})", IDLE.as_secs(), total(&idle), parts(&idle, 1));
    println!(
        "read from the API server then {:7.1} kB",
        (daemon.metric("palisade_api_read_bytes") - read) / 1e3
    );

    let (before, busy) = (latencies(&daemon), cpu(&daemon));
    let begin = Instant::now();
    for i in 0..EVENTS {
        let due = begin + PACE * u32::try_from(i).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        burst::label(&ground, i, ["front", "api", "db", "pay"][i % 4]);
    }
    println!("{EVENTS} label changes at {:.0} a second", EVENTS as f64 / begin.elapsed().as_secs_f64());
    // What is held back is out by then. Before the objects are compared: that takes time of other processes.
    thread::sleep(Duration::from_secs(2));
    let busy = since(&busy, &daemon);
    eventually("all are in force", || daemon.difference(&ground).is_none());
    let counts: Vec<(f64, f64)> = latencies(&daemon)
        .into_iter()
        .zip(before)
        .map(|((bound, count), (_, old))| (bound, count - old))
        .collect();
    for share in [0.5, 0.99] {
        println!(
            "event to kernel p{:<3.0}         under {:6.1} ms",
            share * 100.0,
            quantile(&counts, share) * 1e3
        );
    }
    println!(
        "CPU an event                  {:7.2} ms ({})",
        total(&busy) / EVENTS as f64 * 1e3,
        parts(&busy, EVENTS)
    );
    let most = memory(&daemon, "VmHWM");
    let verdict = |met: bool| if met { "met" } else { "not met" };
    println!("resident                      {:7.1} MB (at most {most:.1})", memory(&daemon, "VmRSS"));
    let what = format!("policyd on an API server with {PODS} pods and {POLICIES} policies");
    println!("budget: {what}: resident | {BUDGET} MB | {most:.1} MB | {}", verdict(most < BUDGET));
    let late = quantile(&counts, 0.99);
    println!(
        "budget: {what}: event to kernel at 50 a second, p99 | {:.0} ms | under {:.1} ms | {}",
        LATENCY_BUDGET * 1e3,
        late * 1e3,
        verdict(late <= LATENCY_BUDGET)
    );
    let each = total(&busy) / EVENTS as f64;
    println!(
        "budget: {what}: CPU an event at 50 a second, TLS and JSON included | {:.0} us | {:.0} us | {}",
        CPU_BUDGET * 1e6,
        each * 1e6,
        verdict(each <= CPU_BUDGET)
    );
}

/// Policy `i`: each selects by an index of its own and one of four applications, and lets another in.
fn policy(i: usize) -> Value {
    let apps = ["front", "api", "db", "pay"];
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": format!("p-{i}"), "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": apps[i % 4], "index": (i * 7 % PODS).to_string()}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": apps[(i + 1) % 4]}}}],
                "ports": [{"port": "main"}]}]}})
}

/// Processor time of its threads by their names, in seconds (`/proc/PID/task/TID/schedstat`, nanoseconds).
fn cpu(daemon: &Daemon) -> BTreeMap<String, f64> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{}/task", daemon.pid())).into_iter().flatten().flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let spent = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
        *times.entry(read("comm").trim().to_owned()).or_default() += spent.unwrap_or_default() / 1e9;
    }
    times
}

fn since(before: &BTreeMap<String, f64>, daemon: &Daemon) -> BTreeMap<String, f64> {
    let spent = |(name, now): (String, f64)| {
        let before = before.get(&name).copied().unwrap_or_default();
        (name, now - before)
    };
    cpu(daemon).into_iter().map(spent).collect()
}

fn total(times: &BTreeMap<String, f64>) -> f64 {
    times.values().sum()
}

/// Each thread's share of one of `count`, in milliseconds.
fn parts(times: &BTreeMap<String, f64>, count: usize) -> String {
    let parts = times.iter().map(|(name, seconds)| format!("{name} {:.3}", seconds / count as f64 * 1e3));
    parts.collect::<Vec<_>>().join(", ")
}

/// In megabytes.
fn memory(daemon: &Daemon, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0 / 1e6
}

/// The histogram's buckets: upper bound in seconds, and how many were no longer than that.
fn latencies(daemon: &Daemon) -> Vec<(f64, f64)> {
    let page = daemon.get("/metrics").unwrap_or_default();
    let buckets = page.lines().filter_map(|line| {
        let (bound, count) =
            line.strip_prefix("palisade_event_to_kernel_seconds_bucket{le=\"")?.split_once("\"} ")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
    });
    buckets.collect()
}

fn quantile(buckets: &[(f64, f64)], share: f64) -> f64 {
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.iter().find(|(_, count)| *count >= total * share).map_or(f64::INFINITY, |(bound, _)| *bound)
}

//! What compiling costs: from nothing, and for one event, as the cluster grows. Every figure is a median of rounds that
//! take the sizes in turn, and is printed as a ratio to the smallest size as well.
//!
//! `cargo bench -p compiler --bench compile [-- --large]`; `--large` adds 100,000 pods and 10,000 policies.

use compiler::{Compiler, Event, config::Config};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{NamedPort, Namespace, ObjectKey, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

const NODE: &str = "node-0";
const LOCAL_PODS: usize = 110;
const APPS: usize = 20;

/// A cluster with this many pods, one namespace for every hundred, and this many policies spread over them.
struct Size {
    pods: usize,
    policies: usize,
}

fn label(key: &str, value: String) -> (String, String) {
    (key.to_owned(), value)
}

fn pod(size: &Size, i: usize, version: usize) -> Pod {
    let namespaces = size.pods.div_ceil(100);
    // Local pods are spread over the cluster.
    let local =
        i.is_multiple_of((size.pods / LOCAL_PODS).max(1)) && i / (size.pods / LOCAL_PODS).max(1) < LOCAL_PODS;
    let node = if local { NODE.to_owned() } else { format!("node-{}", 1 + i % (size.pods / 100).max(1)) };
    let v4 = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + i as u32);
    let v6 = Ipv6Addr::from(0xfd00_0010_0244_0000_0000_0000_0000_0000_u128 + i as u128);
    let labels: Labels = [
        label("app", format!("app-{}", i / namespaces % APPS)),
        label("tier", format!("tier-{}", i / namespaces % 3)),
        label("pod-template-hash", format!("{:08x}", (i / 5) * 2_654_435_761)),
        label("version", format!("v{version}")),
    ]
    .into_iter()
    .collect();
    Pod {
        key: ObjectKey::new(format!("ns-{}", i % namespaces), format!("pod-{i}")),
        labels,
        ips: [IpAddr::V4(v4), IpAddr::V6(v6)].into_iter().collect(),
        node: Some(node.into()),
        host_network: false,
        terminal: false,
        ports: vec![NamedPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        owner: None,
    }
}

fn is(key: &str, value: String) -> Selector {
    Selector::new([Requirement::In(key.into(), [value.into()].into())])
}

/// The usual mix: an app reached by another app of its namespace, by a namespace, by an address range; and its egress.
fn policy(size: &Size, i: usize) -> NetworkPolicy {
    let namespaces = size.pods.div_ceil(100);
    let port = |protocol, port| PolicyPort { protocol, port: PortMatch::Range(port, port) };
    let app = |n: usize| Peer::Pods { namespaces: None, pods: is("app", format!("app-{}", n % APPS)) };
    let namespace = Peer::Pods {
        namespaces: Some(is("team", format!("team-{}", i % 50))),
        pods: is("tier", format!("tier-{}", i % 3)),
    };
    let block = Peer::IpBlock {
        cidr: "192.168.0.0/16".parse().expect("a constant"),
        except: vec![format!("192.168.{}.0/24", i % 250).parse().expect("a constant")],
    };
    let ingress = vec![
        Rule { peers: vec![app(i + 1), app(i + 2)], ports: vec![port(Protocol::Tcp, 8080)] },
        Rule { peers: vec![namespace], ports: vec![port(Protocol::Tcp, 8080), port(Protocol::Tcp, 9090)] },
        Rule { peers: vec![block], ports: vec![] },
    ];
    let egress = vec![
        Rule { peers: vec![app(i + 3)], ports: vec![] },
        Rule { peers: vec![], ports: vec![port(Protocol::Udp, 53), port(Protocol::Tcp, 53)] },
    ];
    NetworkPolicy {
        key: ObjectKey::new(format!("ns-{}", i % namespaces), format!("policy-{i}")),
        pod_selector: is("app", format!("app-{}", (i / namespaces) % APPS)),
        ingress: Some(ingress),
        egress: i.is_multiple_of(2).then_some(egress),
    }
}

fn namespaces(size: &Size) -> impl Iterator<Item = Namespace> {
    (0..size.pods.div_ceil(100)).map(|i| {
        Namespace::new(format!("ns-{i}"), &[label("team", format!("team-{}", i % 50))].into_iter().collect())
    })
}

fn changes(size: &Size) -> Vec<Change> {
    namespaces(size)
        .map(Change::Namespace)
        .chain((0..size.pods).map(|i| Change::Pod(pod(size, i, 0))))
        .chain((0..size.policies).map(|i| Change::Policy(policy(size, i))))
        .collect()
}

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
        let mut changed = pod(size, 0, 0);
        changed.labels = changed.labels.with("app", &format!("app-{}", n % APPS));
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
    ("a namespace of 100 pods changes its team", |c, size, n| {
        let team = [label("team", format!("team-{}", n % 50))].into_iter().collect();
        one(c, Change::Namespace(Namespace::new(format!("ns-{}", 1 % size.pods.div_ceil(100)), &team)));
    }),
];

fn main() {
    let large = std::env::args().any(|argument| argument == "--large");
    let mut sizes = vec![Size { pods: 1_000, policies: 100 }, Size { pods: 10_000, policies: 1_000 }];
    if large {
        sizes.push(Size { pods: 100_000, policies: 10_000 });
    }
    println!("from nothing, {LOCAL_PODS} local pods (median of 5; 3 for the largest)");
    let mut compilers = Vec::new();
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
        println!(
            "  {:>7} pods {:>6} policies: {:>9.1?}  {:>4} programs {:>8} elements  {:>4} MiB resident more",
            size.pods,
            size.policies,
            median(times),
            stats.programs,
            stats.elements,
            resident().saturating_sub(before) >> 20,
        );
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
        println!("  {name:<52} {}", columns.join("   "));
    }
}

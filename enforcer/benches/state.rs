//! The state on disk of a cluster of 10,000 pods and 1,000 policies: bytes, times, memory; and what the loop pays for it.
//!
//! `cargo bench -p enforcer --bench state`

use enforcer::state::{State, path, read, write};
use policy_model::{
    cluster::{Change, Cluster},
    labels::Labels,
    object::{NamedPort, Namespace, ObjectKey, Owner, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const PODS: u32 = 10_000;
const POLICIES: u32 = 1_000;
const NAMESPACES: u32 = 100;
const ROUNDS: usize = 9;
/// Set to the file, this program only reads it.
const READ: &str = "PALISADE_BENCH_STATE";

fn pod(n: u32) -> Change {
    let app = format!("app-{}", n % 500);
    let labels = [("app", app.as_str()), ("tier", "backend"), ("pod-template-hash", "5f8c6d7b9")];
    Change::Pod(Pod {
        key: ObjectKey::new(format!("team-{}", n % NAMESPACES), format!("{app}-5f8c6d7b9-{n:05}")),
        labels: Labels::from_iter(labels),
        ips: [Ipv4Addr::from_bits(0x0af4_0000 + n).into()].into_iter().collect(),
        node: Some(format!("worker-{}", n / 100).into()),
        host_network: false,
        terminal: false,
        ports: vec![NamedPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        owner: Some(Owner { kind: "ReplicaSet".into(), name: format!("{app}-5f8c6d7b9").into() }),
    })
}

fn policy(n: u32) -> Change {
    let app =
        |n: u32| Selector::new([Requirement::In("app".into(), [format!("app-{}", n % 500).into()].into())]);
    let rule = Rule {
        peers: vec![
            Peer::Pods { namespaces: None, pods: app(n + 1) },
            Peer::Pods { namespaces: None, pods: app(n + 2) },
        ],
        ports: vec![PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Named("http".into()) }],
    };
    Change::Policy(NetworkPolicy {
        key: ObjectKey::new(format!("team-{}", n % NAMESPACES), format!("policy-{n}")),
        pod_selector: app(n),
        ingress: Some(vec![rule]),
        egress: None,
    })
}

/// Resident memory of this process, kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn main() {
    if let Some(file) = std::env::var_os(READ) {
        return read_alone(Path::new(&file));
    }
    let namespaces =
        (0..NAMESPACES).map(|n| Change::Namespace(Namespace::new(format!("team-{n}"), &Labels::default())));
    let cluster: Cluster = namespaces.chain((0..POLICIES).map(policy)).chain((0..PODS).map(pod)).collect();
    let folder = std::env::temp_dir().join(format!("palisade-state-bench-{}", std::process::id()));
    let file = path(&folder);

    let state = State::of(&cluster);
    let bytes = write(&file, "worker-1", &state).expect("written");
    println!("{PODS} pods, {POLICIES} policies: {bytes} bytes");
    println!("handed over by the loop in {:?}", median(|| drop(State::of(&cluster))));
    let written = median(|| {
        write(&file, "worker-1", &state).expect("written");
    });
    println!("written and synced in {written:?}");
    println!("read in {:?}", median(|| drop(read(&file).expect("read"))));
    // In a process of its own: this one has memory to use again.
    let reader = std::env::current_exe().expect("this program");
    let reading = Command::new(reader).env(READ, &file).status().expect("run this program");
    fs::remove_dir_all(folder).expect("the folder");
    assert!(reading.success());
}

fn read_alone(file: &Path) {
    let before = resident();
    let state = read(file).expect("read").expect("a state");
    println!("{} objects read take {} kB", state.len(), resident().saturating_sub(before));
}

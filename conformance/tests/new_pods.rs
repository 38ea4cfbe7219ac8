//! Pods that start under default deny: their packets are judged from the first instant, before anything names them, and
//! what they may do they may do from their first instruction. Needs root.
//!
//! CNI's order of steps, real packets, the real `policyd`. `PALISADE_RACE_PODS` sets the number of pods (40).

use conformance::{
    enforced::{Enforced, Manifests},
    lab::{Lab, Netns, Place, Pod, PodSpec, addresses},
};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{self, Namespace, Node, ObjectKey, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Served by every pod of the lab.
const PORT: u16 = 80;
/// Pods that start together, as a kubelet starts some.
const TOGETHER: usize = 10;
/// One try of a connection. On one machine an answer takes a tenth of a millisecond.
const TRY: Duration = Duration::from_millis(3);
/// A first connection that has not come about by then has failed.
const FAILED: Duration = Duration::from_secs(3);

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn node_of(n: usize) -> u8 {
    if n.is_multiple_of(2) { 1 } else { 2 }
}

fn client(n: usize) -> PodSpec {
    let last = u8::try_from(100 + n / 2).unwrap_or(u8::MAX);
    let [a, b, c, _] = addresses::pod4(node_of(n), 0).octets();
    PodSpec::new(node_of(n), "race", &format!("client-{n}")).ipv4(Ipv4Addr::new(a, b, c, last))
}

fn app(name: &str) -> Selector {
    Selector::new([Requirement::In("app".into(), [Arc::from(name)].into())])
}

fn rule(peer: &str) -> Rule {
    Rule {
        peers: vec![Peer::Pods { namespaces: None, pods: app(peer) }],
        ports: vec![PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(PORT, PORT) }],
    }
}

fn policy(
    name: &str,
    pods: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
) -> NetworkPolicy {
    NetworkPolicy { key: ObjectKey::new("race", name), pod_selector: pods, ingress, egress }
}

/// Everything is denied in `race`, but clients may reach servers. Clients are bound to their nodes and have no address yet.
fn cluster(standing: &[Arc<Pod>], clients: usize) -> Cluster {
    let mut cluster = Cluster::new();
    for index in 1..=2 {
        cluster.insert_node(Node {
            name: format!("node-{index}").into(),
            addresses: vec![addresses::node4(index).into(), addresses::node6(index).into()],
            pod_cidrs: vec![
                format!("{}/24", addresses::pod4(index, 0)).parse().expect("a range"),
                format!("{}/64", addresses::pod6(index, 0)).parse().expect("a range"),
            ],
        });
    }
    for name in ["race", "other"] {
        cluster.insert_namespace(Namespace::new(name, &Labels::default()));
    }
    let mut add = |key: ObjectKey, app: &str, node: u8, ips: Vec<IpAddr>| {
        cluster.insert_pod(object::Pod {
            key,
            labels: Labels::from_iter([("app", app)]),
            ips: ips.into(),
            node: Some(format!("node-{node}").into()),
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        });
    };
    for pod in standing {
        let app = pod.key().name.split('-').next().unwrap_or_default().to_owned();
        add(pod.key().clone(), &app, pod.node(), pod.addresses().collect());
    }
    for n in 0..clients {
        let spec = client(n);
        add(spec.key, "client", spec.node, Vec::new());
    }
    cluster.insert_policy(policy("deny", Selector::everything(), Some(Vec::new()), Some(Vec::new())));
    cluster.insert_policy(policy("clients", app("client"), None, Some(vec![rule("server")])));
    cluster.insert_policy(policy("servers", app("server"), Some(vec![rule("client")]), None));
    cluster
}

/// Sends a datagram to every address again and again, and counts the answers: each has passed against policy, since nobody
/// may reach a client. Gives what was sent and what was answered.
fn bombard(from: &Netns, targets: &[SocketAddr], stop: &AtomicBool) -> (u64, Vec<SocketAddr>) {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("the namespace").expect("a socket");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let (mut sent, mut answered, mut buffer) = (0, Vec::new(), [0; 256]);
    while !stop.load(Ordering::Relaxed) {
        for target in targets {
            // Refused while nobody has the address.
            sent += u64::from(socket.send_to(&[1; 64], target).is_ok());
        }
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            answered.push(from);
        }
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(100));
    while let Ok((_, from)) = socket.recv_from(&mut buffer) {
        answered.push(from);
    }
    (sent, answered)
}

/// From inside a pod: how long it takes until a connection comes about.
fn connect(pod: &Pod, to: SocketAddr, since: Instant) -> Option<Duration> {
    let connect = || {
        while since.elapsed() < FAILED {
            if TcpStream::connect_timeout(&to, TRY).is_ok() {
                return Some(since.elapsed());
            }
        }
        None
    };
    pod.netns().enter(connect).expect("the namespace")
}

#[derive(Default)]
struct Seen {
    delays: Vec<Duration>,
    failed: Vec<String>,
    against_policy: Vec<String>,
}

/// One pod's start: it tries what is forbidden from the moment it has an address, and what is permitted once its result is
/// written, which is before any process of a real pod runs.
fn start(lab: &Lab, pod: &Pod, server: &Pod, vault: &Pod, seen: &Mutex<Seen>, tries: &AtomicU64) {
    let forbidden = SocketAddr::new(vault.ipv4().into(), PORT);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let try_forbidden = || {
            let work = || {
                let mut passed = 0;
                while !done.load(Ordering::Relaxed) {
                    tries.fetch_add(1, Ordering::Relaxed);
                    passed += u32::from(TcpStream::connect_timeout(&forbidden, TRY).is_ok());
                }
                passed
            };
            pod.netns().enter(work).expect("the namespace")
        };
        let forbidden = scope.spawn(try_forbidden);
        thread::sleep(Duration::from_millis(10));
        lab.finish_pod(pod).expect("a result");
        let written = Instant::now();
        let delay = connect(pod, SocketAddr::new(server.ipv4().into(), PORT), written);
        thread::sleep(Duration::from_millis(50));
        done.store(true, Ordering::Relaxed);
        let passed = forbidden.join().expect("tries");
        let mut seen = seen.lock().expect("the others work");
        match delay {
            Some(delay) => seen.delays.push(delay),
            None => seen.failed.push(pod.key().to_string()),
        }
        if passed > 0 {
            seen.against_policy.push(format!("{passed} connections of {} to the vault", pod.key()));
        }
    });
}

#[test]
fn new_pods_are_judged_from_their_first_instant() {
    let count = setting("PALISADE_RACE_PODS", 40).min(300);
    let lab = Lab::builder("race").build().expect("a lab");
    let standing = |namespace: &str, name: &str| {
        let specs = [1, 2].map(|node| PodSpec::new(node, namespace, &format!("{name}-{node}")));
        lab.add_pods(&specs).expect("pods")
    };
    let (servers, vaults) = (standing("race", "server"), standing("race", "vault"));
    let probers = standing("other", "prober");
    let all = [&servers[..], &vaults[..], &probers[..]].concat();
    let enforced = Enforced::start(lab, &Manifests::of(&cluster(&all, count))).expect("policyd");
    let lab = enforced.lab();

    let stop = AtomicBool::new(false);
    let (seen, tries) = (Mutex::new(Seen::default()), AtomicU64::new(0));
    let targets: Vec<SocketAddr> =
        (0..count).filter_map(|n| Some(SocketAddr::new(client(n).ipv4?.into(), PORT))).collect();
    let sent = thread::scope(|scope| {
        let from: Vec<Netns> =
            probers.iter().map(|pod| pod.netns().clone()).chain([lab.outside().clone()]).collect();
        let bombs: Vec<_> = from
            .into_iter()
            .map(|netns| {
                let (targets, stop) = (&targets, &stop);
                scope.spawn(move || bombard(&netns, targets, stop))
            })
            .collect();
        let numbers: Vec<usize> = (0..count).collect();
        for together in numbers.chunks(TOGETHER) {
            let specs: Vec<PodSpec> = together.iter().map(|&n| client(n)).collect();
            let pods = lab.start_pods(&specs).expect("pods that are not named yet");
            thread::scope(|scope| {
                for pod in &pods {
                    let at = usize::from(pod.node()) - 1;
                    let (server, vault, seen, tries) = (&servers[at], &vaults[at], &seen, &tries);
                    scope.spawn(move || start(lab, pod, server, vault, seen, tries));
                }
            });
        }
        stop.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for bomb in bombs {
            let (datagrams, answered) = bomb.join().expect("probes");
            sent += datagrams;
            let mut seen = seen.lock().expect("all have ended");
            seen.against_policy.extend(answered.iter().map(|from| format!("an answer of {from}")));
        }
        sent
    });
    let Seen { mut delays, failed, against_policy } = seen.into_inner().expect("all have ended");
    delays.sort();
    let at = |percent: usize| {
        delays.get(delays.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    };
    println!(
        "{count} pods on 2 nodes, {sent} datagrams to them and {} connections of theirs, all forbidden",
        tries.load(Ordering::Relaxed)
    );
    println!("passed against policy: {}", against_policy.len());
    println!("permitted first connections that failed on the pod's own node: {}", failed.len());
    println!("from a pod's result to its first connection: p50 {:?}, p99 {:?}", at(50), at(99));
    assert!(against_policy.is_empty(), "{against_policy:#?}");
    assert!(failed.is_empty(), "{failed:?}");

    // The probes can see what they look for: without policies they are answered.
    let open = {
        let mut cluster = cluster(&all, count);
        let policies: Vec<_> = cluster.policies().map(|policy| policy.key.clone()).collect();
        policies.iter().for_each(|key| cluster.remove_policy(key));
        cluster
    };
    let mut enforced = enforced;
    enforced.update(&Manifests::of(&open)).expect("followed");
    let stop = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let bomb = scope.spawn(|| bombard(probers[0].netns(), &targets, &stop));
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        bomb.join().expect("probes").1
    });
    let answering: std::collections::BTreeSet<_> = answered.into_iter().collect();
    assert_eq!(answering.len(), count, "every pod answers where it may");
    let place = Place::from(&*vaults[0]);
    assert!(
        enforced.lab().pod("race", "client-0").is_some_and(|pod| {
            connect(&pod, SocketAddr::new(vaults[0].ipv4().into(), PORT), Instant::now()).is_some()
        }),
        "{place}"
    );
}

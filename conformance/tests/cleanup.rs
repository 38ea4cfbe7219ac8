//! `policyd cleanup` under a flood: taking the tables away loses no packet that they permit.

use conformance::{
    enforced::{Enforced, Manifests, binary},
    lab::{Lab, Netns, PodSpec, addresses},
};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{Node, ObjectKey, Pod},
    policy::NetworkPolicy,
    selector::Selector,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Each takes some 50 ms, and a flood has some 50,000 packets a second: a gap of 10 µs is found.
const TIMES: usize = 25;
const PORT: u16 = 53;

/// Counts what reaches the forward hook before and after anybody's tables.
fn watch(node: &Netns, server: std::net::Ipv4Addr) {
    let chain = |name: &str, priority: i32| {
        format!(
            "chain {name} {{\n type filter hook forward priority {priority};\n ip daddr {server} udp dport {PORT} counter\n }}\n"
        )
    };
    let table = format!("table inet watch {{\n{}{}}}\n", chain("before", -400), chain("after", 400));
    node.nft(&table).expect("the table that counts");
}

fn counted(node: &Netns) -> [u64; 2] {
    let text = node.exec(&["nft", "list", "table", "inet", "watch"]).expect("its counters");
    let counts = text.split("packets ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
    counts.collect::<Vec<_>>().try_into().expect("two counters")
}

#[test]
fn taking_the_tables_away_loses_no_permitted_packet() {
    let lab = Lab::builder("cleanup").nodes(1).ports(&[PORT]).build().expect("the lab");
    let specs = [PodSpec::new(1, "default", "client"), PodSpec::new(1, "default", "server")];
    let pods = lab.add_pods(&specs).expect("pods");
    let mut cluster = Cluster::new();
    cluster.insert_node(Node {
        name: "node-1".into(),
        addresses: vec![addresses::node4(1).into()],
        pod_cidrs: vec![format!("{}/24", addresses::pod4(1, 0)).parse().expect("a range")],
    });
    for pod in &pods {
        cluster.insert_pod(Pod {
            key: pod.key().clone(),
            labels: Labels::default(),
            ips: pod.addresses().collect(),
            node: Some("node-1".into()),
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        });
    }
    // Everybody may hear everybody, by a program that says so.
    cluster.insert_policy(NetworkPolicy {
        key: ObjectKey::new("default", "all"),
        pod_selector: Selector::new([]),
        ingress: Some(vec![policy_model::policy::Rule { peers: Vec::new(), ports: Vec::new() }]),
        egress: None,
    });
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");
    // It would mend what is taken away.
    enforced.daemon_mut(1).kill();
    let node = enforced.lab().node(1);
    let policyd = binary().expect("policyd").display().to_string();
    let state = node.dir().join("cleaned").display().to_string();
    let (cni, manifests) = (node.cni_dir().display().to_string(), enforced.folder().display().to_string());
    let run = [
        "run",
        "--once",
        "--manifests",
        &manifests,
        "--node-name",
        "node-1",
        "--cni-dir",
        &cni,
        "--state-dir",
        &state,
    ];
    let once: Vec<&str> = [&*policyd].into_iter().chain(run).collect();
    let cleanup = [&*policyd, "cleanup", "--state-dir", &state];
    watch(node.netns(), pods[1].ipv4());

    let flood =
        pods[0].netns().enter(|| UdpSocket::bind("0.0.0.0:0")).expect("the client").expect("a socket");
    flood.connect(SocketAddr::new(pods[1].ipv4().into(), PORT)).expect("a route to the server");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // What the kernel does not take has not reached the hook.
                flood.send(b"datagram").ok();
            }
        });
        let result = (0..TIMES).try_for_each(|_| {
            node.netns().exec(&cleanup)?;
            node.netns().exec(&once).map(drop)
        });
        stop.store(true, Ordering::Relaxed);
        result.expect("policyd comes and goes");
    });
    // Nothing is under way any more.
    thread::sleep(std::time::Duration::from_millis(200));
    let [before, after] = counted(node.netns());
    println!("{TIMES} times: {before} datagrams, {} lost", before - after);
    assert!(before > 10_000, "{before} datagrams are no flood");
    assert_eq!(before, after, "permitted datagrams that were lost");
}

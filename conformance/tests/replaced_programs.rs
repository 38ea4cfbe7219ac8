//! Programs that are replaced under floods: what old and new deny never passes, what both permit is never lost.

use conformance::{
    enforced::{Enforced, Manifests, PolicydError},
    lab::{Lab, Netns, Pod as LabPod, PodSpec, addresses},
};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{Node, ObjectKey, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// In one transaction each let one datagram in a hundred pass.
const TIMES: usize = 200;
/// Within a range that is too wide for the exact set: the program asks a port profile, which is a map of its own.
const PERMITTED: u16 = 7000;
const DENIED: u16 = 53;

/// Lets everybody in at a wide range of ports, and at one more port, which differs from policy to policy.
fn policy(port: u16) -> NetworkPolicy {
    let ports = |first, last| PolicyPort { protocol: Protocol::Udp, port: PortMatch::Range(first, last) };
    let clients = Selector::new([Requirement::In("app".into(), ["client".into()].into())]);
    let peers = vec![Peer::Pods { namespaces: None, pods: clients }];
    NetworkPolicy {
        key: ObjectKey::new("default", "server"),
        pod_selector: Selector::new([Requirement::In("app".into(), ["server".into()].into())]),
        ingress: Some(vec![Rule { peers, ports: vec![ports(6000, 8000), ports(port, port)] }]),
        egress: None,
    }
}

fn cluster(pods: &[std::sync::Arc<LabPod>], port: u16) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.insert_node(Node {
        name: "node-1".into(),
        addresses: vec![addresses::node4(1).into()],
        pod_cidrs: vec![format!("{}/24", addresses::pod4(1, 0)).parse().expect("a range")],
    });
    for pod in pods {
        cluster.insert_pod(Pod {
            key: pod.key().clone(),
            labels: Labels::default().with("app", &pod.key().name),
            ips: pod.addresses().collect(),
            node: Some("node-1".into()),
            host_network: false,
            terminal: false,
            ports: Vec::new(),
            owner: None,
        });
    }
    cluster.insert_policy(policy(port));
    cluster
}

/// Counts at the forward hook what is to pass before and after our tables, and what is not.
fn watch(node: &Netns, server: std::net::Ipv4Addr) {
    let chain = |name: &str, priority: i32| {
        format!(
            "chain {name} {{\n type filter hook forward priority {priority};\n \
             ip daddr {server} udp dport {PERMITTED} counter\n ip daddr {server} udp dport {DENIED} counter\n }}\n"
        )
    };
    node.nft(&format!("table inet watch {{\n{}{}}}\n", chain("before", -400), chain("after", 400)))
        .expect("the table that counts");
}

/// Permitted and denied before our tables, and after.
fn counted(node: &Netns) -> [u64; 4] {
    let text = node.exec(&["nft", "list", "table", "inet", "watch"]).expect("its counters");
    let counts = text.split("packets ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
    counts.collect::<Vec<_>>().try_into().expect("four counters")
}

#[test]
fn a_program_that_is_replaced_lets_nothing_pass_and_loses_nothing() {
    let lab = Lab::builder("replaced").nodes(1).ports(&[PERMITTED, DENIED]).build().expect("the lab");
    let specs = [PodSpec::new(1, "default", "client"), PodSpec::new(1, "default", "server")];
    let pods = lab.add_pods(&specs).expect("pods");
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster(&pods, 100))).expect("policyd");
    let node = enforced.lab().node(1).netns().clone();
    watch(&node, pods[1].ipv4());
    let flood = |port| {
        let socket =
            pods[0].netns().enter(|| UdpSocket::bind("0.0.0.0:0")).expect("the client").expect("a socket");
        socket.connect(SocketAddr::new(pods[1].ipv4().into(), port)).expect("a route to the server");
        socket
    };
    let (stop, floods) = (AtomicBool::new(false), [flood(PERMITTED), flood(DENIED)]);
    let manifests = [101, 102].map(|port| Manifests::of(&cluster(&pods, port)));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // What the kernel does not take has not reached the hook.
                floods.iter().for_each(|flood| _ = flood.send(b"datagram"));
            }
        });
        let result = (0..TIMES).try_for_each(|turn| {
            let commits = enforced.update(&manifests[turn % 2])?.concat();
            assert!(!commits.is_empty(), "the program is another");
            Ok::<_, PolicydError>(())
        });
        stop.store(true, Ordering::Relaxed);
        result.expect("the folder takes the change");
    });
    thread::sleep(Duration::from_millis(200));
    let [permitted, denied, passed, leaked] = counted(&node);
    println!(
        "{TIMES} times: {permitted} permitted datagrams, {} lost; {denied} denied, {leaked} passed",
        permitted - passed
    );
    assert!(permitted.min(denied) > 10_000, "{permitted} and {denied} datagrams are no floods");
    assert_eq!((permitted - passed, leaked), (0, 0), "permitted datagrams lost, denied ones passed");
}

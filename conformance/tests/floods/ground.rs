//! A client, a server, and what counts between them.

use conformance::lab::{Lab, Netns, Pod as LabPod, PodSpec, addresses};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{Node, ObjectKey, Pod},
    policy::{NetworkPolicy, Rule},
    selector::{Requirement, Selector},
};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// One node with a client and a server, which answers at these ports.
pub(crate) fn raise(name: &str, ports: &[u16]) -> (Lab, Vec<Arc<LabPod>>) {
    let lab = Lab::builder(name).nodes(1).ports(ports).build().expect("the lab");
    let pods = lab.add_pods(&["client", "server"].map(|name| PodSpec::new(1, "default", name)));
    let pods = pods.expect("pods");
    (lab, pods)
}

/// The objects of these pods, each with its name as `app`, and a policy.
pub(crate) fn cluster(pods: &[Arc<LabPod>], policy: NetworkPolicy) -> Cluster {
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
    cluster.insert_policy(policy);
    cluster
}

/// Pods of an app.
pub(crate) fn app(name: &str) -> Selector {
    Selector::new([Requirement::In("app".into(), [name.into()].into())])
}

/// What these pods may hear.
pub(crate) fn ingress(name: &str, pods: Selector, rules: Vec<Rule>) -> NetworkPolicy {
    NetworkPolicy {
        key: ObjectKey::new("default", name),
        pod_selector: pods,
        ingress: Some(rules),
        egress: None,
    }
}

/// Counts what reaches the forward hook for these ports, before and after anybody's tables.
pub(crate) fn watch(node: &Netns, server: Ipv4Addr, ports: &[u16]) {
    let chain = |name: &str, priority: i32| {
        let rule = |port: &u16| format!(" ip daddr {server} udp dport {port} counter\n");
        let rules: String = ports.iter().map(rule).collect();
        format!("chain {name} {{\n type filter hook forward priority {priority};\n{rules} }}\n")
    };
    let table = format!("table inet watch {{\n{}{}}}\n", chain("before", -400), chain("after", 400));
    node.nft(&table).expect("the table that counts");
}

/// For each port, before our tables and after them.
pub(crate) fn counted(node: &Netns) -> Vec<[u64; 2]> {
    // Nothing is under way any more.
    thread::sleep(Duration::from_millis(200));
    let text = node.exec(&["nft", "list", "table", "inet", "watch"]).expect("its counters");
    let counts = text.split("packets ").skip(1).map(|rest| {
        let count = rest.split(' ').next().expect("a number");
        count.parse::<u64>().expect("a number")
    });
    let counts: Vec<u64> = counts.collect();
    let (before, after) = counts.split_at(counts.len() / 2);
    before.iter().zip(after).map(|(before, after)| [*before, *after]).collect()
}

/// Ends threads, also when something panics meanwhile.
pub(crate) struct End<'a>(pub(crate) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends datagrams from the client to these ports of the server, as fast as it goes, while `work` is done.
pub(crate) fn under_flood<T>(pods: &[Arc<LabPod>], ports: &[u16], work: impl FnOnce() -> T) -> T {
    let socket = |port: &u16| {
        let bind = || UdpSocket::bind("0.0.0.0:0");
        let socket = pods[0].netns().enter(bind).expect("the client").expect("a socket");
        socket.connect(SocketAddr::new(pods[1].ipv4().into(), *port)).expect("a route to the server");
        socket
    };
    let sockets: Vec<UdpSocket> = ports.iter().map(socket).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // What the kernel does not take has not reached the hook.
                sockets.iter().for_each(|socket| _ = socket.send(b"datagram"));
            }
        });
        let _end = End(&stop);
        work()
    })
}

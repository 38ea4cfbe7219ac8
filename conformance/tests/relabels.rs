//! Updates under traffic: a thousand changes of labels and policies, and not one packet of an unaffected flow is lost;
//! flows whose permission comes and goes stop and start again.

use conformance::{
    enforced::{Enforced, Manifests},
    lab::{Lab, Pod, PodSpec, addresses},
    probe::{Side, UdpFlow},
};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{Node, ObjectKey},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

const UPDATES: usize = 1_000;

fn is(key: &str, value: &str) -> Selector {
    Selector::new([Requirement::In(key.into(), [value.into()].into())])
}

fn pod(pod: &Pod, labels: &[(&str, &str)]) -> policy_model::object::Pod {
    policy_model::object::Pod {
        key: pod.key().clone(),
        labels: labels.iter().copied().collect::<Labels>(),
        ips: pod.addresses().collect(),
        node: Some(format!("node-{}", pod.node()).into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    }
}

/// Lets pods with `app=client` in on UDP 53 and TCP 80; `n` makes each one's program another.
fn allow_clients(name: &str, app: &str, n: usize) -> NetworkPolicy {
    let port = |protocol, port| PolicyPort { protocol, port: PortMatch::Range(port, port) };
    use policy_model::object::Protocol::{Tcp, Udp};
    NetworkPolicy {
        key: ObjectKey::new("default", name),
        pod_selector: is("app", app),
        ingress: Some(vec![Rule {
            peers: vec![Peer::Pods { namespaces: None, pods: is("app", "client") }],
            ports: vec![port(Udp, 53), port(Tcp, 80), port(Tcp, 1000 + (n % 50_000) as u16)],
        }]),
        egress: None,
    }
}

/// Four servers, clients on both nodes, and in turn: a stranger's label, a policy's ports, and which programs pods have.
fn state(pods: &[Arc<Pod>], n: usize) -> Cluster {
    let mut cluster = Cluster::new();
    for index in 1..=2 {
        cluster.insert_node(Node {
            name: format!("node-{index}").into(),
            addresses: vec![addresses::node4(index).into()],
            pod_cidrs: vec![format!("{}/24", addresses::pod4(index, 0)).parse().expect("a range")],
        });
    }
    for running in pods {
        let role = &*running.key().name;
        let app = role.split('-').next().unwrap_or(role);
        let mut labels = vec![("app", app)];
        let turn = format!("v{n}");
        match role {
            // Its label makes it enter and leave the selectors of the policies that unaffected flows depend on.
            "stranger" if n.is_multiple_of(3) => labels = vec![("app", "client")],
            // Each relabel gives the server's pod another policy, and so another program, that allows the same.
            "server-1" if n.is_multiple_of(2) => labels.push(("shift", "odd")),
            _ => labels.push(("turn", &turn)),
        }
        cluster.insert_pod(pod(running, &labels));
    }
    cluster.insert_policy(allow_clients("servers", "server", n / 7));
    cluster.insert_policy(NetworkPolicy {
        pod_selector: is("shift", "odd"),
        ..allow_clients("shifted", "server", n)
    });
    cluster.insert_policy(NetworkPolicy {
        key: ObjectKey::new("default", "clients-out"),
        pod_selector: is("app", "client"),
        ingress: None,
        egress: Some(vec![Rule {
            peers: vec![Peer::Pods { namespaces: None, pods: is("app", "server") }],
            ports: vec![],
        }]),
    });
    cluster
}

#[test]
fn a_thousand_updates_lose_no_packet_of_an_unaffected_flow() {
    let lab = Lab::builder("relabels").nodes(2).ports(&[53, 80]).build().expect("the lab");
    let spec = |node, name| PodSpec::new(node, "default", name);
    let specs = [
        spec(1, "client-1"),
        spec(2, "client-2"),
        spec(1, "server-1"),
        spec(2, "server-2"),
        spec(1, "stranger"),
    ];
    let pods = lab.add_pods(&specs).expect("pods");
    let mut enforced = Enforced::start(lab, &Manifests::of(&state(&pods, 0))).expect("policyd");

    let pod = |name: &str| pods.iter().find(|pod| &*pod.key().name == name).expect("it was added").clone();
    let pairs = [
        ("client-1", "server-1"),
        ("client-1", "server-2"),
        ("client-2", "server-1"),
        ("client-2", "server-2"),
    ];
    let every = Duration::from_millis(1);
    let open = |&(from, to): &(&str, &str), v6: bool| -> UdpFlow {
        let (from, to) = (pod(from), pod(to));
        let address = if v6 { to.ipv6().into() } else { to.ipv4().into() };
        enforced
            .lab()
            .open_udp_flow(&from, SocketAddr::new(address, 53), every)
            .expect("a permitted flow opens")
    };
    let flows: Vec<_> = pairs.iter().flat_map(|pair| [open(pair, false), open(pair, true)]).collect();
    for flow in &flows {
        flow.send(Side::Client, true);
        flow.send(Side::Server, true);
    }
    let mut operations = 0;
    for n in 1..=UPDATES {
        let commits = enforced.update(&Manifests::of(&state(&pods, n))).expect("policyd follows");
        operations += commits.iter().flatten().map(|commit| commit.operations).sum::<usize>();
    }
    let (mut sent, mut lost) = (0, 0);
    for flow in &flows {
        let (client, server) = flow.settle();
        sent += client.sent + server.sent;
        lost += client.lost.len() + server.lost.len();
    }
    println!("{UPDATES} updates, {operations} operations: {sent} datagrams sent, {lost} lost");
    assert!(operations > UPDATES, "the updates must touch the kernel");
    assert!(sent > 1_000, "the flows must run all the while");
    assert_eq!(lost, 0);
}

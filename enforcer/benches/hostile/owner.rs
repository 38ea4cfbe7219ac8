//! What the owner of one namespace does there. They may write policies, pods and labels, and nothing else.

use super::cluster::{NODE, label};
use ipnet::{IpNet, Ipv4Net};
use policy_model::{
    cluster::Change,
    object::{ObjectKey, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const NAMESPACE: &str = "hostile";
/// Their pods on this node, each with another label.
const PODS: usize = 50;

pub(crate) struct Owner {
    pub(crate) name: &'static str,
    /// What they make at first.
    pub(crate) begins: fn() -> Vec<Change>,
    /// What they change then, again and again.
    pub(crate) goes_on: fn(usize) -> Option<Change>,
}

pub(crate) const OWNERS: &[Owner] = &[
    Owner { name: "nobody is hostile", begins: Vec::new, goes_on: |_| None },
    Owner {
        name: "10,000 policies for all of 50 pods, one edited",
        begins: || (0..10_000).map(|n| port_policy(n, 0)).collect(),
        goes_on: |n| Some(port_policy(n % 10_000, n + 1)),
    },
    Owner {
        name: "100,000 ipBlocks for all of 50 pods, one policy edited",
        begins: || (0..20).map(|n| blocks(n, 5_000, 0)).collect(),
        goes_on: |n| Some(blocks(n % 20, 5_000, n + 1)),
    },
    Owner {
        name: "10,000 ipBlocks for each of 50 pods, one policy edited",
        begins: || (0..PODS).map(|n| blocks_of_one(n, 10_000, 0)).collect(),
        goes_on: |n| Some(blocks_of_one(n % PODS, 10_000, n + 1)),
    },
    Owner {
        name: "1,000 selectors over all pods that exclude 100 values each",
        begins: || (0..1_000).map(|n| slow(n, 0)).collect(),
        goes_on: |n| Some(slow(n % 1_000, n + 1)),
    },
    Owner {
        name: "the same with 60, within the limit",
        begins: || (0..60).map(|n| slow(n, 0)).collect(),
        goes_on: |n| Some(slow(n % 60, n + 1)),
    },
    Owner {
        name: "all pods on 16 ports, with selectors of each pod's own",
        begins: || (0..PODS).map(|n| wide(n, 0)).collect(),
        goes_on: |n| Some(wide(n % PODS, n + 1)),
    },
];

/// Their pods.
pub(crate) fn pods() -> Vec<Change> {
    (0..PODS)
        .map(|n| {
            Change::Pod(Pod {
                key: ObjectKey::new(NAMESPACE, format!("pod-{n}")),
                labels: [label("n", n.to_string())].into_iter().collect(),
                ips: [IpAddr::from([10, 201, 0, n as u8])].into_iter().collect(),
                node: Some(NODE.into()),
                host_network: false,
                terminal: false,
                ports: Vec::new(),
                owner: None,
            })
        })
        .collect()
}

fn policy(name: String, pods: Selector, peers: Vec<Peer>, ports: Vec<PolicyPort>) -> Change {
    Change::Policy(NetworkPolicy {
        key: ObjectKey::new(NAMESPACE, name),
        pod_selector: pods,
        ingress: Some(vec![Rule { peers, ports }]),
        egress: None,
    })
}

fn port(port: usize) -> PolicyPort {
    let port = 1 + (port % 60_000) as u16;
    PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(port, port) }
}

fn value(n: usize) -> Arc<str> {
    format!("value-{n}").into()
}

/// One peer of its own and one port.
fn port_policy(n: usize, version: usize) -> Change {
    let pods = Selector::new([Requirement::In("app".into(), [value(n)].into())]);
    let peers = vec![Peer::Pods { namespaces: None, pods }];
    policy(format!("policy-{n}"), Selector::everything(), peers, vec![port(n + version)])
}

fn block_peers(first: usize, count: usize) -> Vec<Peer> {
    (0..count)
        .map(|i| {
            // Every other address, so that no two become one range.
            let address = Ipv4Addr::from(0x1400_0000 + 2 * (first + i) as u32);
            Peer::IpBlock { cidr: IpNet::V4(Ipv4Net::from(address)), except: Vec::new() }
        })
        .collect()
}

fn blocks(n: usize, count: usize, version: usize) -> Change {
    policy(format!("blocks-{n}"), Selector::everything(), block_peers(n * count, count), vec![port(version)])
}

fn one_pod(n: usize) -> Selector {
    Selector::new([Requirement::In("n".into(), [n.to_string().into()].into())])
}

fn blocks_of_one(n: usize, count: usize, version: usize) -> Change {
    policy(format!("blocks-{n}"), one_pod(n), block_peers(n * count, count), vec![port(version)])
}

/// No label narrows down whom it may select.
fn slow(n: usize, version: usize) -> Change {
    let values: BTreeSet<_> = (0..100).map(|i| value(100 * n + i + version)).collect();
    let not = Requirement::NotIn("app".into(), values.into_iter().collect());
    let peers = vec![Peer::Pods { namespaces: Some(Selector::everything()), pods: Selector::new([not]) }];
    policy(format!("slow-{n}"), Selector::everything(), peers, vec![port(n)])
}

fn wide(n: usize, version: usize) -> Change {
    let not = Requirement::NotIn("app".into(), [value(n + PODS * version)].into());
    let peers = vec![Peer::Pods { namespaces: Some(Selector::everything()), pods: Selector::new([not]) }];
    policy(format!("wide-{n}"), one_pod(n), peers, (0..16).map(|i| port(2 * i)).collect())
}

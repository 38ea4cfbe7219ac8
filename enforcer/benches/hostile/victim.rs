//! A namespace that has done nobody any harm: one pod of this node, and a peer elsewhere whose label goes and comes.

use super::cluster::{NODE, label};
use compiler::{
    delta::{Delta, Op},
    ir::Key,
};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{Namespace, ObjectKey, Pod},
    policy::{NetworkPolicy, Peer, Rule},
    selector::{Requirement, Selector},
};
use std::{net::IpAddr, sync::mpsc::Sender, time::Instant};

const NAMESPACE: &str = "victim";
const PEER: [u8; 4] = [10, 200, 0, 2];

fn pod(name: &str, address: [u8; 4], node: &str, friend: bool) -> Change {
    Change::Pod(Pod {
        key: ObjectKey::new(NAMESPACE, name),
        labels: [label("friend", friend.to_string())].into_iter().collect(),
        ips: [IpAddr::from(address)].into_iter().collect(),
        node: Some(node.into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    })
}

pub(crate) fn objects() -> Vec<Change> {
    let friends = Selector::new([Requirement::In("friend".into(), ["true".into()].into())]);
    let peers = vec![Peer::Pods { namespaces: None, pods: friends }];
    vec![
        Change::Namespace(Namespace::new(NAMESPACE, &Labels::default())),
        pod("here", [10, 200, 0, 1], NODE, false),
        pod("there", PEER, "node-7", false),
        Change::Policy(NetworkPolicy {
            key: ObjectKey::new(NAMESPACE, "friends"),
            pod_selector: Selector::everything(),
            ingress: Some(vec![Rule { peers, ports: vec![] }]),
            egress: None,
        }),
    ]
}

/// The peer comes, or goes.
pub(crate) fn change(n: usize) -> Change {
    pod("there", PEER, "node-7", n.is_multiple_of(2))
}

/// Tells the moments of transactions that are about the peer; for [`observed`](super::observed()).
pub(crate) fn acknowledgements(to: Sender<Instant>) -> impl FnMut(&Delta) + Send {
    let peer = Key::address(PEER.into());
    move |delta| {
        let now = Instant::now();
        let concerns_peer = |op: &Op| match op {
            Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. } => {
                elements.iter().any(|(key, _)| *key == peer)
            }
            _ => false,
        };
        if delta.ops.iter().any(concerns_peer) {
            // Nobody listens once the time is over.
            let _ = to.send(now);
        }
    }
}

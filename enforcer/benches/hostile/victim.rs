//! A namespace that has done nobody any harm: one pod of this node, and a peer elsewhere whose label goes and comes.

use super::cluster::{NODE, label};
use compiler::{
    delta::{Delta, Op},
    ir::{Family, Key, Name},
};
use enforcer::nft::{Backend, Commit, Counter, Dump, Error, Kernel};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{Namespace, ObjectKey, Pod},
    policy::{NetworkPolicy, Peer, Rule},
    selector::{Requirement, Selector},
};
use std::{collections::BTreeMap, net::IpAddr, sync::mpsc::Sender, time::Instant};

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

/// The kernel, and the moment at which it has acknowledged something about the victim's peer.
pub(crate) struct Watching {
    kernel: Kernel,
    peer: Key,
    acknowledged: Sender<Instant>,
}

impl Watching {
    pub(crate) fn new(kernel: Kernel, acknowledged: Sender<Instant>) -> Self {
        Self { kernel, peer: Key::address(PEER.into()), acknowledged }
    }

    fn concerns_peer(&self, delta: &Delta) -> bool {
        delta.ops.iter().any(|op| match op {
            Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. } => {
                elements.iter().any(|(key, _)| *key == self.peer)
            }
            _ => false,
        })
    }
}

impl Backend for Watching {
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        let commit = self.kernel.commit(delta, generation)?;
        let now = Instant::now();
        if self.concerns_peer(delta) {
            // Nobody listens once the time is over.
            let _ = self.acknowledged.send(now);
        }
        Ok(commit)
    }

    fn dump(&mut self) -> Result<Dump, Error> {
        self.kernel.dump()
    }

    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
        self.kernel.counters()
    }

    fn forget_addresses(&mut self, addresses: &[IpAddr]) -> Result<usize, Error> {
        self.kernel.forget_addresses(addresses)
    }
}

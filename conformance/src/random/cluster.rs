//! The cluster's objects.

use super::Draw;
use crate::lab::{PodSpec, addresses};
use policy_model::{
    cluster::Cluster,
    object::{NamedPort, Namespace, Node, ObjectKey, Pod, Protocol},
    policy::NetworkPolicy,
    strategies,
};
use std::net::IpAddr;

/// How many nodes the lab has.
pub const NODES: u8 = 2;
/// The namespaces, as the strategies name them.
pub const NAMESPACES: [&str; 3] = ["east", "north", "west"];
/// The pods: namespace, name, node.
pub const PODS: [(&str, &str, u8); 8] = [
    ("east", "p0", 1),
    ("east", "p1", 1),
    ("east", "p2", 2),
    ("north", "p0", 1),
    ("north", "p1", 2),
    ("north", "p3", 2),
    ("west", "p1", 1),
    ("west", "p2", 2),
];
/// The most policies there are.
pub const POLICIES: usize = 8;

/// The pods, for the lab.
#[must_use]
pub fn specs() -> Vec<PodSpec> {
    PODS.iter().map(|&(namespace, name, node)| PodSpec::new(node, namespace, name)).collect()
}

/// A state: the pods with random labels, random namespaces, and random policies.
pub fn cluster(draw: &mut Draw, addresses_of: impl Fn(&ObjectKey) -> Vec<IpAddr>) -> Cluster {
    let mut cluster = Cluster::new();
    (1..=NODES).for_each(|index| cluster.insert_node(node(index)));
    for name in NAMESPACES {
        cluster.insert_namespace(draw.namespace(name));
    }
    for (namespace, name, on) in PODS {
        let key = ObjectKey::new(namespace, name);
        let ips = addresses_of(&key);
        cluster.insert_pod(draw.pod(key, on, ips));
    }
    for number in 0..POLICIES {
        cluster.insert_policy(draw.policy(number));
    }
    cluster
}

fn node(index: u8) -> Node {
    Node {
        name: format!("node-{index}").into(),
        addresses: vec![addresses::node4(index).into(), addresses::node6(index).into()],
        pod_cidrs: [(addresses::pod4(index, 0).into(), 24), (addresses::pod6(index, 0).into(), 64)]
            .map(|(address, length)| ipnet::IpNet::new_assert(address, length))
            .to_vec(),
    }
}

impl Draw {
    /// A namespace with random labels.
    pub fn namespace(&mut self, name: &str) -> Namespace {
        Namespace::new(name, &self.value(strategies::labels()))
    }

    /// A pod with random labels and named ports, one of which is `web`.
    pub fn pod(&mut self, key: ObjectKey, node: u8, ips: Vec<IpAddr>) -> Pod {
        let named = self.value(strategies::pod()).ports;
        let web = NamedPort { name: "web".into(), protocol: Protocol::Tcp, port: 80 };
        let mut ports: Vec<_> = named.into_iter().chain([web]).collect();
        ports.sort();
        ports.dedup();
        Pod {
            labels: self.value(strategies::labels()),
            ips: ips.into(),
            key,
            node: Some(format!("node-{node}").into()),
            host_network: false,
            terminal: false,
            ports,
            owner: None,
        }
    }

    /// A random policy, called after its number.
    pub fn policy(&mut self, number: usize) -> NetworkPolicy {
        let policy = self.value(strategies::policy());
        let key = ObjectKey::new(policy.key.namespace.clone(), format!("policy-{number}"));
        NetworkPolicy { key, ..policy }
    }
}

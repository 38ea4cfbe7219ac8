//! A cluster of any number of policies, all of which select the pods that the flows are between.

use super::stage::PERMITTED;
use crate::lab::{Family, Lab, addresses};
use compiler::{
    Compiler, Event,
    config::{Config, Limits, Port},
    ir::Ruleset,
};
use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{Namespace, Node, ObjectKey, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The namespace of all pods and policies.
pub const NAMESPACE: &str = "bench";
/// The pod that opens the flows.
pub const CLIENT: &str = "client";
/// The server on its node.
pub const NEAR: &str = "near";
/// The server on the other node.
pub const FAR: &str = "far";
/// Pods of a node, as many as a kubelet takes by default.
pub const LOCAL_PODS: u8 = 110;
/// Other pods of the cluster, the peers that policies name: the same number whatever the number of policies.
pub const REMOTE_PODS: usize = 10_000;

/// Which ends of the flow policies isolate in its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolated {
    /// All policies select other pods of the node.
    None,
    /// The server, for ingress.
    One,
    /// The server for ingress, the client for egress.
    Both,
}

/// Which of a program's steps permits the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermittedBy {
    /// A pod selector and a port: the exact set, which is asked first.
    Exact,
    /// An ipBlock and a port: asked last, after all other steps have missed.
    Block,
}

/// A cluster to compile.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// NetworkPolicy objects.
    pub policies: usize,
    /// See there.
    pub isolated: Isolated,
    /// See there.
    pub by: PermittedBy,
}

impl Plan {
    /// What each node of the lab has to enforce: both tables. `ports` tells a node's interfaces.
    #[must_use]
    pub fn compile(&self, lab: &Lab, ports: impl Fn(u8) -> Vec<Port>) -> Vec<Ruleset> {
        compile(&self.changes(lab, REMOTE_PODS), lab, ports)
    }

    /// All objects, with this many pods that are on no node of the lab.
    #[must_use]
    pub fn changes(&self, lab: &Lab, remote: usize) -> Vec<Change> {
        let apps = self.policies.max(1);
        let mut changes = of_lab(lab);
        changes.extend((0..remote).map(|i| remote_pod(i, &format!("app-{}", i % apps))));
        changes.extend((0..self.policies).map(|i| Change::Policy(self.policy(i))));
        changes
    }

    /// Each policy lets one app's pods in at one port, every eighth an address range as well, every sixteenth a range of
    /// ports too wide for the exact set; the last one permits the flows.
    fn policy(&self, i: usize) -> NetworkPolicy {
        let mut rules =
            vec![Rule { peers: vec![app(&format!("app-{i}"))], ports: tcp(8000 + (i % 1000) as u16, 0) }];
        if i % 8 == 1 {
            let [hi, lo] = ((i / 8) as u16).to_be_bytes();
            let peers = vec![
                block(&format!("172.{}.{lo}.0/24", 16 + hi % 16)),
                block(&format!("2001:db8:{i:x}::/64")),
            ];
            rules.push(Rule { peers, ports: tcp(443, 0) });
        }
        if i % 16 == 2 {
            rules.push(Rule { peers: vec![app(&format!("app-{i}"))], ports: tcp(30000, 100) });
        }
        let permit = |peer: &str| match self.by {
            PermittedBy::Exact => vec![app(peer)],
            PermittedBy::Block => vec![block(addresses::PODS4), block(addresses::PODS6)],
        };
        let with = |peer: &str| {
            let mut rules = rules.clone();
            if i + 1 == self.policies {
                let port = |(protocol, port)| PolicyPort { protocol, port: PortMatch::Range(port, port) };
                rules.push(Rule { peers: permit(peer), ports: PERMITTED.map(port).into() });
            }
            rules
        };
        let subject = match self.isolated {
            Isolated::None => is("group", "others"),
            Isolated::One => is("app", "server"),
            Isolated::Both => is("group", "flows"),
        };
        NetworkPolicy {
            key: ObjectKey::new(NAMESPACE, format!("policy-{i}")),
            pod_selector: subject,
            ingress: Some(with("client")),
            egress: (self.isolated != Isolated::One).then(|| with("server")),
        }
    }

    /// The address of the peer that a policy names, and the port that it may use: what other layouts are filled with.
    #[must_use]
    pub fn peer(i: usize, family: Family) -> (IpAddr, u16) {
        let [v4, v6] = remote_addresses(i);
        (family.pick(v4, v6), 8000 + (i % 1000) as u16)
    }
}

/// What each node of the lab has to enforce of these objects: both tables. `ports` tells a node's interfaces.
pub(super) fn compile(changes: &[Change], lab: &Lab, ports: impl Fn(u8) -> Vec<Port>) -> Vec<Ruleset> {
    let nodes = lab.nodes().iter().map(|node| {
        let mut config = Config::new(node.name(), "cni0");
        config.broadcasts = vec![addresses::pod4(node.index(), 255)];
        // So many policies for one pod, or so many peers, are beyond what a node takes by default.
        config.limits = Limits::NONE;
        let mut compiler = Compiler::new(config);
        changes.iter().cloned().for_each(|change| compiler.apply(change.into()));
        ports(node.index()).into_iter().for_each(|port| compiler.apply(Event::Port(port)));
        let _ = compiler.commit();
        compiler.ruleset().clone()
    });
    nodes.collect()
}

/// The namespace, the nodes, the pods of the flows (group `flows`) and so many others (group `others`) that each node is full.
pub(super) fn of_lab(lab: &Lab) -> Vec<Change> {
    let mut changes = vec![Change::Namespace(Namespace::new(NAMESPACE, &Labels::default()))];
    for own in lab.pods() {
        let app = if &*own.key().name == CLIENT { "client" } else { "server" };
        let ips = Family::BOTH.map(|family| own.address(family));
        changes.push(pod(
            own.key().name.to_string(),
            labels(app, "flows"),
            ips,
            &lab.node(own.node()).name(),
        ));
    }
    for node in lab.nodes() {
        let n = node.index();
        let ranges = [format!("{}/24", addresses::pod4(n, 0)), format!("{}/64", addresses::pod6(n, 0))];
        changes.push(Change::Node(Node {
            name: node.name().into(),
            addresses: vec![node.ipv4().into(), node.ipv6().into()],
            pod_cidrs: ranges.iter().filter_map(|range| range.parse().ok()).collect(),
        }));
        let taken = lab.pods().iter().filter(|pod| pod.node() == node.index()).count();
        for i in 0..usize::from(LOCAL_PODS) - taken {
            let host = 100 + i as u8;
            let ips = [
                IpAddr::V4(addresses::pod4(node.index(), host)),
                addresses::pod6(node.index(), host.into()).into(),
            ];
            changes.push(pod(
                format!("local-{}-{i}", node.index()),
                labels("local", "others"),
                ips,
                &node.name(),
            ));
        }
    }
    changes
}

/// A pod of no node of the lab.
pub(super) fn remote_pod(i: usize, app: &str) -> Change {
    pod(format!("remote-{i}"), labels(app, "remote"), remote_addresses(i), &format!("remote-{}", i / 100))
}

fn remote_addresses(i: usize) -> [IpAddr; 2] {
    let v4 = u32::from(Ipv4Addr::new(10, 128, 0, 0)) + i as u32;
    let v6 = u128::from(Ipv6Addr::new(0xfd00, 0x10, 0x128, 0, 0, 0, 0, 0)) + i as u128;
    [Ipv4Addr::from(v4).into(), Ipv6Addr::from(v6).into()]
}

fn labels(app: &str, group: &str) -> Labels {
    Labels::default().with("app", app).with("group", group)
}

fn pod(name: String, labels: Labels, ips: [IpAddr; 2], node: &str) -> Change {
    Change::Pod(Pod {
        key: ObjectKey::new(NAMESPACE, name),
        labels,
        ips: ips.into_iter().collect(),
        node: Some(node.into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    })
}

pub(super) fn is(key: &str, value: &str) -> Selector {
    Selector::new([Requirement::In(key.into(), [value.into()].into())])
}

fn app(name: &str) -> Peer {
    Peer::Pods { namespaces: None, pods: is("app", name) }
}

/// # Panics
/// If `cidr` is none: they are all written in this file.
fn block(cidr: &str) -> Peer {
    let cidr = cidr.parse().unwrap_or_else(|error| panic!("{cidr}: {error}"));
    Peer::IpBlock { cidr, except: Vec::new() }
}

fn tcp(first: u16, more: u16) -> Vec<PolicyPort> {
    vec![PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(first, first + more) }]
}

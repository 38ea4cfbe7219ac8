//! The cluster that the benches of the compiler and of the enforcer work on.

use policy_model::{
    cluster::Change,
    labels::Labels,
    object::{NamedPort, Namespace, ObjectKey, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The node that is compiled for.
pub(crate) const NODE: &str = "node-0";
/// Pods on it.
pub(crate) const LOCAL_PODS: usize = 110;
/// Apps of a namespace.
pub(crate) const APPS: usize = 20;

/// Name of the namespace that has 10,000 pods.
pub(crate) const CROWD: &str = "crowd";

/// Teams of a cluster where they grow with it.
const TEAMS: usize = 50;

/// A cluster with this many pods, one namespace for every hundred, and this many policies spread over them.
pub(crate) struct Size {
    pub(crate) pods: usize,
    pub(crate) policies: usize,
    /// Each policy lets a team's pods in, of one tier, and a team has each so manieth namespace.
    teams: usize,
}

impl Size {
    /// With 50 teams, however large it is: what a program lists grows with the cluster.
    pub(crate) const fn new(pods: usize, policies: usize) -> Self {
        Self { pods, policies, teams: TEAMS }
    }

    /// With a team for each namespace: what a program lists does not grow.
    pub(crate) const fn with_small_teams(self) -> Self {
        Self { teams: self.namespaces(), ..self }
    }

    const fn namespaces(&self) -> usize {
        self.pods.div_ceil(100)
    }

    /// Not that of the first namespace.
    pub(crate) fn another_team(&self) -> usize {
        (self.teams - 1).min(10)
    }
}

/// A label.
pub(crate) fn label(key: &str, value: String) -> (String, String) {
    (key.to_owned(), value)
}

/// Number of the `n`th local pod: they are spread over the cluster.
pub(crate) fn local_pod(size: &Size, n: usize) -> usize {
    (size.pods / LOCAL_PODS).max(1) * n
}

/// Number of a remote pod that a local pod's program has as a peer: the second of the first namespace, which local pod 0
/// is the first of.
pub(crate) fn remote_peer(size: &Size) -> usize {
    size.namespaces()
}

/// Pod number `i`; its version is a label that no selector names.
pub(crate) fn pod(size: &Size, i: usize, version: usize) -> Pod {
    let namespaces = size.namespaces();
    let step = local_pod(size, 1);
    let local = i.is_multiple_of(step) && i / step < LOCAL_PODS;
    let node = if local { NODE.to_owned() } else { format!("node-{}", 1 + i % (size.pods / 100).max(1)) };
    let v4 = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + i as u32);
    let v6 = Ipv6Addr::from(0xfd00_0010_0244_0000_0000_0000_0000_0000_u128 + i as u128);
    let labels: Labels = [
        label("app", format!("app-{}", i / namespaces % APPS)),
        label("tier", format!("tier-{}", i / namespaces % 3)),
        label("pod-template-hash", format!("{:08x}", (i / 5) * 2_654_435_761)),
        label("version", format!("v{version}")),
    ]
    .into_iter()
    .collect();
    Pod {
        key: ObjectKey::new(format!("ns-{}", i % namespaces), format!("pod-{i}")),
        labels,
        ips: [IpAddr::V4(v4), IpAddr::V6(v6)].into_iter().collect(),
        node: Some(node.into()),
        host_network: false,
        terminal: false,
        ports: vec![NamedPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        owner: None,
    }
}

fn is(key: &str, value: String) -> Selector {
    Selector::new([Requirement::In(key.into(), [value.into()].into())])
}

/// The usual mix: an app reached by another app of its namespace, by a namespace, by an address range; and its egress.
pub(crate) fn policy(size: &Size, i: usize) -> NetworkPolicy {
    let namespaces = size.namespaces();
    let port = |protocol, port| PolicyPort { protocol, port: PortMatch::Range(port, port) };
    let app = |n: usize| Peer::Pods { namespaces: None, pods: is("app", format!("app-{}", n % APPS)) };
    let namespace = Peer::Pods {
        namespaces: Some(is("team", format!("team-{}", i % size.teams))),
        pods: is("tier", format!("tier-{}", i % 3)),
    };
    let block = Peer::IpBlock {
        cidr: "192.168.0.0/16".parse().expect("a constant"),
        except: vec![format!("192.168.{}.0/24", i % 250).parse().expect("a constant")],
    };
    let ingress = vec![
        Rule { peers: vec![app(i + 1), app(i + 2)], ports: vec![port(Protocol::Tcp, 8080)] },
        Rule { peers: vec![namespace], ports: vec![port(Protocol::Tcp, 8080), port(Protocol::Tcp, 9090)] },
        Rule { peers: vec![block], ports: vec![] },
    ];
    let egress = vec![
        Rule { peers: vec![app(i + 3)], ports: vec![] },
        Rule { peers: vec![], ports: vec![port(Protocol::Udp, 53), port(Protocol::Tcp, 53)] },
    ];
    NetworkPolicy {
        key: ObjectKey::new(format!("ns-{}", i % namespaces), format!("policy-{i}")),
        pod_selector: is("app", format!("app-{}", (i / namespaces) % APPS)),
        ingress: Some(ingress),
        egress: i.is_multiple_of(2).then_some(egress),
    }
}

/// A namespace of a team.
pub(crate) fn team(namespace: &str, team: usize) -> Namespace {
    Namespace::new(namespace, &[label("team", format!("team-{team}"))].into_iter().collect())
}

fn namespaces(size: &Size) -> impl Iterator<Item = Namespace> {
    (0..size.namespaces()).map(|i| team(&format!("ns-{i}"), i % size.teams))
}

/// 10,000 remote pods more, all in one namespace.
pub(crate) fn crowd(size: &Size) -> Vec<Change> {
    let pods = (size.pods..size.pods + 10_000).map(|i| {
        let mut pod = pod(size, i, 0);
        pod.key = ObjectKey::new(CROWD, &*pod.key.name);
        pod.node = Some("node-1".into());
        Change::Pod(pod)
    });
    std::iter::once(Change::Namespace(team(CROWD, 0))).chain(pods).collect()
}

/// All of the cluster.
pub(crate) fn changes(size: &Size) -> Vec<Change> {
    namespaces(size)
        .map(Change::Namespace)
        .chain((0..size.pods).map(|i| Change::Pod(pod(size, i, 0))))
        .chain((0..size.policies).map(|i| Change::Policy(policy(size, i))))
        .collect()
}

/// A policy of the first namespace with a peer that no other policy has: a few pods of all namespaces.
pub(crate) fn policy_for_everywhere(size: &Size, n: usize) -> NetworkPolicy {
    let hash = format!("{:08x}", (n / 5) * 2_654_435_761);
    let peer = Peer::Pods { namespaces: Some(Selector::everything()), pods: is("pod-template-hash", hash) };
    let key = ObjectKey::new("ns-0", "everywhere");
    NetworkPolicy { key, ingress: Some(vec![Rule { peers: vec![peer], ports: vec![] }]), ..policy(size, 0) }
}

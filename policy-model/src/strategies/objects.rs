//! Pods, namespaces, nodes and Services.

use super::{NAMESPACES, NODES, PODS, SERVICES, key, pod_key, policies::port_name, selectors::labels};
use crate::object::{
    NamedPort, Namespace, Node, ObjectKey, Owner, Pod, Protocol, Service, ServicePort, TargetPort,
};
use ipnet::IpNet;
use proptest::{collection::vec, option, prelude::*, sample::select};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A namespace with random labels besides its name, now and then terminating.
pub fn namespace() -> impl Strategy<Value = Namespace> {
    (super::namespace_name(), labels(), prop::bool::weighted(0.15))
        .prop_map(|(name, labels, terminating)| Namespace { terminating, ..Namespace::new(name, &labels) })
}

/// A node with a pod range of each family; now and then without IPv6.
pub fn node() -> impl Strategy<Value = Node> {
    (1..=NODES, prop::bool::weighted(0.8)).prop_map(|(number, dual)| {
        let families = if dual { 2 } else { 1 };
        let cidrs = [pod_address4(number, 0), pod_address6(number, 0)].into_iter().zip([24, 64]);
        Node {
            name: format!("w{number}").into(),
            addresses: node_addresses(number).into_iter().take(families).collect(),
            pod_cidrs: cidrs.take(families).map(|(ip, len)| IpNet::new_assert(ip, len)).collect(),
        }
    })
}

pub(super) fn node_addresses(number: u8) -> [IpAddr; 2] {
    let v6 = Ipv6Addr::new(0xfd00, 0x50, 0, 0, 0, 0, 0, number.into());
    [Ipv4Addr::new(192, 168, 50, number).into(), v6.into()]
}

pub(super) fn pod_address4(node: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, node, host).into()
}

pub(super) fn pod_address6(node: u8, host: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, node.into(), 0, 0, 0, host.into()).into()
}

/// Which kind of pod it is to policy.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Ordinary,
    HostNetwork,
    Terminal,
}

/// Which addresses it has.
#[derive(Clone, Copy, Debug)]
enum Families {
    None,
    V4,
    V6,
    Dual,
    DualV6First,
}

/// A pod, most often running, dual stack and with an address of its own. Some are on their host's network, some have
/// ended, some have no address or no node yet, and about one in six has an address that may
/// be another pod's.
pub fn pod() -> impl Strategy<Value = Pod> {
    let shape =
        prop_oneof![8 => Just(Shape::Ordinary), 1 => Just(Shape::HostNetwork), 1 => Just(Shape::Terminal)];
    let families = prop_oneof![
        6 => Just(Families::Dual),
        2 => Just(Families::V4),
        1 => Just(Families::V6),
        1 => Just(Families::DualV6First),
        1 => Just(Families::None),
    ];
    let address = (1..=NODES, prop::bool::weighted(0.17));
    let bound = prop::bool::weighted(0.9);
    (pod_key(), labels(), shape, families, address, bound, vec(named_port(), 0..3)).prop_map(
        |(key, labels, shape, families, (node, shared), bound, mut ports)| {
            let [v4, v6] = match shape {
                Shape::HostNetwork => node_addresses(node),
                Shape::Ordinary | Shape::Terminal if shared => shared_addresses(),
                Shape::Ordinary | Shape::Terminal => {
                    let host = own_host_number(&key);
                    [pod_address4(node, host), pod_address6(node, host)]
                }
            };
            let ips: SmallVec<[IpAddr; 2]> = match families {
                Families::None => [].into_iter().collect(),
                Families::V4 => [v4].into_iter().collect(),
                Families::V6 => [v6].into_iter().collect(),
                Families::Dual => [v4, v6].into_iter().collect(),
                Families::DualV6First => [v6, v4].into_iter().collect(),
            };
            ports.sort();
            ports.dedup();
            Pod {
                owner: Some(Owner { kind: "ReplicaSet".into(), name: key.name.clone() }),
                key,
                labels,
                ips,
                node: bound.then(|| format!("w{node}").into()),
                host_network: matches!(shape, Shape::HostNetwork),
                terminal: matches!(shape, Shape::Terminal),
                ports,
            }
        },
    )
}

/// What all pods that share an address have, whatever node they are on.
pub(super) fn shared_addresses() -> [IpAddr; 2] {
    [pod_address4(1, 3), pod_address6(1, 3)]
}

/// The last byte of a pod's address, by its key: pods have different ones unless they mean to share.
fn own_host_number(key: &ObjectKey) -> u8 {
    let place = |names: &[&str], name: &str| names.iter().position(|n| *n == name).unwrap_or_default();
    let index = place(&NAMESPACES, &key.namespace) * PODS.len() + place(&PODS, &key.name);
    index as u8 + 2
}

fn named_port() -> impl Strategy<Value = NamedPort> {
    (port_name(), protocol(), select(&[80u16, 81, 8080][..])).prop_map(|(name, protocol, port)| NamedPort {
        name,
        protocol,
        port,
    })
}

/// TCP more often than the others.
pub(super) fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![3 => Just(Protocol::Tcp), 1 => Just(Protocol::Udp), 1 => Just(Protocol::Sctp)]
}

/// A few numbers that are next to each other, and the ends of the range.
pub(super) fn port_number() -> impl Strategy<Value = u16> {
    select(&[80u16, 81, 82, 53, 443, 8080, 1, 65535][..])
}

/// A Service over pods with random labels.
pub fn service() -> impl Strategy<Value = Service> {
    let target =
        prop_oneof![port_number().prop_map(TargetPort::Number), port_name().prop_map(TargetPort::Name)];
    let ports = vec((protocol(), port_number(), target), 1..3).prop_map(|ports| {
        let port = |(index, (protocol, port, target))| {
            let name = format!("port-{index}").into();
            ServicePort { name, protocol, port, target, node_port: None }
        };
        ports.into_iter().enumerate().map(port).collect()
    });
    (key(&SERVICES), option::of(labels()), 1..9u8, ports).prop_map(|(key, selector, host, ports)| Service {
        key,
        selector,
        cluster_ips: vec![Ipv4Addr::new(10, 96, 0, host).into()],
        headless: false,
        ports,
        external_name: None,
    })
}

/// The addresses of a node that may be drawn: its own, and the first two of its pod ranges.
pub(super) fn node_address() -> impl Strategy<Value = IpAddr> {
    (1..=NODES, 0..6usize).prop_map(|(node, which)| {
        let [v4, v6] = node_addresses(node);
        let gateways = [0, 1].map(|host| [pod_address4(node, host), pod_address6(node, host)]);
        [v4, v6, gateways[0][0], gateways[0][1], gateways[1][0], gateways[1][1]][which]
    })
}

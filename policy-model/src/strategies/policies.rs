//! Policies: every kind of peer and port, blocks that cover pods, exceptions that cut them out again.

use super::{
    objects::{port_number, protocol},
    policy_key,
    selectors::selector,
};
use crate::policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule};
use ipnet::IpNet;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use std::sync::Arc;

/// Everything, all pods, one node's pods, a few of them, one of them; nodes; outside.
const BLOCKS: [&str; 17] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.244.0.0/16",
    "10.244.1.0/24",
    "10.244.1.0/29",
    "10.244.1.4/31",
    "10.244.1.3/32",
    "10.244.2.0/28",
    "192.168.50.0/24",
    "203.0.113.0/24",
    "203.0.113.7/32",
    "::/0",
    "fd00::/8",
    "fd00:10:244:1::/64",
    "fd00:10:244:1::/125",
    "fd00:10:244:1::3/128",
    "2001:db8::/32",
];

/// A policy that isolates in one or both directions.
pub fn policy() -> impl Strategy<Value = NetworkPolicy> {
    let rules = || vec(rule(), 0..3);
    let directions = prop_oneof![
        rules().prop_map(|ingress| (Some(ingress), None)),
        rules().prop_map(|egress| (None, Some(egress))),
        (rules(), rules()).prop_map(|(ingress, egress)| (Some(ingress), Some(egress))),
    ];
    (policy_key(), selector(), directions).prop_map(|(key, pod_selector, (ingress, egress))| NetworkPolicy {
        key,
        pod_selector,
        ingress,
        egress,
    })
}

/// A rule with up to two peers and two ports; without any it matches everything.
pub fn rule() -> impl Strategy<Value = Rule> {
    (vec(peer(), 0..3), vec(policy_port(), 0..3)).prop_map(|(peers, ports)| Rule { peers, ports })
}

fn peer() -> impl Strategy<Value = Peer> {
    let pods =
        (option::of(selector()), selector()).prop_map(|(namespaces, pods)| Peer::Pods { namespaces, pods });
    prop_oneof![3 => pods, 2 => ip_block()]
}

/// An `ipBlock` with up to two exceptions, which may cover pods.
pub fn ip_block() -> impl Strategy<Value = Peer> {
    let blocks = BLOCKS.iter().filter_map(|block| block.parse::<IpNet>().ok()).collect::<Vec<_>>();
    select(blocks.clone()).prop_flat_map(move |cidr| {
        let inside: Vec<_> = blocks.iter().copied().filter(|b| *b != cidr && cidr.contains(b)).collect();
        let most = inside.len().min(2);
        subsequence(inside, 0..=most).prop_map(move |mut except| {
            except.sort();
            Peer::IpBlock { cidr, except }
        })
    })
}

/// A port of every kind.
pub fn policy_port() -> impl Strategy<Value = PolicyPort> {
    let range = (port_number(), port_number()).prop_map(|(a, b)| PortMatch::Range(a.min(b), a.max(b)));
    let port = prop_oneof![
        1 => Just(PortMatch::All),
        3 => port_number().prop_map(|port| PortMatch::Range(port, port)),
        2 => range,
        3 => port_name().prop_map(PortMatch::Named),
    ];
    (protocol(), port).prop_map(|(protocol, port)| PolicyPort { protocol, port })
}

pub(super) fn port_name() -> impl Strategy<Value = Arc<str>> {
    select(&["db", "web"][..]).prop_map(Arc::from)
}

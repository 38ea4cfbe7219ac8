//! One policy that lists few or much, in place of few and many policies.

use super::{
    cluster::{self, is},
    stage::{DENIED_PORT, PORT},
};
use crate::lab::{Lab, addresses};
use compiler::{config::Port, ir::Ruleset};
use ipnet::IpNet;
use policy_model::{
    cluster::Change,
    object::{ObjectKey, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::fmt;

/// What the one policy lists that isolates both ends of the flow. Each permits the flow by the last that it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A selector of so many pods, all at one port.
    Peers(usize),
    /// So many ipBlocks of each family, each with an exception, at one port.
    Blocks(usize),
    /// So many ranges of ports, of 20 ports each, for a few pods.
    PortRanges(usize),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers(count) => write!(f, "{count} peers"),
            Self::Blocks(count) => write!(f, "{count} ipBlocks with exceptions"),
            Self::PortRanges(1) => write!(f, "1 range of ports"),
            Self::PortRanges(count) => write!(f, "{count} ranges of ports"),
        }
    }
}

/// The app of the pods that are listed beside those of the flow.
const PEER: &str = "peer";

impl Shape {
    /// What each node of the lab has to enforce: both tables. `ports` tells a node's interfaces.
    #[must_use]
    pub fn compile(self, lab: &Lab, ports: impl Fn(u8) -> Vec<Port>) -> Vec<Ruleset> {
        let mut changes = cluster::of_lab(lab);
        let peers = if let Self::Peers(count) = self { count } else { 1 };
        changes.extend((0..peers).map(|i| cluster::remote_pod(i, PEER)));
        let rule = |app: &str| Rule { peers: self.peers(app), ports: self.ports() };
        changes.push(Change::Policy(NetworkPolicy {
            key: ObjectKey::new(cluster::NAMESPACE, "shape"),
            pod_selector: is("group", "flows"),
            ingress: Some(vec![rule("client")]),
            egress: Some(vec![rule("server")]),
        }));
        cluster::compile(&changes, lab, ports)
    }

    fn peers(self, app: &str) -> Vec<Peer> {
        let Self::Blocks(count) = self else {
            let apps = [PEER.into(), app.into()].into();
            return vec![Peer::Pods {
                namespaces: None,
                pods: Selector::new([Requirement::In("app".into(), apps)]),
            }];
        };
        let others = (1..count).flat_map(|i| {
            // No two of them touch, so that they stay as many ranges.
            let [high, low] = (2 * i as u16).to_be_bytes();
            let (v4, v6) = (format!("11.{high}.{low}"), format!("2001:db8:{i:x}"));
            [
                block(&format!("{v4}.0/24"), &format!("{v4}.64/26")),
                block(&format!("{v6}::/64"), &format!("{v6}::/80")),
            ]
        });
        let own = [
            block(addresses::PODS4, &format!("{}/24", addresses::pod4(addresses::MAX_NODES, 0))),
            block(addresses::PODS6, &format!("{}/64", addresses::pod6(addresses::MAX_NODES, 0))),
        ];
        others.chain(own).collect()
    }

    fn ports(self) -> Vec<PolicyPort> {
        let udp = |first: u16, last: u16| PolicyPort {
            protocol: Protocol::Udp,
            port: PortMatch::Range(first, last),
        };
        let Self::PortRanges(count) = self else { return vec![udp(PORT, PORT)] };
        let others = (1..count as u16).map(|i| udp(10_000 + 50 * i, 10_019 + 50 * i));
        others.chain([udp(DENIED_PORT - 20, DENIED_PORT - 1)]).collect()
    }
}

fn block(cidr: &str, except: &str) -> Peer {
    Peer::IpBlock { cidr: parsed(cidr), except: vec![parsed(except)] }
}

/// # Panics
/// If `cidr` is none: they are all written in this file.
fn parsed(cidr: &str) -> IpNet {
    cidr.parse().unwrap_or_else(|error| panic!("{cidr}: {error}"))
}

//! The reference verdict: whether a flow may pass, and the full reason why.
//!
//! Source: `networking.k8s.io/v1` `NetworkPolicy`. Where the API is silent, the tests in `cases.rs` say what was decided,
//! one a row.
//!
//! This module is the specification that the compiler and the kernel are held to. It is written for reading, not speed.

#[cfg(test)]
mod cases;
mod judge;
mod mismatch;
mod party;
#[cfg(test)]
mod tests;

pub use mismatch::{Mismatch, Unmet};

use crate::{
    object::ObjectKey,
    policy::{Direction, NetworkPolicy},
};
use std::{fmt, net::IpAddr};

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A pod of the cluster.
    ///
    /// A pod on its node's network is its node's address. One that has ended (`Succeeded`, `Failed`) has no address and
    /// is no pod to any policy. A key that the cluster does not know is taken for such a pod.
    Pod {
        /// Which pod.
        key: ObjectKey,
        /// Which of its addresses; `None` = the first that fits the other end's family. A pod may have none yet (or be
        /// the template of a workload): selectors see it then, an `ipBlock` does not.
        address: Option<IpAddr>,
    },
    /// An address: the policed pods that hold it, else a node, or something outside the cluster.
    Address(IpAddr),
}

/// What is asked: may `source` send to `destination`?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens the flow.
    pub source: Endpoint,
    /// Who it goes to, after a Service's address has been translated.
    pub destination: Endpoint,
    /// IP protocol number: 6 TCP, 17 UDP, 132 SCTP, others by rules without `ports` only.
    pub protocol: u8,
    /// Destination port; `None` where the protocol has none or nobody can read it (a later fragment).
    pub port: Option<u16>,
}

/// The answer to a [`Flow`], with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the flow may pass: both sides allow it.
    pub allowed: bool,
    /// What the policies of the source say.
    pub egress: Side,
    /// What the policies of the destination say.
    pub ingress: Side,
    /// Why the flow passes whatever policies say, if it does. The sides concerned are `allowed` then.
    pub exemption: Option<Exemption>,
}

/// A flow that policies have no say in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exemption {
    /// A pod to itself, also through a Service: no policy denies it.
    SelfTraffic,
    /// The node that a pod runs on to the pod, such as a kubelet's probe: the ingress side does not judge it.
    OwnNode,
}

/// What one side of a flow says: the source's egress, or the destination's ingress.
///
/// An address that several policed pods hold is judged by the stricter of them: isolated if one is, allowed if all allow.
/// As the other end it matches a selector, or a named port, only if all of them match that one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Whether a policy selects this end in this direction. An end that is no policed pod is never isolated.
    pub isolated: bool,
    /// The policies that isolate it, ordered by key.
    pub policies: Vec<ObjectKey>,
    /// Not isolated, or a rule allows it, or an [`Exemption`] does.
    pub allowed: bool,
    /// Every rule that allows the flow; empty if it is denied or nothing isolates.
    pub allowed_by: Vec<RuleRef>,
    /// Every rule of the isolating policies, with what failed, if the side denies.
    pub near_misses: Vec<NearMiss>,
}

/// A rule that allows a flow, and the entries by which it does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The policy that the rule is in.
    pub policy: ObjectKey,
    /// `spec.ingress` or `spec.egress`.
    pub direction: Direction,
    /// Index of the rule, from 0.
    pub rule: usize,
    /// Index of the first peer that matches; `None` if the rule has no peers, which matches everyone.
    pub peer: Option<usize>,
    /// Index of the first port that matches; `None` if the rule has no ports, which matches every packet.
    pub port: Option<usize>,
}

/// A rule that does not allow a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The policy that the rule is in.
    pub policy: ObjectKey,
    /// `spec.ingress` or `spec.egress`.
    pub direction: Direction,
    /// Index of the rule, from 0.
    pub rule: usize,
    /// Index of the first peer that does match, if one does.
    pub peer: Option<usize>,
    /// Index of the first port that does match, if one does.
    pub port: Option<usize>,
    /// What does not match: every peer if none does, every port if none does. Never empty.
    pub failed: Vec<Failure>,
}

/// One entry of a rule that does not match a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which entry.
    pub entry: Entry,
    /// Why not. Displays as `podSelector app=api: the pod has app=front`.
    pub mismatch: Mismatch,
}

/// An entry of a rule, by its index from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Of `from` or `to`.
    Peer(usize),
    /// Of `ports`.
    Port(usize),
}

impl Entry {
    /// Its field within the rule: `from[0]`, `to[0]`, `ports[0]`.
    #[must_use]
    pub fn path(self, direction: Direction) -> String {
        match self {
            Self::Peer(i) => format!("{}[{i}]", direction.peers_field()),
            Self::Port(i) => format!("ports[{i}]"),
        }
    }
}

impl RuleRef {
    /// The rule's field within `spec`: `ingress[0]`.
    #[must_use]
    pub fn rule_path(&self) -> String {
        format!("{}[{}]", self.direction, self.rule)
    }

    /// The peer's field within the rule: `from[1]`.
    #[must_use]
    pub fn peer_path(&self) -> Option<String> {
        self.peer.map(|i| Entry::Peer(i).path(self.direction))
    }

    /// The port's field within the rule: `ports[0]`.
    #[must_use]
    pub fn port_path(&self) -> Option<String> {
        self.port.map(|i| Entry::Port(i).path(self.direction))
    }
}

impl NearMiss {
    /// The rule's field within `spec`: `ingress[0]`.
    #[must_use]
    pub fn rule_path(&self) -> String {
        format!("{}[{}]", self.direction, self.rule)
    }
}

impl NetworkPolicy {
    /// The rule that a [`RuleRef`] or [`NearMiss`] of this policy names.
    #[must_use]
    pub fn rule(&self, direction: Direction, index: usize) -> Option<&crate::policy::Rule> {
        self.rules(direction)?.get(index)
    }
}

/// `prod/db ingress[0].from[1].ports[0]`.
impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.policy, self.rule_path())?;
        [self.peer_path(), self.port_path()].iter().flatten().try_for_each(|path| write!(f, ".{path}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { key, address: None } => write!(f, "{key}"),
            Self::Pod { key, address: Some(address) } => write!(f, "{key} ({address})"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

//! A NetworkPolicy as policy sees it: admitted, defaulted, normalised.
//!
//! Source: `networking.k8s.io/v1` `NetworkPolicy`.

use crate::{
    object::{ObjectKey, Protocol},
    selector::Selector,
};
use ipnet::IpNet;
use std::{fmt, sync::Arc};

/// Which way a policy's rules look from the pods that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// What comes to the pods: `spec.ingress`, peers under `from`.
    Ingress,
    /// What the pods open: `spec.egress`, peers under `to`.
    Egress,
}

impl Direction {
    /// Both, ingress first.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// As a field of the API is called: `ingress`, `egress`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The field of a rule that holds its peers: `from`, `to`.
    #[must_use]
    pub const fn peers_field(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A NetworkPolicy after admission and defaulting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkPolicy {
    /// Which policy.
    pub key: ObjectKey,
    /// `spec.podSelector`: the pods of its own namespace that it isolates.
    pub pod_selector: Selector,
    /// Rules of `spec.ingress`; `None` when `policyTypes` leaves ingress out. `Some([])` isolates and allows none.
    pub ingress: Option<Vec<Rule>>,
    /// Rules of `spec.egress`, likewise.
    pub egress: Option<Vec<Rule>>,
}

impl NetworkPolicy {
    /// The rules of one direction; `None` when the policy does not isolate in it.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// One rule: traffic is allowed if a peer *and* a port match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// `from` or `to`. Empty = every peer, external addresses included.
    pub peers: Vec<Peer>,
    /// `ports`. Empty = every protocol and port.
    pub ports: Vec<PolicyPort>,
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Pods chosen by labels; never a node, an external address or a host-network pod.
    Pods {
        /// `namespaceSelector`; `None` = the policy's own namespace.
        namespaces: Option<Selector>,
        /// `podSelector`; absent in the API = everything.
        pods: Selector,
    },
    /// `ipBlock`: any address in `cidr` but not in one of `except`, pod addresses too.
    IpBlock {
        /// Canonical (no host bits set).
        cidr: IpNet,
        /// Each a strict subset of `cidr`; sorted, unique.
        except: Vec<IpNet>,
    },
}

/// One entry of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyPort {
    /// `protocol`, TCP when absent.
    pub protocol: Protocol,
    /// `port` and `endPort`.
    pub port: PortMatch,
}

/// Which ports of a protocol an entry of `ports` means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortMatch {
    /// `port` absent: all of the protocol.
    All,
    /// `port` to `endPort`, both included, 1-65535; equal without `endPort`.
    Range(u16, u16),
    /// A name, resolved on each destination pod by itself; unknown there = grants nothing there.
    Named(Arc<str>),
}

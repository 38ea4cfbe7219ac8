//! What the policies that select a pod say about one direction, in a normal form that names no policy: pods for which it
//! is the same share one program.

use crate::index::{Scope, SelectorKey};
use ipnet::IpNet;
use policy_model::{
    object::{NamedPort, Protocol},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    portset::PortSet,
};
use std::{collections::BTreeMap, sync::Arc};

/// What a cell says about its packets. NetworkPolicy only ever allows; the tiers of ClusterNetworkPolicy also deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum CellVerdict {
    Allow,
    Deny,
}

/// Where a cell stands among those that speak of the same packet: the lowest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precedence(pub u32);

impl Precedence {
    /// That of every NetworkPolicy rule: they do not order each other, their union counts.
    pub const NETWORK_POLICY: Self = Self(1 << 16);
}

/// The peers of a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellPeer {
    /// Every address.
    Any,
    /// Pods by labels.
    Pods(SelectorKey),
    /// Addresses.
    Block {
        /// From an ipBlock.
        cidr: IpNet,
        /// Cut out of it.
        except: Vec<IpNet>,
    },
}

/// The ports of a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellPorts {
    /// By number.
    pub numbers: PortSet,
    /// By name, to be resolved on each peer; only for egress, since the ingress side's own ports are known.
    pub names: Vec<(Protocol, Arc<str>)>,
}

/// (peer class, protocol, port) -> verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// See [`Precedence`].
    pub precedence: Precedence,
    /// See [`CellVerdict`].
    pub verdict: CellVerdict,
    /// See [`CellPeer`].
    pub peer: CellPeer,
    /// See [`CellPorts`].
    pub ports: CellPorts,
}

/// The cells of one direction of an isolated pod; what no cell speaks of is denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decision {
    /// Which way.
    pub direction: Direction,
    /// One per precedence, verdict and peer; sorted.
    pub cells: Vec<Cell>,
}

impl Decision {
    /// What these policies together decide for a pod with these named ports. `None` if none of them isolates it.
    pub(crate) fn of<'a>(
        direction: Direction,
        policies: impl Iterator<Item = &'a NetworkPolicy>,
        own_ports: &[NamedPort],
    ) -> Option<Self> {
        let mut isolated = false;
        let mut allowed: BTreeMap<CellPeer, CellPorts> = BTreeMap::new();
        for policy in policies {
            for rule in policy.rules(direction).inspect(|_| isolated = true).unwrap_or_default() {
                let ports = cell_ports(direction, rule, own_ports);
                for peer in cell_peers(policy, rule) {
                    let cell = allowed
                        .entry(peer)
                        .or_insert_with(|| CellPorts { numbers: PortSet::none(), names: Vec::new() });
                    cell.numbers = cell.numbers.union(&ports.numbers);
                    cell.names.extend(ports.names.iter().cloned());
                }
            }
        }
        isolated.then(|| Self { direction, cells: normal_form(allowed) })
    }

    /// No packet is allowed.
    pub(crate) fn none(direction: Direction) -> Self {
        Self { direction, cells: Vec::new() }
    }

    /// Every packet is allowed.
    #[must_use]
    pub fn allows_all(&self) -> bool {
        matches!(&*self.cells, [Cell { verdict: CellVerdict::Allow, peer: CellPeer::Any, ports, .. }] if ports.numbers.is_all())
    }
}

/// Drops what another cell already says: names beside all ports, and cells within what is allowed for every peer.
fn normal_form(allowed: BTreeMap<CellPeer, CellPorts>) -> Vec<Cell> {
    let any = allowed.get(&CellPeer::Any).map(|ports| ports.numbers.clone()).unwrap_or_default();
    let cell = |(peer, mut ports): (CellPeer, CellPorts)| {
        if ports.numbers.is_all() {
            ports.names.clear();
        }
        ports.names.sort();
        ports.names.dedup();
        let nothing = ports.numbers.is_empty() && ports.names.is_empty();
        let said = peer != CellPeer::Any
            && ports.numbers.difference(&any).is_empty()
            && (ports.names.is_empty() || any.is_all());
        (!nothing && !said).then_some(Cell {
            precedence: Precedence::NETWORK_POLICY,
            verdict: CellVerdict::Allow,
            peer,
            ports,
        })
    };
    let mut cells: Vec<_> = allowed.into_iter().filter_map(cell).collect();
    cells.sort();
    cells
}

fn cell_peers<'a>(policy: &'a NetworkPolicy, rule: &'a Rule) -> impl Iterator<Item = CellPeer> + 'a {
    let any = rule.peers.is_empty().then_some(CellPeer::Any);
    any.into_iter().chain(rule.peers.iter().map(|peer| match peer {
        Peer::Pods { namespaces, pods } => CellPeer::Pods(SelectorKey {
            scope: match namespaces {
                None => Scope::Namespace(policy.key.namespace.clone()),
                Some(selector) => Scope::Namespaces(selector.clone()),
            },
            pods: pods.clone(),
        }),
        Peer::IpBlock { cidr, except } => CellPeer::Block { cidr: *cidr, except: except.clone() },
    }))
}

fn cell_ports(direction: Direction, rule: &Rule, own_ports: &[NamedPort]) -> CellPorts {
    if rule.ports.is_empty() {
        return CellPorts { numbers: PortSet::all(), names: Vec::new() };
    }
    let (mut numbers, mut names) = (PortSet::none(), Vec::new());
    for PolicyPort { protocol, port } in &rule.ports {
        match port {
            PortMatch::All => numbers = numbers.union(&PortSet::range(*protocol, 0, u16::MAX)),
            PortMatch::Range(lo, hi) => numbers = numbers.union(&PortSet::range(*protocol, *lo, *hi)),
            PortMatch::Named(name) if direction == Direction::Egress => names.push((*protocol, name.clone())),
            PortMatch::Named(name) => {
                for own in own_ports.iter().filter(|own| own.protocol == *protocol && own.name == *name) {
                    numbers = numbers.union(&PortSet::single(*protocol, own.port));
                }
            }
        }
    }
    CellPorts { numbers, names }
}

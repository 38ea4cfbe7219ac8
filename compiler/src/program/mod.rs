//! Programs: the compiled decision for one direction of isolated pods.

mod blocks;
mod peer_sets;
mod ports;
mod steps;

use crate::{
    decision::{CellPeer, CellVerdict, Decision, Precedence},
    index::SelectorId,
    ir::{Family, Key, Name, Rule, SetSpec},
    skeleton::{AddressFamily, DENY, Orientation},
};
use ipnet::IpNet;
use policy_model::{object::Protocol, policy::Direction, portset::PortSet, reach::Reach};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

pub(crate) use peer_sets::PeerSets;
pub(crate) use steps::{Shared, chains, denial};

pub(crate) type ProgramId = u32;

/// What a program decides: all of these decisions must allow. More than one only where several live pods claim one
/// address: then the stricter holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProgramKey {
    pub(crate) direction: Direction,
    pub(crate) all_of: Vec<Arc<Decision>>,
}

/// Ports by name, to be resolved on each peer.
pub(crate) type PortNames = Vec<(Protocol, Arc<str>)>;

/// A block and what is cut out of it.
pub(crate) type Block = (IpNet, Vec<IpNet>);

/// What a peer selector's members are allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerPorts {
    pub(crate) numbers: PortSet,
    pub(crate) names: PortNames,
}

/// One program with what of it is in the kernel.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) key: Arc<ProgramKey>,
    /// `in-` or `out-` and a hash of the key: the same on every node and after every restart.
    pub(crate) name: Arc<str>,
    /// By family.
    pub(crate) peer_sets: [PeerSets; 2],
    /// Local pods, one a direction, and addresses with several claimants that go through it.
    pub(crate) uses: u32,
    /// Ports allowed for every peer.
    pub(crate) any: PortSet,
    /// By selector, what its members are allowed.
    pub(crate) peers: HashMap<SelectorId, PeerPorts>,
    /// Names allowed for every pod, or for every pod within a block.
    pub(crate) named_blocks: Vec<(Option<Block>, PortNames)>,
    /// What ipBlocks allow; for a program that is not made of steps, all that it allows.
    pub(crate) blocks: Reach,
    /// Port profiles in use, by family, with the number of peers sent there.
    pub(crate) profiles: [BTreeMap<PortSet, u32>; 2],
    /// By address, the profile that a peer is sent to.
    pub(crate) profiled: HashMap<IpAddr, PortSet>,
    /// Chains that should be there.
    pub(crate) chains: BTreeSet<Name>,
    /// Sets that should be there.
    pub(crate) sets: BTreeSet<Name>,
}

/// Where one peer address stands in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Nowhere,
    /// Elements of the exact set.
    Exact(Vec<(Protocol, u16)>),
    /// In the set of peers that are allowed everything.
    Everything,
    /// An element of the profile maps.
    Profile(PortSet),
}

impl Program {
    pub(crate) fn new(key: Arc<ProgramKey>, name: Arc<str>) -> Self {
        let mut program = Self {
            key: key.clone(),
            peer_sets: AddressFamily::BOTH.map(|family| PeerSets::new(&name, family)),
            name,
            uses: 0,
            any: PortSet::none(),
            peers: HashMap::new(),
            named_blocks: Vec::new(),
            blocks: Reach::none(),
            profiles: Default::default(),
            profiled: HashMap::new(),
            chains: BTreeSet::new(),
            sets: BTreeSet::new(),
        };
        if let Some(decision) = key.steps() {
            let mut blocks = Vec::new();
            for cell in &decision.cells {
                match &cell.peer {
                    CellPeer::Any => program.any = cell.ports.numbers.clone(),
                    CellPeer::Block { cidr, except } => {
                        let reach = Reach::block(*cidr, except, cell.ports.numbers.clone());
                        blocks.extend(reach.ranges().map(|(lo, hi, ports)| (lo, hi, ports.clone())));
                    }
                    CellPeer::Pods(_) => {}
                }
                if !cell.ports.names.is_empty() {
                    match &cell.peer {
                        CellPeer::Any => program.named_blocks.push((None, cell.ports.names.clone())),
                        CellPeer::Block { cidr, except } => program
                            .named_blocks
                            .push((Some((*cidr, except.clone())), cell.ports.names.clone())),
                        CellPeer::Pods(_) => {}
                    }
                }
            }
            program.blocks = blocks.into_iter().collect();
        }
        program
    }

    pub(crate) fn direction(&self) -> Direction {
        self.key.direction
    }

    pub(crate) fn object(&self, suffix: std::fmt::Arguments<'_>) -> Name {
        format!("{}-{suffix}", self.name).into()
    }

    /// The chain that a dispatch map sends an address of this family to.
    pub(crate) fn entry(&self, family: AddressFamily, orientation: Orientation) -> Name {
        self.object(format_args!("{}{}", orientation.letter(), family.digit()))
    }

    /// Its end: what nothing has allowed is counted under the program's name, and goes to `deny`. There a few packets still
    /// pass: errors about a tracked flow, and a pod's own to itself.
    pub(crate) fn denied(&self) -> Rule {
        Rule::new().counter(&self.name).goto(DENY)
    }

    /// Where peers of this family stand.
    pub(crate) fn peer_sets(&self, family: AddressFamily) -> &PeerSets {
        &self.peer_sets[family as usize]
    }

    /// The chain of one profile; its peers still go on to what follows the profile map.
    pub(crate) fn profile_chain(
        &self,
        ports: &PortSet,
        family: AddressFamily,
        orientation: Orientation,
    ) -> Name {
        let hash = stable_hash(ports) as u32;
        self.object(format_args!("f{hash:08x}-{}{}", orientation.letter(), family.digit()))
    }

    /// Where a peer with these ports stands.
    pub(crate) fn place(&self, ports: &PortSet, exact_ports: u32) -> Place {
        // Few programs allow something to everybody, and every peer of every program comes by here.
        if ports.is_empty() || (!self.any.is_empty() && ports.difference(&self.any).is_empty()) {
            return Place::Nowhere;
        }
        if ports.is_all() {
            return Place::Everything;
        }
        let count: u32 = Protocol::ALL.iter().map(|&p| ports.ports(p).count()).sum();
        if ports.other || count > exact_ports {
            return Place::Profile(ports.clone());
        }
        Place::Exact(ports.iter().flat_map(|(p, lo, hi)| (lo..=hi).map(move |port| (p, port))).collect())
    }
}

impl ProgramKey {
    /// The one decision, if the program can be made of steps: `return` allows and nothing denies before the end.
    pub(crate) fn steps(&self) -> Option<&Decision> {
        let plain = |decision: &Decision| {
            decision.cells.iter().all(|cell| {
                cell.verdict == CellVerdict::Allow && cell.precedence == Precedence::NETWORK_POLICY
            })
        };
        match &*self.all_of {
            [decision] if plain(decision) => Some(decision),
            _ => None,
        }
    }

    /// `in-` or `out-` and 16 hexadecimal digits.
    pub(crate) fn name(&self) -> String {
        format!("{}{:016x}", prefix(self.direction), stable_hash(self))
    }
}

const fn prefix(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "in-",
        Direction::Egress => "out-",
    }
}

/// The direction of the program whose counter has this name; `None`: it is a counter of the fixed part.
#[must_use]
pub fn program_direction(counter: &str) -> Option<Direction> {
    Direction::BOTH.into_iter().find(|direction| counter.starts_with(prefix(*direction)))
}

/// The same value for the same content in every process of one build.
pub(crate) fn stable_hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Key of an element of an exact set.
pub(crate) fn exact_key(address: IpAddr, protocol: Protocol, port: u16) -> Key {
    Key::address(address).then(&[protocol.number()]).then(&port.to_be_bytes())
}

/// The set of a selector's members that programs share.
pub(crate) fn shared_set(selector: &crate::index::SelectorKey, family: AddressFamily) -> (Name, SetSpec) {
    let name = format!("sel-{:016x}-{}", stable_hash(selector), family.digit());
    (name.into(), SetSpec::plain(&[family.data_type()]))
}

/// The table that programs are in.
pub(crate) const FAMILY: Family = Family::Inet;

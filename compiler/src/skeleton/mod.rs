//! The fixed part of both tables: the same on every node but for the [`Config`]. `shared/datapath` of the design tells
//! which attack each rule stops; `docs/datapath.md` says it for readers of this repository.

mod guard;
mod policy;

use crate::{
    config::Config,
    ir::{Attributes, DataType, Family, Key, Name, Ruleset, Set, SetSpec, Table},
};
use std::net::Ipv4Addr;

pub(crate) use policy::ends;
pub use policy::{DENIED, DENY, LOG_GROUP, LOG_PREFIX, OVERLAY, STRAY};

/// Which packets of a flow a chain judges. Both orientations of a program are held against the same sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Orientation {
    /// From the side that opened the flow.
    Original,
    /// The answers: source and destination are swapped.
    Reply,
}

impl Orientation {
    /// Both, the original first.
    pub const BOTH: [Self; 2] = [Self::Original, Self::Reply];

    /// The letter in chains' and maps' names.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Original => 'o',
            Self::Reply => 'r',
        }
    }
}

/// The two families of addresses, each with sets and chains of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum AddressFamily {
    V4,
    V6,
}

impl AddressFamily {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Which one an address is of.
    #[must_use]
    pub const fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The digit in names.
    #[must_use]
    pub const fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    /// The type of its addresses.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::V4 => DataType::Ipv4Addr,
            Self::V6 => DataType::Ipv6Addr,
        }
    }
}

/// Name of the dispatch map of one direction, family and orientation: `egress4-o`.
#[must_use]
pub fn dispatch_map(
    direction: policy_model::policy::Direction,
    family: AddressFamily,
    orientation: Orientation,
) -> String {
    format!("{direction}{}-{}", family.digit(), orientation.letter())
}

/// Name of the set of (address, same address) of local pods: `self4`.
#[must_use]
pub const fn self_set(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::V4 => "self4",
        AddressFamily::V6 => "self6",
    }
}

/// Name of the set of nodes' addresses: `nodes4`.
#[must_use]
pub const fn nodes_set(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::V4 => "nodes4",
        AddressFamily::V6 => "nodes6",
    }
}

/// Host-side veths of local pods; in both tables.
pub const PORTS: &str = "ports";
/// Ports whose pods are not isolated for ingress; in the bridge table.
pub const OPEN_PORTS: &str = "open-ports";
/// Port and hardware address of a pod; in the bridge table.
pub const OWN: &str = "own";
/// Port, hardware address and IPv4 address of a pod.
pub const OWN4: &str = "own4";
/// Port, hardware address and IPv6 address of a pod, link-local ones included.
pub const OWN6: &str = "own6";
/// Port and IPv6 address that the pod may advertise.
pub const NA6: &str = "na6";

/// Neighbour discovery that hosts need of each other: router solicitation, neighbour solicitation and advertisement.
const ND: &str = "nd";
const ND_TYPES: &[u8] = &[133, 135, 136];
/// Multicast listener discovery: query, report, done, report of version 2.
const MLD: &str = "mld";
const MLD_TYPES: &[u8] = &[130, 131, 132, 143];
/// What only routers send: router advertisement, redirect.
const ROUTER: &str = "router";
const ROUTER_TYPES: &[u8] = &[134, 137];
/// Multicast, the limited broadcast address, and each pod subnet's own.
const GROUPS4: &str = "groups4";

/// Both tables without any pod in them.
#[must_use]
pub fn ruleset(config: &Config) -> Ruleset {
    let mut ruleset = Ruleset::default();
    ruleset.tables.insert(Family::Inet, policy::table(config));
    if config.bridge_table {
        ruleset.tables.insert(Family::Bridge, guard::table(config));
    }
    ruleset
}

fn add_set(table: &mut Table, name: &str, spec: SetSpec) {
    table.sets.insert(Name::from(name), Set::new(spec));
}

fn add_icmpv6_types(table: &mut Table, name: &str, types: &[u8]) {
    let mut set = Set::new(SetSpec::plain(&[DataType::Icmpv6Type]));
    set.elements = types.iter().map(|&t| (Key::from_bytes(&[t]), None)).collect();
    table.sets.insert(Name::from(name), set);
}

fn add_groups(config: &Config, table: &mut Table) {
    let multicast = (Ipv4Addr::new(224, 0, 0, 0), Ipv4Addr::new(239, 255, 255, 255));
    let single = |address| (address, address);
    let ranges = [multicast, single(Ipv4Addr::BROADCAST)];
    let mut set = Set::new(SetSpec::intervals(DataType::Ipv4Addr));
    for (first, last) in ranges.into_iter().chain(config.broadcasts.iter().copied().map(single)) {
        let attributes = Attributes { end: Some(Key::address(last.into())), ..Attributes::default() };
        set.elements.insert(Key::address(first.into()), Some(Box::new(attributes)));
    }
    table.sets.insert(Name::from(GROUPS4), set);
}

//! A set of packets between the pod and its peers.

use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
    reach::{Difference, Reach},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Packets by peer, protocol and port. Those of TCP, UDP and SCTP whose port cannot be read (later fragments, truncated
/// headers) are held apart, since no test of a port matches them.
#[derive(Clone, Debug)]
pub(super) struct Region {
    /// Packets with a readable port, and all packets of other protocols.
    pub(super) open: Reach,
    /// Packets without: of each protocol all ports or none, and never other protocols.
    pub(super) blind: Reach,
}

/// Every protocol with ports, all of them.
pub(super) fn all_ports() -> PortSet {
    PortSet::all().difference(&PortSet::others())
}

/// All ports of one protocol.
pub(super) fn protocol(protocol: Protocol) -> PortSet {
    PortSet::none().with(protocol, PortRanges::all())
}

/// These ports of every protocol that has ports.
pub(super) fn ports_of_all(ranges: &PortRanges) -> PortSet {
    Protocol::ALL.into_iter().fold(PortSet::none(), |set, p| set.with(p, ranges.clone()))
}

/// First and last address of a family.
pub(super) const fn whole_family(of: IpAddr) -> (IpAddr, IpAddr) {
    match of {
        IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST)),
        IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))),
    }
}

impl Region {
    pub(super) fn none() -> Self {
        Self { open: Reach::none(), blind: Reach::none() }
    }

    /// Every packet between the pod and peers of this family.
    pub(super) fn all(of: IpAddr) -> Self {
        let (lo, hi) = whole_family(of);
        Self { open: Reach::of(lo, hi, PortSet::all()), blind: Reach::of(lo, hi, all_ports()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.blind.is_empty()
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self { open: self.open.union(&other.open), blind: self.blind.union(&other.blind) }
    }

    /// The union of many, in one sweep.
    pub(super) fn union_of(regions: &[Self]) -> Self {
        let all = |of: fn(&Self) -> &Reach| {
            let ranges = regions.iter().flat_map(|region| of(region).ranges());
            ranges.map(|(lo, hi, ports)| (lo, hi, ports.clone())).collect()
        };
        match regions {
            [] => Self::none(),
            [one] => one.clone(),
            _ => Self { open: all(|region| &region.open), blind: all(|region| &region.blind) },
        }
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        Self { open: self.open.difference(&other.open), blind: self.blind.difference(&other.blind) }
    }

    /// What is at these addresses.
    pub(super) fn within(&self, addresses: &Reach) -> Self {
        Self { open: self.open.intersection(addresses), blind: self.blind.intersection(addresses) }
    }

    /// Packets of these protocols and ports; `blind` counts for packets without a readable port.
    pub(super) fn restricted(&self, open: &PortSet, blind: &PortSet) -> Self {
        let cut = |reach: &Reach, by: &PortSet| -> Reach {
            reach.ranges().map(|(lo, hi, ports)| (lo, hi, ports.intersection(by))).collect()
        };
        Self { open: cut(&self.open, open), blind: cut(&self.blind, blind) }
    }

    /// Whether it has packets of protocols other than TCP, UDP and SCTP. These are one class: a rule can tell them apart,
    /// a reach cannot.
    pub(super) fn has_others(&self) -> bool {
        self.open.ranges().any(|(_, _, ports)| ports.other)
    }

    /// Where packets without a readable port are in it, or are not, otherwise than all ports of their protocol.
    pub(super) fn fragments_apart(&self) -> Option<Difference> {
        let whole = |ports: &PortSet| {
            let is_whole = |p: &Protocol| ports.ports(*p).is_all();
            Protocol::ALL.into_iter().filter(is_whole).fold(PortSet::none(), |set, p| set.union(&protocol(p)))
        };
        let expected: Reach = self.open.ranges().map(|(lo, hi, ports)| (lo, hi, whole(ports))).collect();
        self.blind.first_difference(&expected)
    }
}

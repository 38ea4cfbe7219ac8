//! Everything that one side of an endpoint lets pass, as one set in canonical form.
//!
//! A reach is a set of (address, protocol, port): for every address of IPv4 and IPv6, the packets that may pass between
//! the endpoint and that address. The reference model yields one, the compiler's IR yields one, and the kernel's dump
//! yields one. Equal sets are equal values, so comparing two answers for every packet at once is `==`.

mod display;
mod sweep;
#[cfg(test)]
mod tests;

pub use display::AddressRange;

use crate::portset::PortSet;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sweep::{Span, Spans};

/// A set of (address, protocol, port) over both address families.
///
/// Held as inclusive address ranges: sorted, disjoint, each with a set of ports that is not empty, and never two adjacent
/// ones with the same ports. All operations take time in proportion to the ranges of their operands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reach {
    /// Addresses as 32-bit numbers.
    v4: Spans,
    /// Addresses as 128-bit numbers.
    v6: Spans,
}

/// The lowest range of addresses on which two reaches differ, and what each of them says there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// First address of the range.
    pub lo: IpAddr,
    /// Last address of the range, of the same family.
    pub hi: IpAddr,
    /// What the reach that was asked allows there.
    pub this: PortSet,
    /// What the other one allows there.
    pub other: PortSet,
}

impl Reach {
    /// Lets nothing pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets everything pass.
    #[must_use]
    pub fn all() -> Self {
        let [v4, v6] = [u32::MAX.into(), u128::MAX].map(|last| Spans::one(0, last, PortSet::all()));
        Self { v4, v6 }
    }

    /// These ports at every address from `lo` to `hi`, both included. Nothing if the ends are swapped or of two families.
    #[must_use]
    pub fn of(lo: IpAddr, hi: IpAddr, ports: PortSet) -> Self {
        Self::from_iter([(lo, hi, ports)])
    }

    /// These ports at one address.
    #[must_use]
    pub fn address(address: IpAddr, ports: PortSet) -> Self {
        Self::of(address, address, ports)
    }

    /// These ports at every address of `cidr` that is in none of `except`: what an `ipBlock` means.
    #[must_use]
    pub fn block(cidr: IpNet, except: &[IpNet], ports: PortSet) -> Self {
        let whole = Self::of(cidr.network(), cidr.broadcast(), ports);
        whole.difference(&except.iter().map(|e| (e.network(), e.broadcast(), PortSet::all())).collect())
    }

    /// What either lets pass.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, PortSet::union)
    }

    /// What both let pass.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, PortSet::intersection)
    }

    /// What `self` lets pass and `other` does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, PortSet::difference)
    }

    /// The part about addresses of the same family as `address`.
    #[must_use]
    pub fn same_family(&self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self { v4: self.v4.clone(), v6: Spans::default() },
            IpAddr::V6(_) => Self { v4: Spans::default(), v6: self.v6.clone() },
        }
    }

    /// Whether it lets nothing pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether a packet of this IP protocol number, to or from this address and with this destination port, passes.
    ///
    /// `port` counts for TCP, UDP and SCTP. A packet of these without a readable port passes only where all ports of its
    /// protocol do. Every other protocol, UDP-Lite too, is of the one class that only rules without `ports` allow.
    #[must_use]
    pub fn contains(&self, address: IpAddr, protocol: u8, port: Option<u16>) -> bool {
        self.spans_at(address).is_some_and(|ports| ports.contains_packet(protocol, port))
    }

    /// The ports at one address.
    #[must_use]
    pub fn ports_at(&self, address: IpAddr) -> PortSet {
        self.spans_at(address).cloned().unwrap_or_default()
    }

    /// The ranges in order, IPv4 first: first address, last address, ports.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr, &PortSet)> {
        let v4 = self.v4.iter().map(|s| (v4(s.lo), v4(s.hi), &s.ports));
        let v6 = self.v6.iter().map(|s| (v6(s.lo), v6(s.hi), &s.ports));
        v4.chain(v6)
    }

    /// The ranges on which the two differ, in order, each as large as they differ in one way.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Difference> + 'a {
        type Segment<'p> = (u128, u128, &'p PortSet, &'p PortSet);
        let of = |address: fn(u128) -> IpAddr| {
            move |(lo, hi, this, other): Segment<'a>| Difference {
                lo: address(lo),
                hi: address(hi),
                this: this.clone(),
                other: other.clone(),
            }
        };
        self.v4.differences(&other.v4).map(of(v4)).chain(self.v6.differences(&other.v6).map(of(v6)))
    }

    /// The lowest range on which the two differ; `None` if they are equal.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        self.differences(other).next()
    }

    fn spans_at(&self, address: IpAddr) -> Option<&PortSet> {
        match address {
            IpAddr::V4(a) => self.v4.at(a.to_bits().into()),
            IpAddr::V6(a) => self.v6.at(a.to_bits()),
        }
    }

    fn zip(&self, other: &Self, op: fn(&PortSet, &PortSet) -> PortSet) -> Self {
        Self { v4: self.v4.combine(&other.v4, op), v6: self.v6.combine(&other.v6, op) }
    }
}

/// From (first address, last address, ports) in any order, overlapping or not: their union, in O(n log n). A range whose
/// ends are swapped or of two families is empty.
impl FromIterator<(IpAddr, IpAddr, PortSet)> for Reach {
    fn from_iter<I: IntoIterator<Item = (IpAddr, IpAddr, PortSet)>>(ranges: I) -> Self {
        let (mut spans4, mut spans6) = (Vec::new(), Vec::new());
        for (lo, hi, ports) in ranges {
            match (lo, hi) {
                (IpAddr::V4(lo), IpAddr::V4(hi)) => {
                    spans4.push(Span { lo: lo.to_bits().into(), hi: hi.to_bits().into(), ports });
                }
                (IpAddr::V6(lo), IpAddr::V6(hi)) => {
                    spans6.push(Span { lo: lo.to_bits(), hi: hi.to_bits(), ports });
                }
                _ => {}
            }
        }
        Self { v4: Spans::union_of(spans4), v6: Spans::union_of(spans6) }
    }
}

/// A span of the IPv4 part never reaches beyond 32 bits, so nothing is cut off here.
fn v4(bits: u128) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
}

fn v6(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(bits))
}

//! External addresses as disjoint ranges, cut wherever some policy tells them apart.

use policy_model::{
    cluster::Cluster,
    policy::{Direction, Peer, Rule},
    portset::PortSet,
    reach::{AddressRange, Reach},
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The ranges of one direction: sources outside the cluster for ingress, destinations for egress.
///
/// IPv4 is always there. IPv6 is there if anything in the cluster speaks of it. The addresses of pods are not cut out:
/// the answer is the one for an address that is no pod's.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    /// First address of each range: sorted, from the first address of a family on.
    starts: Vec<IpAddr>,
}

impl Ranges {
    /// `cuts` are first addresses of ranges that shall begin a range here too.
    pub(crate) fn new(cluster: &Cluster, direction: Direction, cuts: &[IpAddr]) -> Self {
        let rules = cluster.policies().flat_map(|policy| policy.rules(direction).unwrap_or_default());
        let mut ranges = Self::of_rules(rules, cuts.iter().any(IpAddr::is_ipv6) || speaks_ipv6(cluster));
        ranges.starts.extend(cuts);
        ranges.starts.sort_unstable();
        ranges.starts.dedup();
        ranges
    }

    /// The ranges that some rules tell apart.
    pub(crate) fn of_rules<'a>(rules: impl Iterator<Item = &'a Rule>, ipv6: bool) -> Self {
        let mut starts = BTreeSet::from([IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
        for peer in rules.flat_map(|rule| &rule.peers) {
            if let Peer::IpBlock { cidr, except } = peer {
                for (lo, hi, _) in Reach::block(*cidr, except, PortSet::all()).ranges() {
                    starts.insert(lo);
                    starts.extend(after(hi));
                }
            }
        }
        if ipv6 || starts.iter().any(IpAddr::is_ipv6) {
            starts.insert(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        }
        Self { starts: starts.into_iter().collect() }
    }

    /// Where the ranges begin.
    pub(crate) fn starts(&self) -> &[IpAddr] {
        &self.starts
    }

    /// The range that holds an address; `None` for IPv6 where there is none.
    pub(crate) fn of(&self, address: IpAddr) -> Option<usize> {
        let index = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        (self.starts[index].is_ipv4() == address.is_ipv4()).then_some(index)
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = AddressRange> + '_ {
        self.starts.iter().enumerate().map(|(index, lo)| {
            let next = self.starts.get(index + 1).filter(|next| next.is_ipv4() == lo.is_ipv4());
            let hi = match next {
                Some(next) => before(*next),
                None if lo.is_ipv4() => IpAddr::V4(Ipv4Addr::BROADCAST),
                None => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
            };
            AddressRange { lo: *lo, hi }
        })
    }
}

/// Whether anything in a cluster has or names an address of IPv6.
pub(crate) fn speaks_ipv6(cluster: &Cluster) -> bool {
    let pods = cluster.pods().flat_map(|pod| &pod.ips);
    let nodes = cluster.nodes().flat_map(|node| &node.addresses);
    let services = cluster.services().flat_map(|service| &service.cluster_ips);
    let blocks = Direction::BOTH.into_iter().flat_map(|direction| {
        cluster.policies().flat_map(move |policy| policy.rules(direction).unwrap_or_default())
    });
    let is_block6 = |peer: &Peer| matches!(peer, Peer::IpBlock { cidr, .. } if cidr.addr().is_ipv6());
    pods.chain(nodes).chain(services).any(IpAddr::is_ipv6)
        || blocks.flat_map(|rule| &rule.peers).any(is_block6)
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => a.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(a) => a.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

/// The address before one that is not the first of its family.
fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits().saturating_sub(1)).into(),
        IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits().saturating_sub(1)).into(),
    }
}

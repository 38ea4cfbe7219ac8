//! Few packets that stand for all: one address, one port out of each stretch that nothing can tell apart.
//!
//! A verdict depends on an address only through the `ipBlock`s it lies in, the pod that holds it and the node it
//! belongs to; on a port only through the ranges of policies and the named ports of pods. Between two neighbouring
//! boundaries of these every address, every port gets the same verdict.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy_model::{
    cluster::Cluster,
    policy::{Direction, Peer, PortMatch, Rule},
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Addresses that stand for all of `block`, in order.
pub(super) fn block(cluster: &Cluster, block: IpNet) -> Vec<IpAddr> {
    let mut starts = boundaries(cluster);
    starts.insert(block.network());
    starts.into_iter().filter(|address| block.contains(address)).collect()
}

/// Addresses that stand for all that are public and not the cluster's own, in order.
pub(super) fn internet(cluster: &Cluster) -> Vec<IpAddr> {
    let own: Vec<IpNet> = own_blocks(cluster).collect();
    let mut starts = boundaries(cluster);
    for block in special_blocks().chain(own.iter().copied()) {
        insert(&mut starts, block);
    }
    starts.insert(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    starts.insert(PUBLIC_V6.network().into());
    let is_public = |address: &IpAddr| {
        let routed = address.is_ipv4() || IpNet::from(PUBLIC_V6).contains(address);
        routed && !special_blocks().chain(own.iter().copied()).any(|block| block.contains(address))
    };
    starts.into_iter().filter(is_public).collect()
}

/// Ports that stand for all from `lo` to `hi`, both included, in order.
pub(super) fn ports(cluster: &Cluster, lo: u16, hi: u16) -> Vec<u16> {
    let mut starts = BTreeSet::from([lo]);
    let mut range = |lo: u16, hi: u16| {
        starts.insert(lo);
        starts.extend(hi.checked_add(1));
    };
    for rule in rules(cluster) {
        for port in &rule.ports {
            if let PortMatch::Range(lo, hi) = port.port {
                range(lo, hi);
            }
        }
    }
    cluster.pods().flat_map(|pod| &pod.ports).for_each(|port| range(port.port, port.port));
    starts.into_iter().filter(|port| (lo..=hi).contains(port)).collect()
}

/// Global unicast (RFC 4291, section 2.4): what the internet routes of IPv6.
const PUBLIC_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// IPv4 that no router of the internet carries (IANA special-purpose registry), but not the blocks for documentation:
/// examples and labs use these as public addresses.
fn special_blocks() -> impl Iterator<Item = IpNet> {
    const BLOCKS: [Ipv4Net; 8] = [
        Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
        Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
        Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
        Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
        Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
    ];
    BLOCKS.into_iter().map(IpNet::from)
}

/// The addresses of the cluster itself: pods, nodes, their pod ranges, Services.
fn own_blocks(cluster: &Cluster) -> impl Iterator<Item = IpNet> + '_ {
    let nodes = cluster.nodes().flat_map(|node| node.addresses.iter().copied());
    let services = cluster.services().flat_map(|service| service.cluster_ips.iter().copied());
    let single = cluster.claimed_addresses().chain(nodes).chain(services).map(IpNet::from);
    single.chain(cluster.nodes().flat_map(|node| node.pod_cidrs.iter().copied()))
}

/// The first address of every stretch that a policy could tell from the one before it.
fn boundaries(cluster: &Cluster) -> BTreeSet<IpAddr> {
    let mut starts = BTreeSet::new();
    for rule in rules(cluster) {
        for peer in &rule.peers {
            if let Peer::IpBlock { cidr, except } = peer {
                insert(&mut starts, *cidr);
                except.iter().for_each(|block| insert(&mut starts, *block));
            }
        }
    }
    let nodes = cluster.nodes().flat_map(|node| node.own_addresses());
    cluster.claimed_addresses().chain(nodes).for_each(|address| insert(&mut starts, address.into()));
    starts
}

/// Where a block starts, and where what comes after it starts.
fn insert(starts: &mut BTreeSet<IpAddr>, block: IpNet) {
    starts.insert(block.network());
    let after: Option<IpAddr> = match block.broadcast() {
        IpAddr::V4(last) => last.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(last) => last.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    starts.extend(after);
}

fn rules(cluster: &Cluster) -> impl Iterator<Item = &Rule> {
    cluster
        .policies()
        .flat_map(|policy| Direction::BOTH.into_iter().filter_map(|direction| policy.rules(direction)))
        .flatten()
}

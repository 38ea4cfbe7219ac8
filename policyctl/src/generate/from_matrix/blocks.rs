//! Sets of addresses as the fewest `ipBlock`s.

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use policy_model::{policy::Peer, reach::Reach};
use std::net::IpAddr;

/// The blocks that make up a reach, whatever its ports; of each family those with exceptions or those without, whichever
/// are fewer lines.
pub(super) fn blocks(reach: &Reach) -> Vec<Peer> {
    let ranges: Vec<(IpAddr, IpAddr)> = joined(reach.ranges().map(|(lo, hi, _)| (lo, hi)));
    let (v4, v6): (Vec<_>, Vec<_>) = ranges.into_iter().partition(|(lo, _)| lo.is_ipv4());
    [v4, v6].iter().flat_map(|ranges| of_family(ranges)).collect()
}

fn of_family(ranges: &[(IpAddr, IpAddr)]) -> Vec<Peer> {
    let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else { return Vec::new() };
    let plain: Vec<IpNet> = ranges.iter().flat_map(|(lo, hi)| subnets(*lo, *hi)).collect();
    let around = around(*first, *last);
    let except: Vec<IpNet> = gaps(&around, ranges);
    let block = |cidr, except| Peer::IpBlock { cidr, except };
    if 1 + except.len() < plain.len() {
        vec![block(around, except)]
    } else {
        plain.into_iter().map(|cidr| block(cidr, Vec::new())).collect()
    }
}

/// Ranges that touch become one.
fn joined(ranges: impl Iterator<Item = (IpAddr, IpAddr)>) -> Vec<(IpAddr, IpAddr)> {
    let mut all: Vec<(IpAddr, IpAddr)> = Vec::new();
    for (lo, hi) in ranges {
        match all.last_mut() {
            Some(last) if next(last.1) == Some(lo) => last.1 = hi,
            _ => all.push((lo, hi)),
        }
    }
    all
}

/// The smallest block that holds both addresses.
fn around(first: IpAddr, last: IpAddr) -> IpNet {
    let shared = match (first, last) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() as u8,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() as u8,
        _ => 0,
    };
    IpNet::new_assert(first, shared).trunc()
}

/// What a block has beside the ranges.
fn gaps(block: &IpNet, ranges: &[(IpAddr, IpAddr)]) -> Vec<IpNet> {
    let mut gaps = Vec::new();
    let mut start = Some(block.network());
    for (lo, hi) in ranges {
        if let Some(from) = start.filter(|from| from < lo) {
            gaps.extend(previous(*lo).map(|to| subnets(from, to)).unwrap_or_default());
        }
        start = next(*hi);
    }
    if let Some(from) = start.filter(|from| *from <= block.broadcast()) {
        gaps.extend(subnets(from, block.broadcast()));
    }
    gaps
}

fn subnets(lo: IpAddr, hi: IpAddr) -> Vec<IpNet> {
    match (lo, hi) {
        (IpAddr::V4(lo), IpAddr::V4(hi)) => {
            Ipv4Subnets::new(lo, hi, 0).map(|net: Ipv4Net| net.into()).collect()
        }
        (IpAddr::V6(lo), IpAddr::V6(hi)) => {
            Ipv6Subnets::new(lo, hi, 0).map(|net: Ipv6Net| net.into()).collect()
        }
        _ => Vec::new(),
    }
}

/// The address after this one, unless it is the last of its family.
pub(super) fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => a.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(a) => a.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

fn previous(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => a.to_bits().checked_sub(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(a) => a.to_bits().checked_sub(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::portset::PortSet;

    #[test]
    fn exceptions_are_used_where_they_are_shorter() {
        let shown = |ranges: &[(&str, &str)]| -> Vec<String> {
            let reach = ranges
                .iter()
                .map(|(lo, hi)| (lo.parse().unwrap(), hi.parse().unwrap(), PortSet::all()))
                .collect();
            blocks(&reach)
                .iter()
                .map(|peer| match peer {
                    Peer::IpBlock { cidr, except } => format!("{cidr} {except:?}"),
                    Peer::Pods { .. } => panic!("a block"),
                })
                .collect()
        };
        assert_eq!(
            shown(&[("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]),
            ["0.0.0.0/0 []", "::/0 []"]
        );
        assert_eq!(
            shown(&[("0.0.0.0", "9.255.255.255"), ("11.0.0.0", "255.255.255.255")]),
            ["0.0.0.0/0 [10.0.0.0/8]"]
        );
        assert_eq!(shown(&[("10.0.0.0", "10.0.0.255"), ("10.0.1.0", "10.0.1.255")]), ["10.0.0.0/23 []"]);
        assert_eq!(
            shown(&[("10.0.0.1", "10.0.0.1"), ("192.0.2.7", "192.0.2.7")]),
            ["10.0.0.1/32 []", "192.0.2.7/32 []"]
        );
        assert_eq!(shown(&[]), Vec::<String>::new());
    }
}

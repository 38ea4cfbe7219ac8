use super::*;
use crate::{object::Protocol, portset::PortRanges};
use proptest::prelude::*;

/// A few addresses at the ends of both families and in their middle: few enough to try every one.
fn addresses() -> Vec<IpAddr> {
    let v4 = (0..6u32).chain(0x7fff_fffe..0x8000_0002).chain(u32::MAX - 5..=u32::MAX);
    let v6 = (0..6u128).chain(u128::MAX - 5..=u128::MAX);
    v4.map(|a| IpAddr::V4(a.into())).chain(v6.map(|a| IpAddr::V6(a.into()))).collect()
}

const PORTS: [u16; 7] = [0, 1, 2, 80, 443, 65534, 65535];

fn ports() -> impl Strategy<Value = PortSet> {
    let end = || prop::sample::select(&PORTS[..]);
    let ranges = prop::collection::vec((end(), end()), 0..3).prop_map(PortRanges::from_iter);
    let set = (any::<bool>(), ranges.clone(), ranges).prop_map(|(other, tcp, sctp)| {
        let others = if other { PortSet::others() } else { PortSet::none() };
        others.with(Protocol::Tcp, tcp).with(Protocol::Sctp, sctp)
    });
    prop_oneof![4 => set, 1 => Just(PortSet::all())]
}

type Entries = Vec<(IpAddr, IpAddr, PortSet)>;

fn entries() -> impl Strategy<Value = Entries> {
    let end = || prop::sample::select(addresses());
    prop::collection::vec((end(), end(), ports()), 0..8)
}

/// What the entries say about one address, by looking at each.
fn brute_force(entries: &Entries, address: IpAddr) -> PortSet {
    let covers = |lo: &IpAddr, hi: &IpAddr| lo.is_ipv4() == hi.is_ipv4() && (*lo..=*hi).contains(&address);
    let covering = entries.iter().filter(|(lo, hi, _)| covers(lo, hi));
    covering.fold(PortSet::none(), |all, (_, _, ports)| all.union(ports))
}

fn is_canonical(reach: &Reach) -> bool {
    let ranges: Vec<_> = reach.ranges().collect();
    let bits = |a: IpAddr| match a {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    };
    ranges.iter().all(|(lo, hi, ports)| lo <= hi && lo.is_ipv4() == hi.is_ipv4() && !ports.is_empty())
        && ranges.windows(2).all(|pair| {
            let ((_, end, a), (start, _, b)) = (pair[0], pair[1]);
            let adjacent = end.is_ipv4() == start.is_ipv4() && bits(end).checked_add(1) == Some(bits(start));
            end < start && !(adjacent && a == b)
        })
}

proptest! {
    #[test]
    fn bulk_construction_is_the_union_of_its_entries(entries in entries()) {
        let reach: Reach = entries.iter().cloned().collect();
        prop_assert!(is_canonical(&reach), "{reach}");
        for address in addresses() {
            prop_assert_eq!(reach.ports_at(address), brute_force(&entries, address));
        }
        let one_by_one = entries.into_iter().fold(Reach::none(), |all, (lo, hi, p)| all.union(&Reach::of(lo, hi, p)));
        prop_assert_eq!(one_by_one, reach);
    }

    #[test]
    fn algebra_is_that_of_the_sets_at_each_address(a in entries(), b in entries()) {
        let (x, y): (Reach, Reach) = (a.iter().cloned().collect(), b.iter().cloned().collect());
        let (union, both, less) = (x.union(&y), x.intersection(&y), x.difference(&y));
        prop_assert!(is_canonical(&union) && is_canonical(&both) && is_canonical(&less));
        for address in addresses() {
            let (p, q) = (brute_force(&a, address), brute_force(&b, address));
            prop_assert_eq!(union.ports_at(address), p.union(&q));
            prop_assert_eq!(both.ports_at(address), p.intersection(&q));
            prop_assert_eq!(less.ports_at(address), p.difference(&q));
        }
        prop_assert_eq!(less.union(&both), x);
        prop_assert_eq!(Reach::all().difference(&Reach::all().difference(&y)), y);
    }

    #[test]
    fn first_difference_is_the_lowest_and_says_what_both_say(a in entries(), b in entries()) {
        let (x, y): (Reach, Reach) = (a.into_iter().collect(), b.into_iter().collect());
        prop_assert_eq!(x.first_difference(&y).is_none(), x == y);
        let Some(found) = x.first_difference(&y) else { return Ok(()) };
        prop_assert_ne!(&found.this, &found.other);
        for address in addresses() {
            let (p, q) = (x.ports_at(address), y.ports_at(address));
            if address < found.lo {
                prop_assert_eq!(p, q);
            } else if address <= found.hi {
                prop_assert_eq!((p, q), (found.this.clone(), found.other.clone()));
            }
        }
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_block_without_its_exceptions() {
    let web = PortSet::single(Protocol::Tcp, 80);
    let reach = Reach::block(net("10.0.0.0/8"), &[net("10.1.0.0/16"), net("10.255.0.0/16")], web);
    assert_eq!(reach.to_string(), "10.0.0.0/16: TCP 80\n10.2.0.0-10.254.255.255: TCP 80");
    assert!(reach.contains(ip("10.2.0.0"), 6, Some(80)));
    assert!(!reach.contains(ip("10.1.2.3"), 6, Some(80)), "an excepted address");
    assert!(!reach.contains(ip("10.2.0.0"), 17, Some(80)), "another protocol");
    assert!(!reach.contains(ip("10.2.0.0"), 6, None), "a fragment whose port nobody knows");
}

#[test]
fn everything_covers_both_families_to_their_ends() {
    assert_eq!(Reach::all().to_string(), "0.0.0.0/0: everything\n::/0: everything");
    let halves = Reach::block(net("::/1"), &[], PortSet::all()).union(&Reach::block(
        net("8000::/1"),
        &[],
        PortSet::all(),
    ));
    assert_eq!(halves, Reach::all().same_family(ip("::")));
    assert!(Reach::all().contains(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 1, None));
}

#[test]
fn protocols_without_a_name_pass_with_everything_only() {
    let named = PortSet::all().difference(&PortSet::others());
    let reach = Reach::address(ip("10.0.0.1"), named);
    for (protocol, passes) in [(1, false), (136, false), (6, true), (17, true), (132, true)] {
        assert_eq!(reach.contains(ip("10.0.0.1"), protocol, None), passes, "protocol {protocol}");
    }
}

#[test]
fn a_difference_is_as_wide_as_it_is_the_same() {
    let narrow = Reach::block(net("10.0.0.0/25"), &[], PortSet::all());
    let wide = Reach::block(net("10.0.0.0/23"), &[], PortSet::all());
    let found = wide.first_difference(&narrow).unwrap();
    assert_eq!(found.to_string(), "10.0.0.128-10.0.1.255: everything here, nothing there");
    assert_eq!(wide.first_difference(&wide), None);
}

/// 100,000 overlapping entries: a quadratic construction would not end within a test run.
#[test]
fn bulk_construction_of_many_overlapping_ranges() {
    let entries = (0..100_000u32).map(|i| {
        let (lo, hi) = (IpAddr::V4((i * 16).into()), IpAddr::V4((i * 16 + 40).into()));
        (lo, hi, PortSet::single(Protocol::Tcp, (i % 7) as u16))
    });
    let reach: Reach = entries.collect();
    assert!(reach.ranges().count() > 100_000);
}

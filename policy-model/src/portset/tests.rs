use super::*;
use proptest::prelude::*;

/// The ends of the port space and its middle, so that ranges touch, overlap and reach the ends often.
fn port() -> impl Strategy<Value = u16> {
    prop_oneof![0..4u16, 100..104u16, 65532..=65535u16]
}

fn interesting() -> impl Iterator<Item = u16> {
    (0..6).chain(98..107).chain(65530..=65535)
}

fn entries() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec((port(), port()), 0..6)
}

fn brute_force(entries: &[(u16, u16)], port: u16) -> bool {
    entries.iter().any(|&(lo, hi)| (lo..=hi).contains(&port))
}

proptest! {
    #[test]
    fn ranges_hold_what_their_entries_hold(entries in entries()) {
        let ranges = PortRanges::from_iter(entries.iter().copied());
        for port in interesting() {
            prop_assert_eq!(ranges.contains(port), brute_force(&entries, port));
        }
        let apart = |pair: &[(u16, u16)]| u32::from(pair[0].1) + 1 < u32::from(pair[1].0);
        prop_assert!(ranges.ranges().windows(2).all(apart), "not canonical: {}", ranges);
        let counted = (0..=u16::MAX).filter(|&port| ranges.contains(port)).count();
        prop_assert_eq!(ranges.count() as usize, counted);
    }

    #[test]
    fn algebra_is_that_of_the_sets(a in entries(), b in entries()) {
        let (x, y) = (PortRanges::from_iter(a.iter().copied()), PortRanges::from_iter(b.iter().copied()));
        for port in interesting() {
            let (p, q) = (brute_force(&a, port), brute_force(&b, port));
            prop_assert_eq!(x.union(&y).contains(port), p || q);
            prop_assert_eq!(x.intersection(&y).contains(port), p && q);
            prop_assert_eq!(x.difference(&y).contains(port), p && !q);
            prop_assert_eq!(x.complement().contains(port), !p);
        }
        prop_assert_eq!(x.complement().complement(), x.clone());
        prop_assert_eq!(x.difference(&y).union(&x.intersection(&y)), x);
    }
}

#[test]
fn packets_without_a_port_need_the_whole_protocol() {
    let most = PortSet::range(Protocol::Udp, 1, u16::MAX);
    let all = PortSet::range(Protocol::Udp, 0, u16::MAX);
    assert!(!most.contains_packet(17, None));
    assert!(all.contains_packet(17, None));
    assert!(!all.contains_packet(136, Some(53)), "UDP-Lite is not UDP");
    assert!(PortSet::others().contains_packet(136, Some(53)));
}

#[test]
fn display_names_protocols_and_ranges() {
    let web = PortRanges::from_iter([(80, 80), (443, 443), (8000, 8100)]);
    let set = PortSet::others().with(Protocol::Tcp, web).with(Protocol::Sctp, PortRanges::all());
    assert_eq!(set.to_string(), "TCP 80,443,8000-8100; SCTP all; other protocols");
    assert_eq!(PortSet::all().to_string(), "everything");
    assert_eq!(PortSet::none().to_string(), "nothing");
}

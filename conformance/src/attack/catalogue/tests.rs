//! The catalogue itself: names, markers, and packets that are what they say, seen by somebody else's parser.

use super::*;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use std::collections::BTreeSet;

#[test]
fn markers_are_found_in_the_middle_of_a_packet() {
    let packet = [b"head".to_vec(), marker(7), b"ATKxyz".to_vec(), marker(123)].concat();
    assert_eq!(marks(&packet).collect::<Vec<_>>(), [7, 123]);
}

fn both_lists() -> [Vec<Attack>; 2] {
    let cast = Cast::imagined();
    [all(&cast), without_conntrack(&cast)]
}

#[test]
fn no_two_attacks_have_one_name_and_each_carries_its_own_marker() {
    for list in both_lists() {
        let names: BTreeSet<_> = list.iter().map(|attack| &attack.name).collect();
        assert_eq!(names.len(), list.len());
        for (number, attack) in list.iter().enumerate() {
            assert_eq!(attack.number, number);
            let found: BTreeSet<_> = attack.frames.iter().flat_map(|frame| marks(frame)).collect();
            assert_eq!(found, BTreeSet::from([number]), "{}", attack.name);
            assert!(attack.frames.iter().all(|frame| frame.len() <= 14 + 1450), "{}: too long", attack.name);
        }
    }
}

/// Those whose fault is in the headers that this test looks at.
const FAULTY: [&str; 7] = [
    "bad checksum",
    "without a checksum",
    "truncated",
    "under IP",
    "802.3",
    "fragment",
    "twenty destination",
];

/// What is wrong with a frame, seen by a parser that is not ours; `None` if nothing is.
fn fault(frame: &[u8]) -> Option<String> {
    let packet = match SlicedPacket::from_ethernet(frame) {
        Ok(packet) => packet,
        Err(error) => return Some(error.to_string()),
    };
    let transport = packet.transport?;
    let (found, right) = match (&packet.net?, &transport) {
        (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (udp.checksum(), udp.to_header().calc_checksum_ipv4_raw(from, to, udp.payload()).ok()?)
        }
        (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.checksum(), tcp.to_header().calc_checksum_ipv4_raw(from, to, tcp.payload()).ok()?)
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (udp.checksum(), udp.to_header().calc_checksum_ipv6_raw(from, to, udp.payload()).ok()?)
        }
        (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.checksum(), tcp.to_header().calc_checksum_ipv6_raw(from, to, tcp.payload()).ok()?)
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let valid = icmp.is_checksum_valid(ip.header().source(), ip.header().destination());
            return (!valid).then(|| "wrong ICMPv6 checksum".to_owned());
        }
        _ => return None,
    };
    (found != right).then(|| format!("checksum {found:04x}, should be {right:04x}"))
}

#[test]
fn every_packet_that_claims_no_fault_has_none_and_the_others_have_one() {
    for attack in both_lists().concat() {
        let faulty = FAULTY.iter().any(|what| attack.name.contains(what));
        for frame in &attack.frames {
            let fault = fault(frame);
            assert!(faulty || fault.is_none(), "{}: {fault:?}", attack.name);
        }
    }
    let of = |part: &str| {
        let list = all(&Cast::imagined());
        let attack = list.into_iter().find(|a| a.name.contains(part)).expect("an attack of this name");
        attack.frames.iter().any(|frame| fault(frame).is_some())
    };
    for part in ["TCP with a bad checksum", "UDP with a bad checksum", "without a checksum", "under IPv4"] {
        assert!(of(part), "{part}: nothing is wrong with it");
    }
}

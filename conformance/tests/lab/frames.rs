//! Frames put on a link by hand.

use crate::{expect, three_pods};
use conformance::{
    lab::{Family, Place, Pod, addresses},
    probe::{
        Delivery, Outcome, Probe,
        craft::{self, Ipv4, Ipv6, Tcp},
    },
};
use std::{sync::Arc, time::Duration};

#[test]
fn injected_frames_are_seen_where_they_arrive_and_nowhere_else() {
    let (lab, [a, b, c]) = three_pods("frames");
    let mac = |text: &str| addresses::mac_bytes(text).expect("a MAC");
    let frame = |to: &str, marker: &[u8]| {
        // An ethertype for experiments: no stack looks at it, only the bridge carries it.
        [&mac(to)[..], &mac(a.mac()), &[0x88, 0xb5], marker, &[0; 50]].concat()
    };
    let seen = |to: &Arc<Pod>, at: &Arc<Pod>, marker: &[u8]| {
        lab.deliver(&a, vec![frame(to.mac(), marker)], at, marker).expect("a delivery")
    };
    assert_eq!(seen(&b, &b, b"first frame"), 1);
    assert_eq!(seen(&b, &c, b"second frame"), 0);
    assert_eq!(seen(&c, &c, b"third frame"), 0, "the other node is not on this bridge");
    let both = [b"frame no. 1", b"frame no. 2"].map(|m| Delivery::new(&a, vec![frame(b.mac(), m); 2], &b, m));
    let counts = lab.deliver_all(&both, Duration::from_secs(1)).expect("deliveries");
    assert!(counts.iter().all(|&n| n >= 1), "{counts:?}");

    let capture = lab.capture(Place::Node(1), "cni0").expect("a capture");
    expect(&lab, Outcome::Allowed, &[Probe::icmp(&a, c.ipv4())]);
    assert!(!capture.take().expect("frames").is_empty());
}

#[test]
fn crafted_packets_are_understood_by_the_receiving_kernel() {
    let (lab, [a, b, c]) = three_pods("craft");
    let mac = |text: &str| addresses::mac_bytes(text).expect("a MAC");
    let gateway = mac(lab.node(1).bridge_mac());
    let v4 = |to: &Pod, protocol, payload: &[u8]| Ipv4::new(a.ipv4(), to.ipv4(), protocol).packet(payload);
    let v6 = |to: &Pod, next, payload: &[u8]| Ipv6::new(a.ipv6(), to.ipv6(), next).packet(payload);
    let ends = |to: &Pod, f| (a.address(f), to.address(f));
    // Who gets a frame answers it; the answer comes back to a with the token, which only it and the request hold.
    for (to, first_hop) in [(&b, mac(b.mac())), (&c, gateway)] {
        for family in Family::BOTH {
            let (from_ip, to_ip) = ends(to, family);
            let token = format!("token {} {family:?}", to.key());
            let datagram = craft::udp(from_ip, to_ip, 1111, 80, token.as_bytes());
            let echo = family.pick(
                craft::icmp(8, 0, [0, 1, 0, 1], token.as_bytes()),
                craft::icmpv6(a.ipv6(), to.ipv6(), 128, 0, [0, 1, 0, 1], token.as_bytes()),
            );
            let packets = match family {
                Family::V4 => [v4(to, craft::UDP, &datagram), v4(to, craft::ICMP, &echo)],
                Family::V6 => [
                    v6(to, craft::DESTINATION_OPTIONS, &craft::options(craft::UDP, &datagram)),
                    v6(to, craft::ICMPV6, &echo),
                ],
            };
            let ethertype = family.pick(craft::IPV4, craft::IPV6);
            for packet in packets {
                let frame = craft::ethernet(first_hop, mac(a.mac()), ethertype, &packet);
                let answers = lab.deliver(&a, vec![frame], &a, &token.as_bytes()[..8]).expect("a delivery");
                assert!(answers >= 1, "{} does not answer {packet:02x?}", to.key());
            }
        }
    }
    // The pod's kernel answers a SYN to a closed port with a reset, and resets carry the acknowledged number.
    let syn = Tcp { sequence: 0x0bad_cafe, ..Tcp::new(1112, 4, craft::SYN) };
    let (from_ip, to_ip) = ends(&b, Family::V4);
    let frame = craft::ethernet(
        mac(b.mac()),
        mac(a.mac()),
        craft::IPV4,
        &v4(&b, craft::TCP, &syn.segment(from_ip, to_ip, b"")),
    );
    assert_eq!(lab.deliver(&a, vec![frame], &a, &0x0bad_caff_u32.to_be_bytes()).expect("a delivery"), 1);
}

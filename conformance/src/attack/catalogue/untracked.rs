//! Packets that conntrack has no entry for: `ct original …` does not match them, so a ruleset that asks nothing else lets
//! them fall through.

use super::{Arrival, List, frame4, frame6, overlay, to_80};
use crate::{
    attack::{
        LISTEN,
        packet::{
            TCP_CHECKSUM, UDP_CHECKSUM, ip4, ip6, tcp4, tcp6, udp4, udp6, with_checksum4, with_checksum6,
        },
    },
    probe::craft::{self, ACK, FIN, RST, SYN, Tcp},
};

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d) = (&g.a, &g.b, &g.c, &g.d);
    for (name, source, flags) in [
        ("bare ACK", 1111, ACK),
        ("RST", 1112, RST),
        ("SYN+FIN", 1113, SYN | FIN),
        ("without flags", 1114, 0),
        ("SYN+ACK", 1115, SYN | ACK),
    ] {
        list.drop(&format!("TCP {name}, c to b:80"), c, b, |m| {
            frame4(c, b.mac, &tcp4(c.v4, b.v4, to_80(source, flags), m))
        });
        list.drop(&format!("TCP {name}, c to b:80, IPv6"), c, b, |m| {
            frame6(c, b.mac, &tcp6(c.v6, b.v6, to_80(source, flags), m))
        });
    }
    list.drop("TCP with a bad checksum, c to b:80", c, b, |m| {
        let packet = tcp4(c.v4, b.v4, to_80(1116, SYN), m);
        frame4(c, b.mac, &with_checksum4(packet, TCP_CHECKSUM, 1))
    });
    list.drop("UDP with a bad checksum, c to b:80", c, b, |m| {
        let packet = udp4(c.v4, b.v4, (1116, 80), m);
        frame4(c, b.mac, &with_checksum4(packet, UDP_CHECKSUM, 1))
    });
    list.drop("UDP without a checksum, c to b:80, IPv6", c, b, |m| {
        let packet = udp6(c.v6, b.v6, (1116, 80), m);
        frame6(c, b.mac, &with_checksum6(packet, UDP_CHECKSUM, 0))
    });
    list.drop("UDP to port 0, c to b", c, b, |m| frame4(c, b.mac, &udp4(c.v4, b.v4, (1117, 0), m)));
    list.drop("TCP RST, c to d:80 on the other node", c, d, |m| {
        frame4(c, g.gateways[0], &tcp4(c.v4, d.v4, to_80(1112, RST), m))
    });
    list.drop("TCP RST, a to c: a's egress", a, c, |m| {
        frame4(a, c.mac, &tcp4(a.v4, c.v4, to_80(1112, RST), m))
    });
    for (name, source, flags) in [("bare ACK", 80, ACK), ("RST", 81, RST)] {
        list.drop(&format!("TCP {name}, b to c: an answer in a flow that c may not open"), b, c, |m| {
            frame4(b, c.mac, &tcp4(b.v4, c.v4, Tcp::new(source, 1119, flags), m))
        });
    }
    list.pass("TCP SYN, b to c", b, c, |m| frame4(b, c.mac, &tcp4(b.v4, c.v4, Tcp::new(82, 1119, SYN), m)));
    errors(list);
}

/// ICMP about flows that nobody has.
fn errors(list: &mut List<'_>) {
    let g = list.cast;
    let (b, c) = (&g.b, &g.c);
    let error = |kind, code, rest, m: &[u8]| {
        let message = craft::icmp(kind, code, rest, &udp4(b.v4, c.v4, (5, 6), m));
        frame4(c, b.mac, &ip4(c.v4, b.v4, craft::ICMP, &message))
    };
    list.drop("ICMP error about no flow, c to b", c, b, |m| error(3, 3, [0; 4], m));
    list.drop("ICMP redirect, c to b", c, b, |m| error(5, 1, c.v4.octets(), m));
    list.drop("ICMP echo reply that nobody asked for, c to b", c, b, |m| {
        frame4(c, b.mac, &ip4(c.v4, b.v4, craft::ICMP, &craft::icmp(0, 0, [0; 4], m)))
    });
    list.drop("ICMPv6 error about no flow, c to b", c, b, |m| {
        let quoted = udp6(b.v6, c.v6, (5, 6), m);
        let message = craft::icmpv6(c.v6, b.v6, 1, 4, [0; 4], &quoted);
        frame6(c, b.mac, &ip6(c.v6, b.v6, craft::ICMPV6, &message))
    });
}

pub(super) fn add_without_conntrack(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c) = (&g.a, &g.b, &g.c);
    let node = &g.nodes[0];
    list.drop("untracked, c to b:80", c, b, |m| frame4(c, b.mac, &udp4(c.v4, b.v4, (1200, 80), m)));
    list.drop("untracked, c to b:80, IPv6", c, b, |m| frame6(c, b.mac, &udp6(c.v6, b.v6, (1200, 80), m)));
    list.drop("untracked, a to c:80", a, c, |m| frame4(a, c.mac, &udp4(a.v4, c.v4, (1201, 80), m)));
    list.drop("untracked, a to c:80, IPv6", a, c, |m| frame6(a, c.mac, &udp6(a.v6, c.v6, (1201, 80), m)));
    let socket = || Arrival::Socket(node.place.clone());
    list.drop("untracked, a to its node", a, socket(), |m| {
        frame4(a, g.gateways[0], &udp4(a.v4, node.v4, (1202, LISTEN), m))
    });
    list.drop("untracked, a to its node, IPv6", a, socket(), |m| {
        frame6(a, g.gateways[0], &udp6(a.v6, node.v6, (1202, LISTEN), m))
    });
    let (d, other) = (&g.d, &g.nodes[1]);
    list.drop("untracked, VXLAN from c to the other node", c, d, |m| {
        let inner = overlay::from_a_to_d(g, m);
        frame4(c, g.gateways[0], &udp4(c.v4, other.v4, (1206, overlay::PORT), &inner))
    });
    list.pass("untracked, a to b:80 permitted", a, b, |m| frame4(a, b.mac, &udp4(a.v4, b.v4, (1203, 80), m)));
    list.pass("untracked, c to a:80 permitted", c, a, |m| frame4(c, a.mac, &udp4(c.v4, a.v4, (1204, 80), m)));
    list.pass("untracked, c to its node permitted", c, socket(), |m| {
        frame4(c, g.gateways[0], &udp4(c.v4, node.v4, (1205, LISTEN), m))
    });
}

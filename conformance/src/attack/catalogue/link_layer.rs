//! What bridges carry and br_netfilter does not show to the inet table.

use super::{Arrival, Guard, List, frame4, frame6};
use crate::{
    attack::{
        Host, LISTEN,
        ground::local,
        packet::{mpls, pppoe, snap_frame, udp4, udp6},
    },
    probe::craft,
};
use std::net::Ipv4Addr;

const PPPOE_SESSION: u16 = 0x8864;
const MPLS_UNICAST: u16 = 0x8847;
/// For experiments (IEEE 802).
const EXPERIMENT: u16 = 0x88b5;
/// The group of LLDP and its kin: a bridge does not forward it (IEEE 802.1D table 7-10).
const RESERVED_GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0e];

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let (b, c) = (&g.b, &g.c);
    let inner = |m: &[u8]| udp4(c.v4, b.v4, (1130, 80), m);
    let inner6 = |m: &[u8]| udp6(c.v6, b.v6, (1131, 80), m);
    let frame = |ethertype, payload: &[u8]| craft::ethernet(b.mac, c.mac, ethertype, payload);
    for vlan in [0, 5] {
        list.drop(&format!("VLAN {vlan}, c to b:80"), c, b, |m| {
            frame(craft::VLAN, &craft::vlan(vlan, craft::IPV4, &inner(m)))
        })
        .only_guard(Guard::Ethertypes);
    }
    list.drop("VLAN 0, c to b:80, IPv6", c, b, |m| {
        frame(craft::VLAN, &craft::vlan(0, craft::IPV6, &inner6(m)))
    })
    .only_guard(Guard::Ethertypes);
    list.drop("VLAN 0 in VLAN 0 (QinQ), c to b:80", c, b, |m| {
        let tagged = craft::vlan(0, craft::IPV4, &inner(m));
        frame(craft::OUTER_VLAN, &craft::vlan(0, craft::VLAN, &tagged))
    })
    .only_guard(Guard::Ethertypes);
    list.drop("PPPoE session, c to b:80", c, b, |m| frame(PPPOE_SESSION, &pppoe(1, &inner(m))))
        .only_guard(Guard::Ethertypes);
    list.drop("MPLS, c to b:80", c, b, |m| frame(MPLS_UNICAST, &mpls(0, &inner(m))))
        .only_guard(Guard::Ethertypes);
    list.drop("802.3 with LLC and SNAP, c to b:80", c, b, |m| snap_frame(c.mac, b.mac, &inner(m)))
        .only_guard(Guard::Ethertypes);
    list.drop("ethertype 88b5, c to b", c, b, |m| frame(EXPERIMENT, &[m, &[0; 40]].concat()))
        .only_guard(Guard::Ethertypes);
    list.drop("IPv6 under IPv4's ethertype, c to b:80", c, b, |m| frame(craft::IPV4, &inner6(m)))
        .lost("br_netfilter drops an IPv4 packet of version 6 (br_validate_ipv4)");
    list.drop("IPv4 under IPv6's ethertype, c to b:80", c, b, |m| frame(craft::IPV6, &inner(m)))
        .lost("br_netfilter drops an IPv6 packet of version 4 (br_validate_ipv6)");
    to_a_reserved_group(list);
}

/// Frames to 01:80:c2:00:00:0X come up on the port itself, past everything that asks for the bridge's name.
fn to_a_reserved_group(list: &mut List<'_>) {
    let g = list.cast;
    let node = &g.nodes[0];
    let socket = || Arrival::Socket(node.place.clone());
    let frame = |from: &Host, source: Ipv4Addr, port, m: &[u8]| {
        frame4(from, RESERVED_GROUP, &udp4(source, node.v4, (port, LISTEN), m))
    };
    let (a, c) = (&g.a, &g.c);
    list.drop("a to its node on a reserved group's MAC", a, socket(), |m| frame(a, a.v4, 1180, m))
        .stopped_by(Guard::Ethertypes);
    list.drop("c as b to its node on a reserved group's MAC", c, socket(), |m| frame(c, g.b.v4, 1181, m))
        .stopped_by(Guard::Ethertypes);
    list.drop("c as outside to its node on a reserved group's MAC", c, socket(), |m| {
        frame(c, g.outside.v4, 1182, m)
    })
    .stopped_by(Guard::Ethertypes);
    list.drop("a to its node on a reserved group's MAC, IPv6", a, socket(), |m| {
        frame6(a, RESERVED_GROUP, &udp6(a.v6, node.v6, (1183, LISTEN), m))
    })
    .stopped_by(Guard::Ethertypes);
    list.drop("a to its node", a, socket(), |m| {
        frame4(a, g.gateways[0], &udp4(a.v4, node.v4, (1184, LISTEN), m))
    });
    list.pass("c to its node", c, socket(), |m| {
        frame4(c, g.gateways[0], &udp4(c.v4, node.v4, (1185, LISTEN), m))
    });
    list.drop("a to its node's link-local address", a, socket(), |m| {
        frame6(a, g.gateways[0], &udp6(a.local, local(g.gateways[0]), (1186, LISTEN), m))
    });
    list.pass("c to its node's link-local address", c, socket(), |m| {
        frame6(c, g.gateways[0], &udp6(c.local, local(g.gateways[0]), (1187, LISTEN), m))
    });
}

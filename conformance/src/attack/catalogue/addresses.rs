//! Destinations and sources that are no pod's pod-range address.

use super::{List, Wanted, frame4, frame6};
use crate::attack::packet::{udp4, udp6};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d, e) = (&g.a, &g.b, &g.c, &g.d, &g.e);
    let foreign = [Ipv4Addr::new(192, 168, 77, 1), Ipv4Addr::new(192, 168, 77, 2)];
    list.drop("UDP to b's link-local address, from c's", c, b, |m| {
        frame6(c, b.mac, &udp6(c.local, b.local, (1, 80), m))
    });
    list.drop("UDP to b's link-local address, from c's own address", c, b, |m| {
        frame6(c, b.mac, &udp6(c.v6, b.local, (1, 80), m))
    });
    list.drop("UDP from a to c's link-local address: a's egress", a, c, |m| {
        frame6(a, c.mac, &udp6(a.local, c.local, (1, 80), m))
    });
    list.pass("UDP between link-local addresses, c to a", c, a, |m| {
        frame6(c, a.mac, &udp6(c.local, a.local, (1, 80), m))
    });
    list.drop("UDP to a foreign address on b's MAC", c, b, |m| {
        frame4(c, b.mac, &udp4(c.v4, foreign[1], (1, 80), m))
    });
    list.drop("UDP from a foreign address, c to b", c, b, |m| {
        frame4(c, b.mac, &udp4(foreign[0], b.v4, (1, 80), m))
    });
    list.drop("UDP from a foreign address, a to c: a's egress", a, c, |m| {
        frame4(a, c.mac, &udp4(foreign[0], c.v4, (1, 80), m))
    });
    let foreign6 = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1);
    list.drop("UDP to a foreign address on b's MAC, IPv6", c, b, |m| {
        frame6(c, b.mac, &udp6(c.v6, foreign6, (1, 80), m))
    });
    list.drop("UDP from a foreign address, c to b, IPv6", c, b, |m| {
        frame6(c, b.mac, &udp6(foreign6, b.v6, (1, 80), m))
    });
    list.drop("UDP from a foreign address, a to c: a's egress, IPv6", a, c, |m| {
        frame6(a, c.mac, &udp6(foreign6, c.v6, (1, 80), m))
    });
    list.add(
        "UDP to a's address on b's MAC",
        c,
        b,
        Wanted::KnownToPass(
            "c may send to a, and b takes what is not for it: both must collude, with raw sockets",
        ),
        |m| vec![frame4(c, b.mac, &udp4(c.v4, a.v4, (1300, 80), m))],
    );
    list.drop("UDP from 0.0.0.0 to 0.0.0.0 on b's MAC", c, b, |m| {
        frame4(c, b.mac, &udp4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, (1, 80), m))
    });
    list.drop("UDP from 127.0.0.1, c to b", c, b, |m| {
        frame4(c, b.mac, &udp4(Ipv4Addr::LOCALHOST, b.v4, (1, 80), m))
    });
    list.drop("IPv4-mapped IPv6 address on b's MAC", c, b, |m| {
        frame6(c, b.mac, &udp6(c.v6, b.v4.to_ipv6_mapped(), (1, 80), m))
    });
    list.drop("UDP to b:80 through the gateway's MAC", c, b, |m| {
        frame4(c, g.gateways[0], &udp4(c.v4, b.v4, (1160, 80), m))
    });
    list.pass("UDP from outside to e, passing node 1 by", &g.outside, e, |m| {
        frame4(&g.outside, g.nodes[0].mac, &udp4(g.outside.v4, e.v4, (1170, 80), m))
    });
    list.drop("UDP from outside to d through node 1", &g.outside, d, |m| {
        frame4(&g.outside, g.nodes[0].mac, &udp4(g.outside.v4, d.v4, (1171, 80), m))
    });
}

//! Protocols that have no ports, or that policies cannot name.

use super::{List, frame4};
use crate::{
    attack::packet::{ip4, sctp_data, sctp_init, udp4},
    probe::craft::{self, GRE, SCTP},
};
use std::net::Ipv4Addr;

/// Some protocol for experiments (RFC 3692).
const EXPERIMENT: u8 = 253;
const IPIP: u8 = 4;
const ESP: u8 = 50;
const UDP_LITE: u8 = 136;

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c) = (&g.a, &g.b, &g.c);
    let from_c = |protocol, payload: &[u8]| frame4(c, b.mac, &ip4(c.v4, b.v4, protocol, payload));
    let from_a = |protocol, payload: &[u8]| frame4(a, b.mac, &ip4(a.v4, b.v4, protocol, payload));
    list.drop("GRE, c to b", c, b, |m| {
        from_c(GRE, &craft::gre(craft::IPV4, &ip4(c.v4, b.v4, EXPERIMENT, m)))
    });
    list.drop("GRE, a to b: no rule for all ports", a, b, |m| {
        from_a(GRE, &craft::gre(craft::IPV4, &ip4(c.v4, b.v4, EXPERIMENT, m)))
    });
    list.drop("IPIP, c to b", c, b, |m| from_c(IPIP, &udp4(a.v4, b.v4, (1, 80), m)));
    list.drop("ESP, c to b", c, b, |m| from_c(ESP, &[b"\0\0\0\x01\0\0\0\x01", m].concat()));
    list.drop("protocol 253, c to b", c, b, |m| from_c(EXPERIMENT, m));
    list.drop("protocol 253 with 80 where ports are, a to b", a, b, |m| {
        from_a(EXPERIMENT, &[b"\x10\x10\x00\x50", m].concat())
    });
    list.pass("protocol 253, a to an ipBlock with all ports", a, &g.outside, |m| {
        frame4(a, g.gateways[0], &ip4(a.v4, Ipv4Addr::new(203, 0, 113, 9), EXPERIMENT, m))
    });
    list.drop("protocol 253, a to an address in no ipBlock", a, &g.outside, |m| {
        frame4(a, g.gateways[0], &ip4(a.v4, Ipv4Addr::new(198, 51, 100, 9), EXPERIMENT, m))
    });
    list.drop("SCTP INIT, c to b:80", c, b, |m| from_c(SCTP, &sctp_init((1, 80), 1, m)));
    list.drop("SCTP DATA without INIT, c to b:80", c, b, |m| from_c(SCTP, &sctp_data((1, 80), 7, m)));
    list.drop("SCTP with a bad checksum, c to b:80", c, b, |m| {
        let mut message = sctp_init((2, 80), 1, m);
        message[8] ^= 1;
        from_c(SCTP, &message)
    });
    list.drop("UDP-Lite, c to b:80", c, b, |m| {
        from_c(UDP_LITE, &[b"\x04\x04\x00\x50\x00\x08\x00\x00", m].concat())
    });
}

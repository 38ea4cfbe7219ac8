//! A frame that a pod wraps in VXLAN by itself comes out on a node as if another node had sent it.

use super::{Guard, List, Wanted, frame4, frame6, to_80};
use crate::{
    attack::{
        Cast, Host, Mac,
        packet::{tcp4, tcp6, udp4, udp6},
    },
    lab::addresses,
    probe::craft::{self, SYN},
};
use std::net::Ipv4Addr;

/// Flannel's VXLAN port and network.
pub(super) const PORT: u16 = 8472;
const VNI: u32 = 1;

/// The MAC of a node's overlay device of one family.
fn vtep(node: u8, of: u8) -> Mac {
    // The plan writes it itself, so it always reads.
    addresses::mac_bytes(&addresses::vtep_mac(node, of)).unwrap_or_default()
}

/// A frame from one node's `flannel.1` to the other's, in VXLAN.
fn wrapped(from: u8, to: u8, packet: &[u8]) -> Vec<u8> {
    craft::vxlan(VNI, &craft::ethernet(vtep(to, 4), vtep(from, 4), craft::IPV4, packet))
}

/// What node 1 would send for `a` to `d:80`, which policy allows: `d` takes the forger for `a`.
pub(super) fn from_a_to_d(cast: &Cast, m: &[u8]) -> Vec<u8> {
    wrapped(1, 2, &tcp4(cast.a.v4, cast.d.v4, to_80(1150, SYN), m))
}

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d, e) = (&g.a, &g.b, &g.c, &g.d, &g.e);
    let for_d = |m: &[u8]| from_a_to_d(g, m);
    let for_b = |m: &[u8]| wrapped(2, 1, &udp4(g.outside.v4, b.v4, (1151, 80), m));
    let send = |from: &Host, gateway: Mac, to: Ipv4Addr, port, payload: &[u8]| {
        frame4(from, gateway, &udp4(from.v4, to, (port, PORT), payload))
    };
    list.drop("VXLAN from c to the other node", c, d, |m| {
        send(c, g.gateways[0], g.nodes[1].v4, 4444, &for_d(m))
    })
    .stopped_by(Guard::Overlay);
    list.drop("VXLAN from c to its own node", c, b, |m| {
        send(c, g.gateways[0], g.nodes[0].v4, 4445, &for_b(m))
    })
    .stopped_by(Guard::Overlay);
    list.drop("VXLAN from e, isolated for egress, to its own node", e, d, |m| {
        send(e, g.gateways[1], g.nodes[1].v4, 4446, &for_d(m))
    });
    for (port, last) in [(4450, 0), (4451, 1)] {
        let to = addresses::pod4(2, last);
        list.drop(&format!("VXLAN from c to {to}, through the overlay"), c, d, |m| {
            send(c, g.gateways[0], to, port, &for_d(m))
        })
        .stopped_by(Guard::Overlay);
        let to = addresses::pod4(1, last);
        list.drop(&format!("VXLAN from c to {to}, its own node"), c, b, |m| {
            send(c, g.gateways[0], to, port + 10, &for_b(m))
        })
        .stopped_by(Guard::Overlay);
    }
    list.drop("VXLAN from c to the other node, IPv6", c, d, |m| {
        let inner = tcp6(a.v6, d.v6, to_80(1150, SYN), m);
        let inner = craft::vxlan(VNI, &craft::ethernet(vtep(2, 6), vtep(1, 6), craft::IPV6, &inner));
        frame6(c, g.gateways[0], &udp6(c.v6, g.nodes[1].v6, (4470, PORT), &inner))
    })
    .stopped_by(Guard::Overlay);
    list.drop("VXLAN from c to its own node, IPv6", c, b, |m| {
        let inner = udp6(g.outside.v6, b.v6, (1152, 80), m);
        let inner = craft::vxlan(VNI, &craft::ethernet(vtep(1, 6), vtep(2, 6), craft::IPV6, &inner));
        frame6(c, g.gateways[0], &udp6(c.v6, g.nodes[0].v6, (4471, PORT), &inner))
    })
    .stopped_by(Guard::Overlay);
    let outside = &g.outside;
    list.add(
        "VXLAN from the outside host on the underlay",
        outside,
        d,
        Wanted::KnownToPass("VXLAN has no authentication: the underlay can forge any inner source"),
        |m| vec![frame4(outside, g.nodes[1].mac, &udp4(outside.v4, g.nodes[1].v4, (4445, PORT), &for_d(m)))],
    );
}

//! Frames that claim another's address.

use super::{Guard, List, frame4, frame6, to_80};
use crate::{
    attack::{
        Host,
        packet::{arp_frame, tcp4, udp4, udp6},
    },
    probe::craft::{self, SYN},
};
use std::net::Ipv4Addr;

const EVERYBODY: [u8; 6] = [0xff; 6];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

pub(super) fn add(list: &mut List<'_>) {
    addresses(list);
    arp(list);
}

fn addresses(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d, e) = (&g.a, &g.b, &g.c, &g.d, &g.e);
    // What a may do, c would do in its name.
    list.drop("c as a to b:80", c, b, |m| frame4(c, b.mac, &udp4(a.v4, b.v4, (1140, 80), m)))
        .only_guard(Guard::Sources);
    list.drop("c as a, with a's MAC, to b:80", c, b, |m| frame4(a, b.mac, &udp4(a.v4, b.v4, (1141, 80), m)))
        .only_guard(Guard::Sources);
    list.drop("c as a to b:80, IPv6", c, b, |m| frame6(c, b.mac, &udp6(a.v6, b.v6, (1141, 80), m)))
        .only_guard(Guard::Sources);
    list.drop("c as a's link-local address to c's neighbour b", c, b, |m| {
        frame6(c, b.mac, &udp6(a.local, b.v6, (1145, 80), m))
    });
    list.drop("c with another MAC to a: its own address, a forged port", c, a, |m| {
        let forged = Host { mac: [2, 0, 0, 0, 0, 0x77], ..c.clone() };
        frame4(&forged, a.mac, &udp4(c.v4, a.v4, (1146, 80), m))
    })
    .only_guard(Guard::Sources);
    list.drop("c as the outside host to b:80", c, b, |m| {
        frame4(c, b.mac, &udp4(g.outside.v4, b.v4, (1142, 80), m))
    });
    list.drop("c as its node to b:80", c, b, |m| {
        frame4(c, b.mac, &udp4(Ipv4Addr::new(10, 244, 1, 1), b.v4, (1147, 80), m))
    });
    list.drop("c as e, of the other node, to d:80", c, d, |m| {
        frame4(c, g.gateways[0], &udp4(e.v4, d.v4, (1143, 80), m))
    });
    list.drop("c as a to d:80 on the other node", c, d, |m| {
        frame4(c, g.gateways[0], &tcp4(a.v4, d.v4, to_80(1144, SYN), m))
    })
    .only_guard(Guard::Sources);
    list.pass("a to d:80 on the other node permitted", a, d, |m| {
        frame4(a, g.gateways[0], &tcp4(a.v4, d.v4, to_80(1148, SYN), m))
    });
}

fn arp(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c) = (&g.a, &g.b, &g.c);
    let gateway = Ipv4Addr::new(10, 244, 1, 1);
    list.drop("ARP: c claims a's address to b", c, b, |m| {
        arp_frame(c.mac, b.mac, REPLY, (c.mac, a.v4), (b.mac, b.v4), m)
    })
    .only_guard(Guard::Sources);
    list.drop("ARP: c claims the gateway's address to all", c, b, |m| {
        arp_frame(c.mac, EVERYBODY, REQUEST, (c.mac, gateway), ([0; 6], b.v4), m)
    })
    .only_guard(Guard::Sources);
    list.drop("ARP: c says that a's MAC has its address", c, b, |m| {
        arp_frame(c.mac, b.mac, REPLY, (a.mac, c.v4), (b.mac, b.v4), m)
    })
    .only_guard(Guard::Sources);
    list.drop("ARP: an answer from nobody's address", c, b, |m| {
        arp_frame(c.mac, b.mac, REPLY, (c.mac, Ipv4Addr::UNSPECIFIED), (b.mac, b.v4), m)
    })
    .only_guard(Guard::Sources);
    list.pass("ARP: c announces itself", c, b, |m| c.announcement(m));
    list.pass("ARP: c probes for its own address", c, b, |m| {
        arp_frame(c.mac, EVERYBODY, REQUEST, (c.mac, Ipv4Addr::UNSPECIFIED), ([0; 6], c.v4), m)
    });
    list.pass("ARP: c asks for b", c, b, |m| {
        arp_frame(c.mac, EVERYBODY, REQUEST, (c.mac, c.v4), ([0; 6], b.v4), m)
    });
    list.drop("VLAN 0 around ARP that claims a's address", c, b, |m| {
        let arp = [&craft::arp(REPLY, (c.mac, a.v4), (b.mac, b.v4))[..], m].concat();
        craft::ethernet(b.mac, c.mac, craft::VLAN, &craft::vlan(0, craft::ARP, &arp))
    })
    .only_guard(Guard::Ethertypes);
}

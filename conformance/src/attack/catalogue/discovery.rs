//! Neighbour and listener discovery: never tracked, so only its form can tell honest from forged.

use super::{Arrival, Guard, List, Wanted, frame6};
use crate::{
    attack::{
        Host,
        packet::{
            Message, advertisement, ip6, nonce, redirect, router_advertisement, solicitation,
            target_link_address,
        },
    },
    probe::craft::{self, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMPV6, Ipv6},
};
use std::net::Ipv6Addr;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const LISTENER_REPORT: u8 = 143;
const ROUTER: u8 = 134;

pub(super) fn add(list: &mut List<'_>) {
    neighbours(list);
    listeners(list);
    routers(list);
    data_in_disguise(list);
}

fn neighbours(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c) = (&g.a, &g.b, &g.c);
    let to_b = Message::new(c.v6, b.v6);
    let at_c = |m: &[u8]| [target_link_address(c.mac), nonce(m)].concat();
    list.drop("NA: c claims a's address to b", c, b, |m| {
        frame6(c, b.mac, &advertisement(to_b, a.v6, &at_c(m)))
    })
    .only_guard(Guard::Sources);
    list.drop("NA: c claims a's link-local address to b", c, b, |m| {
        frame6(c, b.mac, &advertisement(Message::new(c.local, b.v6), a.local, &at_c(m)))
    })
    .only_guard(Guard::Sources);
    list.drop("NA: c claims the gateway's address to b", c, b, |m| {
        let gateway = crate::lab::addresses::pod6(1, 1);
        frame6(c, b.mac, &advertisement(to_b, gateway, &at_c(m)))
    })
    .only_guard(Guard::Sources);
    list.drop("NA: c claims a's address in a's name", c, b, |m| {
        frame6(c, b.mac, &advertisement(Message::new(a.v6, b.v6), a.v6, &at_c(m)))
    })
    .only_guard(Guard::Sources);
    list.pass("NA: c says where it is", c, b, |m| frame6(c, b.mac, &advertisement(to_b, c.v6, &at_c(m))));
    list.pass("NS: c asks for b", c, b, |m| frame6(c, b.mac, &solicitation(to_b, b.v6, &nonce(m))));
    list.pass("NS: c asks whether its address is free (DAD)", c, b, |m| {
        let [.., x, y, z] = c.v6.octets();
        let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z]);
        let message = Message::new(Ipv6Addr::UNSPECIFIED, group);
        frame6(c, [0x33, 0x33, 0xff, x, y, z], &solicitation(message, c.v6, &nonce(m)))
    });
    list.drop("NS: c as a asks for b", c, b, |m| {
        frame6(c, b.mac, &solicitation(Message::new(a.v6, b.v6), b.v6, &nonce(m)))
    })
    .only_guard(Guard::Sources);
    list.drop("NS from nobody's address with another MAC", c, b, |m| {
        let message = Message::new(Ipv6Addr::UNSPECIFIED, b.v6);
        craft::ethernet(b.mac, [2, 0, 0, 0, 0, 0x78], craft::IPV6, &solicitation(message, b.v6, &nonce(m)))
    })
    .only_guard(Guard::Sources);
}

/// A pod's kernel says to which groups it listens, isolated or not (RFC 3810): a report to ff02::16 with hop limit 1 and
/// the router alert option.
fn listeners(list: &mut List<'_>) {
    let g = list.cast;
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let report = |from: &Host, m: &[u8]| {
        let message = Message::new(from.local, group).icmpv6(LISTENER_REPORT, &[&[0; 4][..], m].concat());
        let alert = [&[ICMPV6, 0, 5, 2, 0, 0, 1, 0][..], &message].concat();
        let packet = Ipv6::new(from.local, group, HOP_BY_HOP).hops(1).packet(&alert);
        frame6(from, [0x33, 0x33, 0, 0, 0, 0x16], &packet)
    };
    list.pass("MLD: a says what it listens to, heard by c", &g.a, &g.c, |m| report(&g.a, m));
    list.pass("MLD: c says what it listens to, heard by b", &g.c, &g.b, |m| report(&g.c, m));
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mac = [0x33, 0x33, 0, 0, 0, 1];
    let node = || Arrival::Icmpv6(g.nodes[0].place.clone());
    list.pass("MLD: a says what it listens to, heard by its node", &g.a, node(), |m| {
        frame6(&g.a, mac, &Message::new(g.a.local, all).hops(1).packet(LISTENER_REPORT, m))
    });
    list.drop("router advertisement from c, heard by its node", &g.c, node(), |m| {
        frame6(&g.c, mac, &Message::new(g.c.local, all).packet(ROUTER, &router_advertisement(&nonce(m))))
    })
    .stopped_by(Guard::Routers);
    list.drop("ping from a, heard by its node", &g.a, node(), |m| {
        frame6(&g.a, mac, &Message::new(g.a.local, all).packet(128, &[&[0, 1, 0, 1][..], m].concat()))
    });
}

fn routers(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d) = (&g.a, &g.b, &g.c, &g.d);
    let to_a = Message::new(c.local, a.local);
    list.drop("router advertisement from c to a", c, a, |m| {
        frame6(c, a.mac, &to_a.packet(ROUTER, &router_advertisement(&nonce(m))))
    })
    .stopped_by(Guard::Routers);
    list.drop("redirect from c to b", c, b, |m| {
        frame6(c, b.mac, &redirect(Message::new(c.local, b.v6), c.local, d.v6, &nonce(m)))
    });
    list.drop("router advertisement behind destination options, c to a", c, a, |m| {
        let message = to_a.icmpv6(ROUTER, &router_advertisement(&nonce(m)));
        let packet = Ipv6::new(c.local, a.local, DESTINATION_OPTIONS).hops(255);
        frame6(c, a.mac, &packet.packet(&craft::options(ICMPV6, &message)))
    })
    .stopped_by(Guard::Routers);
    for (name, cut) in [("in two fragments", 16), ("behind a first fragment of options", 8)] {
        let last = list.add(&format!("router advertisement {name}, c to a"), c, a, Wanted::Dropped, |m| {
            let message = to_a.icmpv6(ROUTER, &router_advertisement(&nonce(m)));
            let whole = craft::options(ICMPV6, &message);
            let (first, second) = whole.split_at(cut);
            let piece = |offset, more, part: &[u8]| {
                let part = craft::fragment(DESTINATION_OPTIONS, offset, more, cut as u32, part);
                frame6(c, a.mac, &Ipv6::new(c.local, a.local, FRAGMENT).hops(255).packet(&part))
            };
            vec![piece(0, true, first), piece((cut / 8) as u16, false, second)]
        });
        if cut == 8 {
            last.lost(
                "conntrack keeps the rest: a first fragment must hold all headers (RFC 8200 section 4.5)",
            );
        } else {
            last.stopped_by(Guard::Routers);
        }
    }
}

/// Data under the types of discovery, which is not judged on a link.
fn data_in_disguise(list: &mut List<'_>) {
    let g = list.cast;
    let (a, b, c, d) = (&g.a, &g.b, &g.c, &g.d);
    let routed = |to: Ipv6Addr, hops, kind, m: &[u8]| {
        frame6(a, g.gateways[0], &Message::new(a.v6, to).hops(hops).packet(kind, m))
    };
    // A router takes one off before the forward hook sees the packet: 256 cannot be sent, 2 can.
    list.drop("NS with data and hop limit 255, a to d, routed", a, d, |m| routed(d.v6, 255, SOLICITATION, m));
    list.drop("NA with data and hop limit 255, a to d, routed", a, d, |m| {
        routed(d.v6, 255, ADVERTISEMENT, m)
    });
    list.drop("MLD report with data and hop limit 3, a to d, routed", a, d, |m| {
        routed(d.v6, 3, LISTENER_REPORT, m)
    });
    let internet = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
    list.drop("MLD report with data and hop limit 2, a to the internet", a, &g.outside, |m| {
        routed(internet, 2, LISTENER_REPORT, m)
    });
    list.drop("NS with data and hop limit 64, c to b", c, b, |m| {
        frame6(c, b.mac, &Message::new(c.v6, b.v6).hops(64).packet(SOLICITATION, m))
    });
    list.drop("MLD report with data and hop limit 1 on b's MAC and address", c, b, |m| {
        frame6(c, b.mac, &Message::new(c.v6, b.v6).hops(1).packet(LISTENER_REPORT, m))
    });
    list.drop("ND type 133 behind an atomic fragment with hop limit 64, c to b", c, b, |m| {
        let message = Message::new(c.v6, b.v6).icmpv6(133, m);
        frame6(c, b.mac, &ip6(c.v6, b.v6, FRAGMENT, &craft::fragment(ICMPV6, 0, false, 6, &message)))
    });
}

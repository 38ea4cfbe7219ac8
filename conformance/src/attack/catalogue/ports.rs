//! The edges of a range of ports, where only one side is isolated: the other cannot drop in its stead.

use super::{List, Wanted, frame4, frame6};
use crate::{
    attack::packet::{tcp4, udp4, udp6},
    probe::craft::{SYN, Tcp},
};

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    for (who, from, to, mac) in
        [("a to c, egress", &g.a, &g.c, g.c.mac), ("d to b, ingress", &g.d, &g.b, g.gateways[1])]
    {
        for (port, wanted) in
            [(7999, Wanted::Dropped), (8000, Wanted::Passes), (8100, Wanted::Passes), (8101, Wanted::Dropped)]
        {
            list.add(&format!("UDP {port}, {who}"), from, to, wanted, |m| {
                vec![frame4(from, mac, &udp4(from.v4, to.v4, (1400, port), m))]
            });
            list.add(&format!("UDP {port}, {who}, IPv6"), from, to, wanted, |m| {
                vec![frame6(from, mac, &udp6(from.v6, to.v6, (1400, port), m))]
            });
        }
        list.drop(&format!("TCP 8050, {who}: a port of the other protocol"), from, to, |m| {
            frame4(from, mac, &tcp4(from.v4, to.v4, Tcp::new(1401, 8050, SYN), m))
        });
        list.drop(&format!("UDP from 8050 to 7999, {who}: the range is the destination's"), from, to, |m| {
            frame4(from, mac, &udp4(from.v4, to.v4, (8050, 7999), m))
        });
    }
}

//! Packets in pieces, and IPv6 packets whose transport header is behind others.

use super::{List, Wanted, frame4, frame6};
use crate::{
    attack::packet::{datagram6, ip6},
    probe::craft::{self, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, Ipv4, ROUTING, SYN, Tcp, UDP},
};

pub(super) fn add(list: &mut List<'_>) {
    whole_and_in_pieces(list);
    broken_ipv4(list);
    extension_headers(list);
}

/// The same datagrams, forbidden from `c` and permitted from `a`.
fn whole_and_in_pieces(list: &mut List<'_>) {
    let g = list.cast;
    let b = &g.b;
    for (from, who, wanted) in
        [(&g.c, "c to b:80", Wanted::Dropped), (&g.a, "a to b:80 permitted", Wanted::Passes)]
    {
        list.add(&format!("IPv4 fragments, {who}"), from, b, wanted, |m| {
            let datagram = craft::udp(from.v4.into(), b.v4.into(), 1117, 80, &m.repeat(20));
            let whole = Ipv4 { id: 77, ..Ipv4::new(from.v4, b.v4, UDP) };
            whole.fragments(&datagram, 64).iter().map(|piece| frame4(from, b.mac, piece)).collect()
        });
        list.add(&format!("IPv6 fragments, {who}"), from, b, wanted, |m| {
            let datagram = datagram6(from.v6, b.v6, (1117, 80), &m.repeat(300));
            let pieces = datagram.chunks(1232);
            let last = pieces.len() - 1;
            let piece = |(i, part): (usize, &[u8])| {
                let part = craft::fragment(UDP, (i * 154) as u16, i < last, 9, part);
                frame6(from, b.mac, &ip6(from.v6, b.v6, FRAGMENT, &part))
            };
            pieces.enumerate().map(piece).collect()
        });
        list.add(&format!("IPv6 atomic fragment, {who}"), from, b, wanted, |m| {
            let datagram = datagram6(from.v6, b.v6, (1119, 80), m);
            let packet = ip6(from.v6, b.v6, FRAGMENT, &craft::fragment(UDP, 0, false, 10, &datagram));
            vec![frame6(from, b.mac, &packet)]
        });
        list.add(&format!("IPv6 destination options, {who}"), from, b, wanted, |m| {
            let datagram = datagram6(from.v6, b.v6, (1120, 80), m);
            let packet = ip6(from.v6, b.v6, DESTINATION_OPTIONS, &craft::options(UDP, &datagram));
            vec![frame6(from, b.mac, &packet)]
        });
    }
}

fn broken_ipv4(list: &mut List<'_>) {
    let g = list.cast;
    let (b, c) = (&g.b, &g.c);
    list.drop("IPv4 later fragment alone, c to b", c, b, |m| {
        let later = Ipv4 { id: 81, offset: 8, ..Ipv4::new(c.v4, b.v4, UDP) };
        frame4(c, b.mac, &later.packet(&m.repeat(5)))
    })
    .lost("conntrack waits for the first fragment");
    list.add("IPv4 tiny first fragment, c to b", c, b, Wanted::Dropped, |m| {
        let segment = Tcp::new(1, 80, SYN).segment(c.v4.into(), b.v4.into(), m);
        let whole = Ipv4 { id: 78, ..Ipv4::new(c.v4, b.v4, craft::TCP) };
        let first = Ipv4 { more: true, ..whole }.packet(&segment[..8]);
        let rest = Ipv4 { offset: 1, ..whole }.packet(&segment[8..]);
        vec![frame4(c, b.mac, &first), frame4(c, b.mac, &rest)]
    });
    list.add("IPv4 overlapping fragments, c to b", c, b, Wanted::Dropped, |m| {
        let datagram = craft::udp(c.v4.into(), b.v4.into(), 1118, 80, &m.repeat(6));
        let whole = Ipv4 { id: 79, ..Ipv4::new(c.v4, b.v4, UDP) };
        let first = Ipv4 { more: true, ..whole }.packet(&datagram[..24]);
        let rest = Ipv4 { offset: 2, ..whole }.packet(&datagram[16..]);
        vec![frame4(c, b.mac, &first), frame4(c, b.mac, &rest)]
    })
    .lost("a queue with an overlap is thrown away (ip_frag_queue)");
}

fn extension_headers(list: &mut List<'_>) {
    let g = list.cast;
    let (b, c) = (&g.b, &g.c);
    let from_c = |next, payload: &[u8]| frame6(c, b.mac, &ip6(c.v6, b.v6, next, payload));
    list.drop("IPv6 hop-by-hop and routing header, c to b:80", c, b, |m| {
        let routed = craft::routing(UDP, &datagram6(c.v6, b.v6, (1121, 80), m));
        from_c(HOP_BY_HOP, &craft::options(ROUTING, &routed))
    });
    list.drop("IPv6 no next header, c to b", c, b, |m| from_c(59, m));
    list.drop("IPv6 twenty destination options headers, c to b:80", c, b, |m| {
        let last = craft::options(UDP, &datagram6(c.v6, b.v6, (1122, 80), m));
        from_c(DESTINATION_OPTIONS, &(1..20).fold(last, |rest, _| craft::options(DESTINATION_OPTIONS, &rest)))
    });
    list.drop("IPv6 truncated extension header, c to b", c, b, |m| {
        from_c(DESTINATION_OPTIONS, &[b"\x11\xff", m].concat())
    });
    list.drop("IPv6 ESP, c to b", c, b, |m| from_c(50, &[b"\0\0\0\x01\0\0\0\x01", m].concat()));
}

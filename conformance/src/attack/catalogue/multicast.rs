//! One frame to many ports: as if every pod on the bridge were asked on its own. It passes from a pod that is not
//! isolated for egress to ports whose pods are not isolated for ingress, and to nobody else.

use super::{Arrival, Guard, Last, List, frame4, frame6};
use crate::attack::{
    Host, LISTEN, Mac,
    packet::{Message, nonce, router_advertisement, udp4, udp6},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// mDNS.
const PORT: u16 = 5353;
const EVERYBODY: Mac = [0xff; 6];

pub(super) fn add(list: &mut List<'_>) {
    let g = list.cast;
    let groups: [IpAddr; 8] = [
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::new(10, 244, 1, 255).into(),
        Ipv4Addr::new(224, 0, 0, 1).into(),
        Ipv4Addr::new(224, 0, 0, 251).into(),
        Ipv4Addr::new(239, 1, 2, 3).into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb).into(),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x1234).into(),
    ];
    for group in groups {
        let to_all = |from: &Host, m: &[u8]| to_group(from, group, m);
        list.drop(&format!("{group} from c, heard by b"), &g.c, &g.b, |m| to_all(&g.c, m));
        list.pass(&format!("{group} from c, heard by a"), &g.c, &g.a, |m| to_all(&g.c, m)).needs_guard();
        list.pass(&format!("{group} from b, heard by a"), &g.b, &g.a, |m| to_all(&g.b, m)).needs_guard();
        list.pass(&format!("{group} from b, heard by c"), &g.b, &g.c, |m| to_all(&g.b, m)).needs_guard();
        list.drop(&format!("{group} from a, heard by b"), &g.a, &g.b, |m| to_all(&g.a, m));
        list.drop(&format!("{group} from a, heard by c"), &g.a, &g.c, |m| to_all(&g.a, m));
        list.drop(&format!("{group} from c on b's MAC"), &g.c, &g.b, |m| frame_to(&g.c, g.b.mac, group, m));
        list.pass(&format!("{group} from c on a's MAC"), &g.c, &g.a, |m| frame_to(&g.c, g.a.mac, group, m))
            .needs_guard();
        list.drop(&format!("{group} from c as a, heard by b"), &g.c, &g.b, |m| {
            let forged = Host { v4: g.a.v4, v6: g.a.v6, ..g.c.clone() };
            to_all(&forged, m)
        });
    }
    from_link_local(list);
    of_servers(list);
    to_the_node(list);
}

/// A group's hardware address (RFC 1112 section 6.4, RFC 2464 section 7).
fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, a, b, c] = v4.octets();
            [0x01, 0x00, 0x5e, a & 0x7f, b, c]
        }
        IpAddr::V4(_) => EVERYBODY,
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

fn to_group(from: &Host, group: IpAddr, m: &[u8]) -> Vec<u8> {
    frame_to(from, group_mac(group), group, m)
}

fn frame_to(from: &Host, mac: Mac, group: IpAddr, m: &[u8]) -> Vec<u8> {
    match group {
        IpAddr::V4(to) => frame4(from, mac, &udp4(from.v4, to, (PORT, PORT), m)),
        IpAddr::V6(to) => frame6(from, mac, &udp6(from.v6, to, (PORT, PORT), m)),
    }
}

fn from_link_local(list: &mut List<'_>) {
    let g = list.cast;
    let group = IpAddr::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb));
    let local = |host: &Host| Host { v6: host.local, ..host.clone() };
    list.drop("ff02::fb from c's link-local address, heard by b", &g.c, &g.b, |m| {
        to_group(&local(&g.c), group, m)
    });
    list.pass("ff02::fb from c's link-local address, heard by a", &g.c, &g.a, |m| {
        to_group(&local(&g.c), group, m)
    })
    .needs_guard();
    list.drop("ff02::fb from a's link-local address, heard by c", &g.a, &g.c, |m| {
        to_group(&local(&g.a), group, m)
    });
}

/// What only a network's own servers and routers may say. `b` is isolated, so that policy stops it there in any case.
fn of_servers(list: &mut List<'_>) {
    let g = list.cast;
    let c = &g.c;
    for (who, host) in [("a", &g.a), ("b", &g.b)] {
        let guarded = |last: Last<'_>| {
            if who == "a" {
                last.stopped_by(Guard::Routers);
            }
        };
        guarded(list.drop(&format!("DHCP offer to 255.255.255.255 from c, heard by {who}"), c, host, |m| {
            frame4(c, EVERYBODY, &udp4(c.v4, Ipv4Addr::BROADCAST, (67, 68), m))
        }));
        guarded(list.drop(
            &format!("DHCP offer to the subnet's broadcast address from c, heard by {who}"),
            c,
            host,
            |m| frame4(c, EVERYBODY, &udp4(c.v4, Ipv4Addr::new(10, 244, 1, 255), (67, 68), m)),
        ));
        guarded(list.drop(
            &format!("router advertisement to ff02::1 from c, heard by {who}"),
            c,
            host,
            |m| {
                let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                let packet = Message::new(c.local, all).packet(134, &router_advertisement(&nonce(m)));
                frame6(c, group_mac(all.into()), &packet)
            },
        ));
    }
}

/// The node is on its own bridge too; a pod to it is the pod's egress.
fn to_the_node(list: &mut List<'_>) {
    let g = list.cast;
    let socket = || Arrival::Socket(g.nodes[0].place.clone());
    let frame = |from: &Host, m: &[u8]| {
        frame4(from, EVERYBODY, &udp4(from.v4, Ipv4Addr::BROADCAST, (PORT, LISTEN), m))
    };
    list.drop("255.255.255.255 from a, heard by the node", &g.a, socket(), |m| frame(&g.a, m));
    list.pass("255.255.255.255 from c, heard by the node", &g.c, socket(), |m| frame(&g.c, m));
}

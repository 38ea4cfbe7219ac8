//! `bridge palisade`: what a frame from a pod's port may claim to be, and which ports a group frame may go to.
//!
//! Port, hardware address and network address together are the key: the hardware address alone is forgeable, the network
//! address alone lets the bridge's table be poisoned. Only a miss asks whether the port is a pod's at all, so frames of
//! other bridges pay one look-up. `br_netfilter` sees IPv4, IPv6 and ARP only; every other ethertype of a pod is dropped here.

use super::{
    MLD, MLD_TYPES, NA6, ND, ND_TYPES, OPEN_PORTS, OWN, OWN4, OWN6, PORTS, ROUTER, ROUTER_TYPES,
    add_icmpv6_types, add_set,
};
use crate::{
    config::{Config, Guards},
    ir::{Chain, CmpOp, DataType, Field, Hook, Name, Rule, SetSpec, Statement, Table},
};
use std::net::Ipv4Addr;

/// Counter of frames that claim what is not the port's.
const SPOOFED: &str = "spoofed";
/// Counter of group frames kept from an isolated pod's port.
const UNHEARD: &str = "unheard";

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;
const ARP_REQUEST: [u8; 2] = [0, 1];
const NEIGHBOUR_ADVERT: u8 = 136;
/// `dstnat` in the bridge family: before br_netfilter turns the frame into a packet.
const PRIORITY_DSTNAT: i32 = -300;
/// Before br_netfilter's own place in the bridge's forward hook.
const PRIORITY_FILTER: i32 = -200;

/// What a pod's kernel sends before it has an address: router and neighbour solicitation, listener reports.
const PROBES: &str = "probes";

pub(super) fn table(config: &Config) -> Table {
    let guards = config.guards;
    let mut table = Table::default();
    table.counters.extend([SPOOFED, UNHEARD].map(Name::from));
    let local = |key: &[DataType]| SetSpec::plain(key).with_size(config.room);
    use DataType::{EtherAddr, IfIndex, Ipv4Addr, Ipv6Addr, NdTarget};
    add_set(&mut table, PORTS, local(&[IfIndex]));
    add_set(&mut table, OPEN_PORTS, local(&[IfIndex]));
    add_set(&mut table, OWN, local(&[IfIndex, EtherAddr]));
    add_set(&mut table, OWN4, local(&[IfIndex, EtherAddr, Ipv4Addr]));
    add_set(&mut table, OWN6, local(&[IfIndex, EtherAddr, Ipv6Addr]));
    add_set(&mut table, NA6, local(&[IfIndex, NdTarget]));
    add_icmpv6_types(&mut table, ROUTER, ROUTER_TYPES);
    add_icmpv6_types(&mut table, PROBES, &[131, 133, 135, 143]);
    add_icmpv6_types(&mut table, ND, ND_TYPES);
    add_icmpv6_types(&mut table, MLD, MLD_TYPES);
    let chains = [
        ("prerouting", Chain::base(Hook::Prerouting, PRIORITY_DSTNAT, prerouting(guards))),
        ("from-ip4", Chain::regular(if guards.sources { from_ip4() } else { Vec::new() })),
        ("from-arp", Chain::regular(if guards.sources { from_arp() } else { Vec::new() })),
        ("from-ip6", Chain::regular(from_ip6(guards))),
        ("from-icmp6", Chain::regular(from_icmp6(guards))),
        ("forward", Chain::base(Hook::Forward, PRIORITY_FILTER, forward())),
        ("to-ip4", Chain::regular(to_ip4(config))),
        ("to-ip6", Chain::regular(vec![to_group_ipv6().goto("to-group6")])),
        ("to-group6", Chain::regular(to_group6())),
        ("to-group", Chain::regular(to_group())),
    ];
    table.chains.extend(chains.map(|(name, chain)| (Name::from(name), chain)));
    table
}

/// `ether type` stands alone in its rule: combined with other tests nft lists it as `meta protocol`, which is blind to
/// VLAN tags when it is loaded again.
fn by_ethertype(ethertype: [u8; 2], chain: &str) -> Rule {
    Rule::new().equals(Field::EtherType, &ethertype).goto(chain)
}

/// What is known by its ethertype goes on to a chain that is empty where nothing is asked there; what is left is known to
/// nobody.
fn prerouting(guards: Guards) -> Vec<Rule> {
    let asked = guards.sources || guards.ethertypes;
    let kinds = [
        (asked, ETHERTYPE_IPV4, "from-ip4"),
        (asked || guards.routers, ETHERTYPE_IPV6, "from-ip6"),
        (asked, ETHERTYPE_ARP, "from-arp"),
    ];
    let known = kinds.into_iter().filter(|(asked, ..)| *asked);
    let known = known.map(|(_, ethertype, chain)| by_ethertype(ethertype, chain));
    known.chain(guards.ethertypes.then(|| spoofed(Rule::new()))).collect()
}

fn from_ip4() -> Vec<Rule> {
    vec![own(own_ipv4()), spoofed(Rule::new())]
}

fn spoofed(rule: Rule) -> Rule {
    rule.has(&[Field::Iif], PORTS).counter(SPOOFED).drop()
}

fn own(rule: Rule) -> Rule {
    rule.ret()
}

fn ipv4() -> Rule {
    Rule::new().equals(Field::Protocol, &ETHERTYPE_IPV4)
}

fn ipv6() -> Rule {
    Rule::new().equals(Field::Protocol, &ETHERTYPE_IPV6)
}

fn own_ipv4() -> Rule {
    ipv4().has(&[Field::Iif, Field::EtherSaddr, Field::IpSaddr], OWN4)
}

fn own_ipv6() -> Rule {
    ipv6().has(&[Field::Iif, Field::EtherSaddr, Field::Ip6Saddr], OWN6)
}

/// An ARP packet's sender is the port's; a probe (RFC 5227) has no sender address yet.
fn from_arp() -> Vec<Rule> {
    let arp =
        || Rule::new().has(&[Field::Iif, Field::EtherSaddr], OWN).equals(Field::EtherType, &ETHERTYPE_ARP);
    vec![
        arp().has(&[Field::Iif, Field::ArpSaddrEther, Field::ArpSaddrIp], OWN4).ret(),
        arp()
            .equals(Field::ArpSaddrIp, &Ipv4Addr::UNSPECIFIED.octets())
            .equals(Field::ArpOperation, &ARP_REQUEST)
            .ret(),
        spoofed(Rule::new()),
    ]
}

fn from_ip6(guards: Guards) -> Vec<Rule> {
    let mut rules = Vec::new();
    if guards.sources || guards.routers {
        rules.push(Rule::new().equals(Field::L4Proto, &[ICMPV6]).goto("from-icmp6"));
    }
    if guards.sources {
        rules.extend([own(own_ipv6()), spoofed(Rule::new())]);
    }
    rules
}

/// What nft puts before an `icmpv6` test in the bridge family.
fn icmpv6(rule: Rule) -> Rule {
    rule.equals(Field::EtherType, &ETHERTYPE_IPV6).equals(Field::L4Proto, &[ICMPV6])
}

fn from_icmp6(guards: Guards) -> Vec<Rule> {
    let mut rules = Vec::new();
    if guards.routers {
        rules.push(spoofed(icmpv6(Rule::new()).has(&[Field::Icmpv6Type], ROUTER)));
    }
    if guards.sources {
        rules.extend(from_own_icmp6());
    }
    rules
}

/// Neighbour discovery too says only what is the port's own.
fn from_own_icmp6() -> Vec<Rule> {
    let port = [Field::Iif];
    vec![
        icmpv6(Rule::new())
            .equals(Field::Icmpv6Type, &[NEIGHBOUR_ADVERT])
            .has(&port, PORTS)
            .has_not(&[Field::Iif, Field::NdTarget], NA6)
            .counter(SPOOFED)
            .drop(),
        own(own_ipv6()),
        ipv6()
            .equals(Field::Ip6Saddr, &[0; 16])
            .equals(Field::L4Proto, &[ICMPV6])
            .has(&[Field::Icmpv6Type], PROBES)
            .has(&[Field::Iif, Field::EtherSaddr], OWN)
            .ret(),
        spoofed(Rule::new()),
    ]
}

/// A group frame is asked about port by port, before br_netfilter lets the inet table judge its sender: only ports whose
/// pods are not isolated for ingress hear it. Frames between other bridges' ports are left alone.
fn forward() -> Vec<Rule> {
    vec![by_ethertype(ETHERTYPE_IPV4, "to-ip4"), by_ethertype(ETHERTYPE_IPV6, "to-ip6")]
}

/// Every frame between pods of a node comes by here, so these are comparisons, and not the set of ranges that the inet
/// table has for the rare packet of nobody: a look-up there costs as much as ten of them (`docs/performance.md`).
fn to_ip4(config: &Config) -> Vec<Rule> {
    let multicast =
        Statement::Masked(Field::IpDaddr, Box::new([240, 0, 0, 0]), CmpOp::Eq, Box::new([224, 0, 0, 0]));
    let broadcasts = [Ipv4Addr::BROADCAST].into_iter().chain(config.broadcasts.iter().copied());
    let broadcasts = broadcasts.map(|address| ipv4().equals(Field::IpDaddr, &address.octets()));
    let groups = [ipv4().then(multicast)].into_iter().chain(broadcasts);
    groups.map(|group| group.goto("to-group")).collect()
}

fn to_group_ipv6() -> Rule {
    ipv6().then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff])))
}

/// What a link needs to work is heard by every port.
fn to_group6() -> Vec<Rule> {
    let discovery = |hop_limit, types| {
        ipv6()
            .equals(Field::Ip6HopLimit, &[hop_limit])
            .equals(Field::L4Proto, &[ICMPV6])
            .has(&[Field::Icmpv6Type], types)
            .ret()
    };
    vec![discovery(255, ND), discovery(1, MLD), Rule::new().goto("to-group")]
}

fn to_group() -> Vec<Rule> {
    let closed = || Rule::new().has_not(&[Field::Oif], OPEN_PORTS);
    vec![
        closed().has(&[Field::Iif], PORTS).counter(UNHEARD).drop(),
        closed().has(&[Field::Oif], PORTS).counter(UNHEARD).drop(),
    ]
}

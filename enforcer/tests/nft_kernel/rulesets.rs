//! Both tables, with every kind of set, every statement, and every field.

use crate::support::{leads_to, octets, range, set, v4};
use compiler::ir::*;

const MAC: [u8; 6] = [2, 0, 10, 0xf4, 1, 2];
const LO: u32 = 1;

/// The whole.
pub(crate) fn everything() -> Ruleset {
    let tables = [(Family::Inet, inet()), (Family::Bridge, bridge())];
    Ruleset { tables: tables.into() }
}

fn table(
    counters: &[&str],
    sets: impl IntoIterator<Item = (&'static str, Set)>,
    chains: impl IntoIterator<Item = (&'static str, Chain)>,
) -> Table {
    Table {
        counters: counters.iter().map(|&name| name.into()).collect(),
        sets: sets.into_iter().map(|(name, set)| (name.into(), set)).collect(),
        chains: chains.into_iter().map(|(name, chain)| (name.into(), chain)).collect(),
    }
}

fn inet() -> Table {
    use DataType::{Icmpv6Type, IfIndex, InetProto, InetService, Ipv4Addr, Ipv6Addr};
    let goto = |chain: &str| Verdict::Goto(chain.into());
    let ranges = ["10.0.0.0-10.0.0.255", "10.0.1.0-10.0.1.4", "172.16.0.9", "240.0.0.0-255.255.255.255"];
    let mut verdict_ranges = ranges.map(range);
    for (at, (_, attributes)) in verdict_ranges.iter_mut().enumerate() {
        let attributes = attributes.as_mut().unwrap();
        attributes.verdict = Some(if at % 2 == 0 { goto("stray") } else { Verdict::Return });
        attributes.comment = (at == 1).then(|| "policy default/x".into());
    }
    let ports =
        (Key::port(8000), Some(Box::new(Attributes { end: Some(Key::port(8100)), ..Default::default() })));
    let exact = |ip: &str, proto: u8, port: u16| {
        Key::default().then(&octets(ip)).then(&[proto]).then(&port.to_be_bytes())
    };
    let plain = |keys: Vec<Key>| keys.into_iter().map(|key| (key, None));
    let sets = [
        (
            "egress4-o",
            set(
                SetSpec::plain(&[Ipv4Addr]).with_verdicts().with_size(1024),
                [
                    leads_to(v4("10.244.1.2"), goto("out-1-o4"), Some("default/a")),
                    leads_to(v4("10.244.1.3"), Verdict::Return, Some("default/b")),
                    leads_to(v4("10.244.1.4"), Verdict::Drop, None),
                    leads_to(v4("10.244.1.5"), Verdict::Jump("stray".into()), None),
                ],
            ),
        ),
        (
            "egress6-o",
            set(
                SetSpec::plain(&[Ipv6Addr]).with_verdicts().with_size(2048),
                [
                    leads_to(v4("fd00:10:244:1::2"), goto("deny"), Some("default/a")),
                    leads_to(v4("fe80::1"), Verdict::Return, None),
                ],
            ),
        ),
        (
            "self4",
            set(
                SetSpec::plain(&[Ipv4Addr, Ipv4Addr]),
                plain(vec![Key::default().then(&octets("10.244.1.2")).then(&octets("10.244.1.2"))]),
            ),
        ),
        (
            "nodes6",
            set(
                SetSpec::plain(&[Ipv6Addr]).with_size(16384),
                plain(vec![v4("fd00::1"), v4("::"), v4("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]),
            ),
        ),
        (
            "ports",
            set(SetSpec::plain(&[IfIndex]).with_size(1024), plain(vec![Key::from_bytes(&LO.to_ne_bytes())])),
        ),
        (
            "out-1-x4",
            set(
                SetSpec::plain(&[Ipv4Addr, InetProto, InetService]).with_size(4096),
                [
                    (exact("10.244.1.3", 6, 80), None),
                    (
                        exact("10.244.1.3", 17, 80),
                        Some(Box::new(Attributes {
                            comment: Some("default/b".into()),
                            ..Default::default()
                        })),
                    ),
                ],
            ),
        ),
        (
            "out-1-x6",
            set(
                SetSpec::plain(&[Ipv6Addr, InetProto, InetService]),
                plain(vec![exact("fd00::3", 132, 65535)]),
            ),
        ),
        ("out-1-b4", set(SetSpec::intervals(Ipv4Addr).with_size(64), ranges.map(range))),
        ("whole4", set(SetSpec::intervals(Ipv4Addr), [range("0.0.0.0-255.255.255.255")])),
        ("low4", set(SetSpec::intervals(Ipv4Addr), [range("0.0.0.0"), range("0.0.0.2-10.0.0.0")])),
        ("empty4", set(SetSpec::intervals(Ipv4Addr), [])),
        (
            "out-1-b6",
            set(
                SetSpec::intervals(Ipv6Addr),
                [range("::-fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), range("fd00::9")],
            ),
        ),
        ("profile", set(SetSpec::intervals(InetService), [ports])),
        ("blocks4", set(SetSpec::intervals(Ipv4Addr).with_verdicts(), verdict_ranges)),
        (
            "services",
            set(
                SetSpec::plain(&[InetProto, InetService]).with_verdicts(),
                [leads_to(Key::default().then(&[6]).then(&443u16.to_be_bytes()), goto("deny"), Some("x"))],
            ),
        ),
        (
            "nd",
            set(
                SetSpec::plain(&[Icmpv6Type]),
                plain([133u8, 135, 136].map(|t| Key::from_bytes(&[t])).into()),
            ),
        ),
        ("protocols", set(SetSpec::plain(&[InetProto]), plain(vec![Key::from_bytes(&[6])]))),
        (
            "types6",
            set(
                SetSpec::plain(&[Icmpv6Type, Ipv6Addr]),
                plain(vec![Key::default().then(&[133]).then(&octets("fe80::1"))]),
            ),
        ),
    ];
    let chains = [
        (
            "deny",
            Chain::regular(vec![
                Rule::new().ct_state(CtStates::RELATED).is_not(Field::IcmpType, &[5]).ret(),
                Rule::new().ct_state(CtStates::RELATED).is_not(Field::Icmpv6Type, &[137]).ret(),
                Rule::new()
                    .is(Field::IcmpType, &[8])
                    .lookup(&[Field::IpSaddr, Field::IpDaddr], "self4")
                    .ret(),
                Rule::new()
                    .counter("denied")
                    .then(Statement::Limit { rate: 10, burst: 20 })
                    .then(Statement::Log { prefix: "palisade deny ".into(), group: 1986 }),
                Rule::new().drop(),
            ]),
        ),
        ("stray", Chain::regular(vec![Rule::new().counter("stray").drop()])),
        (
            "out-1-o4",
            Chain::regular(vec![
                Rule::new().lookup(&[Field::IpDaddr, Field::L4Proto, Field::ThDport], "out-1-x4").ret(),
                Rule::new().lookup(&[Field::IpDaddr], "out-1-b4").ret(),
                Rule::new().lookup_not(&[Field::IpDaddr], "low4").ret(),
                Rule::new()
                    .lookup(&[Field::IpDaddr], "whole4")
                    .l4proto(17)
                    .then(Statement::Range(
                        Field::ThDport,
                        Box::new(8000u16.to_be_bytes()),
                        Box::new(8100u16.to_be_bytes()),
                    ))
                    .ret(),
                Rule::new()
                    .lookup(&[Field::IpDaddr], "empty4")
                    .l4proto(6)
                    .is(Field::ThSport, &80u16.to_be_bytes())
                    .ret(),
                Rule::new()
                    .lookup(&[Field::IpSaddr], "out-1-b4")
                    .l4proto(132)
                    .lookup(&[Field::ThDport], "profile")
                    .ret(),
                Rule::new().vmap(Field::IpSaddr, "blocks4"),
                Rule::new()
                    .then(Statement::VerdictMap([Field::L4Proto, Field::ThDport].into(), "services".into())),
                Rule::new().goto("deny"),
            ]),
        ),
        (
            "out-1-o6",
            Chain::regular(vec![
                Rule::new().lookup(&[Field::Ip6Saddr, Field::L4Proto, Field::ThSport], "out-1-x6").ret(),
                Rule::new().lookup(&[Field::Ip6Daddr], "out-1-b6").ret(),
                Rule::new().ipv6().then(Statement::Prefix(Field::Ip6Saddr, Box::new([0xfe, 0x80]))).ret(),
                Rule::new().is(Field::Ip6HopLimit, &[255]).lookup(&[Field::Icmpv6Type], "nd").ret(),
                Rule::new()
                    .is(Field::Ip6HopLimit, &[1])
                    .then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff])))
                    .is(Field::Icmpv6Type, &[143])
                    .ret(),
                Rule::new().ipv4().then(Statement::Prefix(Field::IpDaddr, Box::new([10, 244]))).ret(),
                Rule::new().lookup(&[Field::Icmpv6Type, Field::Ip6Saddr], "types6").ret(),
                Rule::new().lookup(&[Field::L4Proto], "protocols").goto("deny"),
            ]),
        ),
        (
            "new",
            Chain::regular(vec![
                Rule::new()
                    .interface(Field::IifName, "cni0")
                    .l4proto(17)
                    .is(Field::ThDport, &8472u16.to_be_bytes())
                    .jump("stray"),
                Rule::new()
                    .l4proto(6)
                    .then(Statement::Masked(Field::TcpFlags, Box::new([0x17]), CmpOp::Ne, Box::new([0x02])))
                    .jump("out-1-o4"),
                Rule::new().ct_state(CtStates(CtStates::INVALID.0 | CtStates::UNTRACKED.0)).ret(),
                Rule::new().vmap(Field::IpSaddr, "egress4-o"),
                Rule::new().vmap(Field::Ip6Saddr, "egress6-o"),
                Rule::new().lookup(&[Field::Ip6Daddr], "nodes6").counter("stray").drop(),
            ]),
        ),
        (
            "forward",
            Chain::base(
                Hook::Forward,
                0,
                vec![
                    Rule::new().ct_direction(true).goto("new"),
                    Rule::new().ct_state(CtStates::ESTABLISHED).goto("new"),
                    Rule::new().ct_direction(false).goto("new"),
                    Rule::new().ipv4().goto("out-1-o4"),
                    Rule::new().goto("out-1-o6"),
                ],
            ),
        ),
        (
            "input",
            Chain::base(
                Hook::Input,
                -5,
                vec![
                    Rule::new()
                        .is_not(Field::PktType, &[0])
                        .has(&[Field::Iif], "ports")
                        .counter("stray")
                        .drop(),
                    Rule::new().equals(Field::Oif, &LO.to_ne_bytes()).ret(),
                    Rule::new().interface(Field::OifName, "a-name-of-15-by").ret(),
                ],
            ),
        ),
        ("empty", Chain::regular(vec![])),
    ];
    table(&["denied", "stray", "unused"], sets, chains)
}

fn bridge() -> Table {
    use DataType::{EtherAddr, IfIndex, Ipv4Addr, Ipv6Addr, NdTarget};
    let port = || Key::default().then(&LO.to_ne_bytes());
    let plain = |key: Key| [(key, None)];
    let sets = [
        ("ports", set(SetSpec::plain(&[IfIndex]), plain(Key::from_bytes(&LO.to_ne_bytes())))),
        ("own", set(SetSpec::plain(&[IfIndex, EtherAddr]).with_size(1024), plain(port().then(&MAC)))),
        (
            "own4",
            set(
                SetSpec::plain(&[IfIndex, EtherAddr, Ipv4Addr]),
                plain(port().then(&MAC).then(&octets("10.244.1.2"))),
            ),
        ),
        (
            "own6",
            set(
                SetSpec::plain(&[IfIndex, EtherAddr, Ipv6Addr]),
                plain(port().then(&MAC).then(&octets("fd00::2"))),
            ),
        ),
        (
            "na6",
            set(
                SetSpec::plain(&[IfIndex, NdTarget]).with_size(64),
                [(
                    port().then(&octets("fd00::2")),
                    Some(Box::new(Attributes { comment: Some("default/a".into()), ..Default::default() })),
                )],
            ),
        ),
        ("targets", set(SetSpec::plain(&[NdTarget]), plain(v4("fd00::2")))),
    ];
    let arp = || Rule::new().equals(Field::EtherType, &[8, 6]);
    let chains = [
        (
            "prerouting",
            Chain::base(
                Hook::Prerouting,
                -300,
                vec![
                    Rule::new().equals(Field::EtherType, &[8, 0]).goto("from-ip4"),
                    arp().goto("from-arp"),
                    Rule::new().has(&[Field::Iif], "ports").counter("spoofed").drop(),
                ],
            ),
        ),
        (
            "from-ip4",
            Chain::regular(vec![
                Rule::new()
                    .equals(Field::Protocol, &[8, 0])
                    .has(&[Field::Iif, Field::EtherSaddr, Field::IpSaddr], "own4")
                    .ret(),
                Rule::new().then(Statement::Prefix(Field::EtherDaddr, Box::new([1, 0, 0x5e]))).ret(),
                Rule::new().equals(Field::EtherDaddr, &[0xff; 6]).ret(),
                Rule::new()
                    .then(Statement::Masked(
                        Field::EtherSaddr,
                        Box::new([1, 0, 0, 0, 0, 0]),
                        CmpOp::Eq,
                        Box::new([1, 0, 0, 0, 0, 0]),
                    ))
                    .drop(),
            ]),
        ),
        (
            "from-arp",
            Chain::regular(vec![
                Rule::new()
                    .has(&[Field::Iif, Field::EtherSaddr], "own")
                    .equals(Field::EtherType, &[8, 6])
                    .has(&[Field::Iif, Field::ArpSaddrEther, Field::ArpSaddrIp], "own4")
                    .ret(),
                arp().equals(Field::ArpSaddrIp, &[0; 4]).equals(Field::ArpOperation, &[0, 1]).ret(),
            ]),
        ),
        (
            "from-icmp6",
            Chain::regular(vec![
                Rule::new()
                    .equals(Field::EtherType, &[0x86, 0xdd])
                    .l4proto(58)
                    .equals(Field::Icmpv6Type, &[136])
                    .has_not(&[Field::Iif, Field::NdTarget], "na6")
                    .counter("spoofed")
                    .drop(),
                Rule::new().has(&[Field::NdTarget], "targets").ret(),
                Rule::new()
                    .equals(Field::Protocol, &[0x86, 0xdd])
                    .has(&[Field::Iif, Field::EtherSaddr, Field::Ip6Saddr], "own6")
                    .ret(),
            ]),
        ),
    ];
    table(&["spoofed"], sets, chains)
}

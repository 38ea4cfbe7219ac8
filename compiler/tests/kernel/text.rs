//! What `text` prints is what `nft` 1.0.6 loads.

use crate::namespace;
use compiler::{
    delta::diff,
    ir::{
        Attributes, Chain, CmpOp, CtStates, DataType, Family, Field, Hook, Key, Rule, Ruleset, Set, SetSpec,
        Statement, Table, Verdict,
    },
    text::{self, Style},
};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn v4_port(address: &str, protocol: u8, port: u16) -> Key {
    Key::default().then(Key::address(ip(address)).as_bytes()).then(&[protocol]).then(&port.to_be_bytes())
}

fn with_verdict(verdict: Verdict, comment: Option<&str>) -> Option<Box<Attributes>> {
    Some(Box::new(Attributes { end: None, verdict: Some(verdict), comment: comment.map(Into::into) }))
}

fn commented(comment: &str) -> Option<Box<Attributes>> {
    Some(Box::new(Attributes { comment: Some(comment.into()), ..Attributes::default() }))
}

fn up_to(end: Key, verdict: Option<Verdict>) -> Option<Box<Attributes>> {
    Some(Box::new(Attributes { end: Some(end), verdict, comment: None }))
}

fn set(spec: SetSpec, elements: Vec<(Key, Option<Box<Attributes>>)>) -> Set {
    Set { elements: elements.into_iter().collect(), ..Set::new(spec) }
}

/// Every rule that the inet family has in this test, beside the text that stands for it.
fn inet_rules() -> Vec<(Rule, &'static str)> {
    let th = |name: &str| if name == "s" { Field::ThSport } else { Field::ThDport };
    let port_range = |field| Statement::Range(field, Box::new([0x1f, 0x40]), Box::new([0x1f, 0xa4]));
    let masked = |op| Statement::Masked(Field::TcpFlags, Box::new([0x17]), op, Box::new([0x02]));
    let exact = [Field::IpSaddr, Field::L4Proto, Field::ThDport];
    vec![
        (Rule::new().vmap(Field::IpSaddr, "egress4-o"), "ip saddr vmap @egress4-o"),
        (Rule::new().lookup(&exact, "x4").ret(), "ip saddr . meta l4proto . th dport @x4 return"),
        (
            Rule::new().ipv4().then(Statement::VerdictMap(exact.into(), "cells".into())),
            "ip saddr . meta l4proto . th dport vmap @cells",
        ),
        (Rule::new().is(Field::IpDaddr, &[10, 0, 0, 1]).ret(), "ip daddr 10.0.0.1 return"),
        (Rule::new().is_not(Field::IpDaddr, &[10, 0, 0, 1]).ret(), "ip daddr != 10.0.0.1 return"),
        (Rule::new().lookup_not(&[Field::IpSaddr], "blocks").ret(), "ip saddr != @blocks return"),
        (
            Rule::new().lookup(&[Field::IpSaddr, Field::IpDaddr], "self4").ret(),
            "ip saddr . ip daddr @self4 return",
        ),
        (
            Rule::new().lookup(&[Field::IpSaddr], "blocks").l4proto(17).then(port_range(th("d"))).ret(),
            "ip saddr @blocks udp dport 8000-8100 return",
        ),
        (Rule::new().l4proto(6).is(th("d"), &[0, 80]).ret(), "tcp dport 80 return"),
        (Rule::new().l4proto(132).is_not(th("s"), &[0, 80]).ret(), "sctp sport != 80 return"),
        (Rule::new().l4proto(6).lookup(&[th("d")], "port-set").ret(), "tcp dport @port-set return"),
        (Rule::new().is(th("d"), &[0, 80]).ret(), "th dport 80 return"),
        (Rule::new().l4proto(6).ret(), "meta l4proto tcp return"),
        (Rule::new().l4proto(253).ret(), "meta l4proto 253 return"),
        (Rule::new().ipv4().goto("deny"), "meta nfproto ipv4 goto deny"),
        (Rule::new().ipv6().jump("deny"), "meta nfproto ipv6 jump deny"),
        (Rule::new().ipv6().l4proto(6).is(th("d"), &[0, 80]).ret(), "meta nfproto ipv6 tcp dport 80 return"),
        (
            Rule::new().l4proto(6).then(masked(CmpOp::Ne)).jump("deny"),
            "tcp flags & (fin | syn | rst | ack) != syn jump deny",
        ),
        (Rule::new().is(Field::TcpFlags, &[0x02]).ret(), "tcp flags == syn return"),
        (
            Rule::new().ct_state(CtStates::RELATED).is_not(Field::IcmpType, &[5]).ret(),
            "ct state related icmp type != redirect return",
        ),
        (
            Rule::new().ct_state(CtStates::RELATED).is_not(Field::Icmpv6Type, &[137]).ret(),
            "ct state related icmpv6 type != nd-redirect return",
        ),
        (Rule::new().ct_state(CtStates(2 | 8)).ret(), "ct state established,new return"),
        (Rule::new().lookup(&[Field::Icmpv6Type], "nd").ret(), "icmpv6 type @nd return"),
        (
            Rule::new().is(Field::Ip6HopLimit, &[255]).lookup(&[Field::Icmpv6Type], "nd").ret(),
            "ip6 hoplimit 255 icmpv6 type @nd return",
        ),
        (
            Rule::new().ipv6().then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff]))).ret(),
            "ip6 daddr ff00::/8 return",
        ),
        (
            Rule::new().ipv4().then(Statement::Prefix(Field::IpDaddr, Box::new([10, 244]))).ret(),
            "ip daddr 10.244.0.0/16 return",
        ),
        (
            Rule::new().then(Statement::Prefix(Field::IifName, (*b"veth").into())).ret(),
            "iifname \"veth*\" return",
        ),
        (Rule::new().interface(Field::OifName, "cni0").goto("deny"), "oifname \"cni0\" goto deny"),
        (Rule::new().ct_direction(true).ret(), "ct direction reply return"),
        (
            Rule::new().is_not(Field::PktType, &[0]).lookup(&[Field::Iif], "ports").counter("denied").drop(),
            "meta pkttype != host iif @ports counter name denied drop",
        ),
        (
            Rule::new()
                .counter("denied")
                .then(Statement::Limit { rate: 10, burst: 20 })
                .then(Statement::Log { prefix: "a \"b\" $c\n\u{e9} ".into(), group: 1986 }),
            "counter name denied limit rate 10/second burst 20 packets log prefix \"a 'b' ?c?? \" group 1986",
        ),
        (Rule::new().drop(), "drop"),
    ]
}

fn bridge_rules() -> Vec<(Rule, &'static str)> {
    let own4 = [Field::Iif, Field::EtherSaddr, Field::IpSaddr];
    let arp4 = [Field::Iif, Field::ArpSaddrEther, Field::ArpSaddrIp];
    vec![
        (Rule::new().equals(Field::EtherType, &[0x08, 0x00]).goto("guard"), "ether type ip goto guard"),
        (
            Rule::new().equals(Field::Protocol, &[0x08, 0x00]).has(&own4, "own4").ret(),
            "meta protocol ip iif . ether saddr . ip saddr @own4 return",
        ),
        (
            Rule::new().has(&[Field::Iif, Field::EtherSaddr], "own").has(&arp4, "own4").ret(),
            "iif . ether saddr @own iif . arp saddr ether . arp saddr ip @own4 return",
        ),
        (
            Rule::new().equals(Field::ArpSaddrIp, &[0; 4]).equals(Field::ArpOperation, &[0, 1]).ret(),
            "arp saddr ip 0.0.0.0 arp operation request return",
        ),
        (
            Rule::new()
                .equals(Field::Protocol, &[0x86, 0xdd])
                .l4proto(58)
                .equals(Field::Icmpv6Type, &[136])
                .has_not(&[Field::Iif, Field::NdTarget], "na6")
                .drop(),
            "meta protocol ip6 meta l4proto ipv6-icmp icmpv6 type nd-neighbor-advert iif . @th,64,128 != @na6 drop",
        ),
        (
            Rule::new()
                .then(Statement::Masked(
                    Field::EtherDaddr,
                    Box::new([1, 0, 0, 0, 0, 0]),
                    CmpOp::Eq,
                    Box::new([1, 0, 0, 0, 0, 0]),
                ))
                .drop(),
            "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop",
        ),
        (Rule::new().equals(Field::Oif, &6u32.to_ne_bytes()).drop(), "oif 6 drop"),
    ]
}

/// A ruleset that uses everything the IR has.
fn everything() -> Ruleset {
    let port = |n: u32| n.to_ne_bytes();
    let mac = [2, 0, 10, 244, 1, 2];
    let exact = [DataType::Ipv4Addr, DataType::InetProto, DataType::InetService];
    let nasty = "a\"; drop }\n\\ $x \u{e9}\u{1f600} # {";
    let sets = [
        (
            "egress4-o",
            set(
                SetSpec::plain(&[DataType::Ipv4Addr]).with_size(1024).with_verdicts(),
                vec![
                    (Key::address(ip("10.244.1.2")), with_verdict(Verdict::Goto("deny".into()), Some(nasty))),
                    (Key::address(ip("10.244.1.3")), with_verdict(Verdict::Return, Some(&"x".repeat(127)))),
                    (Key::address(ip("10.244.1.4")), with_verdict(Verdict::Jump("deny".into()), None)),
                    (Key::address(ip("10.244.1.5")), with_verdict(Verdict::Drop, None)),
                ],
            ),
        ),
        (
            "cells",
            set(
                SetSpec::plain(&exact).with_verdicts(),
                vec![(v4_port("10.0.0.1", 17, 53), with_verdict(Verdict::Return, None))],
            ),
        ),
        (
            "x4",
            set(
                SetSpec::plain(&exact).with_size(4096),
                (0..600u16).map(|n| (v4_port("10.0.0.1", 6, n), commented("ns/pod"))).collect(),
            ),
        ),
        (
            "blocks",
            set(
                SetSpec::intervals(DataType::Ipv4Addr),
                vec![
                    (Key::address(ip("10.0.0.0")), up_to(Key::address(ip("10.0.0.255")), None)),
                    (Key::address(ip("10.0.1.0")), up_to(Key::address(ip("10.0.1.9")), None)),
                    (Key::address(ip("10.0.3.1")), up_to(Key::address(ip("10.0.3.1")), None)),
                    (Key::address(ip("255.255.255.255")), up_to(Key::address(ip("255.255.255.255")), None)),
                ],
            ),
        ),
        (
            "blocks6",
            set(
                SetSpec::intervals(DataType::Ipv6Addr).with_verdicts(),
                vec![(
                    Key::address(ip("::")),
                    up_to(
                        Key::address(ip("7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
                        Some(Verdict::Goto("deny".into())),
                    ),
                )],
            ),
        ),
        ("self4", set(SetSpec::plain(&[DataType::Ipv4Addr; 2]), Vec::new())),
        (
            "port-set",
            set(
                SetSpec::intervals(DataType::InetService),
                vec![
                    (Key::port(80), up_to(Key::port(80), None)),
                    (Key::port(8000), up_to(Key::port(8100), None)),
                ],
            ),
        ),
        (
            "nd",
            set(
                SetSpec::plain(&[DataType::Icmpv6Type]),
                [133, 135, 136].map(|t| (Key::from_bytes(&[t]), None)).into(),
            ),
        ),
        ("ports", set(SetSpec::plain(&[DataType::IfIndex]), vec![(Key::from_bytes(&port(6)), None)])),
    ];
    let bridge_sets = [
        ("ports", set(SetSpec::plain(&[DataType::IfIndex]), vec![(Key::from_bytes(&port(6)), None)])),
        (
            "own",
            set(
                SetSpec::plain(&[DataType::IfIndex, DataType::EtherAddr]),
                vec![(Key::default().then(&port(6)).then(&mac), None)],
            ),
        ),
        (
            "own4",
            set(
                SetSpec::plain(&[DataType::IfIndex, DataType::EtherAddr, DataType::Ipv4Addr]),
                vec![(Key::default().then(&port(6)).then(&mac).then(&[10, 244, 1, 2]), commented("ns/pod"))],
            ),
        ),
        (
            "na6",
            set(
                SetSpec::plain(&[DataType::IfIndex, DataType::NdTarget]).with_size(8),
                vec![(Key::default().then(&port(6)).then(Key::address(ip("fd00::2")).as_bytes()), None)],
            ),
        ),
    ];
    let rules = |of: Vec<(Rule, &str)>| of.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>();
    let inet = Table {
        counters: ["denied".into()].into(),
        sets: sets.into_iter().map(|(name, set)| (name.into(), set)).collect(),
        chains: [
            ("deny".into(), Chain::regular(vec![Rule::new().drop()])),
            ("forward".into(), Chain::base(Hook::Forward, 0, rules(inet_rules()))),
            ("input".into(), Chain::base(Hook::Input, -10, Vec::new())),
            ("prerouting".into(), Chain::base(Hook::Prerouting, -100, Vec::new())),
            ("output".into(), Chain::base(Hook::Output, 100, Vec::new())),
            ("postrouting".into(), Chain::base(Hook::Postrouting, 100, Vec::new())),
        ]
        .into(),
    };
    let bridge = Table {
        counters: ["spoofed".into()].into(),
        sets: bridge_sets.into_iter().map(|(name, set)| (name.into(), set)).collect(),
        chains: [
            ("guard".into(), Chain::regular(Vec::new())),
            ("prerouting".into(), Chain::base(Hook::Prerouting, -300, rules(bridge_rules()))),
            ("forward".into(), Chain::base(Hook::Forward, -200, Vec::new())),
        ]
        .into(),
    };
    Ruleset { tables: [(Family::Inet, inet), (Family::Bridge, bridge)].into() }
}

#[test]
fn each_rule_has_the_text_one_would_write() {
    for (rule, expected) in inet_rules() {
        assert_eq!(text::rule(Family::Inet, &rule), expected);
    }
    for (rule, expected) in bridge_rules() {
        assert_eq!(text::rule(Family::Bridge, &rule), expected);
    }
}

#[test]
fn nft_loads_everything() {
    let ruleset = everything();
    let listing = namespace::run("nft -f -; nft -a list ruleset", &text::ruleset(&ruleset, Style::FULL));
    assert_eq!(namespace::listed_rules(&listing), namespace::rule_count(&ruleset), "{listing}");
    for address in ["10.244.1.2", "10.0.0.1 . tcp . 599", "10.0.3.1", "0xfd000000000000000000000000000002"] {
        assert!(listing.contains(address), "element {address} is missing:\n{listing}");
    }
}

/// nft makes the same expressions of the text with and without the dependencies that it derives.
#[test]
fn what_is_left_out_is_what_nft_derives() {
    let table = |rule: &str| {
        let mut ruleset = everything();
        ruleset.tables.remove(&Family::Bridge);
        let inet = ruleset.tables.get_mut(&Family::Inet).expect("it is there");
        inet.chains.get_mut("forward").expect("it is there").rules.clear();
        text::ruleset(&ruleset, Style::FULL) + &format!("add rule inet palisade forward {rule}\n")
    };
    let bytecode = |rule: &str| {
        let debug = namespace::run("nft --debug=netlink -c -f -", &table(rule));
        debug.rsplit_once("inet palisade forward").expect("the rule is printed").1.to_owned()
    };
    for (rule, short) in inet_rules() {
        let long: Vec<_> = rule.statements.iter().map(text::statement).collect();
        assert_eq!(bytecode(short), bytecode(&long.join(" ")), "{short}");
    }
}

#[test]
fn nft_loads_the_delta_from_nothing_and_back() {
    let ruleset = everything();
    let there = text::delta(&diff(&Ruleset::default(), &ruleset), Style::FULL);
    let listing = namespace::run("nft -f -; nft -a list ruleset", &there);
    assert_eq!(namespace::listed_rules(&listing), namespace::rule_count(&ruleset), "{listing}");

    let mut without = everything();
    for table in without.tables.values_mut() {
        table.sets.clear();
        table.counters.clear();
        table.chains.retain(|_, chain| chain.base.is_some());
        table.chains.values_mut().for_each(|chain| chain.rules.clear());
    }
    let back = text::delta(&diff(&ruleset, &without), Style::FULL);
    let listing = namespace::run(
        "input=$(cat); printf '%s' \"${input%%=====*}\" | nft -f -; printf '%s' \"${input##*=====}\" | nft -f -; nft -a list ruleset",
        &format!("{there}\n=====\n{back}"),
    );
    assert_eq!(namespace::listed_rules(&listing), 0, "{listing}");
    assert!(!listing.contains("elements") && !listing.contains("guard"), "{listing}");
}

#[test]
fn long_lists_are_cut_and_still_load() {
    let text = text::ruleset(&everything(), Style { max_elements: Some(3) });
    assert!(text.contains("# and 597 more"), "{text}");
    assert!(text.len() < 8_000, "{} bytes", text.len());
    namespace::run("nft -c -f -", &text);
}

#[test]
fn nft_loads_the_fixed_chains_of_a_node() {
    let ruleset = compiler::skeleton::ruleset(&compiler::config::Config::new("n1", "cni0"));
    let listing = namespace::run("nft -f -; nft -a list ruleset", &text::ruleset(&ruleset, Style::FULL));
    assert_eq!(namespace::listed_rules(&listing), namespace::rule_count(&ruleset), "{listing}");
}

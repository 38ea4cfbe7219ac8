//! A reach read from a ruleset: by hand, and in time.

use crate::support::{Node, exact, intervals, ip, plain, port_range, three_pods, to};
use compiler::{
    ir::{CmpOp, CtStates, DataType, Field, Key, Rule, Set, SetSpec, Statement, Verdict as IrVerdict},
    reach::{Unclear, reach},
    skeleton::Orientation,
};
use policy_model::{
    object::Protocol::{Sctp, Tcp, Udp},
    policy::Direction,
    portset::{PortRanges, PortSet},
    reach::Reach,
};
use std::net::IpAddr;

fn of(ranges: &[(&str, &str, PortSet)]) -> Reach {
    ranges.iter().map(|(lo, hi, ports)| (ip(lo), ip(hi), ports.clone())).collect()
}

fn ports(protocol: policy_model::object::Protocol, ranges: &[(u16, u16)]) -> PortSet {
    PortSet::none().with(protocol, PortRanges::from_iter(ranges.iter().copied()))
}

/// In both orientations.
fn both(node: &Node, address: &str, direction: Direction) -> Result<Reach, Unclear> {
    let [original, reply] =
        Orientation::BOTH.map(|orientation| reach(&node.0, ip(address), direction, orientation));
    assert_eq!(original.is_ok(), reply.is_ok(), "{original:?} {reply:?}");
    if let (Ok(original), Ok(reply)) = (&original, &reply) {
        assert_eq!(original, reply);
    }
    original
}

#[test]
fn three_pods_by_hand() {
    let node = three_pods();
    let web = ports(Tcp, &[(80, 80)]);
    let all = PortSet::all();
    let a = of(&[
        ("10.244.1.2", "10.244.1.2", all.clone()),
        ("10.244.1.3", "10.244.1.3", web.union(&ports(Udp, &[(80, 80), (8000, 8100)]))),
        ("10.244.2.2", "10.244.2.2", web.clone()),
        ("203.0.113.0", "203.0.113.255", all.clone()),
    ]);
    assert_eq!(both(&node, "10.244.1.2", Direction::Egress), Ok(a));
    let b6 = of(&[
        ("fd00::2", "fd00::2", web.union(&ports(Udp, &[(8000, 8100)]))),
        ("fd00::3", "fd00::3", all.clone()),
        ("fd00:50::9", "fd00:50::9", all),
    ]);
    assert_eq!(both(&node, "fd00::3", Direction::Ingress), Ok(b6));
    let everything = Reach::all();
    assert_eq!(both(&node, "10.244.1.4", Direction::Egress), Ok(everything.same_family(ip("10.244.1.4"))));
    assert_eq!(both(&node, "fd00::2", Direction::Ingress), Ok(everything.same_family(ip("fd00::2"))));
    assert_eq!(
        reach(&node.0, ip("10.244.1.99"), Direction::Egress, Orientation::Original),
        Err(Unclear::Stray { address: ip("10.244.1.99"), map: "egress4-o".into() })
    );
}

/// What one program of a pod 10.0.0.1 lets in; packets of the original direction.
fn program(rules: Vec<Rule>) -> Result<Reach, Unclear> {
    let mut node = Node::new();
    node.pod("10.0.0.1", None, Some("in")).chain("in-o4", rules);
    reach(&node.0, ip("10.0.0.1"), Direction::Ingress, Orientation::Original)
}

#[test]
fn a_program_of_plain_rules() {
    let v4 = |ports: PortSet| Reach::of(ip("0.0.0.0"), ip("255.255.255.255"), ports);
    let cases = [
        (vec![], v4(PortSet::all()), "the end of a chain is a return"),
        (vec![Rule::new().drop()], Reach::none(), "drop"),
        (vec![Rule::new().l4proto(6).ret(), Rule::new().drop()], v4(ports(Tcp, &[(0, 65535)])), "a protocol"),
        (
            vec![Rule::new().l4proto(17).is_not(Field::ThDport, &[0, 53]).ret(), Rule::new().drop()],
            v4(ports(Udp, &[(0, 52), (54, 65535)])),
            "a port that is not",
        ),
        (
            vec![
                Rule::new().is(Field::IpSaddr, &[10, 0, 0, 9]).drop(),
                Rule::new().l4proto(132).ret(),
                Rule::new().drop(),
            ],
            v4(ports(Sctp, &[(0, 65535)])).difference(&of(&[("10.0.0.9", "10.0.0.9", PortSet::all())])),
            "what is dropped first stays dropped",
        ),
        (
            vec![
                [6, 17, 132]
                    .iter()
                    .fold(Rule::new(), |rule, n| {
                        rule.then(Statement::Compare(Field::L4Proto, CmpOp::Ne, Box::new([*n])))
                    })
                    .ret(),
                Rule::new().drop(),
            ],
            v4(PortSet::others()),
            "every protocol without ports",
        ),
        (
            vec![Rule::new().is_not(Field::IpSaddr, &[0, 0, 0, 0]).drop()],
            of(&[("0.0.0.0", "0.0.0.0", PortSet::all())]),
            "an address that is not",
        ),
        (
            vec![
                Rule::new().ipv4().then(Statement::Prefix(Field::IpSaddr, Box::new([10, 1]))).ret(),
                Rule::new().drop(),
            ],
            of(&[("10.1.0.0", "10.1.255.255", PortSet::all())]),
            "a prefix",
        ),
        (vec![Rule::new().is(Field::IpDaddr, &[10, 0, 0, 1]).drop()], Reach::none(), "the pod's own address"),
        (
            vec![Rule::new().is(Field::IpDaddr, &[10, 0, 0, 2]).drop()],
            v4(PortSet::all()),
            "another's in its place",
        ),
        (
            vec![Rule::new().is_not(Field::Ip6Saddr, &[0; 16]).drop()],
            v4(PortSet::all()),
            "the other family's header",
        ),
        (vec![Rule::new().ipv6().drop()], v4(PortSet::all()), "the other family"),
        (
            vec![Rule::new().ct_state(CtStates::RELATED).drop()],
            v4(PortSet::all()),
            "related packets are left out",
        ),
        (
            vec![Rule::new().goto("deny")],
            of(&[("10.0.0.1", "10.0.0.1", PortSet::all())]),
            "a pod reaches itself",
        ),
        (
            vec![Rule::new().then(Statement::Limit { rate: 1, burst: 1 }).counter("denied")],
            v4(PortSet::all()),
            "no verdict",
        ),
    ];
    for (rules, expected, why) in cases {
        assert_eq!(program(rules), Ok(expected), "{why}");
    }
}

#[test]
fn what_cannot_be_told_is_said_so() {
    let why = |rules: Vec<Rule>| match program(rules) {
        Err(Unclear::Rule { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let cases = [
        (Rule::new().interface(Field::IifName, "eth0").drop(), "`iifname \"eth0\"` depends on more than"),
        (Rule::new().is(Field::IcmpType, &[8]).ret(), "`meta l4proto icmp` tells protocols apart"),
        (
            Rule::new().is(Field::ThDport, &[0, 80]).ret(),
            "`th dport 80` reads a port of protocols that may have none",
        ),
        (Rule::new().l4proto(6).is(Field::ThSport, &[0, 80]).ret(), "`th sport 80` depends on more than"),
        (Rule::new().is(Field::TcpFlags, &[2]).ret(), "`tcp flags == syn` depends on more than"),
        (Rule::new().ct_state(CtStates::NEW).ret(), "`ct state new` depends on the state"),
        (
            Rule::new().then(Statement::Limit { rate: 1, burst: 1 }).drop(),
            "`limit rate 1/second burst 1 packets` depends",
        ),
        (Rule::new().lookup(&[Field::IpSaddr], "gone").ret(), "set gone does not exist"),
        (Rule::new().lookup(&[Field::IpSaddr], "ports").ret(), "set ports has a key of other types"),
    ];
    for (rule, expected) in cases {
        let why = why(vec![rule]);
        assert!(why.starts_with(expected), "{why} / {expected}");
    }
    assert_eq!(program(vec![Rule::new().goto("gone")]), Err(Unclear::NoChain { chain: "gone".into() }));
    assert_eq!(program(vec![Rule::new().jump("in-o4")]), Err(Unclear::TooDeep { chain: "in-o4".into() }));
    // A fragment does not match the drop of a port.
    let all_but_one = vec![
        port_range(Rule::new(), 132, Field::ThDport, 5, 9).drop(),
        Rule::new().l4proto(132).ret(),
        Rule::new().drop(),
    ];
    assert!(matches!(program(all_but_one), Err(Unclear::Fragments { .. })));
    // All ports, but by ports: a fragment passes neither rule.
    let halves = vec![
        port_range(Rule::new(), 6, Field::ThDport, 0, 999).ret(),
        port_range(Rule::new(), 6, Field::ThDport, 1000, 65535).ret(),
        Rule::new().drop(),
    ];
    assert!(matches!(program(halves), Err(Unclear::Fragments { .. })));
}

/// Linear in the elements: sets of 10,000 take a fraction of a second, even without optimisation.
#[test]
fn large_sets_are_read_in_bulk() {
    let mut node = Node::new();
    let peer = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let v4 = [DataType::Ipv4Addr, DataType::InetProto, DataType::InetService];
    let exact_keys = (0..10_000).map(|n| exact(&peer(n / 10 * 2).to_string(), 6, n as u16 % 10));
    let shared = (0..10_000).map(|n| Key::address(peer(20_000 + n * 2)));
    let blocks =
        (0..10_000).map(|n| (Key::address(peer(50_000 + n * 4)), Key::address(peer(50_001 + n * 4))));
    let profiles = (0..10_000).map(|n| {
        (Key::address(peer(100_000 + n * 2)), to(IrVerdict::Goto(format!("profile-{}", n % 50).into())))
    });
    let profiles = Set {
        elements: profiles.collect(),
        ..Set::new(SetSpec::plain(&[DataType::Ipv4Addr]).with_verdicts())
    };
    node.pod("10.244.0.1", None, Some("in"));
    node.set("x", plain(&v4, exact_keys)).set("s", plain(&[DataType::Ipv4Addr], shared));
    node.set("b", intervals(DataType::Ipv4Addr, blocks)).set("m", profiles);
    let saddr = [Field::IpSaddr];
    let tail = vec![
        port_range(Rule::new().lookup(&saddr, "s"), 17, Field::ThDport, 1, 9).ret(),
        Rule::new().lookup(&saddr, "b").ret(),
        Rule::new().goto("deny"),
    ];
    node.chain("tail", tail);
    for n in 0..50u16 {
        let rules =
            vec![port_range(Rule::new(), 6, Field::ThDport, n, 1000 + n).ret(), Rule::new().goto("tail")];
        node.chain(&format!("profile-{n}"), rules);
    }
    let exact_fields = [Field::IpSaddr, Field::L4Proto, Field::ThDport];
    let rules = vec![
        Rule::new().lookup(&exact_fields, "x").ret(),
        Rule::new().vmap(Field::IpSaddr, "m"),
        Rule::new().goto("tail"),
    ];
    node.chain("in-o4", rules);

    // A reading entry by entry would not end.
    let reach =
        reach(&node.0, ip("10.244.0.1"), Direction::Ingress, Orientation::Original).expect("it is clear");
    assert_eq!(reach.ports_at(peer(0)), ports(Tcp, &[(0, 9)]));
    assert_eq!(reach.ports_at(peer(100_000 + 7 * 2)), ports(Tcp, &[(7, 1007)]));
    assert_eq!(reach.ports_at(peer(50_001)), PortSet::all());
    assert_eq!(reach.ranges().count(), 1_000 + 10_000 + 10_000 + 10_000 + 1);
}

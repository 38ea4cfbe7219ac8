//! The simulator on the ruleset of the datapath's design: each case is a packet whose fate in a kernel is known.

use crate::support::{ip, key, three_pods};
use compiler::{
    ir::{Chain, Family, Hook, Name, Rule, Ruleset, Table, Verdict as IrVerdict},
    sim::{
        Arp, Ct, Flow, Frame, Interface, Ip, Links, Moment, Network, NoEntry, Packet, PacketType, Rate,
        Refused, Route, Verdict, evaluate, evaluate_at,
    },
    skeleton::Orientation,
};
use std::net::{IpAddr, Ipv4Addr};

const REDIRECT: u8 = 5;
const UNREACHABLE: u8 = 3;

#[track_caller]
fn fate(ruleset: &Ruleset, flow: Flow, route: Route, moment: Moment) -> Verdict {
    let (hook, packet) = flow.packet(route, &Links::default(), moment);
    evaluate(ruleset, Family::Inet, hook, &packet).expect("the kernel would load it").verdict
}

#[track_caller]
fn check(cases: &[(Flow, Route, Moment, Verdict, &str)]) {
    let node = three_pods();
    for (flow, route, moment, expected, why) in cases {
        assert_eq!(fate(&node.0, *flow, *route, *moment), *expected, "{why}: {flow:?} {route:?} {moment:?}");
    }
}

fn pods() -> [IpAddr; 4] {
    ["10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.2.2"].map(ip)
}

#[test]
fn both_sides_of_a_flow_are_asked() {
    use {Moment::*, Route::*, Verdict::*};
    let [a, b, c, far] = pods();
    let outside = ip("203.0.113.7");
    check(&[
        (Flow::tcp(a, b, 80), Bridged, First, Accept, "allowed by both"),
        (Flow::tcp(a, b, 80), Bridged, Established, Accept, "every packet of it"),
        (Flow::tcp(a, b, 80), Bridged, Reply, Accept, "its replies"),
        (Flow::tcp(a, b, 81), Bridged, First, Drop, "another port"),
        (Flow::tcp(a, b, 81), Bridged, Reply, Drop, "a reply on a flow that is not allowed"),
        (Flow::udp(a, b, 8050), Bridged, First, Accept, "in the range of both"),
        (Flow::udp(a, b, 8101), Bridged, First, Drop, "one beyond the range"),
        (Flow::tcp(c, b, 80), Bridged, First, Drop, "b does not allow c"),
        (Flow::tcp(c, a, 9), Bridged, First, Accept, "a is isolated for egress only"),
        (Flow::tcp(a, c, 80), Bridged, First, Drop, "a does not allow c"),
        (Flow::tcp(b, c, 80), Bridged, First, Accept, "nobody is isolated on these sides"),
        (Flow::tcp(a, far, 80), ToOverlay, First, Accept, "to another node"),
        (Flow::tcp(a, far, 80), ToOverlay, Reply, Accept, "and back"),
        (Flow::udp(a, far, 80), ToOverlay, First, Drop, "not over UDP"),
        (Flow::tcp(far, b, 80), FromOverlay, First, Drop, "b does not allow the far pod"),
        (Flow::tcp(a, outside, 1), ToOutside, First, Accept, "the ipBlock"),
        (Flow::tcp(ip("192.168.50.9"), b, 22), FromOutside, First, Accept, "b's ipBlock, all ports"),
        (Flow::tcp(b, b, 99), Bridged, First, Accept, "a pod never blocks itself"),
        (Flow::ping(a, b), Bridged, First, Drop, "no rule without ports"),
        (Flow::ping(a, outside), ToOutside, First, Accept, "the ipBlock is for all protocols"),
        (Flow::new(a, b, 17, None), Bridged, First, Drop, "a later fragment has no port"),
        (Flow::new(a, outside, 17, None), ToOutside, First, Accept, "where no port is asked for it passes"),
        (Flow::tcp(a, ip("192.168.50.1"), 9000), ToNode, First, Drop, "a to its node: egress"),
        (Flow::tcp(c, ip("192.168.50.1"), 9000), ToNode, First, Accept, "c to its node"),
        (Flow::tcp(ip("10.244.1.1"), b, 22), FromNode, First, Accept, "the node is never judged"),
        (Flow::tcp(ip("10.244.1.1"), b, 22), FromNode, Reply, Accept, "nor are the answers to it"),
        (Flow::tcp(a, ip("192.168.50.1"), 9000), ToNode, Reply, Drop, "a's flow to the node, revoked"),
    ]);
}

#[test]
fn ipv6_is_judged_as_ipv4_is() {
    use {Moment::*, Route::*, Verdict::*};
    let [a, b, c] = ["fd00::2", "fd00::3", "fd00::4"].map(ip);
    check(&[
        (Flow::tcp(a, b, 80), Bridged, First, Accept, "allowed by both"),
        (Flow::tcp(a, b, 80), Bridged, Reply, Accept, "its replies"),
        (Flow::udp(a, b, 80), Bridged, First, Drop, "b allows TCP alone"),
        (Flow::tcp(c, b, 80), Bridged, First, Drop, "b does not allow c"),
        (Flow::tcp(ip("fd00:50::9"), b, 1), FromOutside, First, Accept, "b's ipBlock"),
        (Flow::ping(c, a), Bridged, First, Accept, "nobody is isolated on these sides"),
        (Flow::ping(c, b), Bridged, First, Drop, "an echo request needs a rule without ports"),
    ]);
}

#[test]
fn what_conntrack_does_not_know_is_judged_by_its_header() {
    use {
        Moment::{Invalid, MidStream, Untracked},
        Orientation::Original,
        Route::Bridged,
        Verdict::{Accept, Drop},
    };
    let [a, b, c, _] = pods();
    check(&[
        (Flow::tcp(a, b, 80), Bridged, Untracked { from: Original }, Accept, "a may send it"),
        (Flow::tcp(c, b, 80), Bridged, Untracked { from: Original }, Drop, "c may not"),
        (Flow::tcp(c, b, 80), Bridged, Invalid { from: Original }, Drop, "nor call it invalid"),
        (
            Flow::tcp(a, b, 80),
            Bridged,
            Invalid { from: Original },
            Accept,
            "allowed in both orientations: nobody limits what b opens to a",
        ),
        (
            Flow::tcp(b, c, 80),
            Bridged,
            MidStream { from: Original },
            Drop,
            "it may be an answer to c, whom b does not allow",
        ),
        (
            Flow::tcp(c, b, 80),
            Bridged,
            MidStream { from: Orientation::Reply },
            Drop,
            "b's answer to c, picked up as b's own flow",
        ),
        (Flow::tcp(c, b, 80), Bridged, MidStream { from: Original }, Drop, "c's packet, picked up"),
        (Flow::tcp(a, b, 80), Bridged, MidStream { from: Original }, Accept, "allowed whoever opened it"),
    ]);
}

#[test]
fn errors_about_a_flow_pass_and_redirects_do_not() {
    use {Orientation::*, Route::*, Verdict::*};
    let [a, b, _, far] = pods();
    let router = ip("10.9.9.9");
    let error = |about, kind| Moment::Error { about, reporter: router, kind };
    check(&[
        (
            Flow::tcp(a, far, 80),
            ToOverlay,
            error(Original, UNREACHABLE),
            Accept,
            "to a, who allows no router",
        ),
        (Flow::tcp(far, b, 80), FromOverlay, error(Reply, UNREACHABLE), Accept, "to b's peer"),
        (Flow::tcp(a, far, 80), ToOverlay, error(Original, REDIRECT), Drop, "a redirect to a"),
    ]);
}

#[test]
fn strangers_on_the_bridge_are_strays() {
    use {Moment::*, Route::*, Verdict::*};
    let [a, b, c, _] = pods();
    let nobody = ip("10.244.1.99");
    check(&[
        (Flow::tcp(nobody, c, 80), Bridged, First, Drop, "from an unknown address"),
        (Flow::tcp(c, nobody, 80), Bridged, First, Drop, "to an unknown address"),
        (Flow::udp(c, ip("169.254.1.1"), 80), Bridged, First, Drop, "to a link-local address"),
        (
            Flow::tcp(a, b, 80),
            FromOutside,
            First,
            Accept,
            "not on the bridge, a's program is asked all the same",
        ),
        (Flow::tcp(nobody, b, 80), FromOutside, First, Drop, "from outside it is b that denies"),
    ]);
}

#[test]
fn counters_and_logs_tell_what_happened() {
    let node = three_pods();
    let [_, b, c, _] = pods();
    let (hook, packet) = Flow::tcp(c, b, 80).packet(Route::Bridged, &Links::default(), Moment::First);
    let within = evaluate(&node.0, Family::Inet, hook, &packet).expect("loads");
    assert_eq!((within.counters, within.logs), (vec![&Name::from("denied")], vec!["palisade deny "]));
    let above = evaluate_at(&node.0, Family::Inet, hook, &packet, Rate::Exceeded).expect("loads");
    assert_eq!(
        (above.counters, above.logs),
        (vec![&Name::from("denied")], Vec::new()),
        "it is counted before the limit"
    );
    assert_eq!(above.verdict, Verdict::Drop);
}

#[test]
fn the_trace_reads_as_the_way_it_is() {
    let node = three_pods();
    let [a, b, ..] = pods();
    let (hook, packet) = Flow::tcp(a, b, 80).packet(Route::Bridged, &Links::default(), Moment::Established);
    let outcome = evaluate(&node.0, Family::Inet, hook, &packet).expect("loads");
    let trace: Vec<_> = outcome.trace.iter().map(ToString::to_string).collect();
    assert_eq!(
        trace,
        [
            "forward[0]  ct direction reply goto flow-r  ✗ ct direction is original",
            "forward[1]  ct state established goto flow-o  → goto flow-o",
            "flow-o[0]  meta nfproto ipv4 goto flow-o4  → goto flow-o4",
            "flow-o4[0]  jump egress4o  → jump egress4o",
            "egress4o[0]  ip saddr vmap @egress4-o  @egress4-o { 10.244.1.2 : goto out-1-o4 }  → goto out-1-o4",
            "out-1-o4[0]  ip daddr . meta l4proto . th dport @out-1-x4 return  @out-1-x4 { 10.244.1.3 . tcp . 80 }  → return",
            "flow-o4[1]  ip daddr vmap @ingress4-o  @ingress4-o { 10.244.1.3 : goto in-1-o4 }  → goto in-1-o4",
            "in-1-o4[0]  ip saddr . meta l4proto . th dport @in-1-x4 return  @in-1-x4 { 10.244.1.2 . tcp . 80 }  → return",
        ]
    );
}

/// Chain by chain: what a small inet ruleset does with one packet.
fn small(chains: &[(&str, Vec<Rule>)]) -> Result<(Verdict, Vec<String>), Refused> {
    let mut table = Table::default();
    for (name, rules) in chains {
        let chain = Chain {
            base: (*name == "base").then(|| Chain::base(Hook::Forward, 0, Vec::new()).base).flatten(),
            rules: rules.clone(),
        };
        table.chains.insert((*name).into(), chain);
    }
    let ruleset = Ruleset { tables: [(Family::Inet, table)].into() };
    let (hook, packet) = Flow::tcp(ip("10.0.0.1"), ip("10.0.0.2"), 80).packet(
        Route::Bridged,
        &Links::default(),
        Moment::First,
    );
    let outcome = evaluate(&ruleset, Family::Inet, hook, &packet)?;
    Ok((outcome.verdict, outcome.counters.iter().map(ToString::to_string).collect()))
}

#[test]
fn jump_comes_back_and_goto_does_not() {
    let count = |name: &str| Rule::new().counter(name);
    let run = |chains: &[(&str, Vec<Rule>)]| small(chains).expect("loads");

    let jumped = run(&[("base", vec![Rule::new().jump("x"), count("base")]), ("x", vec![count("x")])]);
    assert_eq!(jumped, (Verdict::Accept, vec!["x".into(), "base".into()]), "the end of a chain is a return");

    let gone =
        run(&[("base", vec![Rule::new().goto("x"), count("base").drop()]), ("x", vec![count("x").ret()])]);
    assert_eq!(gone, (Verdict::Accept, vec!["x".into()]), "nobody to come back to: the policy, accept");

    let nested = run(&[
        ("base", vec![Rule::new().jump("x"), count("base")]),
        ("x", vec![Rule::new().goto("y"), count("x")]),
        ("y", vec![count("y").ret(), count("never")]),
    ]);
    assert_eq!(
        nested,
        (Verdict::Accept, vec!["y".into(), "base".into()]),
        "back to who jumped, not to who went"
    );

    let dropped =
        run(&[("base", vec![Rule::new().jump("x"), count("base")]), ("x", vec![count("x").drop()])]);
    assert_eq!(dropped, (Verdict::Drop, vec!["x".into()]));
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    let chain = |n: usize| format!("x{n}");
    let deep = |count: usize| -> Vec<(String, Vec<Rule>)> {
        (0..count)
            .map(|n| {
                (chain(n), if n + 1 < count { vec![Rule::new().goto(&chain(n + 1))] } else { Vec::new() })
            })
            .collect()
    };
    let run = |count| {
        let mut chains = deep(count);
        chains.push(("base".into(), vec![Rule::new().jump("x0")]));
        small(&chains.iter().map(|(name, rules)| (name.as_str(), rules.clone())).collect::<Vec<_>>())
    };
    assert_eq!(run(15), Ok((Verdict::Accept, Vec::new())));
    assert_eq!(
        run(16),
        Err(Refused::TooDeep { chain: "x15".into() }),
        "nft -c refuses it as well: Too many links"
    );

    let base = |rule: Rule| small(&[("base", vec![rule])]);
    assert_eq!(
        base(Rule::new().jump("base")),
        Err(Refused::IntoBase { from: "base".into(), chain: "base".into() })
    );
    assert_eq!(base(Rule::new().goto("y")), Err(Refused::NoChain { from: "base".into(), chain: "y".into() }));
    assert!(matches!(
        base(Rule::new().lookup(&[compiler::ir::Field::IpSaddr], "s").drop()),
        Err(Refused::Set { rule: 0, .. })
    ));
}

#[test]
fn a_field_that_is_absent_matches_neither_way() {
    use compiler::ir::Field;
    let absent = |rule: Rule| small(&[("base", vec![rule.drop()])]).expect("loads").0;
    assert_eq!(absent(Rule::new().is_not(Field::Ip6Saddr, &[0; 16])), Verdict::Accept, "no IPv6 header");
    assert_eq!(
        absent(Rule::new().is_not(Field::EtherType, &[0x08, 0x00])),
        Verdict::Accept,
        "no link header"
    );
    assert_eq!(
        absent(Rule::new().is_not(Field::IifName, &[0; 16])),
        Verdict::Drop,
        "cni0 is not the empty name"
    );
    let verdict = IrVerdict::Drop;
    assert_eq!(absent(Rule::new().then(compiler::ir::Statement::Verdict(verdict))), Verdict::Drop);
}

fn guarded() -> Ruleset {
    use compiler::ir::Key;
    let mut node = three_pods().0;
    let bridge = node.tables.get_mut(&Family::Bridge).expect("the guard is on");
    let port = 6u32.to_ne_bytes();
    let mac = [2, 0, 10, 244, 1, 2];
    let own = Key::default().then(&port).then(&mac);
    let elements = [
        ("ports", Key::from_bytes(&port)),
        ("own", own.clone()),
        ("own4", own.clone().then(&[10, 244, 1, 2])),
        ("own6", own.then(key("fd00::2").as_bytes())),
        ("na6", Key::default().then(&port).then(key("fd00::2").as_bytes())),
    ];
    for (set, key) in elements {
        bridge.sets.get_mut(set).expect("the guard's sets are there").elements.insert(key, None);
    }
    node
}

fn frame(ethertype: u16, network: Network) -> Packet {
    Packet {
        network,
        input: Some(Interface::new(6, "veth0")),
        output: None,
        packet_type: PacketType::Host,
        ct: Ct::None(NoEntry::Invalid),
        frame: Some(Frame { destination: [0xff; 6], source: [2, 0, 10, 244, 1, 2], ethertype }),
    }
}

#[test]
fn the_guard_knows_a_port_its_hardware_address_and_its_addresses() {
    use Verdict::{Accept, Drop};
    let ruleset = guarded();
    let v4 = |from: &str| Network::Ip(Ip::new(ip(from), ip("10.244.1.3"), 17).with_ports(1, 2));
    let arp = |sender: &str, sender_mac| {
        Network::Arp(Arp {
            operation: 1,
            sender_mac,
            sender: sender.parse::<Ipv4Addr>().expect("an address"),
        })
    };
    let advert = |from: &str, target: &str| {
        let target = target.parse().expect("an address");
        Network::Ip(
            Ip::new(ip(from), ip("ff02::1"), 58)
                .with_icmp_type(136)
                .with_nd_target(target)
                .with_hop_limit(255),
        )
    };
    let mac = [2, 0, 10, 244, 1, 2];
    let cases = [
        (frame(0x0800, v4("10.244.1.2")), Accept, "its own address"),
        (frame(0x0800, v4("10.244.1.3")), Drop, "another's address"),
        (frame(0x8100, v4("10.244.1.2")), Drop, "a VLAN tag"),
        (frame(0x88b5, Network::Other(0x88b5)), Drop, "another ethertype"),
        (frame(0x0806, arp("10.244.1.2", mac)), Accept, "its own ARP"),
        (frame(0x0806, arp("0.0.0.0", mac)), Accept, "an ARP probe"),
        (frame(0x0806, arp("10.244.1.1", mac)), Drop, "the gateway's ARP"),
        (frame(0x0806, arp("10.244.1.2", [2; 6])), Drop, "another hardware address in ARP"),
        (frame(0x86dd, advert("fd00::2", "fd00::2")), Accept, "it advertises itself"),
        (frame(0x86dd, advert("fd00::2", "fd00::3")), Drop, "it advertises another"),
        (
            Packet { input: Some(Interface::new(7, "veth9")), ..frame(0x0800, v4("10.9.9.9")) },
            Accept,
            "another bridge's port",
        ),
    ];
    for (packet, expected, why) in cases {
        let outcome = evaluate(&ruleset, Family::Bridge, Hook::Prerouting, &packet).expect("loads");
        let trace: Vec<_> = outcome.trace.iter().map(ToString::to_string).collect();
        assert_eq!(outcome.verdict, expected, "{why}\n{}", trace.join("\n"));
    }
}

/// With one guard off, exactly its frames pass.
#[test]
fn each_guard_is_known_by_what_passes_without_it() {
    use compiler::config::{Config, Guards};
    let advert = |kind| {
        let message = Ip::new(ip("fd00::2"), ip("ff02::1"), 58).with_icmp_type(kind).with_hop_limit(255);
        Network::Ip(message.with_nd_target("fd00::3".parse().expect("an address")))
    };
    let udp = |from: &str, to: &str, ports: (u16, u16)| {
        Network::Ip(Ip::new(ip(from), ip(to), 17).with_ports(ports.0, ports.1))
    };
    let bridge = (Family::Bridge, Hook::Prerouting);
    let inet = |hook| (Family::Inet, hook);
    let at = |output: Option<&str>, ct, network| Packet {
        input: Some(Interface::new(3, "cni0")),
        output: output.map(|name| Interface::new(4, name)),
        ct,
        frame: None,
        ..frame(0x0800, network)
    };
    let entry = |state| Ct::Entry { state, direction: Orientation::Original };
    let new = entry(compiler::sim::CtState::New);
    let reserved = Packet {
        packet_type: PacketType::Multicast,
        ..Packet {
            input: Some(Interface::new(6, "veth0")),
            ..at(None, new, udp("10.244.1.4", "192.168.50.1", (1, 2)))
        }
    };
    // Node 10.244.2.0's overlay, and a group that every pod hears.
    let overlay = at(Some("flannel.1"), new, udp("10.244.1.4", "10.244.2.0", (1, 8472)));
    let offer = at(Some("cni0"), new, udp("10.244.1.4", "255.255.255.255", (67, 68)));
    let cases: [(&str, (Family, Hook), Packet); 9] = [
        ("overlay", inet(Hook::Forward), overlay),
        ("overlay", inet(Hook::Input), at(None, new, udp("10.244.1.4", "192.168.50.1", (1, 8472)))),
        ("sources", bridge, frame(0x0800, udp("10.244.1.3", "10.244.1.4", (1, 2)))),
        ("sources", bridge, frame(0x86dd, advert(136))),
        ("routers", bridge, frame(0x86dd, advert(134))),
        ("routers", inet(Hook::Forward), offer),
        ("ethertypes", bridge, frame(0x8100, udp("10.244.1.2", "10.244.1.4", (1, 2)))),
        ("ethertypes", bridge, frame(0x88b5, Network::Other(0x88b5))),
        ("ethertypes", inet(Hook::Input), reserved),
    ];
    let all = Guards::ALL;
    let switches = [
        ("", all),
        ("overlay", Guards { overlay: false, ..all }),
        ("sources", Guards { sources: false, ..all }),
        ("routers", Guards { routers: false, ..all }),
        ("ethertypes", Guards { ethertypes: false, ..all }),
    ];
    for (off, guards) in switches {
        let fixed = compiler::skeleton::ruleset(&Config { guards, ..Config::new("n1", "cni0") });
        let mut ruleset = guarded();
        for (family, table) in &mut ruleset.tables {
            table.chains.extend(fixed.tables[family].chains.clone());
            if let Some(nodes) = table.sets.get_mut("nodes4") {
                nodes.elements.insert(key("10.244.2.0"), None);
            }
            if let (Some(ports), Family::Inet) = (table.sets.get_mut("ports"), family) {
                ports.elements.insert(compiler::ir::Key::from_bytes(&6u32.to_ne_bytes()), None);
            }
        }
        for (guard, (family, hook), packet) in &cases {
            let outcome = evaluate(&ruleset, *family, *hook, packet).expect("loads");
            let wanted = if *guard == off { Verdict::Accept } else { Verdict::Drop };
            let trace: Vec<_> = outcome.trace.iter().map(ToString::to_string).collect();
            assert_eq!(outcome.verdict, wanted, "{guard} without {off:?}: {packet:?}\n{}", trace.join("\n"));
        }
    }
}

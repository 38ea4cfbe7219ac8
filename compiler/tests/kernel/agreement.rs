//! The simulator and the kernel count the same packets: real packets leave a namespace through a ruleset in which every
//! rule that matches counts, and the counters are held against the simulator's.

use crate::namespace;
use compiler::{
    ir::{
        Attributes, Chain, CmpOp, CtStates, DataType, Family, Field, Hook, Key, Rule, Ruleset, Set, SetSpec,
        Statement, Table, Verdict,
    },
    sim::{Ct, CtState, Interface, Ip, Network, Packet, PacketType, evaluate},
    skeleton::Orientation,
    text::{self, Style},
};
use std::{collections::BTreeMap, net::IpAddr};

const DEVICE: &str = "d0";
const INDEX: u32 = 77;
const SOURCE4: &str = "10.0.0.1";
const TARGET4: &str = "10.0.0.2";
const SOURCE6: &str = "fd00::1";
const TARGET6: &str = "fd00::2";

/// A link whose other end listens to nobody, with neighbours that need no discovery.
const PREPARE: &str = "
ip link set lo up
ip link add d0 index 77 type veth peer name d1
ip link set d1 up
ip addr add 10.0.0.1/24 dev d0
ip addr add fd00::1/64 dev d0 nodad
ip link set d0 up
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev d0 nud permanent
ip neigh add fd00::2 lladdr 02:00:00:00:00:02 dev d0 nud permanent
nft -f -
nft reset counters table inet palisade > /dev/null
";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn octets(text: &str) -> Vec<u8> {
    Key::address(ip(text)).as_bytes().to_vec()
}

/// How the shell sends a packet, and what it is.
fn packets() -> Vec<(&'static str, Ip)> {
    let (v4, v6) = ((ip(SOURCE4), ip(TARGET4)), (ip(SOURCE6), ip(TARGET6)));
    let udp = |(from, to), port| Ip::new(from, to, 17).with_ports(40_000, port);
    let tcp = |(from, to), port| Ip::new(from, to, 6).with_ports(40_000, port).with_tcp_flags(2);
    vec![
        ("printf x > /dev/udp/10.0.0.2/80", udp(v4, 80)),
        ("printf x > /dev/udp/10.0.0.2/81", udp(v4, 81)),
        ("printf x > /dev/udp/10.0.0.2/8050", udp(v4, 8050)),
        ("timeout 0.2 bash -c ': > /dev/tcp/10.0.0.2/80' 2> /dev/null || true", tcp(v4, 80)),
        ("ping -c 1 -W 0.1 10.0.0.2 > /dev/null || true", Ip::new(v4.0, v4.1, 1).with_icmp_type(8)),
        ("printf x > /dev/udp/fd00::2/80", udp(v6, 80)),
        ("timeout 0.2 bash -c ': > /dev/tcp/fd00::2/443' 2> /dev/null || true", tcp(v6, 443)),
        ("ping -c 1 -W 0.1 fd00::2 > /dev/null || true", Ip::new(v6.0, v6.1, 58).with_icmp_type(128)),
    ]
}

/// Tests of every kind; each rule counts what passes it.
fn tests() -> Vec<Rule> {
    let port_range = Statement::Range(Field::ThDport, Box::new([0x1f, 0x40]), Box::new([0x1f, 0xa4]));
    let masked = |op| Statement::Masked(Field::TcpFlags, Box::new([0x17]), op, Box::new([0x02]));
    let exact4 = [Field::IpDaddr, Field::L4Proto, Field::ThDport];
    let mut name = [0; 16];
    name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    vec![
        Rule::new(),
        Rule::new().ipv4(),
        Rule::new().ipv6(),
        Rule::new().l4proto(6),
        Rule::new().then(Statement::Compare(Field::L4Proto, CmpOp::Ne, Box::new([17]))),
        Rule::new().is(Field::IpSaddr, &octets(SOURCE4)),
        Rule::new().is_not(Field::IpSaddr, &octets(SOURCE4)),
        Rule::new().is_not(Field::IpDaddr, &octets("10.0.0.9")),
        Rule::new().is_not(Field::Ip6Daddr, &octets("fd00::9")),
        Rule::new().ipv4().then(Statement::Prefix(Field::IpDaddr, Box::new([10, 0]))),
        Rule::new().ipv6().then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff]))),
        Rule::new().ipv6().then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xfd, 0]))),
        Rule::new().is(Field::Ip6HopLimit, &[64]),
        // Not of every protocol: where an ICMP packet has its checksum others have their port.
        Rule::new().l4proto(6).is(Field::ThDport, &[0, 80]),
        Rule::new().l4proto(17).is(Field::ThDport, &[0, 80]),
        Rule::new().l4proto(17).is_not(Field::ThDport, &[0, 80]),
        Rule::new().l4proto(17).then(port_range),
        Rule::new().l4proto(6).then(masked(CmpOp::Eq)),
        Rule::new().l4proto(6).then(masked(CmpOp::Ne)),
        Rule::new().is(Field::TcpFlags, &[2]),
        Rule::new().is(Field::IcmpType, &[8]),
        Rule::new().is_not(Field::IcmpType, &[8]),
        Rule::new().is(Field::Icmpv6Type, &[128]),
        Rule::new().lookup(&[Field::Icmpv6Type], "echo"),
        Rule::new().lookup_not(&[Field::Icmpv6Type], "echo"),
        // No device at all where the packet comes from: an empty name and index 0, which can be compared.
        Rule::new().is(Field::Iif, &[0; 4]),
        Rule::new().is_not(Field::Iif, &INDEX.to_ne_bytes()),
        Rule::new().is_not(Field::IifName, &name),
        Rule::new().is(Field::OifName, &name),
        Rule::new().then(Statement::Prefix(Field::OifName, (*b"d").into())),
        Rule::new().is(Field::Oif, &INDEX.to_ne_bytes()),
        Rule::new().lookup(&[Field::Oif], "oifs"),
        Rule::new().lookup_not(&[Field::Iif], "oifs"),
        Rule::new().is(Field::PktType, &[0]),
        Rule::new().ct_state(CtStates::NEW),
        Rule::new().ct_state(CtStates(CtStates::INVALID.0 | CtStates::UNTRACKED.0)),
        Rule::new().ct_direction(false),
        Rule::new().ct_direction(true),
        Rule::new().lookup(&exact4, "exact"),
        Rule::new().lookup_not(&exact4, "exact"),
        Rule::new().lookup(&[Field::IpDaddr], "blocks"),
        Rule::new().lookup(&[Field::IpSaddr], "blocks"),
        Rule::new().lookup_not(&[Field::IpSaddr], "blocks"),
        Rule::new().l4proto(17).lookup(&[Field::ThDport], "port-set"),
        Rule::new().lookup(&[Field::IpSaddr, Field::IpDaddr], "pairs"),
    ]
}

/// Every way through chains, with a counter at each place.
fn ways() -> Vec<(&'static str, Vec<Rule>)> {
    let count = |name: &str| Rule::new().counter(name);
    vec![
        (
            "tests-end",
            vec![
                Rule::new().jump("jumped"),
                count("after-jump"),
                Rule::new().vmap(Field::IpDaddr, "by-address"),
                count("after-map"),
                Rule::new().l4proto(17).jump("gone"),
                count("after-goto"),
                Rule::new()
                    .then(Statement::VerdictMap([Field::L4Proto, Field::ThDport].into(), "by-port".into())),
                count("after-cells"),
                Rule::new().l4proto(6).counter("before-return").ret(),
                count("after-return"),
                Rule::new().drop(),
                count("after-drop"),
            ],
        ),
        ("jumped", vec![count("jumped"), Rule::new().ipv4().ret(), count("jumped-6")]),
        ("mapped", vec![count("mapped")]),
        ("gone", vec![Rule::new().goto("went"), count("gone-end")]),
        ("went", vec![count("went"), Rule::new().ret(), count("went-end")]),
        ("dropping", vec![count("dropping"), Rule::new().drop()]),
    ]
}

fn ruleset() -> Ruleset {
    let plain = |kinds: &[DataType], keys: Vec<Key>| Set {
        elements: keys.into_iter().map(|k| (k, None)).collect(),
        ..Set::new(SetSpec::plain(kinds))
    };
    let map = |kinds: &[DataType], elements: Vec<(Key, Verdict)>| {
        let with = |v| Some(Box::new(Attributes { verdict: Some(v), ..Attributes::default() }));
        Set {
            elements: elements.into_iter().map(|(k, v)| (k, with(v))).collect(),
            ..Set::new(SetSpec::plain(kinds).with_verdicts())
        }
    };
    let intervals = |kind, ranges: Vec<(Key, Key)>| {
        let to = |hi| Some(Box::new(Attributes { end: Some(hi), ..Attributes::default() }));
        Set {
            elements: ranges.into_iter().map(|(lo, hi)| (lo, to(hi))).collect(),
            ..Set::new(SetSpec::intervals(kind))
        }
    };
    let address = |text: &str| Key::address(ip(text));
    let exact = |to: &str, protocol, port: u16| {
        Key::default().then(&octets(to)).then(&[protocol]).then(&port.to_be_bytes())
    };
    let cell = |protocol, port: u16| Key::default().then(&[protocol]).then(&port.to_be_bytes());
    let v4 = DataType::Ipv4Addr;
    let sets = [
        ("echo", plain(&[DataType::Icmpv6Type], vec![Key::from_bytes(&[128])])),
        ("oifs", plain(&[DataType::IfIndex], vec![Key::from_bytes(&INDEX.to_ne_bytes())])),
        (
            "exact",
            plain(
                &[v4, DataType::InetProto, DataType::InetService],
                vec![exact(TARGET4, 17, 80), exact(TARGET4, 6, 81), exact("10.0.0.9", 6, 80)],
            ),
        ),
        (
            "blocks",
            intervals(
                v4,
                vec![
                    (address("10.0.0.2"), address("10.0.0.9")),
                    (address("10.0.1.0"), address("10.0.1.255")),
                ],
            ),
        ),
        (
            "port-set",
            intervals(
                DataType::InetService,
                vec![(Key::port(80), Key::port(80)), (Key::port(400), Key::port(9000))],
            ),
        ),
        ("pairs", plain(&[v4, v4], vec![Key::default().then(&octets(SOURCE4)).then(&octets(TARGET4))])),
        ("by-address", map(&[v4], vec![(address(TARGET4), Verdict::Jump("mapped".into()))])),
        (
            "by-port",
            map(
                &[DataType::InetProto, DataType::InetService],
                vec![
                    (cell(17, 81), Verdict::Return),
                    (cell(6, 443), Verdict::Goto("dropping".into())),
                    (cell(17, 8050), Verdict::Drop),
                ],
            ),
        ),
    ];
    let counted = tests().into_iter().enumerate().map(|(n, rule)| rule.counter(&format!("c{n}")));
    let mut rules: Vec<_> = counted.collect();
    rules.push(Rule::new().goto("tests-end"));
    // Packets that the kernel sends on its own are none of ours.
    let ours = |field, target| Rule::new().is(field, &octets(target)).jump("tests");
    let base = vec![ours(Field::IpDaddr, TARGET4), ours(Field::Ip6Daddr, TARGET6)];
    let mut table = Table {
        counters: Default::default(),
        sets: sets.into_iter().map(|(name, set)| (name.into(), set)).collect(),
        chains: ways().into_iter().map(|(name, rules)| (name.into(), Chain::regular(rules))).collect(),
    };
    table.chains.insert("tests".into(), Chain::regular(rules));
    table.chains.insert("output".into(), Chain::base(Hook::Output, 0, base));
    let rules = table.chains.values().flat_map(|chain| &chain.rules);
    let names = rules.flat_map(|rule| &rule.statements).filter_map(|s| match s {
        Statement::Counter(name) => Some(name.clone()),
        _ => None,
    });
    table.counters = names.collect();
    Ruleset { tables: [(Family::Inet, table)].into() }
}

/// The packets that each counter of a listing has counted, without those that counted none.
fn listed(listing: &str) -> BTreeMap<String, usize> {
    let mut name = "";
    let mut counted = BTreeMap::new();
    for words in listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        match words[..] {
            ["counter", counter, "{"] => name = counter,
            ["packets", packets, ..] if packets != "0" => {
                counted.insert(name.to_owned(), packets.parse().expect("a number of packets"));
            }
            _ => {}
        }
    }
    counted
}

#[test]
fn the_kernel_counts_what_the_simulator_counts() {
    let ruleset = ruleset();
    let sent: Vec<_> = packets();
    let script = sent.iter().fold(PREPARE.to_owned(), |script, (send, _)| {
        // A dropped packet makes its sender fail.
        script
            + &format!(
                "{{ {send}; }} 2> /dev/null || true\nnft reset counters table inet palisade\necho ======\n"
            )
    });
    let output = namespace::run(&script, &text::ruleset(&ruleset, Style::FULL));
    let listings: Vec<_> = output.split("======\n").collect();
    assert_eq!(listings.len(), sent.len() + 1, "{output}");
    for ((send, ip), listing) in sent.into_iter().zip(listings) {
        let packet = Packet {
            network: Network::Ip(ip),
            input: None,
            output: Some(Interface::new(INDEX, DEVICE)),
            packet_type: PacketType::Host,
            ct: Ct::Entry { state: CtState::New, direction: Orientation::Original },
            frame: None,
        };
        let outcome = evaluate(&ruleset, Family::Inet, Hook::Output, &packet).expect("the kernel took it");
        let mut simulated = BTreeMap::new();
        for counter in &outcome.counters {
            *simulated.entry(counter.to_string()).or_insert(0) += 1;
        }
        let trace: Vec<_> = outcome.trace.iter().map(ToString::to_string).collect();
        assert_eq!(listed(listing), simulated, "{send}\n{}", trace.join("\n"));
    }
}

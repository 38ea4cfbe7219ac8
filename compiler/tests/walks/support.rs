//! The fixed chains of a node with a few pods in them by hand: what the compiler would make of small clusters.

use compiler::{
    config::Config,
    ir::{
        Attributes, Chain, DataType, Family, Field, Key, Rule, Ruleset, Set, SetSpec, Statement, Table,
        Verdict,
    },
    skeleton::{self, AddressFamily, Orientation, dispatch_map},
};
use policy_model::policy::Direction;
use std::net::IpAddr;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn key(address: &str) -> Key {
    Key::address(ip(address))
}

/// address . protocol . port
pub(crate) fn exact(address: &str, protocol: u8, port: u16) -> Key {
    Key::default().then(key(address).as_bytes()).then(&[protocol]).then(&port.to_be_bytes())
}

pub(crate) fn plain(kinds: &[DataType], keys: impl IntoIterator<Item = Key>) -> Set {
    Set { elements: keys.into_iter().map(|k| (k, None)).collect(), ..Set::new(SetSpec::plain(kinds)) }
}

pub(crate) fn intervals(kind: DataType, ranges: impl IntoIterator<Item = (Key, Key)>) -> Set {
    let end = |hi| Some(Box::new(Attributes { end: Some(hi), ..Attributes::default() }));
    let elements = ranges.into_iter().map(|(lo, hi)| (lo, end(hi))).collect();
    Set { elements, ..Set::new(SetSpec::intervals(kind)) }
}

pub(crate) fn to(verdict: Verdict) -> Option<Box<Attributes>> {
    Some(Box::new(Attributes { verdict: Some(verdict), ..Attributes::default() }))
}

/// A node's ruleset without pods, and the ways to put some in.
pub(crate) struct Node(pub(crate) Ruleset);

impl Node {
    pub(crate) fn new() -> Self {
        Self(skeleton::ruleset(&Config::new("n1", "cni0")))
    }

    pub(crate) fn inet(&mut self) -> &mut Table {
        self.0.tables.get_mut(&Family::Inet).expect("the inet table is always there")
    }

    pub(crate) fn set(&mut self, name: &str, set: Set) -> &mut Self {
        self.inet().sets.insert(name.into(), set);
        self
    }

    pub(crate) fn chain(&mut self, name: &str, rules: Vec<Rule>) -> &mut Self {
        self.inet().chains.insert(name.into(), Chain::regular(rules));
        self
    }

    /// A local pod; a side without a program is not isolated. Programs are named without orientation and family: `in-1` is
    /// `in-1-o4` and `in-1-r4` for IPv4.
    pub(crate) fn pod(&mut self, address: &str, egress: Option<&str>, ingress: Option<&str>) -> &mut Self {
        let address = ip(address);
        let family = AddressFamily::of(address);
        for (direction, program) in [(Direction::Egress, egress), (Direction::Ingress, ingress)] {
            for orientation in Orientation::BOTH {
                let verdict = program.map_or(Verdict::Return, |program| {
                    Verdict::Goto(format!("{program}-{}{}", orientation.letter(), family.digit()).into())
                });
                let map = dispatch_map(direction, family, orientation);
                let map = self.inet().sets.get_mut(map.as_str()).expect("the dispatch maps are there");
                map.elements.insert(Key::address(address), to(verdict));
            }
        }
        let own = Key::address(address);
        let pair = Key::default().then(own.as_bytes()).then(own.as_bytes());
        let own = self.inet().sets.get_mut(skeleton::self_set(family)).expect("the self sets are there");
        own.elements.insert(pair, None);
        self
    }
}

/// The peer's address and the flow's port, as packets of this orientation have them on this side.
pub(crate) fn peer_and_port(
    direction: Direction,
    family: AddressFamily,
    orientation: Orientation,
) -> (Field, Field) {
    let peer_sends = (direction == Direction::Ingress) == (orientation == Orientation::Original);
    let peer = match (family, peer_sends) {
        (AddressFamily::V4, true) => Field::IpSaddr,
        (AddressFamily::V4, false) => Field::IpDaddr,
        (AddressFamily::V6, true) => Field::Ip6Saddr,
        (AddressFamily::V6, false) => Field::Ip6Daddr,
    };
    let port = match orientation {
        Orientation::Original => Field::ThDport,
        Orientation::Reply => Field::ThSport,
    };
    (peer, port)
}

pub(crate) fn port_range(rule: Rule, protocol: u8, field: Field, lo: u16, hi: u16) -> Rule {
    rule.l4proto(protocol).then(Statement::Range(field, lo.to_be_bytes().into(), hi.to_be_bytes().into()))
}

/// datapath.md's example: `a` is isolated for egress, `b` for ingress, `c` not at all; dual stack.
pub(crate) fn three_pods() -> Node {
    let mut node = Node::new();
    node.pod("10.244.1.2", Some("out-1"), None).pod("10.244.1.3", None, Some("in-1")).pod(
        "10.244.1.4",
        None,
        None,
    );
    node.pod("fd00::2", Some("out-1"), None).pod("fd00::3", None, Some("in-1")).pod("fd00::4", None, None);
    let v4 = [DataType::Ipv4Addr, DataType::InetProto, DataType::InetService];
    let v6 = [DataType::Ipv6Addr, DataType::InetProto, DataType::InetService];
    node.set(
        "out-1-x4",
        plain(&v4, [exact("10.244.1.3", 6, 80), exact("10.244.1.3", 17, 80), exact("10.244.2.2", 6, 80)]),
    );
    node.set("out-1-x6", plain(&v6, [exact("fd00::3", 6, 80), exact("fd00::3", 17, 80)]));
    node.set("out-1-p4", plain(&[DataType::Ipv4Addr], [key("10.244.1.3")]));
    node.set("out-1-p6", plain(&[DataType::Ipv6Addr], [key("fd00::3")]));
    node.set("out-1-b4", intervals(DataType::Ipv4Addr, [(key("203.0.113.0"), key("203.0.113.255"))]));
    node.set("out-1-b6", intervals(DataType::Ipv6Addr, [(key("fd00:50::9"), key("fd00:50::9"))]));
    node.set("in-1-x4", plain(&v4, [exact("10.244.1.2", 6, 80), exact("10.244.1.2", 17, 80)]));
    node.set("in-1-x6", plain(&v6, [exact("fd00::2", 6, 80)]));
    node.set("in-1-p4", plain(&[DataType::Ipv4Addr], [key("10.244.1.2")]));
    node.set("in-1-p6", plain(&[DataType::Ipv6Addr], [key("fd00::2")]));
    node.set("in-1-b4", intervals(DataType::Ipv4Addr, [(key("192.168.50.9"), key("192.168.50.9"))]));
    node.set("in-1-b6", intervals(DataType::Ipv6Addr, [(key("fd00:50::9"), key("fd00:50::9"))]));
    for (program, direction) in [("out-1", Direction::Egress), ("in-1", Direction::Ingress)] {
        for family in AddressFamily::BOTH {
            for orientation in Orientation::BOTH {
                let (peer, port) = peer_and_port(direction, family, orientation);
                let digit = family.digit();
                node.chain(
                    &format!("{program}-{}{digit}", orientation.letter()),
                    vec![
                        Rule::new()
                            .lookup(&[peer, Field::L4Proto, port], &format!("{program}-x{digit}"))
                            .ret(),
                        Rule::new().lookup(&[peer], &format!("{program}-b{digit}")).ret(),
                        port_range(
                            Rule::new().lookup(&[peer], &format!("{program}-p{digit}")),
                            17,
                            port,
                            8000,
                            8100,
                        )
                        .ret(),
                        Rule::new().goto("deny"),
                    ],
                );
            }
        }
    }
    node
}

//! `inet palisade`: where every packet that policy is about is judged.
//!
//! The forward chain splits once by what conntrack says. Below the split every key is of the header, in twins: `-o` for
//! packets of a flow's original direction, `-r` for replies. A side's dispatch map knows every local pod; a miss on the pod
//! bridge is a packet of nobody (`stray`). No chain says `accept`, so other tables keep their say.

use super::{
    AddressFamily, GROUPS4, MLD, MLD_TYPES, ND, ND_TYPES, Orientation, PORTS, ROUTER, ROUTER_TYPES,
    add_groups, add_icmpv6_types, add_set, dispatch_map, nodes_set, self_set,
};
use crate::{
    config::{Config, Established, UnknownPods},
    ir::{Chain, CmpOp, CtStates, DataType, Field, Hook, Name, Rule, SetSpec, Statement, Table},
};
use policy_model::policy::Direction;

/// Counter of packets that a policy denied.
pub const DENIED: &str = "denied";
/// Counter of packets on the pod bridge that are no known pod's.
pub const STRAY: &str = "stray";
/// Counter of packets to a node's overlay port from a pod.
pub const OVERLAY: &str = "overlay";
/// NFLOG group of denied packets.
pub const LOG_GROUP: u16 = 1986;
/// The chain where every program ends.
pub const DENY: &str = "deny";
/// Prefix of their log entries.
pub const LOG_PREFIX: &str = "palisade deny ";

const UDP: u8 = 17;
const ICMP_REDIRECT: u8 = 5;
const ND_REDIRECT: u8 = 137;
const DHCP_SERVER: u16 = 67;
/// fin | syn | rst | ack, and syn alone.
const TCP_OPENING_MASK: u8 = 0x01 | 0x02 | 0x04 | 0x10;
const TCP_SYN: u8 = 0x02;

/// Name of the chain of a flow's initiator: `egress4o`.
fn side_chain(family: AddressFamily, orientation: Orientation) -> String {
    format!("egress{}{}", family.digit(), orientation.letter())
}

/// Name of the chain of both sides of a flow: `flow-o4`.
fn flow_chain(family: AddressFamily, orientation: Orientation) -> String {
    format!("flow-{}{}", orientation.letter(), family.digit())
}

pub(super) fn table(config: &Config) -> Table {
    let mut table = Table::default();
    table.counters.extend([DENIED, STRAY, OVERLAY].map(Name::from));
    sets(config, &mut table);
    for (name, chain) in chains(config) {
        table.chains.insert(name.into(), chain);
    }
    table
}

fn sets(config: &Config, table: &mut Table) {
    for family in AddressFamily::BOTH {
        let address = family.data_type();
        for direction in Direction::BOTH {
            for orientation in Orientation::BOTH {
                let spec = SetSpec::plain(&[address]).with_verdicts().with_size(config.room);
                add_set(table, &dispatch_map(direction, family, orientation), spec);
            }
        }
        add_set(table, self_set(family), SetSpec::plain(&[address, address]).with_size(config.room));
        add_set(table, nodes_set(family), SetSpec::plain(&[address]));
    }
    add_set(table, PORTS, SetSpec::plain(&[DataType::IfIndex]).with_size(config.room));
    add_icmpv6_types(table, ND, ND_TYPES);
    add_icmpv6_types(table, MLD, MLD_TYPES);
    add_icmpv6_types(table, ROUTER, ROUTER_TYPES);
    if config.bridge_table {
        add_groups(config, table);
    }
}

fn chains(config: &Config) -> Vec<(String, Chain)> {
    let mut chains = vec![
        (DENY.into(), Chain::regular(deny())),
        ("stray".into(), Chain::regular(stray(config))),
        ("no-pod".into(), Chain::regular(no_pod(config))),
        ("overlay".into(), Chain::regular(overlay())),
        ("new".into(), Chain::regular(new(config))),
        ("noct".into(), Chain::regular(noct(config))),
        ("forward".into(), Chain::base(Hook::Forward, 0, forward(config))),
        ("from-pod".into(), Chain::regular(from_pod(config))),
        ("input".into(), Chain::base(Hook::Input, 0, input(config))),
        ("to-pod".into(), Chain::regular(to_pod(config))),
        ("output".into(), Chain::base(Hook::Output, 0, output(config))),
    ];
    for orientation in Orientation::BOTH {
        let letter = orientation.letter();
        for family in AddressFamily::BOTH {
            chains.push((side_chain(family, orientation), Chain::regular(side(config, family, orientation))));
            chains.push((flow_chain(family, orientation), Chain::regular(flow(config, family, orientation))));
        }
        let split =
            |v4: &str, v6: &str| Chain::regular(vec![Rule::new().ipv4().goto(v4), Rule::new().goto(v6)]);
        let [v4, v6] = AddressFamily::BOTH.map(|family| flow_chain(family, orientation));
        chains.push((format!("flow-{letter}"), split(&v4, &v6)));
        let [v4, v6] = AddressFamily::BOTH.map(|family| side_chain(family, orientation));
        chains.push((format!("egress-{letter}"), split(&v4, &v6)));
    }
    chains
}

/// What no program allows. An error about a tracked flow passes from anyone (routers send them), and a pod never blocks
/// itself: through a Service the forward hook sees its address on both sides.
fn deny() -> Vec<Rule> {
    let related = || Rule::new().ct_state(CtStates::RELATED);
    vec![
        related().is_not(Field::IcmpType, &[ICMP_REDIRECT]).ret(),
        related().is_not(Field::Icmpv6Type, &[ND_REDIRECT]).ret(),
        Rule::new().lookup(&[Field::IpSaddr, Field::IpDaddr], self_set(AddressFamily::V4)).ret(),
        Rule::new().lookup(&[Field::Ip6Saddr, Field::Ip6Daddr], self_set(AddressFamily::V6)).ret(),
        Rule::new()
            .counter(DENIED)
            .then(Statement::Limit { rate: 10, burst: 20 })
            .then(Statement::Log { prefix: LOG_PREFIX.into(), group: LOG_GROUP }),
        Rule::new().drop(),
    ]
}

fn stray(config: &Config) -> Vec<Rule> {
    vec![match config.unknown_pods {
        UnknownPods::Drop => Rule::new().counter(STRAY).drop(),
        UnknownPods::Allow => Rule::new().ret(),
    }]
}

/// The responder's side is on the pod bridge and no known pod's address. A group address stands for every pod on the
/// bridge: the sender's side has been asked by now, and the guard asks the ports one by one. A pod is no DHCP server.
fn no_pod(config: &Config) -> Vec<Rule> {
    let mut rules = Vec::new();
    if config.bridge_table {
        for bridge in &config.bridges {
            let bridged = || Rule::new().interface(Field::IifName, bridge);
            if config.guards.routers {
                let server = bridged().l4proto(UDP).is(Field::ThSport, &DHCP_SERVER.to_be_bytes());
                rules.push(server.goto("stray"));
            }
            rules.push(bridged().lookup(&[Field::IpDaddr], GROUPS4).ret());
            rules.push(bridged().ipv6().then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff]))).ret());
        }
    }
    rules.push(Rule::new().goto("stray"));
    rules
}

fn overlay() -> Vec<Rule> {
    let nodes = |field, family| Rule::new().lookup(&[field], nodes_set(family)).counter(OVERLAY).drop();
    vec![nodes(Field::IpDaddr, AddressFamily::V4), nodes(Field::Ip6Daddr, AddressFamily::V6)]
}

/// The fields of a flow's two ends as this orientation's packets have them: (initiator, responder).
pub(crate) const fn ends(family: AddressFamily, orientation: Orientation) -> (Field, Field) {
    match (family, orientation) {
        (AddressFamily::V4, Orientation::Original) => (Field::IpSaddr, Field::IpDaddr),
        (AddressFamily::V4, Orientation::Reply) => (Field::IpDaddr, Field::IpSaddr),
        (AddressFamily::V6, Orientation::Original) => (Field::Ip6Saddr, Field::Ip6Daddr),
        (AddressFamily::V6, Orientation::Reply) => (Field::Ip6Daddr, Field::Ip6Saddr),
    }
}

/// The interfaces on those two sides.
const fn interfaces(orientation: Orientation) -> (Field, Field) {
    match orientation {
        Orientation::Original => (Field::IifName, Field::OifName),
        Orientation::Reply => (Field::OifName, Field::IifName),
    }
}

fn on_bridges<'a>(config: &'a Config, field: Field, chain: &'a str) -> impl Iterator<Item = Rule> + 'a {
    config.bridges.iter().map(move |bridge| Rule::new().interface(field, bridge).goto(chain))
}

/// The initiator's side. A program is entered by `goto`, so its `return` comes back to the flow chain.
fn side(config: &Config, family: AddressFamily, orientation: Orientation) -> Vec<Rule> {
    let ((initiator, _), (from, _)) = (ends(family, orientation), interfaces(orientation));
    let map = dispatch_map(Direction::Egress, family, orientation);
    let mut rules = vec![Rule::new().vmap(initiator, &map)];
    rules.extend(on_bridges(config, from, "stray"));
    rules
}

/// The initiator's side, then the responder's.
fn flow(config: &Config, family: AddressFamily, orientation: Orientation) -> Vec<Rule> {
    let ((_, responder), (_, to)) = (ends(family, orientation), interfaces(orientation));
    let map = dispatch_map(Direction::Ingress, family, orientation);
    let mut rules =
        vec![Rule::new().jump(&side_chain(family, orientation)), Rule::new().vmap(responder, &map)];
    // Only packets on their way to the bridge can be meant for all of it.
    let miss = match orientation {
        Orientation::Original => "no-pod",
        Orientation::Reply => "stray",
    };
    rules.extend(on_bridges(config, to, miss));
    rules
}

/// A TCP packet that opens no flow the proper way: picked up in mid-stream, it must be allowed whoever had opened it.
fn mid_stream(rule: Rule) -> Rule {
    rule.l4proto(6).then(Statement::Masked(
        Field::TcpFlags,
        Box::new([TCP_OPENING_MASK]),
        CmpOp::Ne,
        Box::new([TCP_SYN]),
    ))
}

fn overlay_guard(config: &Config, from_bridge: bool) -> Vec<Rule> {
    if !config.guards.overlay {
        return Vec::new();
    }
    let ports = config.overlay_ports.iter().map(|port| port.to_be_bytes());
    let to_port = |rule: Rule, port: [u8; 2]| rule.l4proto(UDP).is(Field::ThDport, &port);
    if from_bridge {
        let pairs = ports.flat_map(|port| config.bridges.iter().map(move |bridge| (bridge, port)));
        pairs
            .map(|(bridge, port)| {
                to_port(Rule::new().interface(Field::IifName, bridge), port).jump("overlay")
            })
            .collect()
    } else {
        ports.map(|port| to_port(Rule::new(), port).counter(OVERLAY).drop()).collect()
    }
}

fn new(config: &Config) -> Vec<Rule> {
    let mut rules = overlay_guard(config, true);
    rules.push(mid_stream(Rule::new()).jump("flow-r"));
    rules.push(Rule::new().goto("flow-o"));
    rules
}

/// Neighbour and listener discovery are never tracked. They pass only as they are on a link: hop limit 255 (RFC 4861), or
/// 1 and to a group (RFC 3810). Anything looser would be a routed way out.
fn link_discovery() -> [Rule; 2] {
    let hop_limit = |limit| Rule::new().is(Field::Ip6HopLimit, &[limit]);
    [
        hop_limit(255).lookup(&[Field::Icmpv6Type], ND).ret(),
        hop_limit(1)
            .then(Statement::Prefix(Field::Ip6Daddr, Box::new([0xff])))
            .lookup(&[Field::Icmpv6Type], MLD)
            .ret(),
    ]
}

fn router_messages(rule: Rule) -> Rule {
    rule.lookup(&[Field::Icmpv6Type], ROUTER).counter(STRAY).drop()
}

/// No conntrack entry, so no direction: judged by its header, an invalid packet in both orientations.
fn noct(config: &Config) -> Vec<Rule> {
    let mut rules = Vec::from(link_discovery());
    if config.guards.routers {
        let bridges = config.bridges.iter();
        rules.extend(bridges.map(|b| router_messages(Rule::new().interface(Field::IifName, b))));
    }
    rules.extend(overlay_guard(config, true));
    rules.push(Rule::new().ct_state(CtStates::INVALID).jump("flow-r"));
    rules.push(Rule::new().goto("flow-o"));
    rules
}

fn keep_established(config: &Config) -> Option<Rule> {
    let states = CtStates(CtStates::ESTABLISHED.0 | CtStates::RELATED.0);
    (config.established == Established::Keep).then(|| Rule::new().ct_state(states).ret())
}

fn forward(config: &Config) -> Vec<Rule> {
    let split = [
        Rule::new().ct_direction(true).goto("flow-r"),
        Rule::new().ct_state(CtStates::ESTABLISHED).goto("flow-o"),
        Rule::new().ct_state(CtStates::NEW).goto("new"),
        // What is left with an entry is related.
        Rule::new().ct_direction(false).goto("flow-o"),
        Rule::new().goto("noct"),
    ];
    keep_established(config).into_iter().chain(split).collect()
}

/// A pod to its own node: egress, judged. Answers to what the node asked are not.
fn from_pod(config: &Config) -> Vec<Rule> {
    let mut rules = vec![Rule::new().ct_direction(true).ret()];
    rules.extend(keep_established(config));
    rules.extend(overlay_guard(config, false));
    rules.extend(link_discovery());
    if config.guards.routers {
        rules.push(router_messages(Rule::new()));
    }
    rules.push(Rule::new().goto("egress-o"));
    rules
}

fn input(config: &Config) -> Vec<Rule> {
    let mut rules: Vec<_> = on_bridges(config, Field::IifName, "from-pod").collect();
    // Frames to 01:80:c2:00:00:0X skip the bridge and come up on the port itself.
    if config.guards.ethertypes {
        let not_to_us = Rule::new().is_not(Field::PktType, &[0]);
        rules.push(not_to_us.has(&[Field::Iif], PORTS).counter(STRAY).drop());
    }
    rules
}

/// Whatever the node opens is never judged; its answers to a pod whose egress was revoked are.
fn to_pod(config: &Config) -> Vec<Rule> {
    let mut rules: Vec<_> = keep_established(config).into_iter().collect();
    rules.push(Rule::new().ct_direction(true).goto("egress-r"));
    rules.push(mid_stream(Rule::new().ct_state(CtStates::NEW)).goto("egress-r"));
    rules
}

fn output(config: &Config) -> Vec<Rule> {
    on_bridges(config, Field::OifName, "to-pod").collect()
}

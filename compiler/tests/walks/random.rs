//! Reach against simulator on random programs. Everything happens among few addresses and ports, so that rules meet.

use crate::support::{Node, intervals, peer_and_port, plain, port_range, to};
use compiler::{
    ir::{
        Attributes, CmpOp, DataType, Family, Field, Key, Rule, Set, SetSpec, Statement, Verdict as IrVerdict,
    },
    reach::{Unclear, reach},
    sim::{Flow, Links, Moment, Route, Verdict, evaluate},
    skeleton::{AddressFamily, Orientation},
};
use policy_model::{object::Protocol, policy::Direction};
use proptest::prelude::*;
use std::{collections::BTreeMap, net::IpAddr};

const PROTOCOLS: [u8; 6] = [1, 6, 17, 47, 132, 136];
const PORTS: [u16; 7] = [0, 1, 2, 79, 80, 81, 65535];

fn nth(family: AddressFamily, n: u8) -> IpAddr {
    match family {
        AddressFamily::V4 => IpAddr::from([10, 0, 0, n]),
        AddressFamily::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)]),
    }
}

/// A test of the port behind one of the protocol.
#[derive(Clone, Debug)]
enum PortTest {
    All,
    Is(u16),
    IsNot(u16),
    Range(u16, u16),
    In(Vec<(u16, u16)>),
    NotIn(Vec<(u16, u16)>),
}

/// One step of a program.
#[derive(Clone, Debug)]
enum Step {
    Exact(Vec<(u8, u8, u16)>),
    Ports(u8, PortTest),
    Others,
    Peers {
        peers: Vec<u8>,
        negate: bool,
        ports: Option<(u8, PortTest)>,
    },
    Blocks(Vec<(u8, u8)>),
    Profiles(Vec<(u8, usize)>),
    BlockProfiles(Vec<(u8, u8, usize)>),
    Cells(Vec<(u8, u8, u16, usize)>),
    /// Rules in a chain of their own that comes back, or does not.
    Chain {
        jump: bool,
        inner: Vec<Step>,
    },
}

fn protocol() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![6u8, 17, 132])
}

fn port() -> impl Strategy<Value = u16> {
    prop::sample::select(PORTS.to_vec())
}

/// Disjoint ranges below `limit`.
fn disjoint<T: Copy + Ord>(ends: Vec<T>) -> Vec<(T, T)> {
    let sorted: std::collections::BTreeSet<T> = ends.into_iter().collect();
    sorted.into_iter().collect::<Vec<_>>().chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

fn port_test() -> impl Strategy<Value = PortTest> {
    let many = || prop::collection::vec(1u16..90, 2..7).prop_map(disjoint);
    prop_oneof![
        Just(PortTest::All),
        port().prop_map(PortTest::Is),
        port().prop_map(PortTest::IsNot),
        (port(), port()).prop_map(|(a, b)| PortTest::Range(a.min(b), a.max(b))),
        many().prop_map(PortTest::In),
        many().prop_map(PortTest::NotIn),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0u8..16;
    let some = |strategy| prop::collection::vec(strategy, 0..8);
    let blocks = || prop::collection::vec(peer(), 0..9).prop_map(disjoint);
    let leaf = prop_oneof![
        prop::collection::vec((peer(), protocol(), port()), 0..8).prop_map(Step::Exact),
        (protocol(), port_test()).prop_map(|(protocol, test)| Step::Ports(protocol, test)),
        Just(Step::Others),
        (some(peer()), prop::bool::weighted(0.2), prop::option::of((protocol(), port_test())))
            .prop_map(|(peers, negate, ports)| Step::Peers { peers, negate, ports }),
        blocks().prop_map(Step::Blocks),
        prop::collection::vec((peer(), 0usize..5), 0..8).prop_map(Step::Profiles),
        (blocks(), prop::collection::vec(0usize..5, 5)).prop_map(|(blocks, profiles)| {
            Step::BlockProfiles(blocks.into_iter().zip(profiles).map(|((lo, hi), p)| (lo, hi, p)).collect())
        }),
        prop::collection::vec((peer(), protocol(), port(), 0usize..5), 0..8).prop_map(Step::Cells),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        (any::<bool>(), prop::collection::vec(inner, 0..4))
            .prop_map(|(jump, inner)| Step::Chain { jump, inner })
    })
}

/// Puts a program of such steps into a node, for one direction, family and orientation.
struct Builder<'a> {
    node: &'a mut Node,
    family: AddressFamily,
    peer: Field,
    port: Field,
    suffix: String,
    names: usize,
}

impl Builder<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("t{}-{}", self.names, self.suffix)
    }

    fn key(&self, peer: u8) -> Key {
        Key::address(nth(self.family, peer))
    }

    fn exact(&self, peer: u8, protocol: u8, port: u16) -> Key {
        Key::default().then(self.key(peer).as_bytes()).then(&[protocol]).then(&port.to_be_bytes())
    }

    fn put(&mut self, set: Set) -> String {
        let name = self.name();
        self.node.set(&name, set);
        name
    }

    fn map(&mut self, kinds: &[DataType], elements: impl IntoIterator<Item = (Key, usize)>) -> String {
        let verdicts = self.profiles();
        let elements: BTreeMap<_, _> =
            elements.into_iter().map(|(key, n)| (key, to(verdicts[n].clone()))).collect();
        let set = Set { elements, ..Set::new(SetSpec::plain(kinds).with_verdicts()) };
        self.put(set)
    }

    /// What maps lead to: return, drop, a chain that ends in deny, one that falls off its end, a jump.
    fn profiles(&mut self) -> [IrVerdict; 5] {
        let port = self.port;
        let [strict, loose, asked] = [(); 3].map(|()| self.name());
        let http = || port_range(Rule::new(), 6, port, 80, 81).ret();
        self.node.chain(&strict, vec![http(), Rule::new().goto("deny")]);
        self.node.chain(&loose, vec![port_range(Rule::new(), 17, port, 1, 79).drop()]);
        self.node.chain(&asked, vec![port_range(Rule::new(), 6, port, 0, 79).drop()]);
        [
            IrVerdict::Return,
            IrVerdict::Drop,
            IrVerdict::Goto(strict.into()),
            IrVerdict::Goto(loose.into()),
            IrVerdict::Jump(asked.into()),
        ]
    }

    fn tested(&mut self, rule: Rule, protocol: u8, test: &PortTest) -> Rule {
        let field = self.port;
        let rule = rule.l4proto(protocol);
        match test {
            PortTest::All => rule,
            PortTest::Is(port) => rule.is(field, &port.to_be_bytes()),
            PortTest::IsNot(port) => rule.is_not(field, &port.to_be_bytes()),
            PortTest::Range(lo, hi) => port_range(rule, protocol, field, *lo, *hi),
            PortTest::In(ranges) | PortTest::NotIn(ranges) => {
                let ranges = ranges.iter().map(|&(lo, hi)| (Key::port(lo), Key::port(hi)));
                let set = self.put(intervals(DataType::InetService, ranges));
                if matches!(test, PortTest::In(_)) {
                    rule.lookup(&[field], &set)
                } else {
                    rule.lookup_not(&[field], &set)
                }
            }
        }
    }

    fn rule(&mut self, step: &Step) -> Rule {
        let address = self.family.data_type();
        let exact = [address, DataType::InetProto, DataType::InetService];
        let exact_fields = [self.peer, Field::L4Proto, self.port];
        let peer = self.peer;
        match step {
            Step::Exact(elements) => {
                let keys: Vec<_> =
                    elements.iter().map(|&(peer, protocol, port)| self.exact(peer, protocol, port)).collect();
                let set = self.put(plain(&exact, keys));
                Rule::new().lookup(&exact_fields, &set).ret()
            }
            Step::Ports(protocol, test) => self.tested(Rule::new(), *protocol, test).ret(),
            Step::Others => [6, 17, 132]
                .iter()
                .fold(Rule::new(), |rule, n| {
                    rule.then(Statement::Compare(Field::L4Proto, CmpOp::Ne, Box::new([*n])))
                })
                .ret(),
            Step::Peers { peers, negate, ports } => {
                let keys: Vec<_> = peers.iter().map(|&peer| self.key(peer)).collect();
                let set = self.put(plain(&[address], keys));
                let rule = if *negate {
                    Rule::new().lookup_not(&[peer], &set)
                } else {
                    Rule::new().lookup(&[peer], &set)
                };
                match ports {
                    Some((protocol, test)) => self.tested(rule, *protocol, test).ret(),
                    None => rule.ret(),
                }
            }
            Step::Blocks(blocks) => {
                let ranges: Vec<_> = blocks.iter().map(|&(lo, hi)| (self.key(lo), self.key(hi))).collect();
                let set = self.put(intervals(address, ranges));
                Rule::new().lookup(&[peer], &set).ret()
            }
            Step::Profiles(elements) => {
                let elements: Vec<_> = elements.iter().map(|&(peer, n)| (self.key(peer), n)).collect();
                let map = self.map(&[address], elements);
                Rule::new().vmap(peer, &map)
            }
            Step::BlockProfiles(blocks) => {
                let verdicts = self.profiles();
                let element = |&(lo, hi, n): &(u8, u8, usize)| {
                    let (end, verdict) = (Some(self.key(hi)), Some(verdicts[n].clone()));
                    (self.key(lo), Some(Box::new(Attributes { end, verdict, comment: None })))
                };
                let elements = blocks.iter().map(element).collect();
                let map = self.put(Set { elements, ..Set::new(SetSpec::intervals(address).with_verdicts()) });
                Rule::new().vmap(peer, &map)
            }
            Step::Cells(cells) => {
                let elements: Vec<_> = cells
                    .iter()
                    .map(|&(peer, protocol, port, n)| (self.exact(peer, protocol, port), n))
                    .collect();
                let map = self.map(&exact, elements);
                Rule::new()
                    .lookup(&[peer], "everybody")
                    .then(Statement::VerdictMap(exact_fields.into(), map.into()))
            }
            Step::Chain { jump, inner } => {
                let rules = inner.iter().map(|step| self.rule(step)).collect();
                let chain = self.name();
                self.node.chain(&chain, rules);
                if *jump { Rule::new().jump(&chain) } else { Rule::new().l4proto(6).goto(&chain) }
            }
        }
    }
}

/// The pod is peer number 3, in a node where nobody else is known.
fn node_with(family: AddressFamily, direction: Direction, steps: &[Step]) -> Node {
    let mut node = Node::new();
    let pod = nth(family, 3).to_string();
    match direction {
        Direction::Egress => node.pod(&pod, Some("p"), None),
        Direction::Ingress => node.pod(&pod, None, Some("p")),
    };
    let everybody = (0..16).map(|n| Key::address(nth(family, n)));
    node.set("everybody", plain(&[family.data_type()], everybody));
    for orientation in Orientation::BOTH {
        let (peer, port) = peer_and_port(direction, family, orientation);
        let suffix = format!("{}{}", orientation.letter(), family.digit());
        let mut builder = Builder { node: &mut node, family, peer, port, suffix: suffix.clone(), names: 0 };
        let mut rules: Vec<_> = steps.iter().map(|step| builder.rule(step)).collect();
        rules.push(Rule::new().goto("deny"));
        node.chain(&format!("p-{suffix}"), rules);
    }
    node
}

fn simulated(
    node: &Node,
    direction: Direction,
    orientation: Orientation,
    pod: IpAddr,
    peer: IpAddr,
    protocol: u8,
    port: Option<u16>,
) -> bool {
    let (flow, route) = match direction {
        Direction::Egress => (Flow::new(pod, peer, protocol, port), Route::ToOutside),
        Direction::Ingress => (Flow::new(peer, pod, protocol, port), Route::FromOutside),
    };
    let moment = match orientation {
        Orientation::Original => Moment::Established,
        Orientation::Reply => Moment::Reply,
    };
    let (hook, packet) = flow.packet(route, &Links::default(), moment);
    evaluate(&node.0, Family::Inet, hook, &packet).expect("the kernel would load it").verdict
        == Verdict::Accept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The reach of a random program is what the simulator lets pass, packet by packet.
    #[test]
    fn reach_is_what_the_simulator_says(
        steps in prop::collection::vec(step(), 0..6),
        v6: bool,
        egress: bool,
    ) {
        let family = if v6 { AddressFamily::V6 } else { AddressFamily::V4 };
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let node = node_with(family, direction, &steps);
        let pod = nth(family, 3);
        for orientation in Orientation::BOTH {
            let reach = match reach(&node.0, pod, direction, orientation) {
                Ok(reach) => reach,
                // Random port tests may add up to all ports, which no fragment passes: the simulator must see it too.
                Err(Unclear::Fragments { difference }) => {
                    for protocol in Protocol::ALL {
                        let passes = simulated(&node, direction, orientation, pod, difference.lo, protocol.number(), None);
                        prop_assert_eq!(passes, difference.this.ports(protocol).is_all(), "{}", difference);
                    }
                    continue;
                }
                Err(unclear) => return Err(TestCaseError::fail(unclear.to_string())),
            };
            for peer in (0..17).map(|n| nth(family, n)) {
                for protocol in PROTOCOLS {
                    for port in PORTS.into_iter().map(Some).chain([None]) {
                        prop_assert_eq!(
                            reach.contains(peer, protocol, port),
                            simulated(&node, direction, orientation, pod, peer, protocol, port),
                            "{} protocol {} port {:?} {:?}\n{}", peer, protocol, port, orientation, &reach
                        );
                    }
                }
            }
        }
    }

    /// Both orientations of a program say the same.
    #[test]
    fn replies_are_judged_as_what_they_answer(steps in prop::collection::vec(step(), 0..6)) {
        let node = node_with(AddressFamily::V4, Direction::Egress, &steps);
        let [original, reply] =
            Orientation::BOTH.map(|o| reach(&node.0, nth(AddressFamily::V4, 3), Direction::Egress, o));
        prop_assert_eq!(original, reply);
    }
}

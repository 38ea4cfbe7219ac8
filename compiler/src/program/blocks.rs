//! The step for address ranges: one look-up, whatever the number of blocks.
//!
//! Blocks are cut into disjoint ranges, each with the union of the ports of all blocks around it. Where every range
//! allows everything a set is enough; otherwise a map sends each range to the chain of its ports. That `goto` does not come
//! back, so this step is the last.

use super::{Program, ports, stable_hash};
use crate::{
    ir::{Attributes, Chain, Field, Key, Name, Rule, Set, SetSpec, Verdict},
    skeleton::{AddressFamily, Orientation},
};
use policy_model::{policy::Direction, portset::PortSet};
use std::{collections::BTreeMap, net::IpAddr};

/// Sets and chains that a step needs beside the rules in the program's own chain.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) sets: BTreeMap<Name, Set>,
    pub(crate) chains: BTreeMap<Name, Chain>,
}

pub(super) fn step(
    program: &Program,
    family: AddressFamily,
    orientation: Orientation,
    (peer, port): (Field, Field),
    objects: &mut Objects,
) -> Option<Rule> {
    let of_family = |address: IpAddr| AddressFamily::of(address) == family;
    let ranges: Vec<_> = program.blocks.ranges().filter(|(first, ..)| of_family(*first)).collect();
    if ranges.is_empty() {
        return None;
    }
    if ranges.iter().all(|(_, _, ports)| ports.is_all()) {
        let name = program.object(format_args!("b{}", family.digit()));
        let mut set = Set::new(SetSpec::intervals(family.data_type()));
        set.elements = ranges.iter().map(|&(lo, hi, _)| range(lo, hi, None)).collect();
        objects.sets.insert(name.clone(), set);
        return Some(Rule::new().lookup(&[peer], &name).ret());
    }
    let suffix = format!("{}{}", orientation.letter(), family.digit());
    let mut set = Set::new(SetSpec::intervals(family.data_type()).with_verdicts());
    for (lo, hi, ports) in ranges {
        let verdict = if ports.is_all() {
            Verdict::Return
        } else {
            let chain = program.object(format_args!("g{:08x}-{suffix}", stable_hash(ports) as u32));
            if !objects.chains.contains_key(&chain) {
                let rules = port_chain(program, ports, port, objects);
                objects.chains.insert(chain.clone(), rules);
            }
            Verdict::Goto(chain)
        };
        let (key, attributes) = range(lo, hi, Some(verdict));
        set.elements.insert(key, attributes);
    }
    let name = program.object(format_args!("b{}-{}", family.digit(), orientation.letter()));
    objects.sets.insert(name.clone(), set);
    Some(Rule::new().vmap(peer, &name))
}

fn port_chain(program: &Program, ports: &PortSet, field: Field, objects: &mut Objects) -> Chain {
    let name = |ranges: &_| program.object(format_args!("q{:08x}", stable_hash(ranges) as u32));
    let rules = ports::rules(&Rule::new(), ports, field, name, &mut objects.sets);
    Chain::regular(rules.into_iter().map(Rule::ret).chain([program.denied()]).collect())
}

fn range(first: IpAddr, last: IpAddr, verdict: Option<Verdict>) -> (Key, Option<Box<Attributes>>) {
    let attributes = Attributes { end: Some(Key::address(last)), verdict, comment: None };
    (Key::address(first), Some(Box::new(attributes)))
}

/// The peer's address and the responder's port as packets of this orientation have them.
pub(super) const fn fields(
    direction: Direction,
    family: AddressFamily,
    orientation: Orientation,
) -> (Field, Field) {
    let (initiator, responder) = crate::skeleton::ends(family, orientation);
    let peer = match direction {
        Direction::Ingress => initiator,
        Direction::Egress => responder,
    };
    let port = match orientation {
        Orientation::Original => Field::ThDport,
        Orientation::Reply => Field::ThSport,
    };
    (peer, port)
}

//! Rules that hold for the packets of a port set.

use crate::ir::{Attributes, CmpOp, DataType, Field, Key, Name, Rule, Set, SetSpec, Statement};
use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
};
use std::collections::BTreeMap;

/// One rule for each protocol of the set, behind what `base` already tests, still without a verdict. Several ranges of one
/// protocol are one look-up in a set of ranges, which is put into `sets` under a name that follows from its content.
pub(super) fn rules(
    base: &Rule,
    ports: &PortSet,
    field: Field,
    name: impl Fn(&PortRanges) -> Name,
    sets: &mut BTreeMap<Name, Set>,
) -> Vec<Rule> {
    if ports.is_all() {
        return vec![base.clone()];
    }
    let mut rules = Vec::new();
    for protocol in Protocol::ALL {
        let of_protocol = || base.clone().l4proto(protocol.number());
        let ranges = ports.ports(protocol);
        match ranges.ranges() {
            [] => {}
            _ if ranges.is_all() => rules.push(of_protocol()),
            &[(lo, hi)] if lo == hi => rules.push(of_protocol().is(field, &lo.to_be_bytes())),
            &[(lo, hi)] => rules.push(of_protocol().then(Statement::Range(
                field,
                Box::new(lo.to_be_bytes()),
                Box::new(hi.to_be_bytes()),
            ))),
            many => {
                let name = name(ranges);
                rules.push(of_protocol().lookup(&[field], &name));
                sets.entry(name).or_insert_with(|| range_set(many));
            }
        }
    }
    if ports.other {
        let others = Protocol::ALL.into_iter().fold(base.clone(), |rule, protocol| {
            let number = Box::new([protocol.number()]);
            rule.then(Statement::Compare(Field::L4Proto, CmpOp::Ne, number))
        });
        rules.push(others);
    }
    rules
}

fn range_set(ranges: &[(u16, u16)]) -> Set {
    let mut set = Set::new(SetSpec::intervals(DataType::InetService));
    set.elements = ranges
        .iter()
        .map(|&(lo, hi)| {
            let attributes = Attributes { end: Some(Key::port(hi)), ..Attributes::default() };
            (Key::port(lo), Some(Box::new(attributes)))
        })
        .collect();
    set
}

//! Which addresses a Delta takes from their pods: what conntrack knows of them is not true of the next pod there.

use compiler::{
    delta::{Delta, Op},
    ir::{Comment, Family, Key, SetSpec},
    skeleton::{AddressFamily, Orientation, dispatch_map},
};
use policy_model::policy::Direction;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Addresses whose dispatch element goes, or goes to another pod (the comment names it). A relabelled pod keeps its
/// address: its flows are judged packet by packet, and their entries must stay.
#[must_use]
pub(super) fn departed(delta: &Delta) -> BTreeSet<IpAddr> {
    // Every known local pod is in all dispatch maps; one of each family will do.
    let maps =
        AddressFamily::BOTH.map(|family| dispatch_map(Direction::Egress, family, Orientation::Original));
    let mut gone: BTreeMap<IpAddr, Option<&Comment>> = BTreeMap::new();
    let mut here: BTreeMap<IpAddr, Option<&Comment>> = BTreeMap::new();
    for op in &delta.ops {
        let (addresses, set, spec, elements) = match op {
            Op::DeleteElements { family: Family::Inet, set, spec, elements } => {
                (&mut gone, set, spec, elements)
            }
            Op::AddElements { family: Family::Inet, set, spec, elements } => (&mut here, set, spec, elements),
            _ => continue,
        };
        if maps.iter().any(|map| **map == **set) {
            for (key, attributes) in elements {
                let owner = attributes.as_deref().and_then(|attributes| attributes.comment.as_ref());
                addresses.extend(address(spec, key).map(|address| (address, owner)));
            }
        }
    }
    gone.into_iter()
        .filter(|(address, owner)| here.get(address) != Some(owner))
        .map(|(address, _)| address)
        .collect()
}

fn address(spec: &SetSpec, key: &Key) -> Option<IpAddr> {
    key.first_address(*spec.key.first()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use compiler::ir::{Attributes, DataType, Verdict};

    fn elements(pairs: &[(&str, &str, &str)]) -> Vec<(Key, Option<Box<Attributes>>)> {
        let element = |(address, pod, chain): &(&str, &str, &str)| {
            let verdict = Some(Verdict::Goto((*chain).into()));
            let attributes = Attributes { end: None, verdict, comment: Some((*pod).into()) };
            (Key::address(address.parse().unwrap()), Some(Box::new(attributes)))
        };
        pairs.iter().map(element).collect()
    }

    fn delta(map: &str, gone: &[(&str, &str, &str)], here: &[(&str, &str, &str)]) -> Delta {
        let spec = SetSpec::plain(&[DataType::Ipv4Addr]).with_verdicts();
        let (family, set) = (Family::Inet, map.into());
        let ops = vec![
            Op::DeleteElements { family, set, spec: spec.clone(), elements: elements(gone) },
            Op::AddElements { family, set: map.into(), spec, elements: elements(here) },
        ];
        Delta { ops }
    }

    fn found(delta: &Delta) -> Vec<String> {
        departed(delta).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_departs_with_its_pod() {
        assert_eq!(found(&delta("egress4-o", &[("10.0.0.1", "a/b", "x")], &[])), ["10.0.0.1"]);
    }

    #[test]
    fn an_address_that_another_pod_takes_departs_too() {
        let (old, new) = ([("10.0.0.1", "a/b", "x")], [("10.0.0.1", "a/c", "x")]);
        assert_eq!(found(&delta("egress4-o", &old, &new)), ["10.0.0.1"]);
    }

    #[test]
    fn another_program_for_the_same_pod_is_no_departure() {
        let (old, new) = ([("10.0.0.1", "a/b", "x")], [("10.0.0.1", "a/b", "y")]);
        assert_eq!(found(&delta("egress4-o", &old, &new)), [""; 0]);
    }

    #[test]
    fn other_sets_do_not_count() {
        assert_eq!(found(&delta("sel-1-4", &[("10.0.0.1", "a/b", "x")], &[])), [""; 0]);
    }
}

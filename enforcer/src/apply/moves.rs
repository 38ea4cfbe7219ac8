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

/// What a Delta does to the addresses of local pods.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Nobody's any more.
    pub(super) gone: BTreeSet<IpAddr>,
    /// Another pod's than before.
    pub(super) replaced: BTreeSet<IpAddr>,
    /// A pod's, and nobody's before.
    pub(super) come: BTreeSet<IpAddr>,
}

impl Moves {
    /// By the elements of the dispatch maps, whose comments name the pods. A relabelled pod keeps its address: its flows are
    /// judged packet by packet, and their entries must stay.
    #[must_use]
    pub(super) fn of(delta: &Delta) -> Self {
        // Every known local pod is in all dispatch maps; one of each family will do.
        let maps =
            AddressFamily::BOTH.map(|family| dispatch_map(Direction::Egress, family, Orientation::Original));
        let mut before: BTreeMap<IpAddr, Option<&Comment>> = BTreeMap::new();
        let mut after: BTreeMap<IpAddr, Option<&Comment>> = BTreeMap::new();
        for op in &delta.ops {
            let (addresses, set, spec, elements) = match op {
                Op::DeleteElements { family: Family::Inet, set, spec, elements } => {
                    (&mut before, set, spec, elements)
                }
                Op::AddElements { family: Family::Inet, set, spec, elements } => {
                    (&mut after, set, spec, elements)
                }
                _ => continue,
            };
            if maps.iter().any(|map| **map == **set) {
                for (key, attributes) in elements {
                    let owner = attributes.as_deref().and_then(|attributes| attributes.comment.as_ref());
                    addresses.extend(address(spec, key).map(|address| (address, owner)));
                }
            }
        }
        let mut moves = Self::default();
        for (address, owner) in &before {
            match after.get(address) {
                None => _ = moves.gone.insert(*address),
                Some(other) if other != owner => _ = moves.replaced.insert(*address),
                Some(_) => {}
            }
        }
        moves.come.extend(after.into_keys().filter(|address| !before.contains_key(address)));
        moves
    }
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

    fn found(delta: &Delta) -> [Vec<String>; 3] {
        let Moves { gone, replaced, come } = Moves::of(delta);
        [gone, replaced, come].map(|addresses| addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_address_goes_with_its_pod_and_comes_with_one() {
        let (old, new) = ([("10.0.0.1", "a/b", "x")], [("10.0.0.2", "a/b", "x")]);
        assert_eq!(found(&delta("egress4-o", &old, &[])), [vec!["10.0.0.1"], vec![], vec![]]);
        assert_eq!(found(&delta("egress4-o", &old, &new)), [vec!["10.0.0.1"], vec![], vec!["10.0.0.2"]]);
    }

    #[test]
    fn an_address_that_another_pod_takes_is_replaced() {
        let (old, new) = ([("10.0.0.1", "a/b", "x")], [("10.0.0.1", "a/c", "x")]);
        assert_eq!(found(&delta("egress4-o", &old, &new)), [vec![], vec!["10.0.0.1"], vec![]]);
    }

    #[test]
    fn another_program_for_the_same_pod_is_no_move() {
        let (old, new) = ([("10.0.0.1", "a/b", "x")], [("10.0.0.1", "a/b", "y")]);
        assert_eq!(found(&delta("egress4-o", &old, &new)), [vec![""; 0], vec![], vec![]]);
    }

    #[test]
    fn other_sets_do_not_count() {
        let old = [("10.0.0.1", "a/b", "x")];
        assert_eq!(found(&delta("sel-1-4", &old, &[])), [vec![""; 0], vec![], vec![]]);
    }
}

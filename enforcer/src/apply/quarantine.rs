//! What is left out when the kernel refuses an object: its programs, whose pods are denied until it is taken.

use crate::nft::Object;
use compiler::{
    ir::{Chain, Family, Name, Ruleset, Statement, Table, Verdict},
    skeleton::{AddressFamily, DENY, Orientation, dispatch_map},
};
use policy_model::policy::Direction;
use std::collections::{BTreeMap, BTreeSet};

/// Chains, sets and counters of the policy table that the kernel has refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quarantine {
    objects: BTreeSet<Name>,
}

/// The ruleset without what is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quarantined {
    /// What the kernel is to hold.
    pub(super) ruleset: Ruleset,
    /// Dispatch elements that lead to deny instead, by the comment that names their pod.
    pub(super) pods: BTreeSet<String>,
}

impl Quarantine {
    /// Nothing is in quarantine.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Names of the objects in quarantine.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Name> {
        self.objects.iter()
    }

    /// Lets everything out.
    pub(super) fn clear(&mut self) {
        self.objects.clear();
    }

    /// Takes refused objects in. `false` if there is nothing new to leave out: then leaving out does not help.
    ///
    /// Only programs and their sets can be left out. `fixed` has the chains and sets that every packet passes.
    pub(super) fn add<'a>(&mut self, refused: impl IntoIterator<Item = &'a Object>, fixed: &Ruleset) -> bool {
        let table = fixed.tables.get(&Family::Inet);
        let is_fixed = |name: &Name| {
            table.is_some_and(|t| {
                t.chains.contains_key(name) || t.sets.contains_key(name) || t.counters.contains(name)
            })
        };
        let names = refused.into_iter().filter_map(program_object);
        let before = self.objects.len();
        self.objects.extend(names.filter(|name| !is_fixed(name)).cloned());
        self.objects.len() > before
    }

    /// The ruleset with every chain that is in quarantine, or uses a set or counter that is, left out, and `deny` in its place.
    #[must_use]
    pub(super) fn apply(&self, ruleset: &Ruleset) -> Quarantined {
        let mut out = Quarantined { ruleset: ruleset.clone(), pods: BTreeSet::new() };
        let Some(table) = out.ruleset.tables.get_mut(&Family::Inet) else { return out };
        let is_out = |(name, chain): &(&Name, &Chain)| {
            self.objects.contains(*name) || uses(chain).any(|set| self.objects.contains(set))
        };
        let chains: BTreeSet<Name> =
            table.chains.iter().filter(is_out).map(|(name, _)| name.clone()).collect();

        out.pods = lead_to_deny(table, &chains);
        let left: BTreeMap<Name, Chain> = std::mem::take(&mut table.chains)
            .into_iter()
            .filter(|(name, _)| !chains.contains(name))
            .collect();
        let gone = ruleset.tables.get(&Family::Inet).into_iter().flat_map(|t| &t.chains);
        let orphans: BTreeSet<Name> = gone
            .filter(|(name, _)| chains.contains(*name))
            .flat_map(|(_, chain)| uses(chain).cloned())
            .collect();
        let used: BTreeSet<Name> = left.values().flat_map(|chain| uses(chain).cloned()).collect();
        table.sets.retain(|name, _| {
            !self.objects.contains(name) && (used.contains(name) || !orphans.contains(name))
        });
        table.counters.retain(|name| !self.objects.contains(name));
        table.chains = left;
        out
    }
}

/// The chain, set or counter of the policy table that a refusal is about.
fn program_object(object: &Object) -> Option<&Name> {
    match object {
        Object::Set { family: Family::Inet, name }
        | Object::Element { family: Family::Inet, set: name, .. }
        | Object::Counter { family: Family::Inet, name }
        | Object::Chain { family: Family::Inet, name }
        | Object::Rule { family: Family::Inet, chain: name, .. } => Some(name),
        _ => None,
    }
}

/// Sets, maps and counters that a chain uses.
fn uses(chain: &Chain) -> impl Iterator<Item = &Name> {
    chain.rules.iter().flat_map(|rule| &rule.statements).filter_map(|statement| match statement {
        Statement::Lookup { set, .. } | Statement::VerdictMap(_, set) | Statement::Counter(set) => Some(set),
        _ => None,
    })
}

fn dispatch_maps() -> BTreeSet<String> {
    let mut maps = BTreeSet::new();
    for direction in Direction::BOTH {
        for family in AddressFamily::BOTH {
            maps.extend(Orientation::BOTH.map(|orientation| dispatch_map(direction, family, orientation)));
        }
    }
    maps
}

/// Turns every element that leads to one of `chains`; returns the comments of those in dispatch maps, which name local pods.
fn lead_to_deny(table: &mut Table, chains: &BTreeSet<Name>) -> BTreeSet<String> {
    let mut pods = BTreeSet::new();
    let dispatch = dispatch_maps();
    for (name, set) in table.sets.iter_mut().filter(|(_, set)| set.spec.verdicts) {
        let names_pods = dispatch.contains(&**name);
        for attributes in set.elements.values_mut().filter_map(Option::as_mut) {
            let Some(Verdict::Goto(chain) | Verdict::Jump(chain)) = &attributes.verdict else { continue };
            if chains.contains(chain) {
                pods.extend(attributes.comment.as_ref().filter(|_| names_pods).map(ToString::to_string));
                attributes.verdict = Some(Verdict::Goto(DENY.into()));
            }
        }
    }
    pods
}

#[cfg(test)]
mod tests {
    use super::*;
    use compiler::{
        config::Config,
        ir::{Attributes, DataType, Field, Key, Rule, Set, SetSpec},
        skeleton,
    };

    fn fixed() -> Ruleset {
        skeleton::ruleset(&Config::new("w1", "cni0"))
    }

    /// Pods a and b, each with an egress program; `a` has a set of its own, both share `sel-1-4`.
    fn ruleset() -> Ruleset {
        let mut ruleset = fixed();
        let table = ruleset.tables.get_mut(&Family::Inet).unwrap();
        let lookup = |set: &str| Rule::new().lookup(&[Field::IpDaddr], set).ret();
        for set in ["out-1-p4", "sel-1-4"] {
            table.sets.insert(set.into(), Set::new(SetSpec::plain(&[DataType::Ipv4Addr])));
        }
        let deny = || Rule::new().goto(DENY);
        table
            .chains
            .insert("out-1-o4".into(), Chain::regular(vec![lookup("out-1-p4"), lookup("sel-1-4"), deny()]));
        table.chains.insert("out-2-o4".into(), Chain::regular(vec![lookup("sel-1-4"), deny()]));
        for (pod, last, chain) in [("default/a", 2, "out-1-o4"), ("default/b", 3, "out-2-o4")] {
            let attributes = Attributes {
                verdict: Some(Verdict::Goto(chain.into())),
                comment: Some(pod.into()),
                end: None,
            };
            let map = table.sets.get_mut("egress4-o").unwrap();
            map.elements.insert(Key::from_bytes(&[10, 244, 1, last]), Some(Box::new(attributes)));
        }
        ruleset
    }

    fn set(name: &str) -> Object {
        Object::Set { family: Family::Inet, name: name.into() }
    }

    fn pods(out: &Quarantined) -> Vec<&str> {
        out.pods.iter().map(String::as_str).collect()
    }

    fn table(out: &Quarantined) -> &Table {
        &out.ruleset.tables[&Family::Inet]
    }

    #[test]
    fn a_refused_set_denies_the_pods_that_use_it_and_nobody_else() {
        let mut quarantine = Quarantine::default();
        assert!(quarantine.add(&[set("out-1-p4")], &fixed()));
        let out = quarantine.apply(&ruleset());
        assert_eq!(pods(&out), ["default/a"]);
        let map = &table(&out).sets["egress4-o"];
        let verdict =
            |last| map.elements[&Key::from_bytes(&[10, 244, 1, last])].clone().unwrap().verdict.unwrap();
        assert_eq!(verdict(2), Verdict::Goto(DENY.into()));
        assert_eq!(verdict(3), Verdict::Goto("out-2-o4".into()), "another pod is not touched");
        assert!(!table(&out).chains.contains_key("out-1-o4") && !table(&out).sets.contains_key("out-1-p4"));
        assert!(table(&out).sets.contains_key("sel-1-4"), "somebody else uses it");
        assert!(table(&out).chains.contains_key(DENY), "the skeleton has the chain that is led to");
    }

    #[test]
    fn a_refused_rule_takes_its_program_along_with_sets_of_nobody_else() {
        let mut quarantine = Quarantine::default();
        let rule = Object::Rule { family: Family::Inet, chain: "out-1-o4".into(), index: 0 };
        assert!(quarantine.add(&[rule], &fixed()));
        let out = quarantine.apply(&ruleset());
        assert_eq!(pods(&out), ["default/a"]);
        assert!(!table(&out).sets.contains_key("out-1-p4"));
    }

    #[test]
    fn a_shared_set_denies_all_who_use_it() {
        let mut quarantine = Quarantine::default();
        let element =
            Object::Element { family: Family::Inet, set: "sel-1-4".into(), element: "10.244.1.9".into() };
        assert!(quarantine.add(&[element], &fixed()));
        assert_eq!(pods(&quarantine.apply(&ruleset())), ["default/a", "default/b"]);
    }

    #[test]
    fn the_fixed_part_cannot_be_left_out_and_nothing_twice() {
        let mut quarantine = Quarantine::default();
        for object in
            [set("egress4-o"), Object::Chain { family: Family::Inet, name: "forward".into() }, Object::Batch]
        {
            assert!(!quarantine.add([&object], &fixed()), "{object}");
        }
        assert!(quarantine.add(&[set("out-1-p4")], &fixed()));
        assert!(!quarantine.add(&[set("out-1-p4")], &fixed()), "it is out already, and that did not help");
        let counter = |name: &str| Object::Counter { family: Family::Inet, name: name.into() };
        assert!(!quarantine.add(&[counter("denied")], &fixed()));
        assert!(quarantine.add(&[counter("out-2")], &fixed()));
    }

    #[test]
    fn nothing_in_quarantine_changes_nothing() {
        assert_eq!(Quarantine::default().apply(&ruleset()).ruleset, ruleset());
    }
}

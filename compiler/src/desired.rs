//! The ruleset that the kernel should hold, with a journal of what has been touched since the last commit.
//!
//! A touched object is remembered as it was; a commit compares that with what it has become, so that a change and its
//! undoing cost the kernel nothing.

use crate::{
    delta::{Batch, Delta, Op},
    ir::{Attributes, Chain, Family, Key, Name, Ruleset, Set, SetSpec, Table},
};
use std::collections::{BTreeMap, HashMap, btree_map::Entry};

type ElementValue = Option<Box<Attributes>>;

#[derive(Debug, Default)]
pub(crate) struct Desired {
    ruleset: Ruleset,
    journal: BTreeMap<Family, Journal>,
    /// Of all sets and maps.
    elements: usize,
}

/// What touched objects were at the last commit; `None` = they were not there.
#[derive(Debug, Default)]
struct Journal {
    /// Whether the table was there, if it has been made or removed since. If it was, nothing of it is left: what follows
    /// tells of the table that has taken its place.
    table: Option<bool>,
    counters: HashMap<Name, bool>,
    sets: HashMap<Name, Option<SetSpec>>,
    chains: HashMap<Name, Option<Chain>>,
    /// None of sets that have been made since: all of theirs are new.
    elements: HashMap<Name, BTreeMap<Key, Option<ElementValue>>>,
}

impl Desired {
    pub(crate) fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// How many elements all sets and maps have.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    pub(crate) fn set(&self, family: Family, name: &str) -> Option<&Set> {
        self.ruleset.tables.get(&family)?.sets.get(name)
    }

    fn table(&mut self, family: Family) -> (&mut Table, &mut Journal) {
        let journal = self.journal.entry(family).or_default();
        let table = self.ruleset.tables.entry(family).or_insert_with(|| {
            journal.table.get_or_insert(false);
            Table::default()
        });
        (table, journal)
    }

    fn remove_table(&mut self, family: Family) {
        let Some(table) = self.ruleset.tables.remove(&family) else { return };
        self.elements -= table.sets.values().map(|set| set.elements.len()).sum::<usize>();
        let was_there = self.journal.remove(&family).and_then(|journal| journal.table) != Some(false);
        if was_there {
            self.journal.insert(family, Journal { table: Some(true), ..Journal::default() });
        }
    }

    /// Makes an empty set unless one of that name is there.
    pub(crate) fn add_set(&mut self, family: Family, name: &Name, spec: &SetSpec) {
        let (table, journal) = self.table(family);
        if !table.sets.contains_key(name) {
            journal.sets.entry(name.clone()).or_insert(None);
            table.sets.insert(name.clone(), Set::new(spec.clone()));
        }
    }

    pub(crate) fn remove_set(&mut self, family: Family, name: &Name) {
        let (table, journal) = self.table(family);
        let Some(set) = table.sets.remove(name) else { return };
        let count = set.elements.len();
        if !journal.is_new(name) {
            let elements = journal.elements.entry(name.clone()).or_default();
            for (key, value) in set.elements {
                elements.entry(key).or_insert(Some(value));
            }
        }
        journal.sets.entry(name.clone()).or_insert(Some(set.spec));
        self.elements -= count;
    }

    pub(crate) fn put_element(&mut self, family: Family, set: &Name, key: Key, value: ElementValue) {
        let (table, journal) = self.table(family);
        let Some(elements) = table.sets.get_mut(set).map(|s| &mut s.elements) else { return };
        match elements.entry(key) {
            Entry::Occupied(entry) if *entry.get() == value => {}
            Entry::Occupied(mut entry) => {
                let key = entry.key().clone();
                journal.remember(set, key, Some(entry.insert(value)));
            }
            Entry::Vacant(entry) => {
                if !journal.is_new(set) {
                    journal.remember(set, entry.key().clone(), None);
                }
                entry.insert(value);
                self.elements += 1;
            }
        }
    }

    pub(crate) fn remove_element(&mut self, family: Family, set: &Name, key: &Key) {
        let (table, journal) = self.table(family);
        let Some(elements) = table.sets.get_mut(set).map(|s| &mut s.elements) else { return };
        if let Some((key, before)) = elements.remove_entry(key) {
            journal.remember(set, key, Some(before));
            self.elements -= 1;
        }
    }

    /// Makes the set hold exactly these elements.
    pub(crate) fn replace_elements(
        &mut self,
        family: Family,
        set: &Name,
        elements: BTreeMap<Key, ElementValue>,
    ) {
        let gone: Vec<Key> = self
            .set(family, set)
            .map(|s| s.elements.keys().filter(|k| !elements.contains_key(*k)).cloned().collect())
            .unwrap_or_default();
        for key in gone {
            self.remove_element(family, set, &key);
        }
        for (key, value) in elements {
            self.put_element(family, set, key, value);
        }
    }

    pub(crate) fn put_chain(&mut self, family: Family, name: &Name, chain: Chain) {
        let (table, journal) = self.table(family);
        if table.chains.get(name) != Some(&chain) {
            let before = table.chains.insert(name.clone(), chain);
            journal.chains.entry(name.clone()).or_insert(before);
        }
    }

    pub(crate) fn remove_chain(&mut self, family: Family, name: &Name) {
        let (table, journal) = self.table(family);
        if let Some(before) = table.chains.remove(name) {
            journal.chains.entry(name.clone()).or_insert(Some(before));
        }
    }

    /// Makes a counter unless one of that name is there.
    pub(crate) fn add_counter(&mut self, family: Family, name: &Name) {
        let (table, journal) = self.table(family);
        if table.counters.insert(name.clone()) {
            journal.counters.entry(name.clone()).or_insert(false);
        }
    }

    pub(crate) fn remove_counter(&mut self, family: Family, name: &Name) {
        let (table, journal) = self.table(family);
        if table.counters.remove(name) {
            journal.counters.entry(name.clone()).or_insert(true);
        }
    }

    /// Replaces one fixed part of the ruleset by another. Sets that the fixed part leaves empty are filled by others and
    /// keep their elements.
    pub(crate) fn replace_fixed(&mut self, old: &Ruleset, new: &Ruleset) {
        let none = Table::default();
        for family in Family::BOTH {
            if !new.tables.contains_key(&family) {
                self.remove_table(family);
                continue;
            }
            let [old, new] = [old, new].map(|ruleset| ruleset.tables.get(&family).unwrap_or(&none));
            for name in old.chains.keys().filter(|name| !new.chains.contains_key(*name)) {
                self.remove_chain(family, name);
            }
            for name in old.sets.keys().filter(|name| !new.sets.contains_key(*name)) {
                self.remove_set(family, name);
            }
            for name in old.counters.difference(&new.counters) {
                self.remove_counter(family, name);
            }
            for name in &new.counters {
                self.add_counter(family, name);
            }
            for (name, set) in &new.sets {
                self.add_set(family, name, &set.spec);
                if !set.elements.is_empty() {
                    self.replace_elements(family, name, set.elements.clone());
                }
            }
            for (name, chain) in &new.chains {
                self.put_chain(family, name, chain.clone());
            }
        }
    }

    /// Gives all sets that have a size another one. The tables are made anew, since the kernel cannot change a set.
    pub(crate) fn resize(&mut self, size: u32) {
        for (&family, table) in &mut self.ruleset.tables {
            for set in table.sets.values_mut() {
                set.spec.size = set.spec.size.map(|_| size);
            }
            let before = self.journal.remove(&family).and_then(|journal| journal.table);
            let journal = Journal {
                table: Some(before.unwrap_or(true)),
                counters: table.counters.iter().map(|name| (name.clone(), false)).collect(),
                sets: table.sets.keys().map(|name| (name.clone(), None)).collect(),
                chains: table.chains.keys().map(|name| (name.clone(), None)).collect(),
                elements: HashMap::new(),
            };
            self.journal.insert(family, journal);
        }
    }

    /// What leads from the last call's ruleset to this one's.
    pub(crate) fn take_delta(&mut self) -> Delta {
        let mut batch = Batch::default();
        for (family, journal) in std::mem::take(&mut self.journal) {
            if journal.table == Some(true) {
                batch.push(Op::DeleteTable { family });
            }
            let Some(table) = self.ruleset.tables.get(&family) else { continue };
            if journal.table.is_some() {
                batch.push(Op::AddTable { family });
            }
            journal.into_ops(family, table, &mut batch);
        }
        batch.into_delta()
    }
}

impl Journal {
    /// Whether a set has been made since the last commit.
    fn is_new(&self, set: &Name) -> bool {
        matches!(self.sets.get(set), Some(None))
    }

    /// What an element was before it was touched.
    fn remember(&mut self, set: &Name, key: Key, before: Option<ElementValue>) {
        if self.is_new(set) {
            return;
        }
        match self.elements.get_mut(set) {
            Some(elements) => {
                elements.entry(key).or_insert(before);
            }
            None => {
                self.elements.insert(set.clone(), [(key, before)].into());
            }
        }
    }

    fn into_ops(mut self, family: Family, table: &Table, batch: &mut Batch) {
        for (name, was_there) in self.counters {
            match (was_there, table.counters.contains(&name)) {
                (false, true) => batch.push(Op::AddCounter { family, name }),
                (true, false) => batch.push(Op::DeleteCounter { family, name }),
                _ => {}
            }
        }
        for (name, before) in self.sets {
            match (before, table.sets.get(&name)) {
                (None, Some(set)) => {
                    let spec = set.spec.clone();
                    batch.push(Op::AddSet { family, name: name.clone(), spec: spec.clone() });
                    let elements: Vec<_> = set.elements.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                    if !elements.is_empty() {
                        batch.push(Op::AddElements { family, set: name, spec, elements });
                    }
                }
                (Some(spec), None) => {
                    let elements = self.elements.remove(&name).unwrap_or_default();
                    // Verdicts that lead to chains go first, or the chains could not be removed.
                    let elements: Vec<_> = elements.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
                    if spec.verdicts && !elements.is_empty() {
                        batch.push(Op::DeleteElements { family, set: name.clone(), spec, elements });
                    }
                    batch.push(Op::DeleteSet { family, name });
                }
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        for (name, elements) in self.elements {
            let Some(set) = table.sets.get(&name) else { continue };
            let (mut gone, mut new) = (Vec::new(), Vec::new());
            for (key, before) in elements {
                let now = set.elements.get(&key);
                if before.as_ref() == now {
                    continue;
                }
                if let Some(value) = before {
                    gone.push((key.clone(), value));
                }
                if let Some(value) = now {
                    new.push((key, value.clone()));
                }
            }
            let spec = &set.spec;
            if !gone.is_empty() {
                let (set, spec) = (name.clone(), spec.clone());
                batch.push(Op::DeleteElements { family, set, spec, elements: gone });
            }
            if !new.is_empty() {
                batch.push(Op::AddElements { family, set: name, spec: spec.clone(), elements: new });
            }
        }
        for (name, before) in self.chains {
            match (before, table.chains.get(&name)) {
                (None, Some(chain)) => {
                    batch.push(Op::AddChain { family, name: name.clone(), base: chain.base });
                    if !chain.rules.is_empty() {
                        batch.push(Op::SetRules { family, chain: name, rules: chain.rules.clone() });
                    }
                }
                (Some(before), None) => {
                    if !before.rules.is_empty() {
                        batch.push(Op::SetRules { family, chain: name.clone(), rules: Vec::new() });
                    }
                    batch.push(Op::DeleteChain { family, name });
                }
                (Some(before), Some(chain)) if before.rules != chain.rules => {
                    batch.push(Op::SetRules { family, chain: name, rules: chain.rules.clone() });
                }
                _ => {}
            }
        }
    }
}

//! What changes in the kernel objects from one revision to the next, in an order that the kernel takes in one batch.

use crate::ir::{Attributes, Base, Chain, Family, Key, Name, Rule, Ruleset, Set, SetSpec, Table};

/// One change of one object. Objects are named by table family and name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields say what the variant needs: a table's family, a name, what it becomes"
)]
pub enum Op {
    /// Makes a table that does not exist.
    AddTable { family: Family },
    /// Removes a table with all that is in it.
    DeleteTable { family: Family },
    /// Makes a named counter.
    AddCounter { family: Family, name: Name },
    /// Removes a counter that no rule uses.
    DeleteCounter { family: Family, name: Name },
    /// Makes an empty set or map.
    AddSet { family: Family, name: Name, spec: SetSpec },
    /// Removes a set that no rule uses, with its elements.
    DeleteSet { family: Family, name: Name },
    /// Makes an empty chain.
    AddChain { family: Family, name: Name, base: Option<Base> },
    /// Removes a chain that nothing leads to.
    DeleteChain { family: Family, name: Name },
    /// Replaces all rules of a chain.
    SetRules { family: Family, chain: Name, rules: Vec<Rule> },
    /// Adds elements that are not there.
    AddElements { family: Family, set: Name, spec: SetSpec, elements: Vec<(Key, Option<Box<Attributes>>)> },
    /// Removes elements that are there. Their attributes are given since a range needs its end, a map its verdict.
    DeleteElements { family: Family, set: Name, spec: SetSpec, elements: Vec<(Key, Option<Box<Attributes>>)> },
}

/// The operations that lead from one ruleset to another, in order, to be sent as one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// In the order in which the kernel must see them.
    pub ops: Vec<Op>,
}

impl Delta {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// The changes of one batch by kind, so that they can be put in the only order the kernel accepts: what is referred to is
/// made before what refers to it, and removed after.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    tables_gone: Vec<Op>,
    tables: Vec<Op>,
    counters: Vec<Op>,
    sets: Vec<Op>,
    chains: Vec<Op>,
    elements_gone: Vec<Op>,
    rules: Vec<Op>,
    elements: Vec<Op>,
    chains_gone: Vec<Op>,
    sets_gone: Vec<Op>,
    counters_gone: Vec<Op>,
}

impl Batch {
    pub(crate) fn push(&mut self, op: Op) {
        match &op {
            Op::DeleteTable { .. } => self.tables_gone.push(op),
            Op::AddTable { .. } => self.tables.push(op),
            Op::AddCounter { .. } => self.counters.push(op),
            Op::AddSet { .. } => self.sets.push(op),
            Op::AddChain { .. } => self.chains.push(op),
            Op::DeleteElements { .. } => self.elements_gone.push(op),
            Op::SetRules { .. } => self.rules.push(op),
            Op::AddElements { .. } => self.elements.push(op),
            Op::DeleteChain { .. } => self.chains_gone.push(op),
            Op::DeleteSet { .. } => self.sets_gone.push(op),
            Op::DeleteCounter { .. } => self.counters_gone.push(op),
        }
    }

    pub(crate) fn into_delta(self) -> Delta {
        let ops = [
            self.tables_gone,
            self.tables,
            self.counters,
            // Empty chains need no set, while nft 1.0.6 sends the elements of an interval map along with the map.
            self.chains,
            self.sets,
            self.elements_gone,
            self.rules,
            self.elements,
            self.chains_gone,
            self.sets_gone,
            self.counters_gone,
        ];
        Delta { ops: ops.into_iter().flatten().collect() }
    }
}

/// What makes `to` of `from`: for a restart (`from` is what the kernel holds), for repair, and for a first load.
///
/// Where a set's spec or a chain's hook is another, the whole table is made anew within the transaction.
#[must_use]
pub fn diff(from: &Ruleset, to: &Ruleset) -> Delta {
    let mut batch = Batch::default();
    for family in Family::BOTH {
        match (from.tables.get(&family), to.tables.get(&family)) {
            (None, None) => {}
            (Some(_), None) => batch.push(Op::DeleteTable { family }),
            (None, Some(table)) => {
                batch.push(Op::AddTable { family });
                diff_table(family, &Table::default(), table, &mut batch);
            }
            // An object in the way cannot be changed in place: the table is replaced, in the same transaction.
            (Some(old), Some(new)) if must_replace(old, new) => {
                batch.push(Op::DeleteTable { family });
                batch.push(Op::AddTable { family });
                diff_table(family, &Table::default(), new, &mut batch);
            }
            (Some(old), Some(new)) => diff_table(family, old, new, &mut batch),
        }
    }
    batch.into_delta()
}

fn must_replace(old: &Table, new: &Table) -> bool {
    let set = |(name, set): (&Name, &Set)| old.sets.get(name).is_some_and(|s| s.spec != set.spec);
    let chain = |(name, chain): (&Name, &Chain)| old.chains.get(name).is_some_and(|c| c.base != chain.base);
    new.sets.iter().any(set) || new.chains.iter().any(chain)
}

fn diff_table(family: Family, old: &Table, new: &Table, batch: &mut Batch) {
    for name in new.counters.difference(&old.counters) {
        batch.push(Op::AddCounter { family, name: name.clone() });
    }
    for name in old.counters.difference(&new.counters) {
        batch.push(Op::DeleteCounter { family, name: name.clone() });
    }
    for (name, set) in &new.sets {
        let before = old.sets.get(name);
        if before.is_none() {
            batch.push(Op::AddSet { family, name: name.clone(), spec: set.spec.clone() });
        }
        diff_elements(family, name, before, set, batch);
    }
    for (name, set) in old.sets.iter().filter(|(name, _)| !new.sets.contains_key(*name)) {
        // Verdicts that lead to chains go first, or the chains could not be removed.
        if set.spec.verdicts {
            diff_elements(family, name, Some(set), &Set::new(set.spec.clone()), batch);
        }
        batch.push(Op::DeleteSet { family, name: name.clone() });
    }
    for (name, chain) in &new.chains {
        let before = old.chains.get(name);
        if before.is_none() {
            batch.push(Op::AddChain { family, name: name.clone(), base: chain.base });
        }
        if before.map_or(!chain.rules.is_empty(), |b| b.rules != chain.rules) {
            batch.push(Op::SetRules { family, chain: name.clone(), rules: chain.rules.clone() });
        }
    }
    for (name, chain) in old.chains.iter().filter(|(name, _)| !new.chains.contains_key(*name)) {
        if !chain.rules.is_empty() {
            batch.push(Op::SetRules { family, chain: name.clone(), rules: Vec::new() });
        }
        batch.push(Op::DeleteChain { family, name: name.clone() });
    }
}

/// Elements whose attributes differ are removed and added.
fn diff_elements(family: Family, name: &Name, old: Option<&Set>, new: &Set, batch: &mut Batch) {
    let missing = |from: &Set, key: &Key, attributes: &Option<Box<Attributes>>| {
        from.elements.get(key).is_none_or(|a| a != attributes)
    };
    let pick = |of: &Set, unless: Option<&Set>| -> Vec<_> {
        of.elements
            .iter()
            .filter(|(k, a)| unless.is_none_or(|u| missing(u, k, a)))
            .map(|(k, a)| (k.clone(), a.clone()))
            .collect()
    };
    let (set, spec) = (name.clone(), new.spec.clone());
    if let Some(old) = old {
        let elements = pick(old, Some(new));
        if !elements.is_empty() {
            batch.push(Op::DeleteElements { family, set: set.clone(), spec: spec.clone(), elements });
        }
    }
    let elements = pick(new, old);
    if !elements.is_empty() {
        batch.push(Op::AddElements { family, set, spec, elements });
    }
}

//! The tables of the [`Fake`](super::Fake), and what the kernel's rules about them are.

use super::{
    super::{
        element::show_key,
        error::{Object, Refusal},
        keytype::key_len,
    },
    refusal,
};
use compiler::{
    delta::{Delta, Op},
    ir::{Attributes, Chain, Family, Field, Key, Name, Ruleset, Set, SetSpec, Statement, Table, Verdict},
};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};

/// How deep chains may call each other (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Tables(Ruleset);

type Elements = [(Key, Option<Box<Attributes>>)];
type Refused = (Object, Errno);

impl Tables {
    pub(super) fn ruleset(&self) -> Ruleset {
        self.0.clone()
    }

    pub(super) fn counters(&self) -> impl Iterator<Item = (Family, Name)> {
        self.0
            .tables
            .iter()
            .flat_map(|(&family, table)| table.counters.iter().map(move |c| (family, c.clone())))
    }

    /// Whether the Delta has deleted the table.
    pub(super) fn replaced(&self, delta: &Delta, family: Family) -> bool {
        delta.ops.contains(&Op::DeleteTable { family })
    }

    /// The tables after all operations, or every refusal: like the kernel, it goes on after the first.
    pub(super) fn changed(
        &self,
        delta: &Delta,
        refuse: Option<(usize, Errno)>,
    ) -> Result<Self, Vec<Refusal>> {
        let mut next = self.clone();
        let mut refusals = Vec::new();
        for (index, op) in delta.ops.iter().enumerate() {
            let injected = refuse.filter(|&(at, _)| at == index).map(|(_, errno)| errno);
            let result = match injected {
                Some(errno) => Err((object_of(op), errno)),
                None => next.apply(op),
            };
            if let Err((object, errno)) = result {
                refusals.push(refusal(index, object, errno));
            }
        }
        if refusals.is_empty() && !next.is_shallow() {
            let last = delta.ops.len().saturating_sub(1);
            refusals.push(refusal(last, Object::Batch, Errno::EMLINK));
        }
        if refusals.is_empty() { Ok(next) } else { Err(refusals) }
    }

    fn apply(&mut self, op: &Op) -> Result<(), Refused> {
        let tables = &mut self.0.tables;
        let refused = |errno| (object_of(op), errno);
        match op {
            Op::SetRules { family, chain, rules } => {
                let table = get(tables, *family).map_err(refused)?;
                if !table.chains.contains_key(chain) {
                    return Err((Object::Chain { family: *family, name: chain.clone() }, Errno::ENOENT));
                }
                for (index, rule) in rules.iter().enumerate() {
                    let object = || Object::Rule { family: *family, chain: chain.clone(), index };
                    for statement in &rule.statements {
                        check_statement(*family, table, statement).map_err(|errno| (object(), errno))?;
                    }
                }
                let chain = table.chains.get_mut(chain).ok_or_else(|| refused(Errno::ENOENT))?;
                chain.rules.clone_from(rules);
                Ok(())
            }
            Op::AddElements { family, set, spec, elements } => {
                let table = get(tables, *family).map_err(refused)?;
                add_elements(table, (*family, set), spec, elements)
            }
            Op::DeleteElements { family, set, elements, .. } => {
                let set = get(tables, *family).ok().and_then(|table| table.sets.get_mut(set));
                let set = set.ok_or_else(|| refused(Errno::ENOENT))?;
                delete_elements(set, elements).map_err(|key| element_refused(op, &key, Errno::ENOENT))
            }
            _ => add_or_delete(tables, op).map_err(refused),
        }
    }

    /// What the kernel finds once chains lead anywhere: circles, and more calls than its stack has room for.
    fn is_shallow(&self) -> bool {
        self.0.tables.values().all(|table| {
            let bases = table.chains.iter().filter(|(_, chain)| chain.base.is_some());
            bases.map(|(name, _)| name).all(|name| is_shallow(table, name, 0))
        })
    }
}

fn get(tables: &mut BTreeMap<Family, Table>, family: Family) -> Result<&mut Table, Errno> {
    tables.get_mut(&family).ok_or(Errno::ENOENT)
}

/// Whole objects.
fn add_or_delete(tables: &mut BTreeMap<Family, Table>, op: &Op) -> Result<(), Errno> {
    let added = |new: bool| new.then_some(()).ok_or(Errno::EEXIST);
    let deleted = |was: bool| was.then_some(()).ok_or(Errno::ENOENT);
    match op {
        Op::AddTable { family } if tables.contains_key(family) => Err(Errno::EEXIST),
        Op::AddTable { family } => added(tables.insert(*family, Table::default()).is_none()),
        Op::DeleteTable { family } => deleted(tables.remove(family).is_some()),
        Op::AddCounter { family, name } => added(get(tables, *family)?.counters.insert(name.clone())),
        Op::DeleteCounter { family, name } => {
            let table = get(tables, *family)?;
            idle(!table_uses(table, |s| matches!(s, Statement::Counter(c) if c == name)))?;
            deleted(table.counters.remove(name))
        }
        Op::AddSet { family, name, spec } => {
            let sets = &mut get(tables, *family)?.sets;
            added(!sets.contains_key(name))?;
            sets.insert(name.clone(), Set::new(spec.clone()));
            Ok(())
        }
        Op::DeleteSet { family, name } => {
            let table = get(tables, *family)?;
            idle(!table_uses(table, |s| set_of(s) == Some(name)))?;
            deleted(table.sets.remove(name).is_some())
        }
        Op::AddChain { family, name, base } => {
            let chains = &mut get(tables, *family)?.chains;
            added(!chains.contains_key(name))?;
            chains.insert(name.clone(), Chain { base: *base, rules: Vec::new() });
            Ok(())
        }
        Op::DeleteChain { family, name } => {
            let table = get(tables, *family)?;
            idle(!targets(table).any(|target| target == name))?;
            deleted(table.chains.remove(name).is_some())
        }
        Op::SetRules { .. } | Op::AddElements { .. } | Op::DeleteElements { .. } => Ok(()),
    }
}

fn idle(idle: bool) -> Result<(), Errno> {
    idle.then_some(()).ok_or(Errno::EBUSY)
}

fn object_of(op: &Op) -> Object {
    super::super::refusal::refused_object(op, None, &[], None)
}

fn table_uses(table: &Table, uses: impl Fn(&Statement) -> bool) -> bool {
    table.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.statements).any(uses)
}

fn set_of(statement: &Statement) -> Option<&Name> {
    match statement {
        Statement::Lookup { set, .. } | Statement::VerdictMap(_, set) => Some(set),
        _ => None,
    }
}

fn target(verdict: &Verdict) -> Option<&Name> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
        Verdict::Drop | Verdict::Return => None,
    }
}

fn map_targets(set: &Set) -> impl Iterator<Item = &Name> {
    set.elements.values().flatten().filter_map(|a| target(a.verdict.as_ref()?))
}

/// Every chain that a rule or an element leads to.
fn targets(table: &Table) -> impl Iterator<Item = &Name> {
    let rules = table.chains.values().flat_map(rule_targets);
    rules.chain(table.sets.values().flat_map(map_targets))
}

fn rule_targets(chain: &Chain) -> impl Iterator<Item = &Name> {
    let statements = chain.rules.iter().flat_map(|rule| &rule.statements);
    statements.filter_map(|statement| match statement {
        Statement::Verdict(verdict) => target(verdict),
        _ => None,
    })
}

fn is_shallow(table: &Table, chain: &Name, depth: usize) -> bool {
    let Some(chain) = table.chains.get(chain) else { return true };
    let maps: BTreeSet<&Name> =
        chain.rules.iter().flat_map(|rule| &rule.statements).filter_map(set_of).collect();
    let by_map = maps.into_iter().filter_map(|name| table.sets.get(name)).flat_map(map_targets);
    let next: BTreeSet<&Name> = rule_targets(chain).chain(by_map).collect();
    depth < DEPTH && next.into_iter().all(|name| is_shallow(table, name, depth + 1))
}

fn check_statement(family: Family, table: &Table, statement: &Statement) -> Result<(), Errno> {
    let set = |name: &Name, verdicts: bool, len: usize| {
        let set = table.sets.get(name).ok_or(Errno::ENOENT)?;
        // A map can be asked like a set, but not the other way round.
        let fits = (set.spec.verdicts || !verdicts) && key_len(&set.spec.key) <= len.next_multiple_of(4);
        fits.then_some(()).ok_or(Errno::EINVAL)
    };
    let len = |key: &[Field]| key.iter().map(|f| f.len().next_multiple_of(4)).sum();
    match statement {
        Statement::Lookup { key, set: name, .. } => set(name, false, len(key)),
        Statement::VerdictMap(key, name) => set(name, true, len(key)),
        // Without `CONFIG_NF_CONNTRACK_BRIDGE`, which many kernels lack.
        Statement::CtState(_) | Statement::Compare(Field::CtDirection, ..) if family == Family::Bridge => {
            Err(Errno::EPROTO)
        }
        Statement::Counter(name) => table.counters.contains(name).then_some(()).ok_or(Errno::ENOENT),
        Statement::Verdict(verdict) => check_verdict(table, verdict),
        _ => Ok(()),
    }
}

fn check_verdict(table: &Table, verdict: &Verdict) -> Result<(), Errno> {
    let Some(chain) = target(verdict) else { return Ok(()) };
    let chain = table.chains.get(chain).ok_or(Errno::ENOENT)?;
    chain.base.is_none().then_some(()).ok_or(Errno::EOPNOTSUPP)
}

fn add_elements(
    table: &mut Table,
    (family, name): (Family, &Name),
    spec: &SetSpec,
    elements: &Elements,
) -> Result<(), Refused> {
    let refused = |key: &Key, errno| {
        let element = show_key(spec, key.as_bytes());
        (Object::Element { family, set: name.clone(), element }, errno)
    };
    let Some(set) = table.sets.get(name) else {
        return Err((Object::Set { family, name: name.clone() }, Errno::ENOENT));
    };
    let mut set = set.clone();
    for (key, attributes) in elements {
        if set.spec != *spec {
            return Err(refused(key, Errno::EINVAL));
        }
        if let Some(verdict) = attributes.as_ref().and_then(|a| a.verdict.as_ref()) {
            check_verdict(table, verdict).map_err(|errno| refused(key, errno))?;
        }
        if overlaps(&set, key, attributes.as_deref()) {
            return Err(refused(key, Errno::EEXIST));
        }
        if set.spec.size.is_some_and(|size| set.elements.len() >= size as usize) {
            return Err(refused(key, Errno::ENFILE));
        }
        set.elements.insert(key.clone(), attributes.clone());
    }
    table.sets.insert(name.clone(), set);
    Ok(())
}

fn overlaps(set: &Set, key: &Key, attributes: Option<&Attributes>) -> bool {
    let begins_within = |end: &Key| set.elements.range(key.clone()..=end.clone()).next().is_some();
    set.find(key).is_some() || attributes.and_then(|a| a.end.as_ref()).is_some_and(begins_within)
}

/// The key that is not there, if there is one.
fn delete_elements(set: &mut Set, elements: &Elements) -> Result<(), Key> {
    for (key, attributes) in elements {
        let end = |a: &Option<Box<Attributes>>| a.as_ref().and_then(|a| a.end.clone());
        if set.elements.get(key).is_none_or(|there| end(there) != end(attributes)) {
            return Err(key.clone());
        }
        set.elements.remove(key);
    }
    Ok(())
}

fn element_refused(op: &Op, key: &Key, errno: Errno) -> Refused {
    match op {
        Op::DeleteElements { family, set, spec, .. } => {
            let element = show_key(spec, key.as_bytes());
            (Object::Element { family: *family, set: set.clone(), element }, errno)
        }
        _ => (object_of(op), errno),
    }
}

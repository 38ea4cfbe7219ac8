//! The walk itself.

use super::{At, Hit, Miss, Outcome, Packet, Rate, Refused, Step, Verdict};
use crate::ir::{self, Chain, CmpOp, Family, Field, Hook, Key, Name, Set, Statement, Table};

/// The kernel's bound on nested chains (`NFT_JUMP_STACK_SIZE`), in which `goto` counts as `jump` does.
const MAX_DEPTH: usize = 16;

pub(super) struct Walk<'a, 'p> {
    pub(super) table: &'a Table,
    pub(super) family: Family,
    pub(super) packet: &'p Packet,
    pub(super) rate: Rate,
    pub(super) outcome: Outcome<'a>,
}

/// A place in a chain.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a Name,
    chain: &'a Chain,
    next: usize,
    /// Chains on the way from the base chain, itself not counted.
    depth: usize,
}

/// How a rule ended.
enum End<'a> {
    Failed(Miss<'a>),
    Passed(Option<&'a ir::Verdict>),
}

impl<'a> Walk<'a, '_> {
    /// All base chains of the hook in the order of their priority.
    pub(super) fn through(mut self, hook: Hook) -> Result<Outcome<'a>, Refused> {
        let mut bases: Vec<_> = self
            .table
            .chains
            .iter()
            .filter_map(|(name, chain)| {
                chain.base.filter(|b| b.hook == hook).map(|b| (b.priority, name, chain))
            })
            .collect();
        bases.sort_by_key(|(priority, name, _)| (*priority, *name));
        for (_, name, chain) in bases {
            if self.base_chain(Place { name, chain, next: 0, depth: 0 })? == Verdict::Drop {
                self.outcome.verdict = Verdict::Drop;
                break;
            }
        }
        Ok(self.outcome)
    }

    fn base_chain(&mut self, mut at: Place<'a>) -> Result<Verdict, Refused> {
        let mut callers: Vec<Place<'a>> = Vec::new();
        loop {
            match self.rest_of_chain(&mut at)? {
                Some(ir::Verdict::Drop) => return Ok(Verdict::Drop),
                Some(ir::Verdict::Jump(chain)) => {
                    let target = self.enter(&at, chain)?;
                    callers.push(at);
                    at = target;
                }
                Some(ir::Verdict::Goto(chain)) => at = self.enter(&at, chain)?,
                Some(ir::Verdict::Return) | None => match callers.pop() {
                    Some(caller) => at = caller,
                    // The policy of every base chain is accept.
                    None => return Ok(Verdict::Accept),
                },
            }
        }
    }

    fn enter(&self, from: &Place<'a>, to: &'a Name) -> Result<Place<'a>, Refused> {
        let (name, chain) = self
            .table
            .chains
            .get_key_value(to)
            .ok_or_else(|| Refused::NoChain { from: from.name.clone(), chain: to.clone() })?;
        if chain.base.is_some() {
            return Err(Refused::IntoBase { from: from.name.clone(), chain: to.clone() });
        }
        let depth = from.depth + 1;
        if depth == MAX_DEPTH {
            return Err(Refused::TooDeep { chain: to.clone() });
        }
        Ok(Place { name, chain, next: 0, depth })
    }

    /// Rule by rule up to the first verdict; `None` at the end of the chain.
    fn rest_of_chain(&mut self, at: &mut Place<'a>) -> Result<Option<&'a ir::Verdict>, Refused> {
        while let Some(rule) = at.chain.rules.get(at.next) {
            let index = at.next;
            at.next += 1;
            let mut hits = Vec::new();
            let end = self.rule(at.name, index, &rule.statements, &mut hits)?;
            let (verdict, miss) = match end {
                End::Passed(verdict) => (verdict, None),
                End::Failed(miss) => (None, Some(miss)),
            };
            let at_rule = At::Rule { index, rule, hits, miss, verdict };
            self.outcome.trace.push(Step { family: self.family, chain: at.name, at: at_rule });
            if verdict.is_some() {
                return Ok(verdict);
            }
        }
        self.outcome.trace.push(Step { family: self.family, chain: at.name, at: At::End });
        Ok(None)
    }

    fn rule(
        &mut self,
        chain: &Name,
        rule: usize,
        statements: &'a [Statement],
        hits: &mut Vec<Hit<'a>>,
    ) -> Result<End<'a>, Refused> {
        for statement in statements {
            let miss = match statement {
                Statement::Compare(field, op, value) => {
                    self.test(*field, |found| (found == &**value) == (*op == CmpOp::Eq))
                }
                Statement::Masked(field, mask, op, value) => self.test(*field, |found| {
                    let masked = found.iter().zip(mask).map(|(byte, mask)| byte & mask);
                    masked.eq(value.iter().copied()) == (*op == CmpOp::Eq)
                }),
                Statement::Prefix(field, start) => self.test(*field, |found| found.starts_with(start)),
                Statement::Range(field, lo, hi) => {
                    self.test(*field, |found| (&**lo..=&**hi).contains(&found))
                }
                Statement::CtState(states) => {
                    let bit = self.packet.ct.state_bit();
                    (states.0 & bit == 0).then_some(Miss::CtState(bit))
                }
                Statement::Lookup { key, set, negate } => {
                    match (self.look_up(chain, rule, key, set)?, negate) {
                        (Err(absent), _) => Some(absent),
                        (Ok(None), false) => Some(Miss::NoElement(set)),
                        (Ok(None), true) => None,
                        (Ok(Some(hit)), negate) => {
                            hits.push(hit);
                            negate.then_some(Miss::Element(set))
                        }
                    }
                }
                Statement::VerdictMap(key, map) => match self.look_up(chain, rule, key, map)? {
                    Err(absent) => Some(absent),
                    Ok(None) => Some(Miss::NoElement(map)),
                    Ok(Some(hit)) => {
                        let verdict = hit.attributes.and_then(|a| a.verdict.as_ref());
                        let why = "holds an element without a verdict";
                        let refused = || Refused::Set { chain: chain.clone(), rule, set: map.clone(), why };
                        hits.push(hit);
                        return Ok(End::Passed(Some(verdict.ok_or_else(refused)?)));
                    }
                },
                Statement::Counter(name) => {
                    self.outcome.counters.push(name);
                    None
                }
                Statement::Limit { .. } => (self.rate == Rate::Exceeded).then_some(Miss::AboveRate),
                Statement::Log { prefix, .. } => {
                    self.outcome.logs.push(prefix);
                    None
                }
                Statement::Verdict(verdict) => return Ok(End::Passed(Some(verdict))),
            };
            if let Some(miss) = miss {
                return Ok(End::Failed(miss));
            }
        }
        Ok(End::Passed(None))
    }

    fn test(&self, field: Field, holds: impl FnOnce(&[u8]) -> bool) -> Option<Miss<'a>> {
        match self.packet.read(self.family, field) {
            None => Some(Miss::Absent(field)),
            Some(found) => (!holds(&found)).then(|| Miss::Value(field, found.into())),
        }
    }

    /// The element that a key hits, or the field that is absent.
    fn look_up(
        &self,
        chain: &Name,
        rule: usize,
        fields: &'a [Field],
        set: &'a Name,
    ) -> Result<Result<Option<Hit<'a>>, Miss<'a>>, Refused> {
        let refused = |why| Refused::Set { chain: chain.clone(), rule, set: set.clone(), why };
        let (name, found) = self.table.sets.get_key_value(set).ok_or_else(|| refused("does not exist"))?;
        let same_len = fields.len() == found.spec.key.len()
            && fields.iter().zip(&found.spec.key).all(|(field, kind)| field.len() == kind.len());
        if !same_len {
            return Err(refused("has a key of another length"));
        }
        Ok(self.key(fields).map(|key| {
            element(found, &key).map(|(key, attributes)| Hit {
                set: name,
                spec: &found.spec,
                key,
                attributes,
            })
        }))
    }

    fn key(&self, fields: &[Field]) -> Result<Key, Miss<'a>> {
        let read = |field: Field| self.packet.read(self.family, field).ok_or(Miss::Absent(field));
        match fields {
            [one] => Ok(Key::from_bytes(&read(*one)?)),
            _ => fields.iter().try_fold(Key::default(), |key, &field| Ok(key.then(&read(field)?))),
        }
    }
}

/// The element that holds `key`.
fn element<'a>(set: &'a Set, key: &Key) -> Option<(&'a Key, Option<&'a ir::Attributes>)> {
    let attributes = set.find(key)?;
    let (first, _) = set.elements.range(..=key.clone()).next_back()?;
    Some((first, attributes))
}

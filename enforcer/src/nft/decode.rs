//! The kernel's dumps as a ruleset.

use super::{
    backend::{Counter, Dump, Foreign},
    element::{Point, assemble},
    encode::nfproto,
    error::{Error, Object},
    expression::Expression,
    keytype::key_parts,
    statement::statements,
    uapi::*,
    wire::{Attributes, Malformed, Message, Messages},
};
use compiler::ir::{Base, Chain, Family, Hook, Name, Rule, Ruleset, Set, SetSpec, TABLE, Table};
use std::collections::BTreeMap;

/// Reads the messages of dumps of tables, objects, sets, elements, chains and rules, in that order. Messages about other
/// tables are skipped.
///
/// What is foreign in our tables is listed as such. The generation is left at 0.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not netlink, or tell of a part of something that was not told of before.
pub fn parse(messages: &[u8]) -> Result<Dump, Error> {
    let mut reader = Reader::default();
    for message in Messages(messages) {
        reader.read(&message?)?;
    }
    Ok(reader.finish())
}

/// The elements of one set in a dump of them, and what is foreign among them.
pub(super) fn parse_elements(
    family: Family,
    name: &Name,
    spec: &SetSpec,
    messages: &[u8],
) -> Result<(Set, Vec<Foreign>), Error> {
    let mut reader = Reader::default();
    reader.sets.insert((family, name.clone()), (spec.clone(), Vec::new()));
    for message in Messages(messages) {
        let message = message?;
        if let Some((family, elements)) = ours(&message)?
            && message.kind == message::NEWSETELEM
        {
            reader.read_elements(family, elements)?;
        }
    }
    let sets = std::mem::take(&mut reader.sets);
    let points = sets.into_values().flat_map(|(_, points)| points).collect();
    Ok((assemble(spec.clone(), points), reader.foreign))
}

/// The named counters in a dump of objects.
pub(super) fn parse_counters(messages: &[u8]) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
    let mut counters = BTreeMap::new();
    for message in Messages(messages) {
        let message = message?;
        let Some((family, object)) = ours(&message)? else { continue };
        if message.kind == message::NEWOBJ && object.u32(NFTA_OBJ_TYPE) == Some(NFT_OBJECT_COUNTER) {
            let data = object.nested(NFTA_OBJ_DATA)?;
            let number = |kind| data.u64(kind).ok_or(Malformed("a counter without numbers"));
            let counter =
                Counter { packets: number(NFTA_COUNTER_PACKETS)?, bytes: number(NFTA_COUNTER_BYTES)? };
            counters.insert((family, name(object, NFTA_NAME)?), counter);
        }
    }
    Ok(counters)
}

/// The family and the attributes of a message, if it is about one of our tables.
pub(super) fn ours<'a>(message: &Message<'a>) -> Result<Option<(Family, Attributes<'a>)>, Malformed> {
    let family = Family::BOTH.into_iter().find(|&f| nfproto(f) == message.family());
    let attributes = message.attributes()?;
    Ok(family.filter(|_| attributes.text(NFTA_TABLE) == Some(TABLE)).map(|family| (family, attributes)))
}

fn name(attributes: Attributes<'_>, kind: u16) -> Result<Name, Malformed> {
    attributes.text(kind).map(Name::from).ok_or(Malformed("an object without a name"))
}

#[derive(Default)]
struct Reader {
    ruleset: Ruleset,
    foreign: Vec<Foreign>,
    sets: BTreeMap<(Family, Name), (SetSpec, Vec<Point>)>,
    /// How many rules of a chain have been seen, foreign ones included.
    rules: BTreeMap<(Family, Name), usize>,
}

impl Reader {
    fn foreign(&mut self, object: Object, what: impl Into<String>) {
        self.foreign.push(Foreign { object, what: what.into() });
    }

    fn table(&mut self, family: Family) -> Result<&mut Table, Malformed> {
        self.ruleset.tables.get_mut(&family).ok_or(Malformed("an object of a table that is not there"))
    }

    fn read(&mut self, message: &Message<'_>) -> Result<(), Malformed> {
        let Some((family, attributes)) = ours(message)? else { return Ok(()) };
        match message.kind {
            message::NEWTABLE => self.read_table(family, attributes),
            message::NEWCHAIN => self.read_chain(family, attributes)?,
            message::NEWRULE => self.read_rule(family, attributes)?,
            message::NEWSET => self.read_set(family, attributes)?,
            message::NEWSETELEM => self.read_elements(family, attributes)?,
            message::NEWOBJ => {
                let name = name(attributes, NFTA_NAME)?;
                if attributes.u32(NFTA_OBJ_TYPE) == Some(NFT_OBJECT_COUNTER) {
                    self.table(family)?.counters.insert(name);
                } else {
                    self.foreign(Object::Other { family, name }, "an object that is no counter");
                }
            }
            message::NEWFLOWTABLE => {
                let name = name(attributes, NFTA_NAME)?;
                self.foreign(Object::Other { family, name }, "a flowtable");
            }
            _ => {}
        }
        Ok(())
    }

    fn read_table(&mut self, family: Family, table: Attributes<'_>) {
        self.ruleset.tables.entry(family).or_default();
        let flags = table.u32(NFTA_TABLE_FLAGS).unwrap_or_default();
        if flags != 0 {
            // Dormant, or owned by some process.
            self.foreign(Object::Table { family }, format!("flags {flags:#x}"));
        }
    }

    fn read_chain(&mut self, family: Family, chain: Attributes<'_>) -> Result<(), Malformed> {
        let name = name(chain, NFTA_CHAIN_NAME)?;
        match chain_base(chain)? {
            Ok(base) => {
                self.table(family)?.chains.insert(name, Chain { base, rules: Vec::new() });
            }
            Err(what) => {
                self.table(family)?.chains.insert(name.clone(), Chain::default());
                self.foreign(Object::Chain { family, name }, what);
            }
        }
        Ok(())
    }

    fn read_rule(&mut self, family: Family, rule: Attributes<'_>) -> Result<(), Malformed> {
        let chain = name(rule, NFTA_RULE_CHAIN)?;
        let seen = self.rules.entry((family, chain.clone())).or_default();
        let index = *seen;
        *seen += 1;
        let decoded: Result<Vec<_>, _> = rule
            .nested(NFTA_RULE_EXPRESSIONS)?
            .iter()
            .map(|(_, bytes)| Attributes::new(bytes).map_err(|e| e.to_string()).and_then(Expression::decode))
            .collect();
        let rules = &mut self
            .table(family)?
            .chains
            .get_mut(&chain)
            .ok_or(Malformed("a rule of a chain that is not there"))?
            .rules;
        match decoded.and_then(|expressions| statements(&expressions)) {
            Ok(statements) => rules.push(Rule { statements }),
            Err(what) => self.foreign(Object::Rule { family, chain, index }, what),
        }
        Ok(())
    }

    fn read_set(&mut self, family: Family, set: Attributes<'_>) -> Result<(), Malformed> {
        let name = name(set, NFTA_NAME)?;
        self.table(family)?;
        match set_spec(set)? {
            Ok(spec) => {
                self.sets.insert((family, name), (spec, Vec::new()));
            }
            Err(what) => self.foreign(Object::Set { family, name }, what),
        }
        Ok(())
    }

    fn read_elements(&mut self, family: Family, list: Attributes<'_>) -> Result<(), Malformed> {
        let set = name(list, NFTA_SET_ELEM_LIST_SET)?;
        // Elements of a foreign set are not looked at.
        let Some((spec, points)) = self.sets.get_mut(&(family, set.clone())) else { return Ok(()) };
        let mut foreign = Vec::new();
        for (_, element) in list.nested(NFTA_SET_ELEM_LIST_ELEMENTS)?.iter() {
            match Point::decode(spec, Attributes::new(element)?) {
                Ok(point) => points.push(point),
                Err(what) => foreign.push(what),
            }
        }
        for what in foreign {
            self.foreign(Object::Set { family, name: set.clone() }, what);
        }
        Ok(())
    }

    fn finish(mut self) -> Dump {
        for ((family, name), (spec, points)) in self.sets {
            if let Some(table) = self.ruleset.tables.get_mut(&family) {
                table.sets.insert(name, assemble(spec, points));
            }
        }
        Dump { ruleset: self.ruleset, generation: 0, foreign: self.foreign }
    }
}

/// Where a chain hangs, or what is foreign about it.
fn chain_base(chain: Attributes<'_>) -> Result<Result<Option<Base>, String>, Malformed> {
    if !chain.has(NFTA_CHAIN_HOOK) {
        return Ok(Ok(None));
    }
    let hook = chain.nested(NFTA_CHAIN_HOOK)?;
    let number = hook.u32(NFTA_HOOK_HOOKNUM).ok_or(Malformed("a base chain without a hook"))?;
    let priority = hook.u32(NFTA_HOOK_PRIORITY).ok_or(Malformed("a base chain without a priority"))?;
    let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
    let flags = chain.u32(NFTA_CHAIN_FLAGS).unwrap_or(NFT_CHAIN_BASE);
    let device = [NFTA_HOOK_DEV, NFTA_HOOK_DEVS].iter().any(|&kind| hook.has(kind));
    Ok(match hooks.into_iter().find(|&h| h as u32 == number) {
        None => Err(format!("hook {number}")),
        Some(_) if chain.u32(NFTA_CHAIN_POLICY).is_some_and(|p| p != NF_ACCEPT) => {
            Err("another policy than accept".into())
        }
        Some(_) if chain.text(NFTA_CHAIN_TYPE) != Some("filter") => Err("another type than filter".into()),
        Some(_) if device || flags != NFT_CHAIN_BASE => Err("a device, or flags".into()),
        Some(hook) => Ok(Some(Base { hook, priority: priority.cast_signed() })),
    })
}

/// What a set is, or what is foreign about it.
fn set_spec(set: Attributes<'_>) -> Result<Result<SetSpec, String>, Malformed> {
    let flags = set.u32(NFTA_SET_FLAGS).unwrap_or_default();
    let data_type = set.u32(NFTA_SET_DATA_TYPE);
    let (interval, verdicts) = (flags & NFT_SET_INTERVAL != 0, flags & NFT_SET_MAP != 0);
    if flags & !(NFT_SET_INTERVAL | NFT_SET_MAP) != 0 {
        return Ok(Err(format!("flags {flags:#x}: anonymous, constant, with timeouts or with objects")));
    }
    if verdicts != (data_type == Some(NFT_DATA_VERDICT)) {
        return Ok(Err("a map to something else than verdicts".into()));
    }
    if [NFTA_SET_TIMEOUT, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS].iter().any(|&kind| set.has(kind)) {
        return Ok(Err("a timeout or expressions for every element".into()));
    }
    let number = |kind| set.u32(kind).ok_or(Malformed("a set without the type of its key"));
    let (key_type, key_len) = (number(NFTA_SET_KEY_TYPE)?, number(NFTA_SET_KEY_LEN)?);
    let size = set.nested(NFTA_SET_DESC)?.u32(NFTA_SET_DESC_SIZE);
    Ok(match key_parts(key_type, key_len) {
        None => Err(format!("a key of type {key_type:#x} and {key_len} bytes")),
        Some(key) if interval && key.len() > 1 => Err(format!("ranges of {key:?}")),
        Some(key) => Ok(SetSpec { key, interval, verdicts, size }),
    })
}

//! A Delta as one batch of netlink messages.

use super::{
    element::element,
    error::{Error, Object},
    ffi::{self, Payload},
    keytype::{key_len, key_type, set_userdata},
    statement::expressions,
    uapi::*,
    wire::Request,
};
use compiler::{
    delta::{Delta, Op},
    ir::{Attributes, Base, DataType, Family, Key, Name, Rule, SetSpec, TABLE},
};
use nftnl::nftnl_sys as sys;
use std::{collections::BTreeSet, ffi::CString};

/// Whether the kernel shall keep what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All of it takes effect at once.
    Commit,
    /// All of it is checked as for a commit, and undone: `nft --check` does the same.
    Check,
}

/// A Delta ready to be sent.
pub(super) struct Transaction {
    /// All messages, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Sequence number of the batch's first message; the others count up from it.
    pub(super) first: u32,
    messages: Vec<Sent>,
    /// Where the message begins that ends the batch, if there is one.
    end: Option<usize>,
}

/// One message of a transaction: where it is and what it was made from.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// Where in the transaction's bytes it begins.
    pub(super) start: usize,
    /// Which operation of the Delta.
    pub(super) op: usize,
    /// Which rule of the operation, for the messages that make one.
    pub(super) rule: Option<usize>,
}

/// The kernel's number of a family.
pub(super) const fn nfproto(family: Family) -> u8 {
    match family {
        Family::Inet => NFPROTO_INET,
        Family::Bridge => NFPROTO_BRIDGE,
    }
}

impl Transaction {
    /// Encodes a Delta for the tables called `table`. With a generation, the kernel takes it only if it still is that one.
    pub(super) fn encode(
        delta: &Delta,
        table: &str,
        generation: Option<u32>,
        ending: Ending,
        scratch: &mut ffi::Scratch,
    ) -> Result<Self, Error> {
        let mut encoder = Encoder {
            transaction: Self { bytes: Vec::new(), first: 0, messages: Vec::new(), end: None },
            scratch,
            table: c_name(table, &Object::Batch)?,
            op: 0,
            chains: BTreeSet::new(),
            sets: BTreeSet::new(),
            last: 0,
        };
        // With ECHO the kernel tells the generation that the commit made.
        let mut begin = Request::new(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST | NLM_F_ECHO, 0, NFPROTO_UNSPEC);
        if let Some(generation) = generation {
            begin = begin.with(NFNL_BATCH_GENID, &generation.to_be_bytes());
        }
        encoder.transaction.bytes.extend(begin.finish());
        for (index, op) in delta.ops.iter().enumerate() {
            encoder.op = index;
            encoder.encode(op)?;
        }
        let mut transaction = encoder.transaction;
        transaction.acknowledge_last();
        if ending == Ending::Commit {
            let end = Request::new(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFPROTO_UNSPEC);
            transaction.end = Some(transaction.bytes.len());
            transaction.bytes.extend(end.finish());
        }
        transaction.number_from(0);
        Ok(transaction)
    }

    /// How many messages, the ends of the batch not counted.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Sequence number of the last message; it is the one that is acknowledged even if all went well.
    pub(super) fn last_sequence(&self) -> u32 {
        self.first.wrapping_add(u32::try_from(self.messages.len()).unwrap_or(u32::MAX))
    }

    /// The message of a sequence number; `None` for the ends of the batch.
    pub(super) fn message(&self, sequence: u32) -> Option<(Sent, &[u8])> {
        let index = (sequence.wrapping_sub(self.first) as usize).checked_sub(1)?;
        let sent = *self.messages.get(index)?;
        let end =
            self.messages.get(index + 1).map(|next| next.start).or(self.end).unwrap_or(self.bytes.len());
        Some((sent, self.bytes.get(sent.start..end)?))
    }

    /// Gives the messages sequence numbers that count up from `first`.
    pub(super) fn number_from(&mut self, first: u32) {
        self.first = first;
        let starts = std::iter::once(0).chain(self.messages.iter().map(|m| m.start)).chain(self.end);
        for (start, sequence) in starts.zip((0..).map(|n| first.wrapping_add(n))) {
            if let Some(bytes) = self.bytes.get_mut(start + 8..start + 12) {
                bytes.copy_from_slice(&u32::to_ne_bytes(sequence));
            }
        }
    }

    fn acknowledge_last(&mut self) {
        if let Some(Sent { start, .. }) = self.messages.last()
            && let Some(flags) = self.bytes.get_mut(start + 6..start + 8)
        {
            let with_ack = u16::from_ne_bytes([flags[0], flags[1]]) | NLM_F_ACK;
            flags.copy_from_slice(&with_ack.to_ne_bytes());
        }
    }
}

/// The messages of a Delta, as [`Backend::commit`](super::Backend::commit) would send them: for tests and benches. What
/// they make can be read by [`parse`](super::parse).
///
/// # Errors
/// [`Error::Invalid`].
pub fn encode(delta: &Delta) -> Result<Vec<u8>, Error> {
    Ok(Transaction::encode(delta, TABLE, None, Ending::Commit, &mut ffi::Scratch::new())?.bytes)
}

struct Encoder<'a> {
    transaction: Transaction,
    scratch: &'a mut ffi::Scratch,
    table: CString,
    op: usize,
    /// Chains that this transaction makes: they have no rules yet.
    chains: BTreeSet<(Family, Name)>,
    /// Sets that this transaction makes and that have no elements yet.
    sets: BTreeSet<(Family, Name)>,
    /// The last set's number within the batch (`NFTA_SET_ID`).
    last: u32,
}

/// A name as the kernel takes it.
fn c_name(name: &str, object: &Object) -> Result<CString, Error> {
    let fits = (1..=ffi::NAME).contains(&name.len());
    CString::new(name).ok().filter(|_| fits).ok_or_else(|| {
        Error::invalid(object.clone(), format!("a name has 1 to {} bytes, none of them zero", ffi::NAME))
    })
}

/// nft 1.0.6 lists a concatenation of six parts garbled and crashes at seven.
const LISTED_PARTS: usize = 5;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

impl Encoder<'_> {
    fn message(&mut self, kind: u16, family: Family, flags: u16, rule: Option<usize>, payload: &Payload) {
        let sent = Sent { start: self.transaction.bytes.len(), op: self.op, rule };
        self.transaction.messages.push(sent);
        let message = self.scratch.message(kind, nfproto(family), NLM_F_REQUEST | flags, payload);
        self.transaction.bytes.extend(message);
    }

    fn encode(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            &Op::AddTable { family } => self.table(message::NEWTABLE, family, NEW),
            &Op::DeleteTable { family } => self.table(message::DELTABLE, family, 0),
            Op::AddCounter { family, name } => self.counter(message::NEWOBJ, *family, name, NEW)?,
            Op::DeleteCounter { family, name } => self.counter(message::DELOBJ, *family, name, 0)?,
            Op::AddSet { family, name, spec } => self.add_set(*family, name, spec)?,
            Op::DeleteSet { family, name } => {
                let name = c_name(name, &Object::Set { family: *family, name: name.clone() })?;
                let set =
                    ffi::Set::new().text(sys::NFTNL_SET_TABLE, &self.table).text(sys::NFTNL_SET_NAME, &name);
                self.message(message::DELSET, *family, 0, None, &Payload::Set(set));
            }
            Op::AddChain { family, name, base } => {
                self.chains.insert((*family, name.clone()));
                self.chain(message::NEWCHAIN, *family, name, *base, NEW)?;
            }
            Op::DeleteChain { family, name } => self.chain(message::DELCHAIN, *family, name, None, 0)?,
            Op::SetRules { family, chain, rules } => self.rules(*family, chain, rules)?,
            Op::AddElements { family, set, spec, elements } => {
                self.elements(message::NEWSETELEM, *family, set, spec, elements)?;
            }
            Op::DeleteElements { family, set, spec, elements } => {
                self.elements(message::DELSETELEM, *family, set, spec, elements)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, kind: u16, family: Family, flags: u16) {
        let table = ffi::Table::new().text(sys::NFTNL_TABLE_NAME, &self.table);
        self.message(kind, family, flags, None, &Payload::Table(table));
    }

    fn counter(&mut self, kind: u16, family: Family, name: &Name, flags: u16) -> Result<(), Error> {
        let name = c_name(name, &Object::Counter { family, name: name.clone() })?;
        let counter = ffi::Stateful::new()
            .text(sys::NFTNL_OBJ_TABLE, &self.table)
            .text(sys::NFTNL_OBJ_NAME, &name)
            .number(sys::NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
        self.message(kind, family, flags, None, &Payload::Stateful(counter));
        Ok(())
    }

    fn chain(
        &mut self,
        kind: u16,
        family: Family,
        name: &Name,
        base: Option<Base>,
        flags: u16,
    ) -> Result<(), Error> {
        let name = c_name(name, &Object::Chain { family, name: name.clone() })?;
        let mut chain =
            ffi::Chain::new().text(sys::NFTNL_CHAIN_TABLE, &self.table).text(sys::NFTNL_CHAIN_NAME, &name);
        if let Some(Base { hook, priority }) = base {
            chain = chain
                .text(sys::NFTNL_CHAIN_TYPE, c"filter")
                .number(sys::NFTNL_CHAIN_HOOKNUM, hook as u32)
                .number(sys::NFTNL_CHAIN_POLICY, NF_ACCEPT)
                .priority(priority);
        }
        self.message(kind, family, flags, None, &Payload::Chain(chain));
        Ok(())
    }

    fn rules(&mut self, family: Family, chain: &Name, rules: &[Rule]) -> Result<(), Error> {
        let name = c_name(chain, &Object::Chain { family, name: chain.clone() })?;
        if !self.chains.remove(&(family, chain.clone())) {
            let all = ffi::Rule::new(&self.table, &name);
            self.message(message::DELRULE, family, 0, None, &Payload::Rule(all));
        }
        for (index, rule) in rules.iter().enumerate() {
            let object = || Object::Rule { family, chain: chain.clone(), index };
            let mut encoded = ffi::Rule::new(&self.table, &name);
            for expression in expressions(&rule.statements).map_err(|what| Error::invalid(object(), what))? {
                if !encoded.push(expression.encode()) {
                    return Err(Error::invalid(object(), "a rule has at most 128 expressions"));
                }
            }
            let flags = NLM_F_CREATE | NLM_F_APPEND;
            self.message(message::NEWRULE, family, flags, Some(index), &Payload::Rule(encoded));
        }
        Ok(())
    }

    fn add_set(&mut self, family: Family, name: &Name, spec: &SetSpec) -> Result<(), Error> {
        let object = Object::Set { family, name: name.clone() };
        let c_name = c_name(name, &object)?;
        let len = key_len(&spec.key);
        if len == 0 || len > ffi::DATA {
            return Err(Error::invalid(object, format!("a key has 1 to 64 bytes, not {len}")));
        }
        if spec.key.len() > LISTED_PARTS {
            let what = format!("nft 1.0.6 cannot list keys of more than {LISTED_PARTS} parts");
            return Err(Error::invalid(object, what));
        }
        if spec.interval && !matches!(*spec.key, [part] if part != DataType::IfIndex) {
            return Err(Error::invalid(object, "ranges have a key of one part, in network order"));
        }
        if spec.size == Some(0) {
            return Err(Error::invalid(object, "room for no element"));
        }
        self.last += 1;
        let flag = |set, bit| if set { bit } else { 0 };
        let mut set = ffi::Set::new()
            .text(sys::NFTNL_SET_TABLE, &self.table)
            .text(sys::NFTNL_SET_NAME, &c_name)
            .number(sys::NFTNL_SET_ID, self.last)
            .number(sys::NFTNL_SET_KEY_TYPE, key_type(&spec.key))
            .number(sys::NFTNL_SET_KEY_LEN, u32::try_from(len).unwrap_or(u32::MAX))
            .number(
                sys::NFTNL_SET_FLAGS,
                flag(spec.interval, NFT_SET_INTERVAL) | flag(spec.verdicts, NFT_SET_MAP),
            )
            .userdata(&set_userdata(spec));
        if spec.verdicts {
            set = set.number(sys::NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT).number(sys::NFTNL_SET_DATA_LEN, 0);
        }
        if let Some(size) = spec.size {
            set = set.number(sys::NFTNL_SET_DESC_SIZE, size);
        }
        self.sets.insert((family, name.clone()));
        self.message(message::NEWSET, family, NEW, None, &Payload::Set(set));
        Ok(())
    }

    fn elements(
        &mut self,
        kind: u16,
        family: Family,
        set: &Name,
        spec: &SetSpec,
        elements: &[(Key, Option<Box<Attributes>>)],
    ) -> Result<(), Error> {
        let adding = kind == message::NEWSETELEM;
        let flags = if adding { NEW } else { 0 };
        let object = Object::Set { family, name: set.clone() };
        let name = c_name(set, &object)?;
        let mut batch = ffi::Elements::new(&self.table, &name);
        // As nft does for a set that it fills for the first time: what lies before the first range is no match.
        if adding && spec.interval && self.sets.remove(&(family, set.clone())) {
            let zero = vec![0; key_len(&spec.key)];
            if !elements.is_empty() && elements.iter().all(|(first, _)| first.as_bytes() != zero) {
                batch.push(ffi::Element::new(&zero).flags(NFT_SET_ELEM_INTERVAL_END));
            }
        }
        for (key, attributes) in elements {
            for element in element(spec, key, attributes.as_deref(), adding)
                .map_err(|what| Error::invalid(object.clone(), what))?
            {
                if let Some(element) = batch.push(element) {
                    let full = std::mem::replace(&mut batch, ffi::Elements::new(&self.table, &name));
                    self.message(kind, family, flags, None, &Payload::Elements(full));
                    batch.push(element);
                }
            }
        }
        if !batch.is_empty() {
            self.message(kind, family, flags, None, &Payload::Elements(batch));
        }
        Ok(())
    }
}

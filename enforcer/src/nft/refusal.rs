//! Which object a refused message was about.

use super::{
    element::{show_key, successor},
    error::Object,
    uapi::*,
    wire::{Attributes, HEADER, NFGENMSG},
};
use compiler::{
    delta::Op,
    ir::{Key, SetSpec},
};

/// The object of an operation's message; of several elements the one at which the kernel stopped, if it says where.
pub(super) fn refused_object(op: &Op, rule: Option<usize>, request: &[u8], offset: Option<usize>) -> Object {
    match op {
        &(Op::AddTable { family } | Op::DeleteTable { family }) => Object::Table { family },
        Op::AddCounter { family, name } | Op::DeleteCounter { family, name } => {
            Object::Counter { family: *family, name: name.clone() }
        }
        Op::AddSet { family, name, .. } | Op::DeleteSet { family, name } => {
            Object::Set { family: *family, name: name.clone() }
        }
        Op::AddChain { family, name, .. } | Op::DeleteChain { family, name } => {
            Object::Chain { family: *family, name: name.clone() }
        }
        Op::SetRules { family, chain, .. } => match rule {
            Some(index) => Object::Rule { family: *family, chain: chain.clone(), index },
            None => Object::Chain { family: *family, name: chain.clone() },
        },
        Op::AddElements { family, set, spec, elements }
        | Op::DeleteElements { family, set, spec, elements } => {
            let key = offset.and_then(|offset| key_at(request, offset));
            let shown = key.map(|(key, end)| match end.then(|| range_before(elements, &key)).flatten() {
                Some((first, last)) => show_range(spec, first, last),
                None => show_key(spec, &key),
            });
            match shown {
                Some(element) => Object::Element { family: *family, set: set.clone(), element },
                None => Object::Set { family: *family, name: set.clone() },
            }
        }
    }
}

fn show_range(spec: &SetSpec, first: &Key, last: &Key) -> String {
    format!("{}-{}", show_key(spec, first.as_bytes()), show_key(spec, last.as_bytes()))
}

/// The range that a key is the end of, as the kernel has ends: the first key after it.
fn range_before<'a>(
    elements: &'a [(Key, Option<Box<compiler::ir::Attributes>>)],
    end: &[u8],
) -> Option<(&'a Key, &'a Key)> {
    elements
        .iter()
        .filter_map(|(first, attributes)| Some((first, attributes.as_deref()?.end.as_ref()?)))
        .find(|(_, last)| successor(last.as_bytes()).as_deref() == Some(end))
}

/// The key of the element whose attribute begins at, or contains, this offset; and whether it is the end of a range.
fn key_at(request: &[u8], offset: usize) -> Option<(Vec<u8>, bool)> {
    let attributes = request.get(HEADER + NFGENMSG..)?;
    let list = Attributes::new(attributes).ok()?.nested(NFTA_SET_ELEM_LIST_ELEMENTS).ok()?;
    let place = |bytes: &[u8]| bytes.as_ptr().addr().checked_sub(request.as_ptr().addr());
    let (_, element) = list.iter().find(|(_, element)| {
        // The header of an attribute lies before its value.
        place(element).is_some_and(|start| (start - 4..start + element.len().max(1)).contains(&offset))
    })?;
    let element = Attributes::new(element).ok()?;
    let key = element.nested(NFTA_SET_ELEM_KEY).ok()?.get(NFTA_DATA_VALUE)?;
    Some((key.to_vec(), element.u32(NFTA_SET_ELEM_FLAGS) == Some(NFT_SET_ELEM_INTERVAL_END)))
}

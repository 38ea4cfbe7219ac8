//! Elements of the IR and of the kernel, one to one: a range is two of the kernel's.

use super::{
    expression::{decode_verdict, verdict_code},
    ffi,
    keytype::{element_comment, element_userdata, key_len},
    uapi::*,
    wire::Attributes as Wire,
};
use compiler::ir::{Attributes, Comment, DataType, Key, Set, SetSpec, Verdict};
use std::ffi::CString;

/// The kernel's elements for one of ours: itself, and for a range the first key after it, unless there is none.
pub(super) fn element(
    spec: &SetSpec,
    key: &Key,
    attributes: Option<&Attributes>,
    adding: bool,
) -> Result<impl Iterator<Item = ffi::Element>, String> {
    let none = Attributes::default();
    let attributes = attributes.unwrap_or(&none);
    let shown = || show_key(spec, key.as_bytes());
    if key.as_bytes().len() != key_len(&spec.key) {
        return Err(format!("element {} does not have the length of the key", shown()));
    }
    let after = match (&attributes.end, spec.interval) {
        (None, false) => None,
        (Some(end), true) if end >= key && end.as_bytes().len() == key.as_bytes().len() => {
            Some(successor(end.as_bytes()))
        }
        (Some(_), true) => return Err(format!("element {} ends before it begins", shown())),
        (None, true) => return Err(format!("element {} has no end, in a set of ranges", shown())),
        (Some(_), false) => return Err(format!("element {} is a range, in a set without ranges", shown())),
    };
    let mut element = ffi::Element::new(key.as_bytes());
    if adding {
        match (&attributes.verdict, spec.verdicts) {
            (Some(verdict), true) => {
                let (code, chain) = verdict_code(verdict);
                let chain = chain.map(|c| CString::new(&**c)).transpose();
                let chain = chain.ok().filter(|c| c.as_ref().is_none_or(|c| c.count_bytes() <= ffi::NAME));
                let chain = chain.ok_or_else(|| format!("element {}: no such name of a chain", shown()))?;
                element = element.verdict(code, chain.as_deref());
            }
            (None, false) => {}
            (Some(_), false) => return Err(format!("element {} has a verdict, in a set", shown())),
            (None, true) => return Err(format!("element {} has no verdict, in a map", shown())),
        }
        if attributes.comment.as_ref().is_some_and(|c| c.len() > 127 || c.contains('\0')) {
            return Err(format!("element {}: a comment has at most 127 bytes and no zero", shown()));
        }
        let open = after.as_ref().is_some_and(Option::is_none);
        let userdata = element_userdata(attributes.comment.as_deref(), open);
        if !userdata.is_empty() {
            element = element.userdata(&userdata);
        }
    }
    let end = after.flatten().map(|key| ffi::Element::new(&key).flags(NFT_SET_ELEM_INTERVAL_END));
    Ok(std::iter::once(element).chain(end))
}

/// The next key, in network order; `None` after the last.
pub(super) fn successor(key: &[u8]) -> Option<Vec<u8>> {
    let mut next = key.to_vec();
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

/// A key as nft writes it, so far as that needs no names.
pub(super) fn show_key(spec: &SetSpec, key: &[u8]) -> String {
    let key = Key::from_bytes(key);
    let show = |(data_type, part): (DataType, &[u8])| match data_type {
        DataType::Ipv4Addr | DataType::Ipv6Addr => Key::from_bytes(part)
            .first_address(data_type)
            .map_or_else(String::new, |address| address.to_string()),
        DataType::EtherAddr => part.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
        DataType::InetProto | DataType::Icmpv6Type => part[0].to_string(),
        DataType::InetService => u16::from_be_bytes([part[0], part[1]]).to_string(),
        DataType::IfIndex => u32::from_ne_bytes([part[0], part[1], part[2], part[3]]).to_string(),
        DataType::NdTarget => part.iter().fold("0x".into(), |text, byte| format!("{text}{byte:02x}")),
    };
    key.parts(&spec.key).map(show).collect::<Vec<_>>().join(" . ")
}

/// An element as the kernel holds it: in a set of ranges, a place where matching begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    key: Key,
    /// Matching begins here. An end sorts before a begin at the same key.
    begins: bool,
    verdict: Option<Verdict>,
    comment: Option<Comment>,
}

impl Point {
    /// From the attributes of one element; the error says what it is that we never make.
    pub(super) fn decode(spec: &SetSpec, element: Wire<'_>) -> Result<Self, String> {
        const NEVER: [(u16, &str); 5] = [
            (NFTA_SET_ELEM_KEY_END, "a range of a concatenation"),
            (NFTA_SET_ELEM_TIMEOUT, "a timeout"),
            (NFTA_SET_ELEM_EXPR, "an expression"),
            (NFTA_SET_ELEM_EXPRESSIONS, "expressions"),
            (NFTA_SET_ELEM_OBJREF, "an object"),
        ];
        if let Some((_, what)) = NEVER.iter().find(|(kind, _)| element.has(*kind)) {
            return Err(format!("an element with {what}"));
        }
        let flags = element.u32(NFTA_SET_ELEM_FLAGS).unwrap_or_default();
        let end = flags == NFT_SET_ELEM_INTERVAL_END && spec.interval;
        if flags != 0 && !end {
            return Err(format!("an element with flags {flags:#x}"));
        }
        let nested = |kind| element.nested(kind).map_err(|e| e.to_string());
        let key = nested(NFTA_SET_ELEM_KEY)?.get(NFTA_DATA_VALUE).unwrap_or_default();
        if key.len() != key_len(&spec.key) {
            return Err(format!("a key of {} bytes", key.len()));
        }
        let data = element.has(NFTA_SET_ELEM_DATA);
        let verdict = decode_verdict(nested(NFTA_SET_ELEM_DATA)?);
        if verdict.is_some() != (spec.verdicts && !end) || data != verdict.is_some() {
            return Err(format!("element {} with a verdict that is none of Palisade's", show_key(spec, key)));
        }
        let comment = element.get(NFTA_SET_ELEM_USERDATA).and_then(element_comment);
        Ok(Self { key: Key::from_bytes(key), begins: !end, verdict, comment: comment.map(Comment::from) })
    }
}

/// A set of these points.
pub(super) fn assemble(spec: SetSpec, mut points: Vec<Point>) -> Set {
    let attributes = |end, point: Point| {
        let attributes = Attributes { end, verdict: point.verdict, comment: point.comment };
        (attributes != Attributes::default()).then(|| Box::new(attributes))
    };
    let mut set = Set::new(spec);
    if !set.spec.interval {
        set.elements = points
            .into_iter()
            .map(|mut point| (std::mem::take(&mut point.key), attributes(None, point)))
            .collect();
        return set;
    }
    points.sort_unstable();
    let last = Key::from_bytes(&vec![0xff; key_len(&set.spec.key)]);
    let mut points = points.into_iter().peekable();
    while let Some(mut point) = points.next() {
        if !point.begins {
            continue;
        }
        // A range lasts until whatever comes next; if nothing does, to the last key there is.
        let end = points.peek().map_or_else(|| last.clone(), |next| predecessor(next.key.as_bytes()));
        set.elements.insert(std::mem::take(&mut point.key), attributes(Some(end), point));
    }
    set
}

/// The key before, in network order; the last one before the first.
fn predecessor(key: &[u8]) -> Key {
    let mut before = key.to_vec();
    for byte in before.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != 0xff {
            break;
        }
    }
    Key::from_bytes(&before)
}

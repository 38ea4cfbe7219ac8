//! Sets, verdict maps and their elements.

use super::{
    Style,
    rule::verdict,
    value::{hex, part, quoted},
};
use crate::ir::{Attributes, DataType, Key, SetSpec};
use std::{fmt::Write as _, net::IpAddr};

/// nft refuses longer comments on elements: 128 bytes with the final zero.
const COMMENT_LEN: usize = 127;
/// Lists of elements are broken before this column.
const WIDTH: usize = 110;

/// An element of a set or map as nft writes it: `10.0.0.2 comment "ns/pod" : goto in-1-o4`.
#[must_use]
pub fn element(spec: &SetSpec, key: &Key, attributes: Option<&Attributes>) -> String {
    let mut text = range(spec, key, attributes);
    if let Some(attributes) = attributes {
        if let Some(comment) = &attributes.comment {
            let cut: String = comment.chars().take(COMMENT_LEN).collect();
            let _ = write!(text, " comment {}", quoted(&cut));
        }
        if let Some(v) = &attributes.verdict {
            let _ = write!(text, " : {}", verdict(v));
        }
    }
    text
}

/// A key as nft writes it: `10.0.0.2 . tcp . 80`.
#[must_use]
pub fn key(types: &[DataType], key: &Key) -> String {
    let parts: Vec<_> = key.parts(types).map(|(kind, bytes)| part(kind, bytes)).collect();
    if parts.len() == types.len() { parts.join(" . ") } else { hex(key.as_bytes()) }
}

/// What an element holds: its key, or first and last key of its range, as a block where it is one.
pub(super) fn range(spec: &SetSpec, lo: &Key, attributes: Option<&Attributes>) -> String {
    let first = key(&spec.key, lo);
    match attributes.and_then(|a| a.end.as_ref()) {
        Some(hi) if hi != lo => match spec.key.first().and_then(|kind| prefix_len(*kind, lo, hi)) {
            Some(bits) => format!("{first}/{bits}"),
            None => format!("{first}-{}", key(&spec.key, hi)),
        },
        _ => first,
    }
}

/// The length of the prefix that a range of addresses is.
fn prefix_len(kind: DataType, lo: &Key, hi: &Key) -> Option<u32> {
    let bits = |address| match address {
        IpAddr::V4(a) => (u128::from(a.to_bits()), 32),
        IpAddr::V6(a) => (a.to_bits(), 128),
    };
    let ((lo, width), (hi, _)) = (bits(lo.first_address(kind)?), bits(hi.first_address(kind)?));
    let differ = lo ^ hi;
    let is_block = differ & differ.wrapping_add(1) == 0 && lo & differ == 0;
    is_block.then(|| width - differ.count_ones())
}

/// `set` or `map`.
pub(super) fn kind(spec: &SetSpec) -> &'static str {
    if spec.verdicts { "map" } else { "set" }
}

/// What stands in the braces beside the elements, an item a line.
pub(super) fn properties(spec: &SetSpec) -> impl Iterator<Item = String> {
    // The target of an advertisement has no type that could be named: nft takes it from an expression.
    let by_expression = spec.key.contains(&DataType::NdTarget);
    let parts: Vec<_> =
        spec.key.iter().map(|k| if by_expression { expression(*k) } else { k.name() }).collect();
    let word = if by_expression { "typeof" } else { "type" };
    let verdicts = if spec.verdicts { " : verdict" } else { "" };
    let of = format!("{word} {}{verdicts}", parts.join(" . "));
    let flags = spec.interval.then(|| "flags interval".to_owned());
    let size = spec.size.map(|n| format!("size {n}"));
    [Some(of), flags, size].into_iter().flatten()
}

/// An expression that yields the type.
fn expression(kind: DataType) -> &'static str {
    match kind {
        DataType::Ipv4Addr => "ip saddr",
        DataType::Ipv6Addr => "ip6 saddr",
        DataType::EtherAddr => "ether saddr",
        DataType::InetProto => "meta l4proto",
        DataType::InetService => "tcp dport",
        DataType::Icmpv6Type => "icmpv6 type",
        DataType::IfIndex => "meta iif",
        DataType::NdTarget => "@th,64,128",
    }
}

/// `{ a, b, c }`, over several lines if it is long.
pub(super) fn write_elements(
    out: &mut String,
    elements: impl ExactSizeIterator<Item = String>,
    indent: &str,
    style: Style,
) {
    let shown = style.max_elements.map_or(elements.len(), |max| max.min(elements.len()));
    let left_out = elements.len() - shown;
    out.push_str("{ ");
    let mut column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
    for (i, text) in elements.take(shown).enumerate() {
        let space = match i {
            0 => String::new(),
            _ if column + text.len() > WIDTH => format!(",\n{indent}\t"),
            _ => ", ".to_owned(),
        };
        column = if space.contains('\n') { text.len() } else { column + text.len() + 2 };
        let _ = write!(out, "{space}{text}");
    }
    if left_out > 0 {
        let _ = write!(out, " # and {left_out} more\n{indent}}}");
    } else {
        out.push_str(" }");
    }
}

//! Rulesets and deltas as text that `nft` 1.0.6 reads.
//!
//! The text loads with `nft -f`, and what it loads is what the IR says. Dependencies (`meta nfproto`, `meta l4proto`) are
//! left out where nft puts the very same ones there by itself. In the bridge family, where nft would choose between
//! `meta protocol` and `ether type`, they are always written.

mod rule;
mod set;
mod value;

use crate::{
    delta::{Delta, Op},
    ir::{Base, Chain, Family, Ruleset, Set, TABLE, Table},
};
use std::fmt::Write as _;

pub use rule::{rule, statement, verdict};
pub use set::{element, key};
pub use value::value;

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Elements shown of each set and of each operation; of the rest only the number, as a comment. `None` = all.
    /// Text with elements left out still loads, but is for people.
    pub max_elements: Option<usize>,
}

impl Style {
    /// Everything: what `nft -f` is to load.
    pub const FULL: Self = Self { max_elements: None };
    /// A few elements of each set, for people.
    pub const SHORT: Self = Self { max_elements: Some(8) };
}

/// A whole ruleset, table by table.
#[must_use]
pub fn ruleset(ruleset: &Ruleset, style: Style) -> String {
    let mut out = String::new();
    for (family, table) in &ruleset.tables {
        if !out.is_empty() {
            out.push('\n');
        }
        write_table(&mut out, *family, table, style);
    }
    out
}

/// A delta as nft commands, an operation after another; the rules of a chain follow its `flush`, a line each.
#[must_use]
pub fn delta(delta: &Delta, style: Style) -> String {
    let mut out = String::new();
    for op in &delta.ops {
        write_op(&mut out, op, style);
    }
    out
}

// Writing to a String cannot fail, so what `write!` answers says nothing.

fn write_table(out: &mut String, family: Family, table: &Table, style: Style) {
    let _ = writeln!(out, "table {family} {TABLE} {{");
    for counter in &table.counters {
        let _ = writeln!(out, "\tcounter {counter} {{ }}");
    }
    for (name, set) in &table.sets {
        write_set(out, name, set, style);
    }
    for (name, chain) in &table.chains {
        write_chain(out, family, name, chain);
    }
    out.push_str("}\n");
}

fn write_set(out: &mut String, name: &str, set: &Set, style: Style) {
    let _ = writeln!(out, "\t{} {name} {{", set::kind(&set.spec));
    for property in set::properties(&set.spec) {
        let _ = writeln!(out, "\t\t{property}");
    }
    if !set.elements.is_empty() {
        out.push_str("\t\telements = ");
        let elements =
            set.elements.iter().map(|(key, attributes)| element(&set.spec, key, attributes.as_deref()));
        set::write_elements(out, elements, "\t\t", style);
        out.push('\n');
    }
    out.push_str("\t}\n");
}

fn write_chain(out: &mut String, family: Family, name: &str, chain: &Chain) {
    let _ = writeln!(out, "\tchain {name} {{");
    if let Some(base) = chain.base {
        let _ = writeln!(out, "\t\t{}", hook(family, base));
    }
    for one in &chain.rules {
        let _ = writeln!(out, "\t\t{}", rule(family, one));
    }
    out.push_str("\t}\n");
}

fn write_op(out: &mut String, op: &Op, style: Style) {
    let _ = match op {
        Op::AddTable { family } => writeln!(out, "add table {family} {TABLE}"),
        Op::DeleteTable { family } => writeln!(out, "delete table {family} {TABLE}"),
        Op::AddCounter { family, name } => writeln!(out, "add counter {family} {TABLE} {name}"),
        Op::DeleteCounter { family, name } => writeln!(out, "delete counter {family} {TABLE} {name}"),
        Op::AddSet { family, name, spec } => {
            let properties: Vec<_> = set::properties(spec).collect();
            writeln!(out, "add {} {family} {TABLE} {name} {{ {}; }}", set::kind(spec), properties.join("; "))
        }
        Op::DeleteSet { family, name } => writeln!(out, "delete set {family} {TABLE} {name}"),
        Op::AddChain { family, name, base: None } => writeln!(out, "add chain {family} {TABLE} {name}"),
        Op::AddChain { family, name, base: Some(base) } => {
            writeln!(out, "add chain {family} {TABLE} {name} {{ {} }}", hook(*family, *base))
        }
        Op::DeleteChain { family, name } => writeln!(out, "delete chain {family} {TABLE} {name}"),
        Op::SetRules { family, chain, rules } => {
            let _ = writeln!(out, "flush chain {family} {TABLE} {chain}");
            rules
                .iter()
                .try_for_each(|r| writeln!(out, "add rule {family} {TABLE} {chain} {}", rule(*family, r)))
        }
        Op::AddElements { family, set, spec, elements } => {
            let _ = write!(out, "add element {family} {TABLE} {set} ");
            set::write_elements(out, elements.iter().map(|(k, a)| element(spec, k, a.as_deref())), "", style);
            writeln!(out)
        }
        Op::DeleteElements { family, set, spec, elements } => {
            let _ = write!(out, "delete element {family} {TABLE} {set} ");
            set::write_elements(
                out,
                elements.iter().map(|(k, a)| set::range(spec, k, a.as_deref())),
                "",
                style,
            );
            writeln!(out)
        }
    };
}

/// `type filter hook forward priority filter; policy accept;`, with nft's names of priorities.
fn hook(family: Family, base: Base) -> String {
    let names: &[(i32, &str)] = match family {
        Family::Inet => &[
            (-300, "raw"),
            (-150, "mangle"),
            (-100, "dstnat"),
            (0, "filter"),
            (50, "security"),
            (100, "srcnat"),
        ],
        Family::Bridge => &[(-300, "dstnat"), (-200, "filter"), (100, "out"), (300, "srcnat")],
    };
    // These two names are known only in their own hooks, `out` only in the bridge family's output.
    let known_here = |name: &str| match name {
        "dstnat" => base.hook.name() == "prerouting",
        "srcnat" => base.hook.name() == "postrouting",
        "out" => base.hook.name() == "output",
        _ => true,
    };
    let priority = names
        .iter()
        .find(|(number, name)| *number == base.priority && known_here(name))
        .map_or_else(|| base.priority.to_string(), |(_, name)| (*name).to_owned());
    format!("type filter hook {} priority {priority}; policy accept;", base.hook.name())
}

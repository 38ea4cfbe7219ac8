//! The steps of a walk, as data and as people read them.

use crate::{
    ir::{Attributes, CtStates, Family, Field, Key, Name, Rule, SetSpec, Statement, Verdict},
    text,
};
use std::fmt;

/// One rule that was asked, or the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The table.
    pub family: Family,
    /// The chain.
    pub chain: &'a Name,
    /// Where in it, and what happened there.
    pub at: At<'a>,
}

/// A place in a chain and what happened there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At<'a> {
    /// A rule.
    Rule {
        /// Its index in the chain, from 0.
        index: usize,
        /// The rule.
        rule: &'a Rule,
        /// Elements that its look-ups hit.
        hits: Vec<Hit<'a>>,
        /// The test that failed, if one did.
        miss: Option<Miss<'a>>,
        /// The verdict, of the rule or of an element, if all tests held.
        verdict: Option<&'a Verdict>,
    },
    /// The chain has no further rule: back to where it was jumped from, or accepted.
    End,
}

/// An element that a look-up hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Name of the set or map.
    pub set: &'a Name,
    /// What it is.
    pub spec: &'a SetSpec,
    /// The element's key; in an interval set the first one of its range.
    pub key: &'a Key,
    /// The element's comment, verdict and end of range.
    pub attributes: Option<&'a Attributes>,
}

/// Why a rule did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss<'a> {
    /// The packet does not have the field.
    Absent(Field),
    /// The field has this value.
    Value(Field, Box<[u8]>),
    /// `ct state` is this.
    CtState(u32),
    /// The set does not have the key.
    NoElement(&'a Name),
    /// The set has the key, and the rule asked for one that it does not have.
    Element(&'a Name),
    /// The `limit` does not match.
    AboveRate,
}

/// `in-1-o4[0]  ip saddr . meta l4proto . th dport @in-1-x4 return  ✗ no such element`.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At::Rule { index, rule, hits, miss, verdict } = &self.at else {
            return write!(f, "{}  end of chain", self.chain);
        };
        write!(f, "{}[{index}]  {}", self.chain, text::rule(self.family, rule))?;
        for hit in hits {
            write!(f, "  {hit}")?;
        }
        match (miss, verdict) {
            (Some(miss), _) => write!(f, "  ✗ {miss}"),
            (None, Some(verdict)) => write!(f, "  → {}", text::verdict(verdict)),
            (None, None) => f.write_str("  ✓"),
        }
    }
}

/// `@egress4-o { 10.244.1.2 comment "default/a" : goto out-1-o4 }`.
impl fmt::Display for Hit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{} {{ {} }}", self.set, text::element(self.spec, self.key, self.attributes))
    }
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(field) => write!(f, "the packet has no {field}"),
            Self::Value(field, value) => write!(f, "{field} is {}", text::value(*field, value)),
            Self::CtState(bit) => {
                let state = text::statement(&Statement::CtState(CtStates(*bit)));
                write!(f, "the packet's is {state}")
            }
            Self::NoElement(set) => write!(f, "no such element in @{set}"),
            Self::Element(set) => write!(f, "@{set} has the element"),
            Self::AboveRate => f.write_str("above the rate"),
        }
    }
}

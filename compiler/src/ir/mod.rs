//! The ruleset as data: tables, named sets and maps, chains and rules, in the vocabulary of nf_tables.
//!
//! One statement here is one fixed sequence of kernel expressions, the same that `nft` makes, so that what the kernel
//! holds can be read back into the same value. Dependencies (`meta nfproto`, `meta l4proto`) are statements of their own.
//! Sets are always named: an anonymous set would be one more thing to read back.

#[cfg(feature = "serde")]
mod bytes;
mod field;
mod rule;
mod set;

pub use field::{DataType, Field};
pub use rule::{CmpOp, CtStates, Rule, Statement, Verdict};
pub use set::{Attributes, Comment, Key, Set, SetSpec};

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Name of a set, map, chain or counter: unique within its table and kind, at most 127 bytes of `[a-z0-9-]`.
pub type Name = Arc<str>;

/// The two tables that are Palisade's; both are called `palisade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Family {
    /// `inet palisade`: policy.
    Inet,
    /// `bridge palisade`: guards.
    Bridge,
}

impl Family {
    /// Both, in the order in which they are made.
    pub const BOTH: [Self; 2] = [Self::Inet, Self::Bridge];

    /// As nft writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of both tables.
pub const TABLE: &str = "palisade";

/// A whole ruleset. A table that is absent here does not exist in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ruleset {
    /// By family.
    pub tables: BTreeMap<Family, Table>,
}

/// One table's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Table {
    /// Named counters.
    pub counters: BTreeSet<Name>,
    /// Named sets and verdict maps.
    pub sets: BTreeMap<Name, Set>,
    /// Chains.
    pub chains: BTreeMap<Name, Chain>,
}

/// A chain: a base chain if it has a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Chain {
    /// Where the kernel enters it; `None` for a chain that is jumped to. The policy of every base chain is accept.
    pub base: Option<Base>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// Where a base chain hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Base {
    /// The netfilter hook.
    pub hook: Hook,
    /// Its priority within the hook; the lower the earlier.
    pub priority: i32,
}

/// A netfilter hook, with the numbers of `NF_INET_*`, which the bridge family shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

impl Hook {
    /// As nft writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

impl Chain {
    /// A chain that is jumped to.
    #[must_use]
    pub fn regular(rules: Vec<Rule>) -> Self {
        Self { base: None, rules }
    }

    /// A base chain.
    #[must_use]
    pub fn base(hook: Hook, priority: i32, rules: Vec<Rule>) -> Self {
        Self { base: Some(Base { hook, priority }), rules }
    }
}

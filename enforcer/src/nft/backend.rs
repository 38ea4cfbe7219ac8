//! What the rest of the enforcer sees of nf_tables and conntrack, whether it is the kernel or a [`fake`](super::fake).

use super::{Entry, Error, Object};
use compiler::{
    delta::{Delta, Op, diff},
    ir::{Family, Name, Ruleset},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

/// Our two tables in some kernel.
pub trait Backend: Send {
    /// Makes all changes or none. With a generation, only if the ruleset is still that one.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Restart`], [`Error::Permission`], [`Error::Invalid`]: nothing has happened.
    /// [`Error::NoBuffers`], [`Error::Timeout`]: it may have happened or not, [`Self::dump`] tells.
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error>;

    /// Reads both tables, as of one generation.
    ///
    /// # Errors
    /// [`Error::Unsettled`] if they do not keep still, [`Error::Permission`].
    fn dump(&mut self) -> Result<Dump, Error>;

    /// The named counters of both tables.
    ///
    /// # Errors
    /// As [`Self::dump`].
    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error>;

    /// The conntrack entries that have one of these addresses at any end, in either direction.
    ///
    /// # Errors
    /// [`Error::Unsettled`] if the table does not keep still, [`Error::Permission`], [`Error::System`].
    fn tracked(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error>;

    /// Deletes conntrack entries, and tells how many were still there. Those of addresses that have died and left the maps, and of
    /// flows that conntrack has the wrong way round; never for a permission that was taken back.
    ///
    /// # Errors
    /// [`Error::Permission`], [`Error::System`].
    fn forget(&mut self, entries: &[Entry]) -> Result<usize, Error>;
}

/// A transaction that the kernel took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The generation it made.
    pub generation: u32,
    /// Netlink messages in it.
    pub messages: usize,
    /// Bytes in it.
    pub bytes: usize,
    /// From sending it to the kernel's answer; the kernel does the whole work in between.
    pub took: Duration,
}

/// What a named counter has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets since the counter was made.
    pub packets: u64,
    /// Their bytes, from the network header on.
    pub bytes: u64,
}

/// Something in our tables that the IR has no words for: somebody else has put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Where.
    pub object: Object,
    /// What it is.
    pub what: String,
}

/// Both tables as the kernel holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// All of them that the IR has words for. Tables that do not exist are absent.
    pub ruleset: Ruleset,
    /// The generation that was read; [`Backend::commit`] takes it.
    pub generation: u32,
    /// The rest.
    pub foreign: Vec<Foreign>,
}

impl Dump {
    /// What makes `want` of it. A table with something foreign in it is replaced whole, in the same transaction: what is
    /// not understood cannot be taken out piece by piece. Its counters then begin again.
    #[must_use]
    pub fn delta_to(&self, want: &Ruleset) -> Delta {
        let mut replaced: Vec<Family> = self.foreign.iter().filter_map(|f| f.object.family()).collect();
        replaced.sort_unstable();
        replaced.dedup();
        let mut from = self.ruleset.clone();
        from.tables.retain(|family, _| !replaced.contains(family));
        let gone = replaced.into_iter().map(|family| Op::DeleteTable { family });
        Delta { ops: gone.chain(diff(&from, want).ops).collect() }
    }
}

impl Object {
    /// The table it is in; `None` for a transaction.
    #[must_use]
    pub const fn family(&self) -> Option<Family> {
        match self {
            Self::Table { family }
            | Self::Counter { family, .. }
            | Self::Set { family, .. }
            | Self::Element { family, .. }
            | Self::Chain { family, .. }
            | Self::Rule { family, .. }
            | Self::Other { family, .. } => Some(*family),
            Self::Batch => None,
        }
    }
}

//! A backend whose transactions go through somebody's hands: to be watched, refused, or got in the way of.

use compiler::{
    delta::Delta,
    ir::{Family, Name},
};
use enforcer::nft::{Backend, Commit, Counter, Dump, Entry, Error};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Everything but a commit is the backend's own.
pub(crate) struct Committing<B, F> {
    backend: B,
    commit: F,
}

impl<B, F: FnMut(&mut B, &Delta, Option<u32>) -> Result<Commit, Error>> Committing<B, F> {
    /// `commit` gets the backend with each transaction and the generation that it is for.
    pub(crate) fn new(backend: B, commit: F) -> Self {
        Self { backend, commit }
    }
}

impl<B, F> Backend for Committing<B, F>
where
    B: Backend,
    F: FnMut(&mut B, &Delta, Option<u32>) -> Result<Commit, Error> + Send,
{
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        (self.commit)(&mut self.backend, delta, generation)
    }

    fn dump(&mut self) -> Result<Dump, Error> {
        self.backend.dump()
    }

    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
        self.backend.counters()
    }

    fn tracked(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
        self.backend.tracked(addresses)
    }

    fn forget(&mut self, entries: &[Entry]) -> Result<usize, Error> {
        self.backend.forget(entries)
    }
}

//! The kernel, with an eye on what it has taken.

use compiler::{
    delta::Delta,
    ir::{Family, Name},
};
use enforcer::nft::{Backend, Commit, Counter, Dump, Error, Kernel, Tracked};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Calls `taken` with each transaction, as soon as the kernel has acknowledged it.
pub(crate) struct Observed<F> {
    pub(crate) kernel: Kernel,
    pub(crate) taken: F,
}

impl<F: FnMut(&Delta) + Send> Backend for Observed<F> {
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        let commit = self.kernel.commit(delta, generation)?;
        (self.taken)(delta);
        Ok(commit)
    }

    fn dump(&mut self) -> Result<Dump, Error> {
        self.kernel.dump()
    }

    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
        self.kernel.counters()
    }

    fn forget_addresses(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, Error> {
        self.kernel.forget_addresses(addresses)
    }

    fn forget_flows(
        &mut self,
        addresses: &BTreeSet<IpAddr>,
        chosen: &dyn Fn(&Tracked) -> bool,
    ) -> Result<usize, Error> {
        self.kernel.forget_flows(addresses, chosen)
    }
}

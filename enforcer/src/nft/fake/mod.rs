//! A kernel in memory, for tests that need no privileges: it keeps a ruleset, refuses what the kernel refuses and for the
//! same reasons, and fails when it is told to.
//!
//! A clone is a second handle to the same tables: one for the code under test, one for the test.

mod tables;

use super::{
    backend::{Backend, Commit, Counter, Dump, Foreign},
    conntrack::{Entry, Tracked},
    encode::{Ending, Transaction},
    error::{Error, Refusal},
    ffi::Scratch,
};
use compiler::{
    delta::Delta,
    ir::{Family, Name, Ruleset, TABLE},
};
use nix::errno::Errno;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tables::Tables;

/// Something that goes wrong with the next commit, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation at this place is refused with this reason, if the Delta has one there.
    Refuse(usize, Errno),
    /// The answer is lost; the transaction has been made if this says so.
    NoBuffers {
        /// Whether it has.
        committed: bool,
    },
    /// Somebody has changed another table since the last read.
    Restart,
    /// `CAP_NET_ADMIN` is gone.
    Permission,
}

/// The kernel in memory.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tables: Tables,
    generation: u32,
    faults: VecDeque<Fault>,
    foreign: Vec<Foreign>,
    counters: BTreeMap<(Family, Name), Counter>,
    transactions: usize,
    refused: usize,
    /// What conntrack knows.
    flows: Vec<Tracked>,
}

impl Fake {
    /// Without any table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds.
    #[must_use]
    pub fn ruleset(&self) -> Ruleset {
        self.state().tables.ruleset()
    }

    /// How many transactions it has taken.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.state().transactions
    }

    /// How many it has refused, for whatever reason.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// Lets conntrack know a flow.
    pub fn track(&self, flow: Tracked) {
        self.state().flows.push(flow);
    }

    /// The flows that conntrack knows, and was not told to forget.
    #[must_use]
    pub fn flows(&self) -> Vec<Tracked> {
        self.state().flows.clone()
    }

    /// Lets something go wrong with the next commit; several faults hit one commit each.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// What `nft flush ruleset` does, by somebody else.
    pub fn flush(&self) {
        let mut state = self.state();
        state.tables = Tables::default();
        state.foreign.clear();
        state.advance();
    }

    /// Somebody else changes our tables in a way that the IR has words for.
    ///
    /// # Errors
    /// As [`Backend::commit`].
    pub fn meddle(&self, delta: &Delta) -> Result<(), Error> {
        let mut state = self.state();
        state.tables = state.tables.changed(delta, None).map_err(Error::Refused)?;
        state.advance();
        Ok(())
    }

    /// Somebody else puts something into our tables that the IR has no words for. It goes with its table.
    pub fn put_foreign(&self, foreign: Foreign) {
        let mut state = self.state();
        state.foreign.push(foreign);
        state.advance();
    }

    /// What a counter shall read from now on.
    pub fn count(&self, family: Family, name: &str, counter: Counter) {
        self.state().counters.insert((family, name.into()), counter);
    }
}

impl State {
    fn advance(&mut self) {
        // As the kernel does, which leaves 0 out.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    fn take(&mut self, delta: &Delta, refuse: Option<(usize, Errno)>) -> Result<(), Error> {
        self.tables = self.tables.changed(delta, refuse).map_err(Error::Refused)?;
        let tables = &self.tables;
        self.foreign.retain(|f| f.object.family().is_none_or(|family| !tables.replaced(delta, family)));
        self.advance();
        self.transactions += 1;
        Ok(())
    }

    fn commit(&mut self, delta: &Delta, expected: Option<u32>) -> Result<Commit, Error> {
        // What has no form in the kernel is found before anything is sent.
        let transaction = Transaction::encode(delta, TABLE, expected, Ending::Commit, &mut Scratch::new())?;
        if let Some(expected) = expected.filter(|&e| e != self.generation) {
            return Err(Error::Restart(expected));
        }
        match self.faults.pop_front() {
            Some(Fault::Permission) => return Err(Error::Permission),
            Some(Fault::Restart) => {
                self.advance();
                if let Some(expected) = expected {
                    return Err(Error::Restart(expected));
                }
                self.take(delta, None)?;
            }
            Some(Fault::NoBuffers { committed }) => {
                if committed {
                    self.take(delta, None)?;
                }
                return Err(Error::NoBuffers);
            }
            Some(Fault::Refuse(op, errno)) => self.take(delta, Some((op, errno)))?,
            None if transaction.len() == 0 => {}
            None => self.take(delta, None)?,
        }
        Ok(Commit {
            generation: self.generation,
            messages: transaction.len(),
            bytes: transaction.bytes.len(),
            took: Duration::ZERO,
        })
    }
}

impl Backend for Fake {
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        let mut state = self.state();
        let result = state.commit(delta, generation);
        state.refused += usize::from(result.is_err());
        result
    }

    fn dump(&mut self) -> Result<Dump, Error> {
        let state = self.state();
        Ok(Dump {
            ruleset: state.tables.ruleset(),
            generation: state.generation,
            foreign: state.foreign.clone(),
        })
    }

    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
        let state = self.state();
        let names = state.tables.counters();
        Ok(names.map(|name| (name.clone(), state.counters.get(&name).copied().unwrap_or_default())).collect())
    }

    fn tracked(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
        let entries = self.flows().into_iter().map(Entry::of);
        Ok(entries.filter(|entry| entry.concerns(addresses)).collect())
    }

    fn forget(&mut self, entries: &[Entry]) -> Result<usize, Error> {
        let flows = &mut self.state().flows;
        let before = flows.len();
        flows.retain(|flow| !entries.iter().any(|entry| entry.flow == *flow));
        Ok(before - flows.len())
    }
}

/// The refusals of a transaction, none of which is about anything but the operation.
fn refusal(op: usize, object: super::Object, errno: Errno) -> Refusal {
    Refusal { object, op, errno, message: None }
}

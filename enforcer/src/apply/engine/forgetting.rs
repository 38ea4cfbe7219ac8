//! What conntrack is to forget: entries of addresses that are nobody's any more, and flows that it has the wrong way round.
//!
//! To find them the kernel walks its whole table, however little is in it. So they are looked for behind the switch, by a
//! [`Reader`](crate::apply::Reader) beside the loop, all that have come up meanwhile at once. Not put off are entries of an address that
//! gets another pod, and flows the wrong way round where the tables are made anew: all pods are isolated at once then, and
//! conntrack may just have begun to look.

use super::{Engine, UNDER_WAY, wanted};
use crate::{
    apply::{
        moves::Moves,
        turned::{is_turned, isolated, makes_the_table},
    },
    nft::{Backend, Entry, Error},
};
use compiler::delta::Delta;
use std::{
    collections::BTreeSet,
    mem,
    net::IpAddr,
    time::{Duration, Instant},
};
use tracing::{debug, info, warn};

/// After the table has been read it is not read again for so many times as long as that took, ...
const REST: u32 = 100;
/// ... but for no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// How often to look for flows that conntrack has the wrong way round before a switch.
const ATTEMPTS: usize = 8;

/// What waits to be looked for.
#[derive(Debug, Default)]
pub(super) struct Forgetting {
    waiting: Addresses,
    /// They are being looked for.
    asked: Option<Addresses>,
    /// Since the last reading.
    rests_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Addresses {
    /// Whose entries are to go.
    dead: BTreeSet<IpAddr>,
    /// Whose flows are to go that are the wrong way round.
    isolated: BTreeSet<IpAddr>,
}

impl Addresses {
    fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.isolated.is_empty()
    }

    fn all(&self) -> BTreeSet<IpAddr> {
        self.dead.union(&self.isolated).copied().collect()
    }

    fn extend(&mut self, others: Self) {
        self.dead.extend(others.dead);
        self.isolated.extend(others.isolated);
    }
}

impl Forgetting {
    fn rest(&mut self, after: Duration) {
        self.rests_until = Some(Instant::now() + (after * REST).min(LONGEST_REST));
    }

    /// Which of these addresses are still to be forgotten; they no longer are.
    fn take_dead(&mut self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let mut taken = BTreeSet::new();
        for set in [Some(&mut self.waiting), self.asked.as_mut()].into_iter().flatten() {
            taken.extend(set.dead.intersection(addresses));
            set.dead.retain(|address| !addresses.contains(address));
        }
        taken
    }
}

impl<B: Backend> Engine<B> {
    /// When conntrack's table is to be read; `None`: not now.
    #[must_use]
    pub fn forgetting_at(&self) -> Option<Instant> {
        let Forgetting { waiting, asked, rests_until, .. } = &self.forgetting;
        let is_due = asked.is_none() && !waiting.is_empty();
        is_due.then(|| rests_until.unwrap_or_else(Instant::now))
    }

    /// Whose entries are to be read; [`Self::forget`] takes them.
    pub fn begin_forgetting(&mut self) -> BTreeSet<IpAddr> {
        let addresses = self.forgetting.waiting.all();
        self.forgetting.asked = Some(mem::take(&mut self.forgetting.waiting));
        addresses
    }

    /// Of the entries that were asked for, deletes those that are not true. Reading them has taken some time.
    pub fn forget(&mut self, entries: Result<Vec<Entry>, Error>, took: Duration) {
        let Some(asked) = self.forgetting.asked.take() else { return };
        self.forgetting.rest(took);
        match entries {
            Ok(entries) => {
                let (dead, others): (Vec<_>, _) =
                    entries.into_iter().partition(|entry| entry.concerns(&asked.dead));
                self.delete_dead(&asked.dead, &dead);
                self.delete_turned(&asked.isolated, others);
            }
            Err(error) => {
                warn!(%error, "conntrack cannot be asked for entries that are not true any more; it is asked again");
                self.forgetting.waiting.extend(asked);
            }
        }
    }

    /// Forgets what there is to be forgotten before it returns.
    pub fn forget_now(&mut self) {
        if let Some(asked) = self.forgetting.asked.take() {
            self.forgetting.waiting.extend(asked);
        }
        if self.forgetting.waiting.is_empty() {
            return;
        }
        let (addresses, begin) = (self.begin_forgetting(), Instant::now());
        let entries = self.backend.tracked(&addresses);
        self.forget(entries, begin.elapsed());
    }

    /// Before a Delta is in force: what was not true for an address must not become its new pod's, and what could lose packets
    /// must not be there.
    pub(super) fn before_switch(&mut self, delta: &Delta, moves: &Moves) {
        let back = self.forgetting.take_dead(&moves.come);
        self.forget_dead(&back);
        let isolated = isolated(delta);
        if isolated.is_empty() {
            return;
        }
        let anew = makes_the_table(delta);
        let mut found = 0;
        // By chance it may be the server again whose packet comes first.
        while anew && found < ATTEMPTS && self.forget_turned(&isolated) {
            found += 1;
            std::thread::sleep(UNDER_WAY);
        }
        if !anew || found > 0 {
            self.forgetting.waiting.isolated.extend(isolated);
        }
    }

    /// A Delta is in force.
    pub(super) fn after_switch(&mut self, moves: Moves) {
        self.forget_dead(&moves.replaced);
        self.forgetting.waiting.dead.extend(moves.gone);
    }

    fn forget_dead(&mut self, addresses: &BTreeSet<IpAddr>) {
        if addresses.is_empty() {
            return;
        }
        match self.backend.tracked(addresses) {
            Ok(entries) => self.delete_dead(addresses, &entries),
            Err(error) => warn!(%error, ?addresses, "conntrack entries of dead addresses remain"),
        }
    }

    /// Whether there were any.
    fn forget_turned(&mut self, isolated: &BTreeSet<IpAddr>) -> bool {
        match self.backend.tracked(isolated) {
            Ok(entries) => self.delete_turned(isolated, entries) > 0,
            Err(error) => {
                warn!(%error, "conntrack cannot be asked for flows that it has the wrong way round");
                false
            }
        }
    }

    fn delete_dead(&mut self, addresses: &BTreeSet<IpAddr>, entries: &[Entry]) {
        let count = self.delete(entries, "of dead addresses");
        if !addresses.is_empty() {
            debug!(?addresses, entries = count, "conntrack entries of dead addresses are deleted");
        }
    }

    fn delete_turned(&mut self, isolated: &BTreeSet<IpAddr>, mut entries: Vec<Entry>) -> usize {
        let wanted = wanted(&self.compiler, &self.quarantine);
        let config = self.compiler.config();
        entries.retain(|entry| entry.concerns(isolated) && is_turned(&entry.flow, &wanted, config));
        let count = self.delete(&entries, "of flows the wrong way round");
        if count > 0 {
            info!(entries = count, "conntrack entries are deleted that had flows the wrong way round");
        }
        count
    }

    fn delete(&mut self, entries: &[Entry], what: &'static str) -> usize {
        let deleted = if entries.is_empty() { Ok(0) } else { self.backend.forget(entries) };
        let count = deleted.unwrap_or_else(|error| {
            warn!(%error, "conntrack entries {what} remain");
            0
        });
        self.totals.forgotten += count as u64;
        count
    }
}

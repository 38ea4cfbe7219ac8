//! The compiler and the kernel held together: what one wants, the other holds. The only caller of [`Backend`].
//!
//! A commit is sent in steps ([`compiler::stages`]). One that the kernel refuses changes no verdict. The tables are then read
//! back and the whole ruleset is tried as a difference to that; if it is refused too, the objects at fault are left out and
//! their pods denied, so that one bad object never keeps the rest from being in force.

mod forgetting;

use super::{
    check::{Check, Step},
    moves::Moves,
    quarantine::Quarantine,
};
use crate::nft::{Backend, Commit, Dump, Error, Object, Part, Wanted};
use compiler::{
    Compiler, Event, Pace,
    config::Config,
    delta::{Delta, Op},
    ir::Ruleset,
    skeleton,
    stages::Stages,
    text::{self, Style},
};
use forgetting::Forgetting;
use std::{
    borrow::Cow,
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tracing::{Level, debug, enabled, error, info, warn};

/// How often the tables are read anew within one try, because they changed meanwhile or one more object was refused.
const ATTEMPTS: usize = 16;

/// How long a packet may be among the rules that it has met: hundreds of times what it takes.
const UNDER_WAY: Duration = Duration::from_millis(1);

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel held it already; nothing was sent.
    Unchanged,
    /// The kernel took it.
    Committed {
        /// Operations in the transaction.
        ops: usize,
        /// How long the kernel took.
        took: Duration,
    },
}

/// Counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Transactions that the kernel took.
    pub transactions: u64,
    /// Transactions that it did not take.
    pub refusals: u64,
    /// Operations that put right what somebody else had changed.
    pub drift_repaired: u64,
    /// Conntrack entries that were deleted: of dead addresses, and of flows that it had the wrong way round.
    pub forgotten: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Engine<B> {
    backend: B,
    compiler: Compiler,
    quarantine: Quarantine,
    quarantined_pods: BTreeSet<String>,
    /// The kernel holds what was wanted at the last commit, as far as is known.
    in_sync: bool,
    revision: u64,
    totals: Totals,
    /// What nothing leads to any more since the last commit.
    leaving: Option<Leaving>,
    forgetting: Forgetting,
    check: Option<Check>,
}

/// The last step of a commit: what a packet may still be among until then.
#[derive(Debug)]
struct Leaving {
    remove: Delta,
    at: Instant,
}

impl<B: Backend> Engine<B> {
    /// Of a compiler that has been fed with the whole state; nothing is read or sent yet.
    #[must_use]
    pub fn new(backend: B, compiler: Compiler) -> Self {
        Self {
            backend,
            compiler,
            quarantine: Quarantine::default(),
            quarantined_pods: BTreeSet::new(),
            in_sync: false,
            revision: 0,
            totals: Totals::default(),
            leaving: None,
            forgetting: Forgetting::default(),
            check: None,
        }
    }

    /// Feeds the compiler.
    pub fn apply(&mut self, event: Event) {
        self.compiler.apply(event);
    }

    /// Changes the node's settings.
    pub fn set_config(&mut self, config: Config) {
        self.compiler.set_config(config);
    }

    /// For questions about sizes, pods and programs.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// For the kernel's counters.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Number of the ruleset in force; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What has been counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Pods that are denied because an object of theirs was refused, as comments name them.
    #[must_use]
    pub fn quarantined_pods(&self) -> &BTreeSet<String> {
        &self.quarantined_pods
    }

    /// Whether all that the compiler has been fed with is in force.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.is_healthy() && !self.compiler.is_waiting()
    }

    /// Whether the kernel holds all of what it should.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.in_sync && self.quarantine.is_empty()
    }

    /// Brings the kernel, whatever it holds, to what the compiler wants: only the difference is sent.
    ///
    /// # Errors
    /// The kernel cannot be read, or takes nothing.
    pub fn start(&mut self) -> Result<Outcome, Error> {
        self.compiler.commit();
        self.resync_whole()
    }

    /// Sends what has changed since the last commit, its last step too.
    ///
    /// # Errors
    /// As [`Self::start`]; the kernel is as it was.
    pub fn commit(&mut self) -> Result<Outcome, Error> {
        let outcome = self.commit_at(Pace::Whole)?;
        self.tidy()?;
        self.forget_now();
        Ok(outcome)
    }

    /// The same as far as the pace allows. It is in force when this returns; what nothing leads to any more is removed by
    /// [`Self::tidy`], or with the next commit.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_at(&mut self, pace: Pace) -> Result<Outcome, Error> {
        let delta = self.compiler.commit_at(pace);
        if !self.is_healthy() {
            return self.resync();
        }
        if delta.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        // Others commit to their own tables all the time, so no generation is asked for here.
        match self.send(delta, None) {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.totals.refusals += 1;
                warn!(%error, "a commit failed; the tables are read back and tried as a whole");
                self.resync()
            }
        }
    }

    /// When [`Self::tidy`] has something to do.
    #[must_use]
    pub fn tidy_at(&self) -> Option<Instant> {
        self.leaving.as_ref().map(|leaving| leaving.at)
    }

    /// Removes what the last commit has left, once no packet is among it any more.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn tidy(&mut self) -> Result<(), Error> {
        match self.remove_left() {
            Ok(()) => Ok(()),
            Err(error) => {
                self.totals.refusals += 1;
                warn!(%error, "what a commit has left cannot be removed; the tables are read back");
                self.resync().map(drop)
            }
        }
    }

    fn remove_left(&mut self) -> Result<(), Error> {
        let Some(Leaving { remove, at }) = self.leaving.take() else { return Ok(()) };
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        self.transact(&remove, None).map(drop)
    }

    /// Tries again with everything that was left out.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn retry(&mut self) -> Result<Outcome, Error> {
        self.compiler.commit();
        self.quarantine.clear();
        self.resync_whole()
    }

    /// Compares the kernel's tables with what they should hold, and repairs them in one transaction.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn verify(&mut self) -> Result<Outcome, Error> {
        self.tidy()?;
        let dump = self.backend.dump()?;
        let drift = dump.delta_to(&self.wanted());
        if drift.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        describe_drift(&dump, &drift);
        let outcome = self.resync_whole()?;
        if let Outcome::Committed { ops, .. } = outcome {
            self.totals.drift_repaired += ops as u64;
        }
        Ok(outcome)
    }

    /// Begins to compare the kernel's tables with what they should hold, part by part. Gives what is to be read first; `None`:
    /// they can only be compared as a whole now.
    pub fn begin_check(&mut self) -> Option<Wanted> {
        // One that is still under way after so long does not end any more.
        let is_possible = self.check.take().is_none() && self.is_healthy();
        self.check = is_possible.then(Check::begin);
        self.check.as_ref().map(|check| check.asked().clone())
    }

    /// A part has been read. `None`: nobody waits for it any more.
    pub fn check(&mut self, part: Result<Part, Error>) -> Option<Step> {
        self.check.as_ref()?;
        // What is on its way out is in the kernel and in nothing that is wanted.
        let tidy = self.tidy();
        let mut check = self.check.take()?;
        if tidy.is_err() || !self.is_healthy() {
            return Some(Step::Whole);
        }
        let step = check.take(part, self.compiler.ruleset());
        if matches!(step, Step::Read(_)) {
            self.check = Some(check);
        }
        Some(step)
    }

    /// What the kernel should hold: all of it but what was refused.
    pub(crate) fn wanted(&self) -> Cow<'_, Ruleset> {
        wanted(&self.compiler, &self.quarantine)
    }

    /// With its last step, for which no event has to wait here.
    fn resync_whole(&mut self) -> Result<Outcome, Error> {
        let outcome = self.resync()?;
        self.tidy()?;
        self.forget_now();
        Ok(outcome)
    }

    fn resync(&mut self) -> Result<Outcome, Error> {
        self.in_sync = false;
        // The dump shows what is left; no packet is among it by then.
        if let Some(left) = self.leaving.take() {
            std::thread::sleep(left.at.saturating_duration_since(Instant::now()));
        }
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let dump = self.backend.dump()?;
            let delta = dump.delta_to(&self.wanted());
            if delta.is_empty() {
                self.synced();
                self.revision = self.revision.max(1);
                return Ok(Outcome::Unchanged);
            }
            match self.send(delta, Some(dump.generation)) {
                Ok(outcome) => {
                    self.synced();
                    return Ok(outcome);
                }
                Err(error) => {
                    self.totals.refusals += 1;
                    last = Some(self.leave_out(error)?);
                }
            }
        }
        // Never empty after a loop of at least one turn that did not return.
        last.map_or(Ok(Outcome::Unchanged), Err)
    }

    /// Makes the next attempt differ from the one that failed.
    ///
    /// # Errors
    /// Nothing can be done about this error now.
    fn leave_out(&mut self, error: Error) -> Result<Error, Error> {
        let objects: Vec<&Object> = match &error {
            Error::Refused(refusals) => refusals.iter().map(|refusal| &refusal.object).collect(),
            Error::Invalid { object, .. } => vec![object],
            Error::Restart(_) | Error::NoBuffers | Error::Timeout(_) => {
                debug!(%error, "trying again");
                return Ok(error);
            }
            _ => return Err(error),
        };
        if !self.quarantine.add(objects, &skeleton::ruleset(self.compiler.config())) {
            return Err(error);
        }
        error!(%error, "the objects at fault are left out, and their pods denied, until the kernel takes them");
        Ok(error)
    }

    fn synced(&mut self) {
        self.in_sync = true;
        let pods = if self.quarantine.is_empty() {
            BTreeSet::new()
        } else {
            self.quarantine.apply(self.compiler.ruleset()).pods
        };
        if pods != self.quarantined_pods {
            match pods.is_empty() {
                true => info!("nothing is left out any more"),
                false => {
                    error!(?pods, objects = ?self.quarantine.objects().collect::<Vec<_>>(), "pods are denied")
                }
            }
        }
        self.quarantined_pods = pods;
    }

    /// Sends a Delta in its steps. After an error some of them may be in force: nothing leads to what the first one made, and
    /// the next dump shows it.
    fn send(&mut self, delta: Delta, mut generation: Option<u32>) -> Result<Outcome, Error> {
        // What is removed may be made anew.
        self.remove_left()?;
        let ops = delta.ops.len();
        let moves = Moves::of(&delta);
        self.before_switch(&delta, &moves);
        let Stages { prepare, switch, remove } = delta.into_stages();
        let mut took = Duration::ZERO;
        for step in [&prepare, &switch].into_iter().filter(|step| !step.is_empty()) {
            let commit = self.transact(step, generation)?;
            generation = generation.map(|_| commit.generation);
            took += commit.took;
        }
        self.in_force(&switch, ops, took);
        self.after_switch(moves);
        if !remove.is_empty() {
            let wait = if switch.is_empty() { Duration::ZERO } else { UNDER_WAY };
            self.leaving = Some(Leaving { remove, at: Instant::now() + wait });
        }
        Ok(Outcome::Committed { ops, took })
    }

    fn transact(&mut self, step: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        let commit = self.backend.commit(step, generation)?;
        self.totals.transactions += 1;
        if let Some(check) = &mut self.check {
            check.committed(step, commit.generation);
        }
        Ok(commit)
    }

    fn in_force(&mut self, switch: &Delta, operations: usize, took: Duration) {
        self.revision += 1;
        if enabled!(Level::DEBUG) {
            debug!(revision = self.revision, operations, ?took, lines = ?first_lines(switch), "delta");
        }
    }
}

fn wanted<'a>(compiler: &'a Compiler, quarantine: &Quarantine) -> Cow<'a, Ruleset> {
    if quarantine.is_empty() {
        Cow::Borrowed(compiler.ruleset())
    } else {
        Cow::Owned(quarantine.apply(compiler.ruleset()).ruleset)
    }
}

/// Says what somebody else has done: the first lines of what puts it right.
fn describe_drift(dump: &Dump, drift: &Delta) {
    for foreign in &dump.foreign {
        warn!(object = %foreign.object, what = foreign.what, "somebody has put something into our tables");
    }
    let whole = drift.ops.iter().any(|op| matches!(op, Op::AddTable { .. }));
    let lines = if whole { Vec::new() } else { first_lines(drift) };
    warn!(
        ops = drift.ops.len(),
        whole_table = whole,
        ?lines,
        "the tables are not as they should be: repairing"
    );
}

/// Of the many lines of a delta those that say most: elements and rules come before what had to be made to hold them.
fn first_lines(delta: &Delta) -> Vec<String> {
    const LINES: usize = 5;
    let mut ops: Vec<&Op> = delta.ops.iter().collect();
    ops.sort_by_key(|op| match op {
        Op::AddElements { set, .. } => (0, Some(set)),
        Op::DeleteElements { set, .. } => (1, Some(set)),
        Op::SetRules { chain, .. } => (2, Some(chain)),
        _ => (3, None),
    });
    let ops = ops.into_iter().take(LINES).cloned().collect();
    text::delta(&Delta { ops }, Style::SHORT).lines().take(LINES).map(str::to_owned).collect()
}

//! The loop: inputs in, commits out, until it is told to stop.

mod answers;
mod inputs;

use super::{
    batch::{Batch, Unfinished},
    check::Step,
    engine::{Engine, Outcome},
    input::Input,
    limited::Limited,
    reader::Reader,
    schedule::{Due, Schedule},
    telling::Telling,
};
use crate::{
    nft::{Backend, Error},
    node::{facts::Facts, flags::FlagKeeper, tracker::Tracker},
    observe::metrics::Metrics,
    report::{self, Reporter, State},
    state::Keeper,
};
use compiler::Compiler;
use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
};
use std::{
    io,
    net::IpAddr,
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};
use tracing::{debug, error, info, warn};

/// Inputs that are taken in without a look at the clock.
const DRAIN: usize = 1024;

/// Everything that the loop owns.
#[derive(Debug)]
pub struct Daemon<B> {
    engine: Engine<B>,
    cluster: Cluster,
    tracker: Tracker,
    flags: Option<FlagKeeper>,
    keeper: Option<Keeper>,
    reader: Option<Reader>,
    /// What is in force is the state on disk: the source has not told its own yet.
    provisional: bool,
    schedule: Schedule,
    metrics: Arc<Metrics>,
    telling: Telling,
    limited: Limited,
    batch: Batch,
    unfinished: Unfinished,
    conflicts: Vec<(IpAddr, Vec<ObjectKey>)>,
}

impl<B: Backend> Daemon<B> {
    /// Of a whole first state: the cluster's objects and one reading of the host. Nothing is sent yet.
    #[must_use]
    pub fn new(
        backend: B,
        mut tracker: Tracker,
        facts: Facts,
        changes: Vec<Change>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let cluster: Cluster = changes.iter().cloned().collect();
        let update = tracker.read(facts, &cluster);
        let mut compiler = Compiler::new(tracker.config().clone());
        changes.into_iter().for_each(|change| compiler.apply(change.into()));
        update.events().for_each(|event| compiler.apply(event));
        Self {
            engine: Engine::new(backend, compiler),
            cluster,
            tracker,
            flags: None,
            keeper: None,
            reader: None,
            provisional: false,
            schedule: Schedule::new(Instant::now()),
            metrics,
            telling: Telling::default(),
            limited: Limited::default(),
            batch: Batch::default(),
            unfinished: Unfinished::default(),
            conflicts: Vec::new(),
        }
    }

    /// Keeps the pod bridges' flags as they must be, now and whenever the host changes.
    ///
    /// # Errors
    /// They cannot be set now: policy would not hold between pods of this node.
    pub fn with_flags(mut self, flags: FlagKeeper) -> io::Result<Self> {
        self.flags = Some(flags);
        self.set_flags()?;
        Ok(self)
    }

    /// Keeps the state of the objects on disk. What it began with is on disk already if it came from there.
    #[must_use]
    pub fn with_keeper(mut self, mut keeper: Keeper) -> Self {
        if !self.provisional {
            keeper.changed(Instant::now());
        }
        self.keeper = Some(keeper);
        self
    }

    /// Reads the tables for the regular comparison with this, and conntrack's. Without it no change is committed meanwhile.
    #[must_use]
    pub fn with_reader(self, reader: Reader) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// Tells others of this node's state, and of what people should look at: a policy too that has selected nothing for
    /// `nothing_for`.
    #[must_use]
    pub fn with_reporter(mut self, reporter: Reporter, nothing_for: Duration) -> Self {
        self.telling.begin(reporter, self.tracker.config().node.clone(), nothing_for);
        self
    }

    /// Begins with the state on disk. It is not ready before the source's own first state is in force.
    #[must_use]
    pub fn provisional(mut self) -> Self {
        self.provisional = true;
        self
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine<B> {
        &self.engine
    }

    /// The objects as the loop knows them.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Brings the first revision into force; only what the kernel lacks is sent.
    ///
    /// # Errors
    /// The kernel cannot be read or takes nothing; it is tried again when the loop runs.
    pub fn start(&mut self) -> Result<Outcome, Error> {
        let begin = Instant::now();
        let result = self.engine.start();
        self.finish(Due::Commit, begin, &result);
        self.report_conflicts();
        if let Ok(outcome) = result {
            let stats = self.engine.compiler().stats();
            let sent = match outcome {
                Outcome::Unchanged => 0,
                Outcome::Committed { ops, .. } => ops,
            };
            info!(
                revision = self.engine.revision(),
                operations = sent,
                local_pods = stats.local_pods,
                policies = stats.policies,
                programs = stats.programs,
                "the first revision is in force"
            );
        }
        result
    }

    /// Runs until [`Input::Stop`], or until nobody can send any more. The tables stay as they are, and the state is on disk.
    pub fn run(mut self, inputs: &Receiver<Input>) {
        while self.turn(inputs).is_continue() {}
        self.tidy();
        self.engine.forget_now();
        if let Some(keeper) = self.keeper.take() {
            keeper.finish(&self.cluster);
        }
    }

    fn turn(&mut self, inputs: &Receiver<Input>) -> ControlFlow<()> {
        let others = [
            self.engine.tidy_at(),
            self.engine.forgetting_at(),
            self.keeper.as_ref().and_then(Keeper::due),
            self.telling.next().filter(|_| self.is_idle()),
        ];
        let next = others.into_iter().flatten().fold(self.schedule.next(), Instant::min);
        match inputs.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(input) => {
                for input in std::iter::once(input).chain(inputs.try_iter().take(DRAIN)) {
                    self.take(input)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        }
        while let Some(due) = self.schedule.due(Instant::now()) {
            match due {
                Due::Check if self.begin_check() => self.schedule.checking(Instant::now()),
                due => self.act(due),
            }
        }
        if self.engine.tidy_at().is_some_and(|at| at <= Instant::now()) {
            self.tidy();
        }
        if self.engine.forgetting_at().is_some_and(|at| at <= Instant::now()) {
            self.look_through_conntrack();
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.keep(&self.cluster, Instant::now());
        }
        // It may take a millisecond, for which no change shall wait.
        if self.is_idle() {
            self.telling.look(&self.cluster, Instant::now());
        }
        ControlFlow::Continue(())
    }

    /// Nothing waits to be committed.
    fn is_idle(&self) -> bool {
        self.batch.events == 0
    }

    fn act(&mut self, due: Due) {
        let verifies = matches!(due, Due::Check | Due::Verify);
        if verifies && self.batch.events > 0 {
            self.act(Due::Commit);
        }
        let begin = Instant::now();
        let batch = std::mem::take(&mut self.batch);
        let span = if batch.events > 0 { batch.span.clone() } else { self.span() };
        let _entered = span.enter();
        let result = match due {
            Due::Commit | Due::Settle => self.engine.commit_at(self.schedule.pace(begin)),
            Due::Retry => {
                self.schedule.retrying();
                self.engine.retry()
            }
            Due::Check | Due::Verify => self.engine.verify(),
        };
        let in_force = Instant::now();
        self.finish(due, begin, &result);
        if !verifies {
            let compiler = self.engine.compiler();
            let (heavy, waiting) = (compiler.was_heavy(), compiler.is_waiting());
            self.schedule.paced(Instant::now(), begin.elapsed(), heavy, waiting);
            if waiting {
                debug!("pods whose policies ask for much are decided in commits that follow");
            }
        }
        match result {
            Ok(Outcome::Committed { ops, took }) => {
                let revision = self.engine.revision();
                info!(revision, events = batch.events, operations = ops, ?took, "committed");
                if verifies {
                    let note =
                        format!("somebody else had changed the tables: {ops} operations put them right");
                    self.telling.tell(report::Event::node(true, "TablesRepaired", note));
                }
            }
            Ok(Outcome::Unchanged) => debug!(events = batch.events, ?due, "nothing to commit"),
            Err(error) => {
                error!(%error, events = batch.events, "the kernel is as it was; trying again later")
            }
        }
        if batch.addresses_moved {
            self.report_conflicts();
        }
        if self.engine.is_healthy() {
            let waiting = self.engine.compiler().waiting_namespaces();
            for latency in self.unfinished.committed(batch.seen, &waiting, in_force) {
                self.metrics.observe_latency(latency);
            }
            self.metrics.count_reads(batch.reads);
        } else {
            // They are counted once their changes are in force.
            self.batch.reads += batch.reads;
        }
    }

    /// Compares the tables part by part; `false`: that cannot be done now.
    fn begin_check(&mut self) -> bool {
        match (&self.reader, self.engine.begin_check()) {
            (Some(reader), Some(first)) => reader.part(first),
            _ => false,
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Read(wanted) => _ = self.reader.as_ref().is_some_and(|reader| reader.part(wanted)),
            Step::Equal => debug!("the tables are as they should be"),
            Step::Whole => self.act(Due::Verify),
        }
    }

    /// No event waits for what is found there.
    fn look_through_conntrack(&mut self) {
        let addresses = self.engine.begin_forgetting();
        if !self.reader.as_ref().is_some_and(|reader| reader.conntrack(addresses)) {
            self.engine.forget_now();
        }
    }

    /// Removes what the last commit has left: no event waits for that.
    fn tidy(&mut self) {
        if let Err(error) = self.engine.tidy() {
            error!(%error, "the kernel is as it was; trying again later");
            self.schedule.refused(Instant::now());
        }
        self.metrics.set_totals(&self.engine.totals());
    }

    /// Sets the times of what comes next, and the metrics.
    fn finish(&mut self, due: Due, begin: Instant, result: &Result<Outcome, Error>) {
        let now = Instant::now();
        if matches!(due, Due::Check | Due::Verify) {
            self.schedule.verified(now);
        } else {
            self.schedule.committed(now, self.engine.compiler().settled());
        }
        if self.engine.is_healthy() {
            self.schedule.healed();
        } else {
            self.schedule.refused(now);
        }
        if result.is_ok() && !self.provisional {
            self.metrics.set_ready();
        }
        self.tell_state(result);
        let stats = self.engine.compiler().stats();
        let beyond = self.limited.count();
        self.metrics.set_state(self.engine.revision(), &stats, self.engine.quarantined_pods().len(), beyond);
        self.metrics.set_totals(&self.engine.totals());
        debug!(whole = ?begin.elapsed(), "commit done");
    }

    fn tell_state(&mut self, result: &Result<Outcome, Error>) {
        let limited = self.limited.now(self.engine.compiler());
        limited.into_iter().for_each(|event| self.telling.tell(event));
        let denied = self.engine.quarantined_pods();
        let error = match result {
            Err(error) => Some(error.to_string()),
            Ok(_) if !denied.is_empty() => {
                let pods: Vec<&str> = denied.iter().map(String::as_str).collect();
                Some(format!("the kernel refuses objects of {}: they are denied", pods.join(", ")))
            }
            Ok(_) => self.limited.summary(),
        };
        let state = match () {
            () if self.provisional => State::Starting,
            () if self.engine.is_healthy() => State::Live,
            () => State::Refused,
        };
        self.telling.committed(state, error, self.engine.is_up_to_date());
        self.telling.refused(self.engine.quarantined_pods(), self.engine.compiler());
    }

    /// Two live pods with one address are a fault of the cluster; until it is mended the stricter of both holds.
    fn report_conflicts(&mut self) {
        let conflicts = self.engine.compiler().conflicts();
        for (address, pods) in conflicts.iter().filter(|conflict| !self.conflicts.contains(conflict)) {
            let pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
            warn!(%address, ?pods, "several live pods have one address; what is stricter for any of them holds");
        }
        self.conflicts = conflicts;
    }

    fn ensure_flags(&mut self) {
        if let Err(error) = self.set_flags() {
            error!(%error, "the pod bridge's flags cannot be set: same-node traffic is not judged");
        }
    }

    fn set_flags(&mut self) -> io::Result<()> {
        let Some(flags) = &mut self.flags else { return Ok(()) };
        for bridge in flags.ensure(self.tracker.facts(), &self.tracker.config().bridges)? {
            info!(bridge, "the sysctls are off, so the bridge's own nf_call flags are set");
        }
        Ok(())
    }
}

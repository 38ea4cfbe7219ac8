//! What the loop tells others of itself: whether all that is wanted is in force, and what people should look at.

use super::refused::Refused;
use crate::report::{Event, Reporter, State, Status, survey::Survey};
use compiler::Compiler;
use k8s_openapi::jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use policy_model::cluster::Cluster;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// A change may have to wait as long as one look.
const LOOK: Duration = Duration::from_micros(300);

/// Of this thread.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Without a [`Reporter`] it says nothing to anybody, and costs nothing.
#[derive(Debug)]
pub(super) struct Telling {
    reporter: Reporter,
    survey: Option<Survey>,
    refused: Refused,
    state: State,
    since: Timestamp,
    last_error: Option<String>,
    /// Version of the policies that are in force; that of those which are with the next commit.
    policies: Option<u64>,
    waiting: Option<u64>,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            reporter: Reporter::silent(),
            survey: None,
            refused: Refused::default(),
            state: State::Starting,
            since: Timestamp::now(),
            last_error: None,
            policies: None,
            waiting: None,
        }
    }
}

impl Telling {
    /// To those at the reporter's other end. `node` looks after its share of the policies.
    /// `nothing_for`: how long a policy may select nothing before people are told.
    pub(super) fn begin(&mut self, reporter: Reporter, node: Arc<str>, nothing_for: Duration) {
        let survey = || Survey::new(node.clone(), nothing_for, Instant::now());
        self.survey = (!reporter.is_silent()).then(survey);
        self.refused = Refused::new(node);
        self.reporter = reporter;
        self.reporter.changed();
    }

    /// Every policy up to this version is with the loop; `in_force`: nothing waits to be committed.
    pub(super) fn policies_at(&mut self, version: u64, in_force: bool) {
        self.waiting = Some(version);
        if in_force {
            self.policies_in_force();
        }
    }

    fn policies_in_force(&mut self) {
        if let Some(version) = self.waiting.take()
            && self.policies != Some(version)
        {
            self.policies = Some(version);
            self.reporter.advanced();
        }
    }

    /// A commit has ended so. `all`: nothing that has been told of is put off.
    pub(super) fn committed(&mut self, state: State, error: Option<String>, all: bool) {
        if state != self.state {
            self.since = Timestamp::now();
        }
        if state != self.state || error != self.last_error {
            self.reporter.changed();
        }
        (self.state, self.last_error) = (state, error);
        if state == State::Live && all {
            self.policies_in_force();
        }
    }

    /// The kernel refuses objects of these pods, which are denied until it takes them.
    pub(super) fn refused(&mut self, pods: &BTreeSet<String>, compiler: &Compiler) {
        self.refused
            .now(pods, || compiler.local_pods())
            .into_iter()
            .for_each(|event| self.reporter.tell(event));
    }

    /// The objects have changed.
    pub(super) fn cluster_changed(&mut self) {
        if let Some(survey) = &mut self.survey {
            survey.changed();
        }
    }

    /// When there is something to look at; `None`: not before something changes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.survey.as_ref()?.next()
    }

    /// Looks at some policies, if it is time. Several, since to be woken for each would cost more than the look.
    pub(super) fn look(&mut self, cluster: &Cluster, now: Instant) {
        let Some(survey) = &mut self.survey else { return };
        let is_due = |survey: &Survey| survey.next().is_some_and(|at| at <= now);
        if !is_due(survey) {
            return;
        }
        let (begin, busy) = (Instant::now(), processor_time());
        while is_due(survey) && begin.elapsed() < LOOK {
            survey.step(cluster, now).into_iter().for_each(|event| self.reporter.tell(event));
        }
        // On a busy machine a look that has to wait for its turn is no dear one.
        survey.rest(processor_time().saturating_sub(busy), now);
    }

    /// People should know of it.
    pub(super) fn tell(&self, event: Event) {
        self.reporter.tell(event);
    }

    /// What is known here of a node's status.
    pub(super) fn status(&self) -> Status {
        Status {
            policies: self.policies,
            state: self.state,
            since: self.since,
            last_error: self.last_error.clone(),
            ..Status::default()
        }
    }
}

//! Writing to an API server that may be away or may forbid it: when it is tried again, and each trouble said once.

use crate::{
    observe::metrics::Metrics,
    source::kube::{Backoff, Fault},
};
use std::{sync::Arc, time::Duration};
use tracing::{info, warn};

/// What an API server forbids it may allow some day.
const FORBIDDEN: Duration = Duration::from_secs(300);

/// How the writing of one kind of objects goes.
#[derive(Debug)]
pub(super) struct Attempts {
    /// As RBAC names them.
    resource: &'static str,
    /// As a sentence about them begins.
    what: &'static str,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    said: Option<Fault>,
}

impl Attempts {
    pub(super) fn new(resource: &'static str, what: &'static str, metrics: Arc<Metrics>) -> Self {
        Self { resource, what, metrics, backoff: Backoff::default(), said: None }
    }

    /// It is written.
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        if self.said.take().is_some() {
            info!("{} can be written again", self.what);
        }
    }

    /// It is not. `help` is what to do where the fault's own words are not enough. Gives how long to wait.
    pub(super) fn failed(&mut self, fault: &Fault, help: Option<String>) -> Duration {
        self.metrics.count_report_failure(self.resource);
        if !self.said.as_ref().is_some_and(|said| fault.is_no_news_after(said)) {
            let help = help.unwrap_or_else(|| fault.help());
            warn!(help, "{} cannot be written, policies are enforced all the same: {fault}", self.what);
            self.said = Some(fault.clone());
        }
        match fault {
            Fault::Forbidden { .. } => FORBIDDEN,
            fault => self.backoff.wait(fault.retry_after()),
        }
    }

    /// For what would be written next: it suffers from the same.
    pub(super) fn pause(&mut self) -> Duration {
        self.backoff.wait(None)
    }
}

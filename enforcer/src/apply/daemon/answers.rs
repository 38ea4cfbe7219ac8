//! What the loop says when it is asked: for HTTP clients, and for this node's status.

use super::Daemon;
use crate::{
    apply::input::Question,
    nft::Backend,
    observe::{kernel::readback, programs::programs},
    report::Status,
};
use compiler::program_direction;
use tracing::warn;

impl<B: Backend> Daemon<B> {
    pub(super) fn answer(&mut self, question: Question) {
        // Whoever asked may have gone away; that is no fault.
        match question {
            Question::Programs(answer) => {
                let _ = answer.send(programs(self.engine.compiler(), self.engine.revision()));
            }
            Question::Kernel(answer) => {
                let _ = answer.send(readback(&mut self.engine).map(Box::new));
            }
            Question::Verdict(flow, answer) => {
                let _ = answer.send(self.cluster.verdict(&flow));
            }
            Question::Counters(answer) => {
                let counters = self.engine.backend().counters();
                let _ = answer.send(counters.inspect_err(|error| warn!(%error, "no counters")).ok());
            }
            Question::PodRanges(answer) => {
                let node = self.cluster.node(&self.tracker.config().node);
                let _ = answer.send(node.map(|node| node.pod_cidrs.clone()).unwrap_or_default());
            }
            Question::Status(answer) => {
                let _ = answer.send(self.status());
            }
        }
    }

    fn status(&mut self) -> Status {
        let stats = self.engine.compiler().stats();
        let counters = self.engine.backend().counters();
        Status {
            revision: self.engine.revision(),
            pods: stats.local_pods,
            isolated: self.engine.compiler().judged(),
            programs: stats.programs,
            nodes: self.cluster.nodes().count(),
            dropped: counters.ok().map(|counters| {
                let fixed = counters.iter().filter(|((_, name), _)| program_direction(name).is_none());
                fixed.map(|(_, counter)| counter.packets).sum()
            }),
            ..self.telling.status()
        }
    }
}

//! A kernel as a judge of scenarios: the cluster is raised in the lab, `policyd` enforces it, and every flow is tried.

use super::{Enforced, Ground, Manifests, PolicydError};
use crate::{
    lab::Lab,
    probe::{Outcome, Probe, Reply},
    scenario::Judge,
};
use policy_model::{cluster::Cluster, object::ObjectKey, verdict};
use policyctl::assertions;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The answers of a lab to every flow of a scenario that a host of it can try.
#[derive(Debug)]
pub struct Kernel {
    replies: HashMap<Probe, Reply>,
    questions: HashMap<Question, Probe>,
}

/// What tells two flows of a scenario apart.
type Question = (verdict::Flow, Option<(ObjectKey, u16)>);

fn question(probe: &assertions::Probe) -> Question {
    (probe.flow.clone(), probe.service.as_ref().map(|route| (route.key.clone(), route.port)))
}

impl Kernel {
    /// Raises the cluster under the test's name, enforces it, tries all flows, and takes it down again.
    ///
    /// # Errors
    /// What the lab or `policyd` says.
    pub fn judge(test: &str, cluster: &Cluster, probes: &[assertions::Probe]) -> Result<Self, PolicydError> {
        let ports: BTreeSet<u16> = probes.iter().filter_map(|probe| probe.flow.port).collect();
        let ports: Vec<_> = ports.into_iter().chain([9]).collect();
        let ground = Ground::new(cluster)?;
        let lab = Lab::builder(test).nodes(ground.nodes()).ports(&ports).build()?;
        lab.add_pods(&ground.pods())?;
        ground.add_outside_addresses(&lab, probes)?;
        lab.set_services(&ground.services())?;
        let enforced = Enforced::start(lab, &Manifests::of(cluster))?;
        Self::ask(enforced.lab(), &ground, probes)
    }

    /// Tries all flows in a lab that is up, as it is enforced now.
    ///
    /// # Errors
    /// What the lab says.
    pub fn ask(lab: &Lab, ground: &Ground<'_>, probes: &[assertions::Probe]) -> Result<Self, PolicydError> {
        let questions: HashMap<_, _> =
            probes.iter().filter_map(|probe| Some((question(probe), ground.probe(probe)?))).collect();
        let sent: Vec<_> = questions.values().cloned().collect();
        let replies = lab.probe_all(&sent)?;
        Ok(Self { replies: sent.into_iter().zip(replies).collect(), questions })
    }

    fn reply(&self, probe: &assertions::Probe) -> Option<(&Probe, &Reply)> {
        let sent = self.questions.get(&question(probe))?;
        Some((sent, self.replies.get(sent)?))
    }
}

impl Judge for Kernel {
    fn allows(&mut self, probe: &assertions::Probe) -> Option<bool> {
        let (_, reply) = self.reply(probe)?;
        Some(reply.outcome == Outcome::Allowed)
    }

    fn reason(&mut self, probe: &assertions::Probe) -> String {
        self.reply(probe).map_or_else(
            || "no host of the lab can try it".to_owned(),
            |(sent, reply)| match &reply.answer {
                Some(answer) => format!("{sent} was answered by {} to {}", answer.by, answer.client),
                None => format!("{sent} was {}", reply.outcome),
            },
        )
    }
}

/// Every flow of a scenario's assertions.
#[must_use]
pub fn probes(assertions: &[assertions::Assertion]) -> Vec<assertions::Probe> {
    let unique: BTreeMap<_, _> = assertions
        .iter()
        .flat_map(|assertion| &assertion.probes)
        .map(|probe| (format!("{probe}"), probe.clone()))
        .collect();
    unique.into_values().collect()
}

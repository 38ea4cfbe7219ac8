//! The model as a judge: the reference verdict.

use super::Judge;
use policy_model::{
    cluster::Cluster,
    object::ObjectKey,
    verdict::{Exemption, Side, Verdict},
};
use policyctl::assertions::Probe;

/// Asks [`Cluster::verdict`].
#[derive(Debug)]
pub struct Model<'a>(pub &'a Cluster);

impl Judge for Model<'_> {
    fn allows(&mut self, probe: &Probe) -> Option<bool> {
        Some(self.0.verdict(&probe.flow).allowed)
    }

    fn reason(&mut self, probe: &Probe) -> String {
        reason(&self.0.verdict(&probe.flow))
    }
}

/// Both sides of a verdict in a line.
fn reason(verdict: &Verdict) -> String {
    match verdict.exemption {
        Some(Exemption::SelfTraffic) => "a pod's traffic to itself always passes".to_owned(),
        Some(Exemption::OwnNode) => "a node's traffic to its own pods always passes".to_owned(),
        None => format!("egress {}; ingress {}", side(&verdict.egress), side(&verdict.ingress)),
    }
}

fn side(side: &Side) -> String {
    let names = |keys: &[ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (side.isolated, side.allowed_by.first()) {
        (false, _) => "is not isolated".to_owned(),
        (true, Some(rule)) => format!("is allowed by {rule}"),
        (true, None) => format!("is isolated by {}, and no rule allows it", names(&side.policies)),
    }
}

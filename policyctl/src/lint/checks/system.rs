//! P017: policies in kube-system.

use crate::lint::{
    Code, Finding, Severity,
    context::{Context, listed},
};
use policy_model::{
    field::FieldPath,
    policy::{Direction, NetworkPolicy},
};

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let in_system = context.policies().filter(|policy| &*policy.key.namespace == "kube-system");
    in_system.filter_map(|policy| of_policy(context, policy)).collect()
}

fn of_policy(context: &Context<'_>, policy: &NetworkPolicy) -> Option<Finding> {
    let selected = context.selected(policy);
    let isolated: Vec<_> =
        selected.iter().map(|pod| context.pods[*pod]).filter(|pod| pod.is_policed()).collect();
    // A policy that selects nobody is another finding, unless nobody is known.
    if isolated.is_empty() && !context.pods.is_empty() {
        return None;
    }
    let directions: Vec<_> = Direction::BOTH
        .into_iter()
        .filter(|direction| policy.rules(*direction).is_some())
        .map(Direction::name)
        .collect();
    let whom = match (isolated.is_empty(), policy.pod_selector.is_everything()) {
        (true, _) => "pods of kube-system".to_owned(),
        (false, true) => format!(
            "every pod of kube-system ({})",
            listed(isolated.iter().map(|pod| pod.key.name.to_string()))
        ),
        (false, false) => listed(isolated.iter().map(|pod| pod.key.to_string())),
    };
    let dns = if isolated.iter().any(|pod| super::dns::is_server(pod)) {
        ", the cluster's DNS among them"
    } else {
        ""
    };
    let message = format!("isolates {whom} for {}{dns}", directions.join(" and "));
    let path = FieldPath::root().field("spec").field("podSelector");
    let finding = context.finding(Code::P017, &policy.key, &path, message, Code::P017.info().remedy);
    // A policy that names its pods is one that somebody thought about.
    let is_chosen = !policy.pod_selector.is_everything() && dns.is_empty();
    Some(if is_chosen { finding.weighing(Severity::Info) } else { finding })
}

//! P017: policies in kube-system.

use crate::{
    connect::{self, Party},
    lint::{
        Code, Finding, Severity,
        context::{Context, listed},
    },
};
use policy_model::{
    field::FieldPath,
    object::{Pod, Protocol},
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
    let server = isolated.iter().find(|pod| super::dns::is_server(pod));
    let (dns, is_harmless) = match server.filter(|_| policy.ingress.is_some()) {
        None => (String::new(), !policy.pod_selector.is_everything() && server.is_none()),
        Some(server) => match mute(context, server) {
            mute if mute.is_empty() => (
                ", the cluster's DNS among them; every pod may ask it".to_owned(),
                !policy.pod_selector.is_everything(),
            ),
            mute => (format!(", the cluster's DNS among them; {} may not ask it", listed(mute)), false),
        },
    };
    let message = format!("isolates {whom} for {}{dns}", directions.join(" and "));
    let path = FieldPath::root().field("spec").field("podSelector");
    let finding = context.finding(Code::P017, &policy.key, &path, message, Code::P017.info().remedy);
    // A policy that names its pods and stops no names is one that somebody thought about.
    Some(if is_harmless { finding.weighing(Severity::Info) } else { finding })
}

/// The pods that a DNS server does not let in, by all policies together.
fn mute(context: &Context<'_>, server: &Pod) -> Vec<String> {
    let cluster = context.cluster();
    let own = connect::pod_addresses(cluster, server).first().copied();
    let subject = connect::Subject::new(cluster, &Party::of_pod(cluster, server, own), Direction::Ingress);
    let may_ask = |pod: &Pod| {
        let address = connect::pod_addresses(cluster, pod).first().copied();
        subject.with(&Party::of_pod(cluster, pod, address)).contains(Protocol::Udp, 53)
    };
    let others = context.pods.iter().filter(|pod| pod.is_policed() && pod.key != server.key);
    others.filter(|pod| !may_ask(pod)).map(|pod| pod.key.to_string()).collect()
}

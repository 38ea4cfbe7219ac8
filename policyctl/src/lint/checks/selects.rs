//! P004, P005, P020, P021: selectors that match no pod, or only pods that policies do not see.

use crate::lint::{
    Code, Finding, Severity,
    context::{Context, Pods, RuleAt, listed},
};
use policy_model::{
    field::FieldPath,
    labels::Labels,
    manifest::nearest,
    object::Pod,
    policy::{NetworkPolicy, Peer},
    selector::{Requirement, Selector},
};
use std::collections::BTreeSet;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = context.policies().filter_map(|policy| subject(context, policy));
    let peers = context.rules().flat_map(|rule| {
        let peers = rule.rule.peers.iter().enumerate();
        peers.filter_map(move |(index, peer)| self::peer(context, rule, index, peer))
    });
    policies.chain(peers).collect()
}

fn subject(context: &Context<'_>, policy: &NetworkPolicy) -> Option<Finding> {
    let selected = context.selected(policy);
    let path = FieldPath::root().field("spec").field("podSelector");
    let namespace = &policy.key.namespace;
    if selected.is_empty() {
        let here: Vec<&Pod> =
            context.pods.iter().filter(|pod| pod.key.namespace == *namespace).copied().collect();
        let message = match (here.is_empty(), policy.pod_selector.is_everything()) {
            (true, _) => format!("selects nothing: there is no pod in namespace {namespace}"),
            (false, _) => format!("selects nothing: no pod of {namespace} has {}", policy.pod_selector),
        };
        let elsewhere = context.pods.iter().filter(|pod| policy.pod_selector.matches(&pod.labels));
        let remedy = meant(&policy.pod_selector, here.iter().map(|pod| &pod.labels))
            .or_else(|| {
                let namespaces: BTreeSet<_> = elsewhere.map(|pod| pod.key.namespace.to_string()).collect();
                let is_telling = !policy.pod_selector.is_everything() && !namespaces.is_empty();
                is_telling.then(|| {
                    format!(
                        "such pods are in {}; a policy selects pods of its own namespace",
                        listed(namespaces)
                    )
                })
            })
            .unwrap_or_else(|| Code::P004.info().remedy.to_owned());
        return Some(context.finding(Code::P004, &policy.key, &path, message, remedy));
    }
    let (on_host, count) = on_host(context, &selected);
    if on_host.is_empty() {
        return None;
    }
    let only = if on_host.len() == count { "only " } else { "" };
    let message =
        format!("selects {only}pods on the host network, which no policy isolates: {}", listed(on_host));
    let finding = context.finding(Code::P020, &policy.key, &path, message, Code::P020.info().remedy);
    // All pods of a namespace are selected for the sake of the others.
    let is_by_the_way = policy.pod_selector.is_everything() && only.is_empty();
    Some(if is_by_the_way { finding.weighing(Severity::Info) } else { finding })
}

fn peer(context: &Context<'_>, rule: RuleAt<'_>, index: usize, peer: &Peer) -> Option<Finding> {
    let Peer::Pods { namespaces, pods } = peer else { return None };
    let policy = &rule.policy.key;
    let found = context.peer_pods(policy, peer)?;
    let path = rule.peer_path(index);
    if found.is_empty() {
        if super::dns::is_dns_of_elsewhere(context, namespaces.as_ref(), pods) {
            return None;
        }
        let candidates = candidates(context, rule.policy, namespaces.as_ref());
        let message = match namespaces {
            None if candidates.is_empty() => {
                format!("matches nothing: there is no pod in {}", policy.namespace)
            }
            None => format!("matches nothing: no pod of {} has {}", policy.namespace, shown(pods)),
            Some(selector) if candidates.is_empty() => {
                format!("matches nothing: there is no pod in a namespace with {}", shown(selector))
            }
            Some(selector) => {
                format!("matches nothing: no pod of a namespace with {} has {}", shown(selector), shown(pods))
            }
        };
        let remedy = elsewhere(context, namespaces.as_ref(), pods)
            .or_else(|| meant(pods, candidates.iter().map(|pod| &pod.labels)))
            .or_else(|| {
                let defined: Vec<&Labels> =
                    context.cluster().namespaces().map(|namespace| &namespace.labels).collect();
                namespaces.as_ref().and_then(|selector| meant(selector, defined.iter().copied()))
            })
            .unwrap_or_else(|| Code::P005.info().remedy.to_owned());
        return Some(context.finding(Code::P005, policy, &path, message, remedy));
    }
    let (on_host, count) = on_host(context, &found);
    (on_host.len() == count).then(|| {
        let message = format!("matches only pods on the host network: {}", listed(on_host));
        context.finding(Code::P021, policy, &path, message, Code::P021.info().remedy)
    })
}

/// The names of those on the host network, and how many pods there are.
fn on_host(context: &Context<'_>, pods: &Pods) -> (Vec<String>, usize) {
    let on_host = pods.iter().map(|index| context.pods[*index]).filter(|pod| pod.host_network);
    (on_host.map(|pod| pod.key.to_string()).collect(), pods.len())
}

/// The pods of the namespaces that a peer looks into.
fn candidates<'a>(
    context: &Context<'a>,
    policy: &NetworkPolicy,
    namespaces: Option<&Selector>,
) -> Vec<&'a Pod> {
    let is_in = |pod: &Pod| match namespaces {
        None => pod.key.namespace == policy.key.namespace,
        Some(selector) => selector.matches(&context.cluster().namespace_labels(&pod.key.namespace)),
    };
    context.pods.iter().filter(|pod| is_in(pod)).copied().collect()
}

/// Where pods with such labels are, if they are in other namespaces than a peer looks into.
fn elsewhere(context: &Context<'_>, namespaces: Option<&Selector>, pods: &Selector) -> Option<String> {
    if pods.is_everything() {
        return None;
    }
    let matching = context.pods.iter().filter(|pod| pods.matches(&pod.labels));
    let found: BTreeSet<_> = matching.map(|pod| pod.key.namespace.to_string()).collect();
    let first = found.first()?.clone();
    let selector = format!("namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {first}}}}}");
    Some(match namespaces {
        None => format!("such pods are in {}: add {selector} to this entry", listed(found)),
        Some(_) => format!("such pods are in {}, which the namespaceSelector leaves out", listed(found)),
    })
}

fn shown(selector: &Selector) -> String {
    if selector.is_everything() { "any label".to_owned() } else { selector.to_string() }
}

/// "Did you mean": a value or key that is near to one of a selector that nothing has.
fn meant<'a>(selector: &Selector, labels: impl Iterator<Item = &'a Labels> + Clone) -> Option<String> {
    selector.requirements().iter().find_map(|requirement| {
        let key = &**requirement.key();
        let values: BTreeSet<&str> =
            labels.clone().filter_map(|labels| labels.get(key)).map(|value| &**value).collect();
        if values.is_empty() {
            let keys: BTreeSet<&str> = labels.clone().flat_map(Labels::iter).map(|(key, _)| &**key).collect();
            return nearest(key, keys).map(|near| format!("did you mean the label {near}?"));
        }
        let Requirement::In(_, wanted) = requirement else { return None };
        let unknown = wanted.iter().filter(|value| !values.contains(&***value));
        let near = unknown.filter_map(|value| nearest(value, values.iter().copied())).next()?;
        Some(format!("did you mean {key}={near}?"))
    })
}

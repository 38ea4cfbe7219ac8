//! Where a reader would be surprised.

use super::{Answer, Pair, Question};
use crate::{
    cluster_dns,
    connect::{self, Party},
    endpoint::{Endpoint as Written, Ports},
    input::Snapshot,
};
use policy_model::{
    object::{ObjectKey, Pod, Protocol, TargetPort},
    policy::Direction,
    verdict::{Endpoint, Exemption},
};
use std::collections::BTreeSet;

/// Notes about an answer, the most surprising first. `notes` are those that were made when the ends were looked up.
pub(super) fn notes(
    snapshot: &Snapshot,
    question: &Question,
    pairs: &[Pair],
    exemptions: &BTreeSet<Exemption>,
    mut notes: Vec<String>,
) -> Vec<String> {
    for exemption in exemptions {
        notes.push(match exemption {
            Exemption::SelfTraffic => {
                "a pod may always reach itself, also through a Service; no policy denies it".to_owned()
            }
            Exemption::OwnNode => {
                "the source is the node that the pod runs on: a node may always reach its own pods (probes)"
                    .to_owned()
            }
        });
    }
    let sources = pods(snapshot, pairs.iter().map(|pair| &pair.source));
    let destinations = pods(snapshot, pairs.iter().map(|pair| &pair.destination));
    notes.extend(headless(snapshot, question));
    notes.extend(terminating(snapshot, sources.iter().chain(&destinations)));
    notes.extend(host_network(sources.iter().chain(&destinations)));
    notes.extend(addresses(snapshot, pairs));
    notes.extend(unknown(snapshot, pairs));
    notes.extend(no_names(snapshot, &sources));
    notes.extend(node_port(snapshot, pairs));
    if pairs.iter().any(|pair| pair.verdict == Answer::Denied) {
        notes.push("a denied packet is dropped: the client sees a timeout, not a refusal".to_owned());
    }
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    notes
}

fn pods<'a>(snapshot: &'a Snapshot, ends: impl Iterator<Item = &'a Endpoint>) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = ends
        .filter_map(|end| match end {
            Endpoint::Pod { key, .. } => snapshot.cluster.pod(key),
            Endpoint::Address(_) => None,
        })
        .collect();
    pods.sort_by_key(|pod| &pod.key);
    pods.dedup_by_key(|pod| &pod.key);
    pods
}

/// A name for pods, which translates nothing; a port of the Service that its pods do not have leads nowhere.
fn headless(snapshot: &Snapshot, question: &Question) -> Option<String> {
    let Written::Service(key) = &question.target.endpoint else { return None };
    let service = snapshot.cluster.service(key).filter(|service| service.headless)?;
    let asked =
        |port: u16| matches!(question.target.ports, Ports::Range(_, lo, hi) if (lo..=hi).contains(&port));
    let elsewhere =
        service.ports.iter().filter(|port| asked(port.port)).find_map(|port| match &port.target {
            TargetPort::Number(number) if *number == port.port => None,
            TargetPort::Number(number) => Some((port.port, format!("on {number}"))),
            TargetPort::Name(name) => Some((port.port, format!("on their port {name}"))),
        });
    let elsewhere = elsewhere.map(|(port, on)| {
        format!(". Its port {port} has a targetPort, which is of no use here: its pods listen {on}, and clients must call that")
    });
    Some(format!(
        "Service {key} is headless: its name stands for the addresses of its pods, and clients call the pods' own ports; \
         nothing is translated{}",
        elsewhere.unwrap_or_default()
    ))
}

/// Its policies outlive the command that deletes a namespace (CVE-2024-7598).
fn terminating<'a>(snapshot: &Snapshot, pods: impl Iterator<Item = &'a &'a Pod>) -> Vec<String> {
    let namespaces: BTreeSet<_> = pods.map(|pod| &pod.key.namespace).collect();
    let going = namespaces.into_iter().filter(|namespace| snapshot.terminating.contains(*namespace));
    going
        .map(|name| {
            format!("namespace {name} is being deleted: its policies hold until its last pod is gone")
        })
        .collect()
}

fn host_network<'a>(pods: impl Iterator<Item = &'a &'a Pod>) -> Vec<String> {
    let on_host: Vec<_> = pods.filter(|pod| pod.host_network).map(|pod| pod.key.to_string()).collect();
    match &on_host[..] {
        [] => Vec::new(),
        names => vec![format!(
            "{} on its node's network: no policy selects it, and to others it is the node's address, which only an \
             ipBlock can name",
            listed(names, "is", "are each")
        )],
    }
}

/// An address that is a pod's is that pod.
fn addresses(snapshot: &Snapshot, pairs: &[Pair]) -> Vec<String> {
    let ends = pairs.iter().flat_map(|pair| [&pair.source, &pair.destination]);
    let of_end = |end: &Endpoint| {
        let Endpoint::Address(address) = end else { return None };
        let pods: Vec<_> = snapshot.cluster.claimants(*address).map(|pod| pod.key.to_string()).collect();
        match &pods[..] {
            [] => None,
            [pod] => Some(format!("{address} is the address of pod {pod}")),
            _ => Some(format!(
                "{address} is held by {}: the strictest of their policies counts",
                pods.join(" and ")
            )),
        }
    };
    ends.filter_map(of_end).collect()
}

fn unknown(snapshot: &Snapshot, pairs: &[Pair]) -> Vec<String> {
    let unknown = pairs.iter().filter(|pair| pair.verdict == Answer::Unknown);
    let ends = unknown.flat_map(|pair| [&pair.source, &pair.destination]);
    let nameless = ends.filter_map(|end| match end {
        Endpoint::Pod { key, address: None } => Some(key),
        _ => None,
    });
    let of_pod = |key: &ObjectKey| {
        let what = if snapshot.is_template(key) {
            "stands for pods that are not here"
        } else {
            "has no address yet"
        };
        format!("{key} {what}, so whether an ipBlock covers it cannot be known")
    };
    nameless.map(of_pod).collect()
}

/// A pod that may talk to somebody, but not to the cluster's DNS, does not find anybody by name.
fn no_names(snapshot: &Snapshot, sources: &[&Pod]) -> Vec<String> {
    let cluster = &snapshot.cluster;
    let dns = cluster.pods().filter(|pod| cluster_dns::is_server(pod)).collect::<Vec<_>>();
    let imagined = cluster_dns::imagined();
    let servers = if dns.is_empty() { vec![&imagined] } else { dns };
    let is_mute = |pod: &&&Pod| {
        let is_isolated = cluster.isolating_policies(pod, Direction::Egress).next().is_some();
        is_isolated
            && !cluster_dns::is_server(pod)
            && !servers.iter().any(|server| may_ask(snapshot, pod, server))
    };
    let mute: Vec<_> = sources.iter().filter(is_mute).map(|pod| pod.key.to_string()).collect();
    if mute.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "{} isolated for egress and no rule lets it ask the cluster's DNS (port 53): names will not resolve",
        listed(&mute, "is", "are each")
    )]
}

fn may_ask(snapshot: &Snapshot, pod: &Pod, server: &Pod) -> bool {
    let cluster = &snapshot.cluster;
    let addresses = connect::pod_addresses(cluster, server);
    let own = connect::pod_addresses(cluster, pod);
    connect::address_pairs(own, addresses).into_iter().any(|(from, to)| {
        let source = Party::of_pod(cluster, pod, from);
        let server = match cluster.pod(&server.key) {
            Some(known) => Party::of_pod(cluster, known, to),
            None => Party::imagined(server),
        };
        connect::side(cluster, &source, &server, Direction::Egress).contains(Protocol::Udp, 53)
    })
}

/// Clients outside come through a node, and are hidden behind it on the way to a pod of another node.
fn node_port(snapshot: &Snapshot, pairs: &[Pair]) -> Vec<String> {
    let is_outside = |pair: &&Pair| match &pair.source {
        Endpoint::Address(address) => snapshot.cluster.claimants(*address).next().is_none(),
        Endpoint::Pod { .. } => false,
    };
    let services = pairs.iter().filter(is_outside).filter_map(|pair| pair.service.as_ref());
    let exposed = services.filter(|route| {
        let service = snapshot.cluster.service(&route.key);
        service.is_some_and(|service| service.ports.iter().any(|port| port.node_port.is_some()))
    });
    let names: BTreeSet<_> = exposed.map(|route| route.key.to_string()).collect();
    let of_service = |name: String| {
        format!(
            "through the node port of {name} a pod sees the client's address only on the node that it came to; on another \
             node it sees that node's address (externalTrafficPolicy: Local keeps the client's)"
        )
    };
    names.into_iter().map(of_service).collect()
}

/// `a is`, `a and b are each`, `a, b and 3 more are each`.
fn listed(names: &[String], one: &str, many: &str) -> String {
    const SHOWN: usize = 3;
    match names {
        [name] => format!("{name} {one}"),
        [first, last] => format!("{first} and {last} {many}"),
        _ if names.len() <= SHOWN => {
            format!("{} and {} {many}", names[..names.len() - 1].join(", "), names[names.len() - 1])
        }
        _ => format!("{} and {} more {many}", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}

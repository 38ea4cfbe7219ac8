//! Peers and selectors that mean one end and as few others as can be.

use super::End;
use crate::connect::Party;
use ipnet::IpNet;
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{NAMESPACE_NAME_LABEL, Pod},
    policy::{Peer, PolicyPort, PortMatch},
    portset::PortSet,
    selector::{Requirement, Selector},
};
use std::{collections::BTreeSet, sync::Arc};

/// Labels that controllers give to single pods and revisions: a selector with one of them does not outlive the next roll-out.
const PASSING: [&str; 9] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
];

/// Labels that say what a pod is, the most telling first.
const TELLING: [&str; 5] =
    ["app.kubernetes.io/name", "app", "k8s-app", "name", "app.kubernetes.io/component"];

/// The fewest labels that select no more pods of the namespace than all of a pod's lasting labels do.
pub(super) fn labels_of(cluster: &Cluster, pod: &Pod) -> Labels {
    let mut labels = PASSING.iter().fold(pod.labels.clone(), |labels, key| labels.without(key));
    let selected = |labels: &Labels| {
        let peers =
            cluster.pods().filter(|other| other.key.namespace == pod.key.namespace && other.is_policed());
        peers.filter(|other| labels.iter().all(|(k, v)| other.labels.get(k) == Some(v))).count()
    };
    let fewest = selected(&labels);
    let mut keys: Vec<Arc<str>> = labels.iter().map(|(key, _)| key.clone()).collect();
    let rank = |key: &str| TELLING.iter().position(|known| *known == key).unwrap_or(TELLING.len());
    keys.sort_by_key(|key| std::cmp::Reverse((rank(key), key.clone())));
    for key in keys {
        let fewer = labels.without(&key);
        // Selecting by nothing at all would take in every pod that comes later.
        if !fewer.is_empty() && selected(&fewer) == fewest {
            labels = fewer;
        }
    }
    labels
}

/// A selector of exactly these labels.
pub(super) fn selector_of(labels: &Labels) -> Selector {
    Selector::new(labels.iter().map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into())))
}

/// The pods of a namespace, by the label that the API server sets.
pub(super) fn namespace_selector(namespace: &Arc<str>) -> Selector {
    Selector::new([Requirement::In(NAMESPACE_NAME_LABEL.into(), [namespace.clone()].into())])
}

/// The peers that mean an end, in a policy of a namespace. None if it can't be named: a node's pod without an address.
pub(super) fn peers_of(cluster: &Cluster, end: &End, namespace: &Arc<str>) -> Vec<Peer> {
    let party = Party::of_endpoint(cluster, &end.endpoint);
    let block = end.block.or(party.address.map(IpNet::from));
    match (&party.pods[..], block) {
        ([pod, ..], _) => {
            let pods = selector_of(&labels_of(cluster, pod));
            let namespaces =
                (pod.key.namespace != *namespace).then(|| namespace_selector(&pod.key.namespace));
            vec![Peer::Pods { namespaces, pods }]
        }
        ([], Some(cidr)) => vec![Peer::IpBlock { cidr, except: Vec::new() }],
        ([], None) => Vec::new(),
    }
}

/// Entries of `ports` for a set; none for everything. `None` if entries cannot say it: protocols that have no ports.
pub(super) fn entries_of(ports: &PortSet) -> Option<Vec<PolicyPort>> {
    if ports.is_all() {
        return Some(Vec::new());
    }
    if ports.other || ports.is_empty() {
        return None;
    }
    let entry = |(protocol, lo, hi): (_, u16, u16)| {
        let port = if (lo, hi) == (0, u16::MAX) { PortMatch::All } else { PortMatch::Range(lo.max(1), hi) };
        PolicyPort { protocol, port }
    };
    Some(ports.iter().filter(|(_, _, hi)| *hi > 0).map(entry).collect())
}

/// Peers that mean everybody but an end: other namespaces, other pods of its namespace, addresses that are not its own.
///
/// Addresses are left out where the end's own is not known: a block could not leave it out.
pub(super) fn everyone_but(cluster: &Cluster, end: &End) -> Option<Vec<Peer>> {
    let party = Party::of_endpoint(cluster, &end.endpoint);
    let mut peers = Vec::new();
    let mut own: Vec<IpNet> = end.block.or(party.address.map(IpNet::from)).into_iter().collect();
    match &party.pods[..] {
        [] => {
            peers.push(Peer::Pods { namespaces: Some(Selector::everything()), pods: Selector::everything() })
        }
        [pod] => {
            let namespace = &pod.key.namespace;
            let others = Requirement::NotIn(NAMESPACE_NAME_LABEL.into(), [namespace.clone()].into());
            let pods = Selector::everything();
            peers.push(Peer::Pods { namespaces: Some(Selector::new([others])), pods });
            peers.extend(leaving_out(cluster, pod).into_iter().map(|requirement| Peer::Pods {
                namespaces: Some(namespace_selector(namespace)),
                pods: Selector::new([requirement]),
            }));
            own = pod.ips.iter().copied().map(IpNet::from).collect();
        }
        _ => return None,
    }
    if !own.is_empty() {
        for whole in ["0.0.0.0/0", "::/0"].iter().filter_map(|text| text.parse::<IpNet>().ok()) {
            let mut except: Vec<IpNet> = own.iter().copied().filter(|block| whole.contains(block)).collect();
            except.sort();
            if !except.contains(&whole) {
                peers.push(Peer::IpBlock { cidr: whole, except });
            }
        }
    }
    Some(peers)
}

/// Requirements that a pod does not meet, one of which most others meet: other values than its own of the label that tells
/// most; of a pod without labels, any label at all that some pod of its namespace has.
pub(super) fn leaving_out(cluster: &Cluster, pod: &Pod) -> Vec<Requirement> {
    let labels = labels_of(cluster, pod);
    if let Some((key, value)) = labels.iter().next() {
        return vec![Requirement::NotIn(key.clone(), [value.clone()].into())];
    }
    let others =
        cluster.pods().filter(|other| other.key.namespace == pod.key.namespace && other.is_policed());
    let is_lasting = |key: &Arc<str>| pod.labels.get(key).is_none() && !PASSING.contains(&&**key);
    let keys: BTreeSet<Arc<str>> =
        others.flat_map(|other| other.labels.iter().map(|(key, _)| key.clone())).filter(is_lasting).collect();
    keys.into_iter().map(Requirement::Exists).collect()
}

/// Whether no label that lasts tells pods of two workloads apart. Pods of one workload are meant to be alike.
pub(super) fn are_alike(a: &Pod, b: &Pod) -> bool {
    let lasting = |pod: &Pod| PASSING.iter().fold(pod.labels.clone(), |labels, key| labels.without(key));
    let is_one_workload = a.owner.is_some() && a.owner == b.owner;
    a.key.namespace == b.key.namespace && !is_one_workload && lasting(a) == lasting(b)
}

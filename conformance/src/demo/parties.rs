//! Who is in the matrix: workloads with their pods and doors, nodes, and hosts outside.

use crate::lab::Place;
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod, Protocol, Service, TargetPort},
    verdict::Endpoint,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Hosts outside the cluster: those whom the company's policies tell apart. Port 443 is what they are asked for.
const OUTSIDE: [(&str, &[&str]); 3] = [
    ("office", &["192.168.50.254", "fd00:50::fe"]),
    ("backup", &["203.0.113.9"]),
    ("card", &["198.51.100.9"]),
];

/// Some hosts that count as one.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) name: String,
    pub(super) hosts: Vec<Host>,
}

/// One host, with the addresses that it sends from.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) addresses: Vec<IpAddr>,
    /// For a node: the addresses with which it reaches the pods of other nodes.
    pub(super) overlay: Vec<IpAddr>,
}

/// What is knocked at: a column of the matrix has a mark for each of its doors.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) doors: Vec<Door>,
}

/// One door of a party, and all ways that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) name: String,
    pub(super) ways: Vec<Way>,
}

/// One way to a door.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// To a host itself. `protocol` is `None` for an echo request.
    Host { name: String, end: Endpoint, address: IpAddr, protocol: Option<Protocol>, port: u16 },
    /// To a Service.
    Service { key: ObjectKey, addresses: Vec<IpAddr>, port: u16, protocol: Protocol, backends: Vec<Backend> },
}

/// A pod behind a Service, and the port of it that the Service leads to.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) key: ObjectKey,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) port: u16,
}

/// Rows of the matrix: workloads in the order of their namespaces, the nodes that have a pod of their own network, and the
/// hosts outside.
pub(super) fn rows(cluster: &Cluster) -> Vec<Party> {
    let pods = workloads(cluster).into_iter().map(|(name, pods)| Party {
        name,
        hosts: pods
            .iter()
            .map(|pod| Host {
                name: pod.key.name.to_string(),
                place: Place::Pod(pod.key.clone()),
                addresses: pod.ips.to_vec(),
                overlay: Vec::new(),
            })
            .collect(),
    });
    let nodes = node_pods(cluster).into_iter().filter_map(|pod| {
        let node = cluster.node(pod.node.as_deref()?)?;
        let index = node.name.strip_prefix("node-")?.parse().ok()?;
        let host = Host {
            name: node.name.to_string(),
            place: Place::Node(index),
            addresses: node.addresses.clone(),
            overlay: node.pod_cidrs.iter().map(|cidr| cidr.network()).collect(),
        };
        Some(Party { name: node.name.to_string(), hosts: vec![host] })
    });
    let outside = OUTSIDE.iter().map(|(name, addresses)| Party {
        name: (*name).to_owned(),
        hosts: vec![Host {
            name: (*name).to_owned(),
            place: Place::Outside,
            addresses: parsed(addresses),
            overlay: Vec::new(),
        }],
    });
    pods.chain(nodes).chain(outside).collect()
}

/// Columns of the matrix: the same parties with their doors; the hosts outside share one column.
pub(super) fn columns(cluster: &Cluster) -> Vec<Column> {
    let pods = workloads(cluster).into_iter().map(|(name, pods)| {
        let mut doors: Vec<Door> = port_doors(cluster, &pods);
        doors.extend(service_doors(cluster, &pods));
        if doors.is_empty() {
            doors.push(Door { name: "ping".to_owned(), ways: ways(&pods, None, |_| vec![0]) });
        }
        Column { name, doors }
    });
    let nodes = node_pods(cluster).into_iter().filter_map(|pod| {
        let name = pod.node.as_ref()?.to_string();
        let doors = pod.ports.iter().map(|port| {
            let to = |&address: &IpAddr| Way::Host {
                name: name.clone(),
                end: Endpoint::Address(address),
                address,
                protocol: Some(port.protocol),
                port: port.port,
            };
            Door { name: port.name.to_string(), ways: pod.ips.iter().map(to).collect() }
        });
        let doors = doors.collect();
        Some(Column { name, doors })
    });
    let outside = OUTSIDE.iter().map(|(name, addresses)| {
        let to = |address| Way::Host {
            name: (*name).to_owned(),
            end: Endpoint::Address(address),
            address,
            protocol: Some(Protocol::Tcp),
            port: 443,
        };
        Door { name: format!("{name}:443"), ways: parsed(addresses).into_iter().map(to).collect() }
    });
    let outside = Column { name: "outside".to_owned(), doors: outside.collect() };
    pods.chain(nodes).chain([outside]).collect()
}

/// Every port that a pod or Service of the cluster has: where the lab's servers answer.
pub(super) fn ports(cluster: &Cluster) -> BTreeSet<u16> {
    let named = cluster.pods().flat_map(|pod| pod.ports.iter().map(|port| port.port));
    let targets =
        cluster.services().flat_map(|service| &service.ports).filter_map(|port| match port.target {
            TargetPort::Number(number) => Some(number),
            TargetPort::Name(_) => None,
        });
    named.chain(targets).chain([443]).collect()
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Pods by the name of what owns them, a Deployment for its ReplicaSets; in the order of namespaces.
fn workloads(cluster: &Cluster) -> Vec<(String, Vec<&Pod>)> {
    let mut workloads: BTreeMap<(&str, String), Vec<&Pod>> = BTreeMap::new();
    for pod in cluster.pods().filter(|pod| pod.is_policed()) {
        let owner = pod.owner.as_ref().map_or(&pod.key.name, |owner| &owner.name);
        let hash = pod.labels.get("pod-template-hash").map(|hash| format!("-{hash}")).unwrap_or_default();
        let name = owner.strip_suffix(&*hash).unwrap_or(owner).to_owned();
        workloads.entry((&pod.key.namespace, name)).or_default().push(pod);
    }
    workloads.into_iter().map(|((_, name), pods)| (name, pods)).collect()
}

fn node_pods(cluster: &Cluster) -> Vec<&Pod> {
    cluster.pods().filter(|pod| pod.host_network && !pod.terminal).collect()
}

/// The ways to each of some pods, by the ports that it has.
fn ways(pods: &[&Pod], protocol: Option<Protocol>, ports: impl Fn(&Pod) -> Vec<u16>) -> Vec<Way> {
    let mut ways = Vec::new();
    for pod in pods {
        for port in ports(pod) {
            ways.extend(pod.ips.iter().map(|&address| Way::Host {
                name: pod.key.name.to_string(),
                end: Endpoint::Pod { key: pod.key.clone(), address: Some(address) },
                address,
                protocol,
                port,
            }));
        }
    }
    ways
}

/// Container ports by name, and the numbers that Services lead to without a name.
fn port_doors(cluster: &Cluster, pods: &[&Pod]) -> Vec<Door> {
    let mut names: Vec<(&str, Protocol)> = Vec::new();
    for port in pods.iter().flat_map(|pod| &pod.ports) {
        if !names.contains(&(&port.name, port.protocol)) {
            names.push((&port.name, port.protocol));
        }
    }
    let named = names.into_iter().map(|(name, protocol)| Door {
        name: name.to_owned(),
        ways: ways(pods, Some(protocol), |pod| pod.resolve_port(name, protocol).collect()),
    });
    let numbers =
        cluster.services().filter(|service| selects(service, pods)).flat_map(|service| &service.ports);
    let numbers = numbers.filter_map(|port| match port.target {
        TargetPort::Number(number) => {
            Some(Door { name: number.to_string(), ways: ways(pods, Some(port.protocol), |_| vec![number]) })
        }
        TargetPort::Name(_) => None,
    });
    named.chain(numbers).collect()
}

fn selects(service: &Service, pods: &[&Pod]) -> bool {
    pods.iter().any(|pod| selects_pod(service, pod))
}

fn selects_pod(service: &Service, pod: &Pod) -> bool {
    let matches =
        |labels: &policy_model::labels::Labels| labels.iter().all(|(k, v)| pod.labels.get(k) == Some(v));
    pod.key.namespace == service.key.namespace
        && pod.is_policed()
        && service.selector.as_ref().is_some_and(matches)
}

/// The ports of Services with an address that lead to these pods.
fn service_doors(cluster: &Cluster, pods: &[&Pod]) -> Vec<Door> {
    let mut doors = Vec::new();
    for service in cluster.services().filter(|s| !s.cluster_ips.is_empty() && selects(s, pods)) {
        let behind: Vec<_> = cluster.pods().filter(|pod| selects_pod(service, pod)).collect();
        for port in &service.ports {
            let target = |pod: &Pod| match &port.target {
                TargetPort::Number(number) => Some(*number),
                TargetPort::Name(name) => pod.resolve_port(name, port.protocol).next(),
            };
            let backends = behind.iter().filter_map(|pod| {
                Some(Backend { key: pod.key.clone(), addresses: pod.ips.to_vec(), port: target(pod)? })
            });
            let backends: Vec<_> = backends.collect();
            if backends.is_empty() {
                continue;
            }
            let protocol = if port.protocol == Protocol::Tcp { "" } else { "/UDP" };
            let way = Way::Service {
                key: service.key.clone(),
                addresses: service.cluster_ips.clone(),
                port: port.port,
                protocol: port.protocol,
                backends,
            };
            doors.push(Door { name: format!("svc:{}{protocol}", port.port), ways: vec![way] });
        }
    }
    doors
}

//! Objects as lines of JSON: the API's own form, with only what policy needs.
//!
//! They are read by what reads the API server's answers, and whoever opens the file sees manifests.

use policy_model::{
    labels::Labels,
    object::{NamedPort, Namespace, Node, ObjectKey, Owner, Pod, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use serde::{Serialize, Serializer};
use std::{net::IpAddr, sync::Arc};

/// One object. `kind` stands first: a line's kind is known by its beginning.
#[derive(Serialize)]
struct Line<'a, Spec, Status> {
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec,
    status: Status,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Map<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<[Named<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<&'a str>,
}

struct Map<'a>(&'a Labels);

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

#[derive(Serialize)]
struct Named<'a> {
    kind: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct NodeSpec<'a> {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: &'a [ipnet::IpNet],
}

#[derive(Serialize)]
struct NodeStatus<'a> {
    addresses: Vec<NodeAddress<'a>>,
}

#[derive(Serialize)]
struct NodeAddress<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    address: &'a IpAddr,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    host_network: bool,
    containers: [Container<'a>; 1],
}

#[derive(Serialize)]
struct Container<'a> {
    ports: Vec<ContainerPort<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort<'a> {
    name: &'a str,
    protocol: &'static str,
    container_port: u16,
}

#[derive(Serialize)]
struct PodStatus<'a> {
    phase: &'static str,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp<'a>>,
}

#[derive(Serialize)]
struct PodIp<'a> {
    ip: &'a IpAddr,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicySpec<'a> {
    pod_selector: LabelSelector<'a>,
    policy_types: Vec<&'static str>,
    ingress: Option<Vec<Ingress<'a>>>,
    egress: Option<Vec<Egress<'a>>>,
}

#[derive(Serialize)]
struct Ingress<'a> {
    from: Vec<PeerEntry<'a>>,
    ports: Vec<PortEntry<'a>>,
}

#[derive(Serialize)]
struct Egress<'a> {
    to: Vec<PeerEntry<'a>>,
    ports: Vec<PortEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<LabelSelector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_selector: Option<LabelSelector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_block: Option<IpBlock<'a>>,
}

#[derive(Serialize)]
struct IpBlock<'a> {
    cidr: &'a ipnet::IpNet,
    except: &'a [ipnet::IpNet],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PortEntry<'a> {
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<PortName<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_port: Option<u16>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PortName<'a> {
    Number(u16),
    Name(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelSelector<'a> {
    match_expressions: Vec<Expression<'a>>,
}

#[derive(Serialize)]
struct Expression<'a> {
    key: &'a str,
    operator: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    values: &'a [Arc<str>],
}

/// An object of the state.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object<'a> {
    Namespace(&'a Namespace),
    Node(&'a Node),
    Policy(&'a NetworkPolicy),
    Pod(&'a Pod),
}

impl Object<'_> {
    /// Appends its line.
    ///
    /// # Errors
    /// None in practice: writing to memory.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Namespace(namespace) => line(out, &namespace_line(namespace)),
            Self::Node(node) => line(out, &node_line(node)),
            Self::Policy(policy) => line(out, &policy_line(policy)),
            Self::Pod(pod) => line(out, &pod_line(pod)),
        }
    }
}

fn line(out: &mut Vec<u8>, object: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, object)?;
    out.push(b'\n');
    Ok(())
}

fn metadata<'a>(key: &'a ObjectKey, labels: Option<&'a Labels>, owner: Option<&'a Owner>) -> Metadata<'a> {
    Metadata {
        name: &key.name,
        namespace: Some(&key.namespace),
        labels: labels.filter(|labels| !labels.is_empty()).map(Map),
        owner_references: owner.map(|owner| [Named { kind: &owner.kind, name: &owner.name }]),
        deletion_timestamp: None,
    }
}

fn namespace_line(namespace: &Namespace) -> impl Serialize + '_ {
    let metadata = Metadata {
        name: &namespace.name,
        labels: Some(Map(&namespace.labels)),
        // When it is, is nobody's business; that it is, is.
        deletion_timestamp: namespace.terminating.then_some("1970-01-01T00:00:00Z"),
        ..Metadata::default()
    };
    Line { kind: "Namespace", metadata, spec: Nothing {}, status: Nothing {} }
}

fn node_line(node: &Node) -> impl Serialize + '_ {
    let addresses = node.addresses.iter().map(|address| NodeAddress { type_: "InternalIP", address });
    Line {
        kind: "Node",
        metadata: Metadata { name: &node.name, ..Metadata::default() },
        spec: NodeSpec { pod_cidrs: &node.pod_cidrs },
        status: NodeStatus { addresses: addresses.collect() },
    }
}

fn pod_line(pod: &Pod) -> impl Serialize + '_ {
    Line {
        kind: "Pod",
        metadata: metadata(&pod.key, Some(&pod.labels), pod.owner.as_ref()),
        spec: PodSpec {
            node_name: pod.node.as_deref(),
            host_network: pod.host_network,
            containers: [Container { ports: pod.ports.iter().map(container_port).collect() }],
        },
        status: PodStatus {
            phase: if pod.terminal { "Succeeded" } else { "Running" },
            pod_ips: pod.ips.iter().map(|ip| PodIp { ip }).collect(),
        },
    }
}

fn container_port(named: &NamedPort) -> ContainerPort<'_> {
    ContainerPort { name: &named.name, protocol: named.protocol.name(), container_port: named.port }
}

fn policy_line(policy: &NetworkPolicy) -> impl Serialize + '_ {
    let types = [policy.ingress.as_ref().map(|_| "Ingress"), policy.egress.as_ref().map(|_| "Egress")];
    let ingress = |rule| {
        let (from, ports) = entries(rule);
        Ingress { from, ports }
    };
    let egress = |rule| {
        let (to, ports) = entries(rule);
        Egress { to, ports }
    };
    let spec = PolicySpec {
        pod_selector: selector(&policy.pod_selector),
        policy_types: types.into_iter().flatten().collect(),
        ingress: policy.ingress.as_ref().map(|rules| rules.iter().map(ingress).collect()),
        egress: policy.egress.as_ref().map(|rules| rules.iter().map(egress).collect()),
    };
    Line { kind: "NetworkPolicy", metadata: metadata(&policy.key, None, None), spec, status: Nothing {} }
}

fn entries(rule: &Rule) -> (Vec<PeerEntry<'_>>, Vec<PortEntry<'_>>) {
    (rule.peers.iter().map(peer).collect(), rule.ports.iter().map(port).collect())
}

fn peer(peer: &Peer) -> PeerEntry<'_> {
    match peer {
        Peer::Pods { namespaces, pods } => PeerEntry {
            namespace_selector: namespaces.as_ref().map(selector),
            pod_selector: Some(selector(pods)),
            ip_block: None,
        },
        Peer::IpBlock { cidr, except } => PeerEntry {
            namespace_selector: None,
            pod_selector: None,
            ip_block: Some(IpBlock { cidr, except }),
        },
    }
}

fn port(entry: &PolicyPort) -> PortEntry<'_> {
    let (port, end_port) = match &entry.port {
        PortMatch::All => (None, None),
        PortMatch::Range(first, last) => (Some(PortName::Number(*first)), (first != last).then_some(*last)),
        PortMatch::Named(name) => (Some(PortName::Name(name)), None),
    };
    PortEntry { protocol: Protocol::name(entry.protocol), port, end_port }
}

fn selector(selector: &Selector) -> LabelSelector<'_> {
    LabelSelector { match_expressions: selector.requirements().iter().map(expression).collect() }
}

fn expression(requirement: &Requirement) -> Expression<'_> {
    let (operator, values): (_, &[Arc<str>]) = match requirement {
        Requirement::In(_, values) => ("In", values),
        Requirement::NotIn(_, values) => ("NotIn", values),
        Requirement::Exists(_) => ("Exists", &[]),
        Requirement::DoesNotExist(_) => ("DoesNotExist", &[]),
    };
    Expression { key: requirement.key(), operator, values }
}

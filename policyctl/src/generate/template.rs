//! Policies for common ends.

#[cfg(test)]
mod tests;

use super::Generated;
use crate::cluster_dns;
use ipnet::IpNet;
use policy_model::{
    object::{NAMESPACE_NAME_LABEL, ObjectKey, Protocol},
    policy::{Direction, NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Nothing that no other policy allows, for every pod of a namespace.
#[must_use]
pub fn default_deny(namespace: &str, directions: &[Direction]) -> Vec<Generated> {
    let words: Vec<&str> = directions.iter().map(|direction| direction.name()).collect();
    let comment = format!(
        "Isolates every pod of {namespace} for {}: what no other policy allows is denied. Names do not resolve until DNS is \
         allowed (policyctl generate dns).",
        words.join(" and ")
    );
    let rules = |direction| directions.contains(&direction).then(Vec::new);
    let policy = policy(
        namespace,
        "default-deny",
        Selector::everything(),
        rules(Direction::Ingress),
        rules(Direction::Egress),
    );
    vec![Generated { comment, policy }]
}

/// A namespace whose pods are reached by each other, and by those of other namespaces only where these are named.
#[must_use]
pub fn namespace_isolation(namespace: &str, from_namespaces: &[String]) -> Vec<Generated> {
    let others = if from_namespaces.is_empty() {
        "no other namespace and nobody outside".to_owned()
    } else {
        format!("pods of {}, and nobody outside", from_namespaces.join(", "))
    };
    let comment = format!(
        "Pods of {namespace} are reached by each other, by {others}. What they open themselves is not limited."
    );
    let own = Peer::Pods { namespaces: None, pods: Selector::everything() };
    let named = (!from_namespaces.is_empty()).then(|| Peer::Pods {
        namespaces: Some(in_namespaces(from_namespaces)),
        pods: Selector::everything(),
    });
    let rule = Rule { peers: [own].into_iter().chain(named).collect(), ports: Vec::new() };
    let policy = policy(namespace, "namespace-isolation", Selector::everything(), Some(vec![rule]), None);
    vec![Generated { comment, policy }]
}

/// A database that its clients reach on its port, and that opens nothing but DNS.
#[must_use]
pub fn database_isolation(
    namespace: &str,
    database: &Selector,
    clients: &[Peer],
    ports: &[PolicyPort],
) -> Vec<Generated> {
    let comment = format!(
        "Pods of {namespace} with {database} are reached by the named clients, on the named ports only, and open nothing. \
         Replicas that talk to each other need a rule of their own."
    );
    let rule = Rule { peers: clients.to_vec(), ports: ports.to_vec() };
    let policy = policy(
        namespace,
        &format!("{}-isolation", short(database)),
        database.clone(),
        Some(vec![rule]),
        Some(Vec::new()),
    );
    vec![Generated { comment, policy }]
}

/// Pods that reach outside only what is named; pods of the cluster and DNS stay within reach.
#[must_use]
pub fn external_control(
    namespace: &str,
    pods: &Selector,
    blocks: &[IpNet],
    ports: &[PolicyPort],
) -> Vec<Generated> {
    let outside = blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let outside = if blocks.is_empty() { "nothing".to_owned() } else { outside };
    let comment = format!(
        "{} reach {outside} outside the cluster, and every pod in it (DNS too). Pods are named by selector, so no block has to \
         cover their addresses. Pods on the host network, NodeLocal DNSCache too, count as outside.",
        whom(namespace, pods)
    );
    let inside = Rule {
        peers: vec![Peer::Pods { namespaces: Some(Selector::everything()), pods: Selector::everything() }],
        ports: Vec::new(),
    };
    let peers = blocks.iter().map(|cidr| Peer::IpBlock { cidr: *cidr, except: Vec::new() }).collect();
    let outside = (!blocks.is_empty()).then(|| Rule { peers, ports: ports.to_vec() });
    let rules = [inside].into_iter().chain(outside).collect();
    vec![Generated {
        comment,
        policy: policy(namespace, "external-control", pods.clone(), None, Some(rules)),
    }]
}

/// DNS for pods that are isolated for egress.
#[must_use]
pub fn dns(namespace: &str, pods: &Selector, node_local: Option<&[IpNet]>) -> Vec<Generated> {
    let server = Peer::Pods {
        namespaces: Some(in_namespaces(&[cluster_dns::NAMESPACE.to_owned()])),
        pods: Selector::new([Requirement::In("k8s-app".into(), ["kube-dns".into()].into())]),
    };
    let on_node = node_local.map(|services| {
        let blocks =
            [IpNet::from(IpAddr::V4(cluster_dns::NODE_LOCAL))].into_iter().chain(services.iter().copied());
        blocks.map(|cidr| Peer::IpBlock { cidr, except: Vec::new() }).collect::<Vec<_>>()
    });
    let note = match on_node {
        Some(_) => " The blocks are the addresses at which the node itself answers (NodeLocal DNSCache).",
        None => {
            " With NodeLocal DNSCache give --node-local too: no pod selector matches an address of the node."
        }
    };
    let comment = format!(
        "{} may ask the cluster's DNS, over UDP and, for long answers, over TCP. This isolates them for egress: what no \
         other policy allows is denied.{note}",
        whom(namespace, pods)
    );
    let port = |protocol| PolicyPort { protocol, port: PortMatch::Range(53, 53) };
    let rule = Rule {
        peers: [server].into_iter().chain(on_node.into_iter().flatten()).collect(),
        ports: vec![port(Protocol::Udp), port(Protocol::Tcp)],
    };
    vec![Generated { comment, policy: policy(namespace, "allow-dns", pods.clone(), None, Some(vec![rule])) }]
}

/// Pods that only an ingress controller reaches.
#[must_use]
pub fn ingress_controller_only(
    namespace: &str,
    pods: &Selector,
    controller_namespace: &str,
    controller: &Selector,
    ports: &[PolicyPort],
) -> Vec<Generated> {
    let comment = format!(
        "{} are reached by the ingress controller in {controller_namespace} only. A controller on the host network is its \
         node's address, which no pod selector matches: use an ipBlock of the nodes then. Kubelet probes always pass.",
        whom(namespace, pods)
    );
    let peer = Peer::Pods {
        namespaces: Some(in_namespaces(&[controller_namespace.to_owned()])),
        pods: controller.clone(),
    };
    let rule = Rule { peers: vec![peer], ports: ports.to_vec() };
    vec![Generated {
        comment,
        policy: policy(namespace, "ingress-controller-only", pods.clone(), Some(vec![rule]), None),
    }]
}

/// Every address of IPv4 and of IPv6.
#[must_use]
pub fn everywhere() -> [IpNet; 2] {
    [
        IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    ]
}

/// Namespaces by the label that the API server gives them.
#[must_use]
pub fn in_namespaces(names: &[String]) -> Selector {
    let names = names.iter().map(|name| name.as_str().into()).collect();
    Selector::new([Requirement::In(NAMESPACE_NAME_LABEL.into(), names)])
}

fn whom(namespace: &str, pods: &Selector) -> String {
    if pods.is_everything() {
        format!("All pods of {namespace}")
    } else {
        format!("Pods of {namespace} with {pods}")
    }
}

/// The first value that a selector names.
fn short(selector: &Selector) -> String {
    let value = selector.requirements().iter().find_map(|requirement| match requirement {
        Requirement::In(_, values) => values.first(),
        _ => None,
    });
    let value = value.map_or("database", |value| value);
    let name: String = value
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(50)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "database".to_owned() } else { name.to_owned() }
}

fn policy(
    namespace: &str,
    name: &str,
    pod_selector: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
) -> NetworkPolicy {
    NetworkPolicy { key: ObjectKey::new(namespace, name), pod_selector, ingress, egress }
}

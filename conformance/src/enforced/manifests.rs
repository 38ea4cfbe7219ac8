//! Objects as manifests: what `policyd` reads, written from the model's types.

use super::policyd::{PolicydError, io_error};
use policy_model::{
    cluster::Cluster,
    labels::Labels,
    object::{Namespace, Node, Pod},
    policy::{Direction, NetworkPolicy, Peer, PortMatch, Rule},
    selector::{Requirement, Selector},
};
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

/// The objects of a folder. They are written as one file in one step, so that a reader sees all of a state or nothing.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    items: Vec<Value>,
}

impl Manifests {
    /// Every object of a cluster that policy needs.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let items = cluster
            .nodes()
            .map(node)
            .chain(cluster.namespaces().map(namespace))
            .chain(cluster.pods().map(pod))
            .chain(cluster.policies().map(policy));
        Self { items: items.collect() }
    }

    /// All of them as one object of the API, a List.
    #[must_use]
    pub fn list(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "List", "items": self.items})
    }

    /// Writes them into the folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`PolicydError::Io`].
    pub fn write(&self, folder: &Path) -> Result<(), PolicydError> {
        let list = self.list();
        let error = |path: &Path| io_error(path.display().to_string());
        fs::create_dir_all(folder).map_err(error(folder))?;
        // Beside the folder: who watches it sees one event, and counts one reading, of the whole new state.
        let (new, file) = (folder.with_extension("new"), folder.join("cluster.json"));
        fs::write(&new, list.to_string()).map_err(error(&new))?;
        fs::rename(&new, &file).map_err(error(&file))
    }
}

fn labels(labels: &Labels) -> Value {
    let map: Map<_, _> = labels.iter().map(|(k, v)| (k.to_string(), json!(**v))).collect();
    Value::Object(map)
}

fn node(node: &Node) -> Value {
    let addresses: Vec<_> =
        node.addresses.iter().map(|a| json!({"type": "InternalIP", "address": a.to_string()})).collect();
    let cidrs: Vec<_> = node.pod_cidrs.iter().map(ToString::to_string).collect();
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": *node.name},
        "spec": {"podCIDRs": cidrs}, "status": {"addresses": addresses},
    })
}

fn namespace(namespace: &Namespace) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": *namespace.name, "labels": labels(&namespace.labels)},
    })
}

fn pod(pod: &Pod) -> Value {
    let ips: Vec<_> = pod.ips.iter().map(|ip| json!({"ip": ip.to_string()})).collect();
    let ports: Vec<_> = pod
        .ports
        .iter()
        .map(|p| json!({"name": *p.name, "protocol": p.protocol.name(), "containerPort": p.port}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": *pod.key.namespace, "name": *pod.key.name, "labels": labels(&pod.labels)},
        "spec": {
            "nodeName": pod.node.as_deref(),
            "hostNetwork": pod.host_network,
            "containers": [{"name": "main", "image": "main", "ports": ports}],
        },
        "status": {
            "phase": if pod.terminal { "Succeeded" } else { "Running" },
            "podIP": pod.ips.first().map(ToString::to_string),
            "podIPs": ips,
        },
    })
}

fn selector(selector: &Selector) -> Value {
    let expression = |key: &str, operator: &str, values: &[std::sync::Arc<str>]| {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        if values.is_empty() {
            json!({"key": key, "operator": operator})
        } else {
            json!({"key": key, "operator": operator, "values": values})
        }
    };
    let expressions: Vec<_> = selector
        .requirements()
        .iter()
        .map(|requirement| match requirement {
            Requirement::In(k, v) => expression(k, "In", v),
            Requirement::NotIn(k, v) => expression(k, "NotIn", v),
            Requirement::Exists(k) => expression(k, "Exists", &[]),
            Requirement::DoesNotExist(k) => expression(k, "DoesNotExist", &[]),
        })
        .collect();
    json!({"matchExpressions": expressions})
}

fn policy(policy: &NetworkPolicy) -> Value {
    let mut spec = Map::new();
    spec.insert("podSelector".to_owned(), selector(&policy.pod_selector));
    let types: Vec<_> = [(Direction::Ingress, "Ingress"), (Direction::Egress, "Egress")]
        .into_iter()
        .filter(|(direction, _)| policy.rules(*direction).is_some())
        .map(|(_, name)| name)
        .collect();
    spec.insert("policyTypes".to_owned(), json!(types));
    for (direction, field, side) in
        [(Direction::Ingress, "ingress", "from"), (Direction::Egress, "egress", "to")]
    {
        if let Some(rules) = policy.rules(direction) {
            let rules: Vec<_> = rules.iter().map(|r| rule(r, side)).collect();
            spec.insert(field.to_owned(), Value::Array(rules));
        }
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": *policy.key.namespace, "name": *policy.key.name},
        "spec": spec,
    })
}

fn rule(rule: &Rule, side: &str) -> Value {
    let mut fields = Map::new();
    if !rule.peers.is_empty() {
        fields.insert(side.to_owned(), rule.peers.iter().map(peer).collect());
    }
    if !rule.ports.is_empty() {
        let ports = rule.ports.iter().map(|port| {
            let protocol = port.protocol.name();
            match &port.port {
                PortMatch::All => json!({"protocol": protocol}),
                PortMatch::Named(name) => json!({"protocol": protocol, "port": **name}),
                PortMatch::Range(lo, hi) if lo == hi => json!({"protocol": protocol, "port": lo}),
                PortMatch::Range(lo, hi) => json!({"protocol": protocol, "port": lo, "endPort": hi}),
            }
        });
        fields.insert("ports".to_owned(), ports.collect());
    }
    Value::Object(fields)
}

fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Pods { namespaces: None, pods } => json!({"podSelector": selector(pods)}),
        Peer::Pods { namespaces: Some(namespaces), pods } => {
            json!({"namespaceSelector": selector(namespaces), "podSelector": selector(pods)})
        }
        Peer::IpBlock { cidr, except } if except.is_empty() => json!({"ipBlock": {"cidr": cidr.to_string()}}),
        Peer::IpBlock { cidr, except } => {
            let except: Vec<_> = except.iter().map(ToString::to_string).collect();
            json!({"ipBlock": {"cidr": cidr.to_string(), "except": except}})
        }
    }
}

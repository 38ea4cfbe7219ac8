//! Objects with only what policy needs of them: everything else in their JSON is skipped without being kept. Most of a pod
//! are its containers, most of a node its images, and much of everything its managed fields.
//!
//! They turn into the API's own types, which admission checks.

use k8s_openapi::{
    api::{
        core::v1::{
            Container, ContainerPort, Namespace, Node, NodeAddress, NodeSpec, NodeStatus, Pod, PodIP,
            PodSpec, PodStatus, Service, ServicePort, ServiceSpec,
        },
        networking::v1::{NetworkPolicy, NetworkPolicySpec},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use serde::{Deserialize, de::IgnoredAny};
use std::collections::BTreeMap;

/// An object: its metadata, and what its kind has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Slim<Spec, Status> {
    pub(super) metadata: Metadata,
    spec: Spec,
    status: Status,
}

/// `core/v1` `Namespace`.
pub(super) type SlimNamespace = Slim<IgnoredAny, IgnoredAny>;
/// `core/v1` `Node`.
pub(super) type SlimNode = Slim<SlimNodeSpec, SlimNodeStatus>;
/// `core/v1` `Service`.
pub(super) type SlimService = Slim<SlimServiceSpec, IgnoredAny>;
/// `networking.k8s.io/v1` `NetworkPolicy`: of its specification everything counts.
pub(super) type SlimPolicy = Slim<Option<NetworkPolicySpec>, IgnoredAny>;
/// `core/v1` `Pod`.
pub(super) type SlimPod = Slim<SlimPodSpec, SlimPodStatus>;

/// `meta/v1` `ObjectMeta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<Owner>>,
    deletion_timestamp: Option<Time>,
}

impl Metadata {
    /// What names it, without the rest.
    pub(super) fn identity(&self) -> Self {
        Self {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            resource_version: self.resource_version.clone(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Deserialize)]
struct Owner {
    kind: String,
    name: String,
}

impl From<Metadata> for ObjectMeta {
    fn from(slim: Metadata) -> Self {
        let owner = |Owner { kind, name }| OwnerReference { kind, name, ..OwnerReference::default() };
        let owners = slim.owner_references.map(|list| list.into_iter().map(owner).collect());
        Self {
            name: slim.name,
            namespace: slim.namespace,
            resource_version: slim.resource_version,
            labels: slim.labels,
            owner_references: owners,
            deletion_timestamp: slim.deletion_timestamp,
            ..Self::default()
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimNodeSpec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimNodeStatus {
    addresses: Option<Vec<NodeAddress>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SlimServiceSpec {
    selector: Option<BTreeMap<String, String>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<String>>,
    ports: Option<Vec<ServicePort>>,
    #[serde(rename = "type")]
    type_: Option<String>,
    external_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SlimPodSpec {
    node_name: Option<String>,
    host_network: Option<bool>,
    containers: Option<Vec<Ports>>,
    init_containers: Option<Vec<Ports>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ports {
    ports: Option<Vec<ContainerPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimPodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIP>>,
}

impl From<SlimNamespace> for Namespace {
    fn from(slim: SlimNamespace) -> Self {
        Self { metadata: slim.metadata.into(), ..Self::default() }
    }
}

impl From<SlimNode> for Node {
    fn from(Slim { metadata, spec, status }: SlimNode) -> Self {
        Self {
            metadata: metadata.into(),
            spec: Some(NodeSpec {
                pod_cidr: spec.pod_cidr,
                pod_cidrs: spec.pod_cidrs,
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus { addresses: status.addresses, ..NodeStatus::default() }),
        }
    }
}

impl From<SlimService> for Service {
    fn from(Slim { metadata, spec, .. }: SlimService) -> Self {
        let spec = ServiceSpec {
            selector: spec.selector,
            cluster_ip: spec.cluster_ip,
            cluster_ips: spec.cluster_ips,
            ports: spec.ports,
            type_: spec.type_,
            external_name: spec.external_name,
            ..ServiceSpec::default()
        };
        Self { metadata: metadata.into(), spec: Some(spec), status: None }
    }
}

impl From<SlimPolicy> for NetworkPolicy {
    fn from(Slim { metadata, spec, .. }: SlimPolicy) -> Self {
        Self { metadata: metadata.into(), spec }
    }
}

impl From<SlimPod> for Pod {
    fn from(Slim { metadata, spec, status }: SlimPod) -> Self {
        let containers = |list: Option<Vec<Ports>>| {
            let list = list.unwrap_or_default().into_iter();
            list.map(|Ports { ports }| Container { ports, ..Container::default() }).collect()
        };
        Self {
            metadata: metadata.into(),
            spec: Some(PodSpec {
                node_name: spec.node_name,
                host_network: spec.host_network,
                containers: containers(spec.containers),
                init_containers: Some(containers(spec.init_containers)),
                ..PodSpec::default()
            }),
            status: Some(PodStatus {
                phase: status.phase,
                pod_ip: status.pod_ip,
                pod_ips: status.pod_ips,
                ..PodStatus::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::admission::{self, Rejection};
    use serde::de::DeserializeOwned;
    use std::fmt::Debug;

    /// Has fields that policy does not need beside those that it needs.
    const METADATA: &str = r#"{"name": "db-0", "namespace": "shop", "uid": "1", "resourceVersion": "7",
        "labels": {"app": "db"}, "annotations": {"a": "b"}, "deletionTimestamp": "2026-11-25T14:00:00Z",
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:metadata": {}}}],
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "2"}]}"#;

    /// Reads both the whole object and the slim one: to policy they are the same.
    fn same<Whole, S, T>(rest: &str, admit: fn(&Whole) -> Result<T, Rejection>)
    where
        Whole: DeserializeOwned,
        S: DeserializeOwned + Into<Whole>,
        T: Debug + PartialEq,
    {
        let json = format!("{{\"metadata\": {METADATA}, {rest}}}");
        let whole: Whole = serde_json::from_str(&json).unwrap();
        let slim: S = serde_json::from_str(&json).unwrap();
        assert_eq!(admit(&slim.into()).unwrap(), admit(&whole).unwrap());
    }

    #[test]
    fn they_are_the_same_objects_to_policy() {
        same::<Namespace, SlimNamespace, _>(
            r#""spec": {"finalizers": ["f"]}, "status": {"phase": "x"}"#,
            admission::namespace,
        );
        same::<Node, SlimNode, _>(
            r#""spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"], "taints": []},
               "status": {"images": [{"names": ["i"]}], "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}]}"#,
            admission::node,
        );
        same::<Service, SlimService, _>(
            r#""spec": {"type": "ClusterIP", "selector": {"app": "db"}, "clusterIP": "10.2.0.1", "clusterIPs": ["10.2.0.1"],
               "sessionAffinity": "None", "ports": [{"port": 80, "targetPort": "main", "nodePort": 30000}]},
               "status": {"loadBalancer": {}}"#,
            admission::service,
        );
        same::<NetworkPolicy, SlimPolicy, _>(
            r#""spec": {"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock":
               {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80, "endPort": 90}]}]}"#,
            admission::stored_policy,
        );
        same::<Pod, SlimPod, _>(
            r#""spec": {"nodeName": "w1", "hostNetwork": false, "volumes": [{"name": "v"}],
               "containers": [{"name": "c", "image": "i", "ports": [{"name": "pg", "containerPort": 5432}]}],
               "initContainers": [{"name": "i", "ports": [{"name": "mesh", "containerPort": 9, "protocol": "UDP"}]}]},
               "status": {"phase": "Running", "podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}, {"ip": "fd00::2"}],
               "conditions": [{"type": "Ready", "status": "True"}]}"#,
            admission::pod,
        );
    }

    #[test]
    fn a_pod_that_is_only_a_name_will_do() {
        let text = r#"{"metadata": {"name": "a", "labels": null}, "spec": {"containers": null}}"#;
        let slim: SlimPod = serde_json::from_str(text).unwrap();
        assert_eq!(admission::pod(&slim.into()).unwrap().key.to_string(), "default/a");
    }
}

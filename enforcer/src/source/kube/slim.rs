//! A pod with only what policy needs of it: everything else in its JSON is skipped without being kept.

use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, Pod, PodIP, PodSpec, PodStatus},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `core/v1` `Pod`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SlimPod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<Owner>>,
    resource_version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    kind: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
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
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIP>>,
}

/// In the form that admission checks.
impl From<SlimPod> for Pod {
    fn from(SlimPod { metadata, spec, status }: SlimPod) -> Self {
        let containers = |list: Option<Vec<Ports>>| {
            let list = list.unwrap_or_default().into_iter();
            list.map(|Ports { ports }| Container { ports, ..Container::default() }).collect()
        };
        let owner = |Owner { kind, name }| OwnerReference { kind, name, ..OwnerReference::default() };
        Self {
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                labels: metadata.labels,
                owner_references: metadata.owner_references.map(|list| list.into_iter().map(owner).collect()),
                resource_version: metadata.resource_version,
                ..ObjectMeta::default()
            },
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
    use policy_model::admission;

    const POD: &str = r#"{
        "metadata": {"name": "db-0", "namespace": "shop", "uid": "1", "resourceVersion": "7", "labels": {"app": "db"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:metadata": {}}}], "annotations": {"a": "b"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "2"}]},
        "spec": {"nodeName": "w1", "hostNetwork": false, "volumes": [{"name": "v"}],
            "containers": [{"name": "c", "image": "i", "ports": [{"name": "pg", "containerPort": 5432}]}],
            "initContainers": [{"name": "i", "ports": [{"name": "mesh", "containerPort": 9, "protocol": "UDP"}]}]},
        "status": {"phase": "Running", "podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}, {"ip": "fd00::2"}],
            "conditions": [{"type": "Ready", "status": "True"}]}
    }"#;

    #[test]
    fn it_is_the_same_pod_to_policy() {
        let whole: Pod = serde_json::from_str(POD).unwrap();
        let slim: SlimPod = serde_json::from_str(POD).unwrap();
        let slim = Pod::from(slim);
        assert_eq!(admission::pod(&slim).unwrap(), admission::pod(&whole).unwrap());
        assert_eq!(slim.metadata.resource_version, whole.metadata.resource_version);
        assert!(slim.metadata.managed_fields.is_none(), "what policy does not need is not kept");
    }

    #[test]
    fn a_pod_that_is_only_a_name_will_do() {
        let text = r#"{"metadata": {"name": "a", "labels": null}, "spec": {"containers": null}}"#;
        let slim: SlimPod = serde_json::from_str(text).unwrap();
        assert_eq!(admission::pod(&slim.into()).unwrap().key.to_string(), "default/a");
    }
}

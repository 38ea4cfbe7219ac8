//! Pods, and the pod templates of workloads.
//!
//! Source: `core/v1` `Pod` and `PodTemplateSpec`.

use super::{at::At, check::Check, names, problem::Rejection};
use crate::{
    field::FieldPath,
    object::{NamedPort, ObjectKey, Owner, Pod, Protocol},
};
use k8s_openapi::{
    api::core::v1::{Container, Pod as ApiPod, PodSpec, PodStatus, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use smallvec::SmallVec;
use std::net::IpAddr;

/// A pod with what policy needs of it. One without a phase counts as running.
///
/// # Errors
/// Metadata, named ports or addresses that an API server would refuse.
pub fn pod(object: &ApiPod) -> Result<Pod, Rejection> {
    let (mut check, key, labels) = Check::namespaced("Pod", &object.metadata);
    let spec = object.spec.as_ref();
    let ports = named_ports(&mut check, &At::root().field("spec"), spec);
    let ips = object.status.as_ref().map(|status| addresses(&mut check, status)).unwrap_or_default();
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    check.finish(Pod {
        key,
        labels,
        ips,
        node: spec.and_then(|spec| spec.node_name.as_deref()).filter(|name| !name.is_empty()).map(Into::into),
        host_network: spec.and_then(|spec| spec.host_network).unwrap_or(false),
        terminal: matches!(phase, Some("Succeeded" | "Failed")),
        ports,
        owner: owner(&object.metadata),
    })
}

/// The first of an object's owners.
#[must_use]
pub fn owner(metadata: &ObjectMeta) -> Option<Owner> {
    let owner = metadata.owner_references.iter().flatten().next()?;
    Some(Owner { kind: owner.kind.as_str().into(), name: owner.name.as_str().into() })
}

/// The pod that a workload's template stands for: the workload's name and namespace, the template's labels and ports, no
/// addresses and no node. The owner is the workload itself.
///
/// `path` is where the template is within the workload, such as `spec.template`.
///
/// # Errors
/// Metadata or named ports that an API server would refuse.
pub fn pod_template(
    kind: &str,
    metadata: &ObjectMeta,
    path: &FieldPath,
    template: &PodTemplateSpec,
) -> Result<Pod, Rejection> {
    let (mut check, key, _) = Check::namespaced(kind, metadata);
    let path = At::from(path);
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let labels_path = path.field("metadata").field("labels");
    let labels = labels.map(|labels| check.label_map(&labels_path, labels)).unwrap_or_default();
    let spec = template.spec.as_ref();
    let ports = named_ports(&mut check, &path.field("spec"), spec);
    let ObjectKey { name, .. } = &key;
    let owner = Some(Owner { kind: kind.into(), name: name.clone() });
    check.finish(Pod {
        key,
        labels,
        ips: SmallVec::new(),
        node: None,
        host_network: spec.and_then(|spec| spec.host_network).unwrap_or(false),
        terminal: false,
        ports,
        owner,
    })
}

/// The named ports of all containers, init and sidecar ones too, sorted and unique.
fn named_ports(check: &mut Check, path: &At<'_>, spec: Option<&PodSpec>) -> Vec<NamedPort> {
    let Some(spec) = spec else { return Vec::new() };
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let mut ports = Vec::new();
    for (field, containers) in [("initContainers", init), ("containers", &spec.containers)] {
        for (index, container) in containers.iter().enumerate() {
            container_ports(check, &path.field(field).index(index), container, &mut ports);
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

fn container_ports(check: &mut Check, path: &At<'_>, container: &Container, into: &mut Vec<NamedPort>) {
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let path = path.field("ports").index(index);
        let number = u16::try_from(port.container_port).ok().filter(|number| *number > 0);
        if number.is_none() {
            let message = format!("{} is not a port number", port.container_port);
            let problem =
                check.problem(&path.field("containerPort"), Some(port.container_port.to_string()), message);
            problem.help("ports are 1 to 65535");
        }
        let protocol = protocol(check, &path.field("protocol"), port.protocol.as_deref());
        let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) else { continue };
        check.syntax(&path.field("name"), name, "a port name", names::port_name);
        if let (Some(port), Some(protocol)) = (number, protocol) {
            into.push(NamedPort { name: name.into(), protocol, port });
        }
    }
}

/// A protocol by its name in the API, TCP where it is absent. What is wrong is reported.
pub(super) fn protocol(check: &mut Check, path: &At<'_>, name: Option<&str>) -> Option<Protocol> {
    let Some(name) = name else { return Some(Protocol::default()) };
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
    if known.is_none() {
        let message = format!("\"{name}\" is not a protocol that a port can have");
        check.problem(path, Some(name.to_owned()), message).help("use TCP, UDP or SCTP, in capital letters");
    }
    known
}

/// `status.podIPs`, or `status.podIP` where an old source has that alone: the first address of each family.
fn addresses(check: &mut Check, status: &PodStatus) -> SmallVec<[IpAddr; 2]> {
    let path = At::root().field("status");
    let listed = status.pod_ips.iter().flatten().enumerate();
    let listed = listed.map(|(i, ip)| (path.field("podIPs").index(i).field("ip"), ip.ip.as_str()));
    let single = status.pod_ip.iter().map(|ip| (path.field("podIP"), ip.as_str()));
    let mut addresses = SmallVec::<[IpAddr; 2]>::new();
    for (path, text) in listed.chain(single).filter(|(_, text)| !text.is_empty()) {
        if let Some(address) = address(check, &path, text)
            && !addresses.iter().any(|known| known.is_ipv4() == address.is_ipv4())
        {
            addresses.push(address);
        }
    }
    addresses
}

/// An address. What is wrong is reported.
pub(super) fn address(check: &mut Check, path: &At<'_>, text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        check.problem(path, Some(text.to_owned()), format!("\"{text}\" is not an IP address"));
    }
    address
}

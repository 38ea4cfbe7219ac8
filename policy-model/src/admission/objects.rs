//! Namespaces, nodes and Services.
//!
//! Source: `core/v1`.

use super::{
    at::At,
    check::Check,
    cidr,
    pod::{address, protocol},
    problem::Rejection,
};
use crate::object::{Namespace, Node, Service, ServicePort, TargetPort};
use ipnet::IpNet;
use k8s_openapi::{
    api::core::v1::{
        Namespace as ApiNamespace, Node as ApiNode, Service as ApiService, ServicePort as ApiServicePort,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::net::IpAddr;

/// A namespace, with the label that the API server sets on it.
///
/// # Errors
/// Metadata that an API server would refuse.
pub fn namespace(object: &ApiNamespace) -> Result<Namespace, Rejection> {
    let (check, name, labels) = Check::cluster_wide("Namespace", &object.metadata);
    let terminating = object.metadata.deletion_timestamp.is_some();
    check.finish(Namespace { terminating, ..Namespace::new(name, &labels) })
}

/// A node with its addresses and pod ranges.
///
/// # Errors
/// Metadata, addresses or ranges that an API server would refuse.
pub fn node(object: &ApiNode) -> Result<Node, Rejection> {
    let (mut check, name, _) = Check::cluster_wide("Node", &object.metadata);
    let path = At::root().field("status").field("addresses");
    let mut addresses = Vec::new();
    let listed = object.status.iter().flat_map(|status| status.addresses.iter().flatten());
    for (index, entry) in listed.enumerate() {
        if ["InternalIP", "ExternalIP"].contains(&entry.type_.as_str()) {
            addresses.extend(address(&mut check, &path.index(index).field("address"), &entry.address));
        }
    }
    let path = At::root().field("spec");
    let mut pod_cidrs: Vec<IpNet> = Vec::new();
    let listed = object.spec.iter().flat_map(|spec| spec.pod_cidrs.iter().flatten()).enumerate();
    let listed = listed.map(|(i, text)| (path.field("podCIDRs").index(i), text));
    let single = object.spec.iter().filter_map(|spec| spec.pod_cidr.as_ref());
    let single = single.map(|text| (path.field("podCIDR"), text));
    for (path, text) in listed.chain(single).filter(|(_, text)| !text.is_empty()) {
        match cidr::stored(text) {
            Some(block) if pod_cidrs.contains(&block) => {}
            Some(block) => pod_cidrs.push(block),
            None => {
                check.problem(&path, Some(text.clone()), format!("\"{text}\" is not a CIDR block"));
            }
        }
    }
    check.finish(Node { name: name.into(), addresses, pod_cidrs })
}

/// A Service with its selector, addresses and ports.
///
/// # Errors
/// Metadata, ports or addresses that an API server would refuse.
pub fn service(object: &ApiService) -> Result<Service, Rejection> {
    let (mut check, key, _) = Check::namespaced("Service", &object.metadata);
    let spec = object.spec.clone().unwrap_or_default();
    let path = At::root().field("spec");
    let selector = spec.selector.filter(|selector| !selector.is_empty());
    let selector = selector.map(|labels| check.label_map(&path.field("selector"), &labels));

    let listed = spec.cluster_ips.iter().flatten().enumerate();
    let listed = listed.map(|(i, text)| (path.field("clusterIPs").index(i), text));
    let single = spec.cluster_ip.iter().map(|text| (path.field("clusterIP"), text));
    let mut cluster_ips: Vec<IpAddr> = Vec::new();
    let headless = listed.clone().map(|(_, text)| text).chain(&spec.cluster_ip).any(|text| text == "None");
    for (path, text) in listed.chain(single).filter(|(_, text)| !["", "None"].contains(&text.as_str())) {
        if let Some(address) = address(&mut check, &path, text)
            && !cluster_ips.contains(&address)
        {
            cluster_ips.push(address);
        }
    }

    let mut ports = Vec::new();
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        ports.extend(service_port(&mut check, &path.field("ports").index(index), port));
    }
    let is_external = spec.type_.as_deref() == Some("ExternalName");
    let external_name = spec.external_name.filter(|_| is_external).map(Into::into);
    check.finish(Service { key, selector, cluster_ips, headless, ports, external_name })
}

fn service_port(check: &mut Check, path: &At<'_>, port: &ApiServicePort) -> Option<ServicePort> {
    let mut number = |field: &'static str, number: i32| {
        let valid = u16::try_from(number).ok().filter(|number| *number > 0);
        if valid.is_none() {
            let message = format!("{number} is not a port number");
            check.problem(&path.field(field), Some(number.to_string()), message).help("ports are 1 to 65535");
        }
        valid
    };
    let own = number("port", port.port);
    let target = match &port.target_port {
        // 0 and the empty name are how Go's encoder writes an absent one.
        None | Some(IntOrString::Int(0)) => own.map(TargetPort::Number),
        Some(IntOrString::Int(target)) => number("targetPort", *target).map(TargetPort::Number),
        Some(IntOrString::String(name)) if name.is_empty() => own.map(TargetPort::Number),
        Some(IntOrString::String(name)) => Some(TargetPort::Name(name.as_str().into())),
    };
    let node_port = port.node_port.filter(|number| *number != 0);
    let node_port = node_port.and_then(|node_port| number("nodePort", node_port));
    let protocol = protocol(check, &path.field("protocol"), port.protocol.as_deref());
    let name = port.name.as_deref().unwrap_or_default().into();
    Some(ServicePort { name, protocol: protocol?, port: own?, target: target?, node_port })
}

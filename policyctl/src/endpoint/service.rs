//! Services: who is behind one, and on which ports.
//!
//! The selector decides where there is one. Where there is none, EndpointSlices say it, as they do for kube-proxy.

use super::{Destination, ResolveError, ServiceRoute, Target, Transport, resolve::pod_endpoints};
use policy_model::{
    cluster::Cluster,
    manifest::EndpointSlice,
    object::{ObjectKey, Pod, Service, ServicePort, TargetPort},
    verdict,
};
use std::collections::BTreeMap;

/// The EndpointSlices of each Service.
pub type Slices = BTreeMap<ObjectKey, Vec<EndpointSlice>>;

pub(super) fn find<'a>(cluster: &'a Cluster, key: &ObjectKey) -> Result<&'a Service, ResolveError> {
    cluster.service(key).ok_or_else(|| {
        let known = cluster.services().filter(|service| service.key.namespace == key.namespace);
        ResolveError::NoService {
            key: key.clone(),
            known: known.map(|service| service.key.name.clone()).collect(),
        }
    })
}

/// Everybody behind a Service, whatever the port.
pub(super) fn behind(
    cluster: &Cluster,
    slices: &Slices,
    service: &Service,
) -> Result<Vec<verdict::Endpoint>, ResolveError> {
    match backends(cluster, slices, service)? {
        Backends::Pods(pods) => Ok(pods.iter().flat_map(|pod| pod_endpoints(cluster, pod)).collect()),
        Backends::Slices(slices) => {
            let addresses = slices.iter().flat_map(|slice| &slice.addresses);
            Ok(addresses.map(|address| verdict::Endpoint::Address(*address)).collect())
        }
    }
}

/// Where the ports of a Service that a target names lead to.
pub(super) fn destinations(
    target: &Target,
    cluster: &Cluster,
    slices: &Slices,
    service: &Service,
) -> Result<Vec<Destination>, ResolveError> {
    // Who is behind it comes before which ports it has: an ExternalName has none.
    let backends = backends(cluster, slices, service)?;
    let ports: Vec<_> = service.ports.iter().filter(|port| target.names_port(port)).collect();
    if ports.is_empty() {
        let has = service.ports.iter().map(|p| format!("{}/{}", p.port, p.protocol)).collect::<Vec<_>>();
        return Err(ResolveError::ServicePort { target: target.to_string(), has: has.join(", ") });
    }
    let mut destinations = Vec::new();
    for port in ports {
        let route = ServiceRoute { key: service.key.clone(), port: port.port };
        let mut add = |endpoint: verdict::Endpoint, number| {
            destinations.push(Destination {
                endpoint,
                transport: Transport::Ported(port.protocol),
                port: Some(number),
                service: (!service.headless).then(|| route.clone()),
            });
        };
        match &backends {
            Backends::Pods(pods) => {
                for pod in pods {
                    for endpoint in pod_endpoints(cluster, pod) {
                        if serves_family(service, &endpoint) {
                            target_ports(pod, port)
                                .into_iter()
                                .for_each(|number| add(endpoint.clone(), number));
                        }
                    }
                }
            }
            Backends::Slices(slices) => {
                for slice in *slices {
                    let is_own = |(name, protocol)| (name, protocol) == (&port.name, port.protocol);
                    for to in slice.ports.iter().filter(|to| is_own((&to.name, to.protocol))) {
                        let ends = slice.addresses.iter().map(|address| verdict::Endpoint::Address(*address));
                        ends.for_each(|end| add(end, to.port));
                    }
                }
            }
        }
    }
    Ok(destinations)
}

/// Who is behind a Service.
enum Backends<'a> {
    /// The pods that its selector matches. A pod on its node's network is one too: its address is the node's.
    Pods(Vec<&'a Pod>),
    /// Whom its slices name.
    Slices(&'a [EndpointSlice]),
}

fn backends<'a>(
    cluster: &'a Cluster,
    slices: &'a Slices,
    service: &Service,
) -> Result<Backends<'a>, ResolveError> {
    let key = &service.key;
    if let Some(name) = &service.external_name {
        return Err(ResolveError::ExternalName { key: key.clone(), name: name.clone() });
    }
    let Some(selector) = &service.selector else {
        let known = slices.get(key).map(|slices| Backends::Slices(slices));
        return known.ok_or_else(|| ResolveError::NoSelector { key: key.clone() });
    };
    let selects = |pod: &Pod| selector.iter().all(|(name, value)| pod.labels.get(name) == Some(value));
    let pods: Vec<_> = cluster
        .pods()
        .filter(|pod| pod.key.namespace == key.namespace && !pod.terminal && selects(pod))
        .collect();
    if pods.is_empty() {
        return Err(ResolveError::NoMatch { endpoint: format!("{}/svc/{}", key.namespace, key.name) });
    }
    Ok(Backends::Pods(pods))
}

/// The ports of a pod that a Service's port leads to.
fn target_ports(pod: &Pod, port: &ServicePort) -> Vec<u16> {
    match &port.target {
        TargetPort::Number(number) => vec![*number],
        TargetPort::Name(name) => pod.resolve_port(name, port.protocol).collect(),
    }
}

/// A Service leads to addresses of the families of its own addresses; a headless one to all.
fn serves_family(service: &Service, endpoint: &verdict::Endpoint) -> bool {
    let verdict::Endpoint::Pod { address: Some(address), .. } = endpoint else { return true };
    service.cluster_ips.is_empty() || service.cluster_ips.iter().any(|ip| ip.is_ipv4() == address.is_ipv4())
}

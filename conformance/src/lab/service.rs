//! Services as a test lists them.

use super::Place;
use policy_model::object::{ObjectKey, Protocol};
use std::{collections::BTreeMap, net::IpAddr};

/// A Service of the cluster. Backends that are not up are left out, as an EndpointSlice leaves them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ObjectKey,
    /// `spec.clusterIPs`: at most one of each family.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs` and the addresses of `status.loadBalancer`.
    pub external_ips: Vec<IpAddr>,
    /// `spec.externalTrafficPolicy: Local`: from outside only backends on the same node, and the client's address is kept.
    pub local: bool,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// The pods behind it, or nodes for host-network pods.
    pub backends: Vec<Place>,
    /// Where a `targetPort` is a name that a backend calls another number than `target_port`: by index of the
    /// backend, protocol and `port`.
    pub named_targets: BTreeMap<(usize, Protocol, u16), u16>,
}

/// One port of a [`Service`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`, on the Service's addresses.
    pub port: u16,
    /// `targetPort`, on the backends.
    pub target_port: u16,
    /// `nodePort`, on each node's address.
    pub node_port: Option<u16>,
}

impl Service {
    /// A Service without addresses, ports and backends.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            key: ObjectKey::new(namespace, name),
            cluster_ips: Vec::new(),
            external_ips: Vec::new(),
            local: false,
            ports: Vec::new(),
            backends: Vec::new(),
            named_targets: BTreeMap::new(),
        }
    }

    /// With this ClusterIP.
    #[must_use]
    pub fn cluster_ip(mut self, address: impl Into<IpAddr>) -> Self {
        self.cluster_ips.push(address.into());
        self
    }

    /// With this external or load balancer address.
    #[must_use]
    pub fn external_ip(mut self, address: impl Into<IpAddr>) -> Self {
        self.external_ips.push(address.into());
        self
    }

    /// With this port.
    #[must_use]
    pub fn port(mut self, protocol: Protocol, port: u16, target_port: u16, node_port: Option<u16>) -> Self {
        self.ports.push(ServicePort { protocol, port, target_port, node_port });
        self
    }

    /// With this backend.
    #[must_use]
    pub fn backend(mut self, backend: impl Into<Place>) -> Self {
        self.backends.push(backend.into());
        self
    }

    /// With this number for a `targetPort` that is a name, on the backend that was added last.
    #[must_use]
    pub fn named_target(mut self, protocol: Protocol, port: u16, number: u16) -> Self {
        if let Some(last) = self.backends.len().checked_sub(1) {
            self.named_targets.insert((last, protocol, port), number);
        }
        self
    }

    /// Where a port leads to on one of the backends.
    pub(crate) fn target_port(&self, backend: usize, port: &ServicePort) -> u16 {
        let named = self.named_targets.get(&(backend, port.protocol, port.port));
        named.copied().unwrap_or(port.target_port)
    }

    /// With `externalTrafficPolicy: Local`.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }
}

/// A port of a pod that is also a port of its node (`hostPort`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// `protocol`.
    pub protocol: Protocol,
    /// `hostPort`.
    pub host_port: u16,
    /// `containerPort`.
    pub container_port: u16,
}

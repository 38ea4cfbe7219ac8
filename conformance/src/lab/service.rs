//! Services as a test lists them.

use super::Place;
use policy_model::object::{ObjectKey, Protocol};
use std::net::IpAddr;

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

//! EndpointSlices: who is behind a Service that has no selector, or is at the moment behind one that has.
//!
//! Source: `discovery.k8s.io/v1` `EndpointSlice`. No policy is about them; explanations follow a Service by them.

use crate::object::{ObjectKey, Protocol};
use k8s_openapi::api::discovery::v1;
use std::{net::IpAddr, sync::Arc};

/// The label by which a slice belongs to a Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The endpoints of a Service, or some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The Service.
    pub service: ObjectKey,
    /// Addresses that are ready, or do not say whether they are.
    pub addresses: Vec<IpAddr>,
    /// Ports, the same for all addresses.
    pub ports: Vec<SlicePort>,
}

/// A port of a slice: where the Service's port of the same name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// Empty for the only port of a Service.
    pub name: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

impl EndpointSlice {
    /// From an object of the API. `None` if it is of no Service. Endpoints that are names (`FQDN`) are left out, and so is a
    /// port without a number, which stands for every port.
    #[must_use]
    pub fn from_api(object: &v1::EndpointSlice) -> Option<Self> {
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        let service = object.metadata.labels.as_ref()?.get(SERVICE_LABEL)?;
        let is_ready = |endpoint: &&v1::Endpoint| {
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
        };
        let ready = object.endpoints.iter().flatten().filter(is_ready);
        let addresses = ready.flat_map(|endpoint| &endpoint.addresses).filter_map(|text| text.parse().ok());
        let port = |port: &v1::EndpointPort| {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            Some(SlicePort {
                name: port.name.as_deref().unwrap_or_default().into(),
                protocol: Protocol::ALL.into_iter().find(|known| known.name() == protocol)?,
                port: u16::try_from(port.port?).ok()?,
            })
        };
        Some(Self {
            service: ObjectKey::new(namespace, service.as_str()),
            addresses: addresses.collect(),
            ports: object.ports.iter().flatten().filter_map(port).collect(),
        })
    }
}

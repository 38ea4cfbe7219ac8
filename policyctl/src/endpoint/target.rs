//! An end with ports: where a flow goes to.

use super::{Endpoint, ResolveError, sample};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Pod, Protocol, Service, ServicePort, TargetPort},
    verdict,
};
use std::{fmt, net::IpAddr, sync::Arc};

/// `ENDPOINT[:PORT][/PROTOCOL]`, as it was written. Parse it with [`str::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to.
    pub endpoint: Endpoint,
    /// On which protocols and ports.
    pub ports: Ports,
}

/// The protocols and ports of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Nothing written: every port of TCP, UDP and SCTP, and ICMP. Of a Service: every port that it has.
    Everything,
    /// Only a protocol written: all of it. Of a Service: every port of that protocol.
    All(Transport),
    /// Every port from the first to the second, both included. Of a Service: ports of the Service.
    Range(Protocol, u16, u16),
    /// The port that the destination pod calls so. Of a Service: that the Service calls so.
    Named(Protocol, Arc<str>),
}

/// A protocol that a test can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One with ports.
    Ported(Protocol),
    /// ICMP for IPv4, ICMPv6 for IPv6.
    Icmp,
}

impl Transport {
    /// All four, in the order in which they are asked.
    pub const ALL: [Self; 4] =
        [Self::Ported(Protocol::Tcp), Self::Ported(Protocol::Udp), Self::Ported(Protocol::Sctp), Self::Icmp];

    /// As it is written: `TCP`, `UDP`, `SCTP`, `ICMP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ported(protocol) => protocol.name(),
            Self::Icmp => "ICMP",
        }
    }

    /// The protocol of this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// The number in the IP header of a packet to this address.
    #[must_use]
    pub fn number(self, to: Option<IpAddr>) -> u8 {
        self.number_for(to.is_some_and(|address| address.is_ipv6()))
    }

    /// The number in the header of an IPv6 or IPv4 packet.
    #[must_use]
    pub const fn number_for(self, ipv6: bool) -> u8 {
        match self {
            Self::Ported(protocol) => protocol.number(),
            Self::Icmp if ipv6 => 58,
            Self::Icmp => 1,
        }
    }
}

/// One destination that a [`Target`] stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who receives, after a Service's address has been translated.
    pub endpoint: verdict::Endpoint,
    /// On which protocol.
    pub transport: Transport,
    /// On which port of the receiver; `None` for ICMP.
    pub port: Option<u16>,
    /// The Service that was written, if one was.
    pub service: Option<ServiceRoute>,
}

/// The way through a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRoute {
    /// Which Service.
    pub key: ObjectKey,
    /// The port of the Service's address.
    pub port: u16,
}

impl Target {
    /// Every destination that it stands for.
    ///
    /// A range, a whole protocol or everything stands for all of its ports: one port is taken out of each stretch in
    /// which no policy and no pod can tell two ports apart.
    ///
    /// # Errors
    /// What [`Endpoint::resolve`] refuses, a Service without this port or without a selector, a named port that no
    /// destination pod has.
    pub fn resolve(&self, cluster: &Cluster) -> Result<Vec<Destination>, ResolveError> {
        if let Endpoint::Service(key) = &self.endpoint {
            return self.resolve_service(cluster, key);
        }
        let mut destinations = Vec::new();
        for endpoint in self.endpoint.resolve(cluster)? {
            for (transport, port) in self.ports_of(cluster, &endpoint) {
                destinations.push(Destination { endpoint: endpoint.clone(), transport, port, service: None });
            }
        }
        match &self.ports {
            Ports::Named(_, name) if destinations.is_empty() => {
                Err(ResolveError::PortName { endpoint: self.endpoint.to_string(), name: name.clone() })
            }
            _ => Ok(destinations),
        }
    }

    fn ports_of(&self, cluster: &Cluster, endpoint: &verdict::Endpoint) -> Vec<(Transport, Option<u16>)> {
        let all_of = |transport| match transport {
            Transport::Icmp => vec![(transport, None)],
            Transport::Ported(_) => numbered(transport, sample::ports(cluster, 1, u16::MAX)),
        };
        match &self.ports {
            Ports::Everything => Transport::ALL.into_iter().flat_map(all_of).collect(),
            Ports::All(transport) => all_of(*transport),
            Ports::Range(protocol, lo, hi) => {
                numbered(Transport::Ported(*protocol), sample::ports(cluster, *lo, *hi))
            }
            Ports::Named(protocol, name) => {
                let pod = match endpoint {
                    verdict::Endpoint::Pod { key, .. } => cluster.pod(key),
                    verdict::Endpoint::Address(address) => cluster.claimants(*address).next(),
                };
                let numbers = pod.into_iter().flat_map(|pod| pod.resolve_port(name, *protocol));
                numbered(Transport::Ported(*protocol), numbers)
            }
        }
    }

    fn resolve_service(&self, cluster: &Cluster, key: &ObjectKey) -> Result<Vec<Destination>, ResolveError> {
        let service = super::resolve::service(cluster, key)?;
        let ports: Vec<_> = service.ports.iter().filter(|port| self.names_port(port)).collect();
        if ports.is_empty() {
            let has = service.ports.iter().map(|p| format!("{}/{}", p.port, p.protocol)).collect::<Vec<_>>();
            return Err(ResolveError::ServicePort { target: self.to_string(), has: has.join(", ") });
        }
        let mut destinations = Vec::new();
        for port in ports {
            for pod in super::resolve::backends(cluster, service)? {
                for endpoint in super::resolve::pod_endpoints(cluster, pod) {
                    if !serves_family(service, &endpoint) {
                        continue;
                    }
                    destinations.extend(target_ports(pod, port).into_iter().map(|number| Destination {
                        endpoint: endpoint.clone(),
                        transport: Transport::Ported(port.protocol),
                        port: Some(number),
                        service: Some(ServiceRoute { key: key.clone(), port: port.port }),
                    }));
                }
            }
        }
        Ok(destinations)
    }

    fn names_port(&self, port: &ServicePort) -> bool {
        match &self.ports {
            Ports::Everything => true,
            Ports::All(transport) => *transport == Transport::Ported(port.protocol),
            Ports::Range(protocol, lo, hi) => *protocol == port.protocol && (*lo..=*hi).contains(&port.port),
            Ports::Named(protocol, name) => *protocol == port.protocol && *name == port.name,
        }
    }
}

fn numbered(transport: Transport, ports: impl IntoIterator<Item = u16>) -> Vec<(Transport, Option<u16>)> {
    ports.into_iter().map(|port| (transport, Some(port))).collect()
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

/// As it is written.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ipv6 = match &self.endpoint {
            Endpoint::Address(address) => address.is_ipv6(),
            Endpoint::Block(block) => block.network().is_ipv6(),
            _ => false,
        };
        match &self.ports {
            Ports::Everything => return write!(f, "{}", self.endpoint),
            _ if is_ipv6 => write!(f, "[{}]", self.endpoint)?,
            _ => write!(f, "{}", self.endpoint)?,
        }
        match &self.ports {
            Ports::Everything => Ok(()),
            Ports::All(transport) => write!(f, "/{}", transport.name()),
            Ports::Range(protocol, lo, hi) if lo == hi => write!(f, ":{lo}/{protocol}"),
            Ports::Range(protocol, lo, hi) => write!(f, ":{lo}-{hi}/{protocol}"),
            Ports::Named(protocol, name) => write!(f, ":{name}/{protocol}"),
        }
    }
}

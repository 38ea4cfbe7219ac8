//! An end with ports: where a flow goes to.

use super::{Endpoint, ResolveError, Slices, sample, service};
use policy_model::{
    cluster::Cluster,
    object::{ObjectKey, Protocol, ServicePort},
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
    /// The Service that was written, if one was that translates.
    pub service: Option<ServiceRoute>,
}

/// The way through a Service's address, which is translated.
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
    /// which no policy and no pod can tell two ports apart. A headless Service is no more than a name for its pods: a
    /// number is a port of theirs, a name is that of a port of the Service.
    ///
    /// # Errors
    /// What [`Endpoint::resolve`] refuses, a Service without this port, a named port that no destination pod has.
    pub fn resolve(&self, cluster: &Cluster, slices: &Slices) -> Result<Vec<Destination>, ResolveError> {
        if let Endpoint::Service(key) = &self.endpoint
            && (self.is_translated(cluster) || matches!(self.ports, Ports::Named(..)))
        {
            return service::destinations(self, cluster, slices, service::find(cluster, key)?);
        }
        let mut destinations = Vec::new();
        for endpoint in self.endpoint.resolve(cluster, slices)? {
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

    /// Whether it is the address of a Service, or a port of such an address: all but a headless one, which has none.
    #[must_use]
    pub fn is_translated(&self, cluster: &Cluster) -> bool {
        let Endpoint::Service(key) = &self.endpoint else { return false };
        cluster.service(key).is_none_or(|service| !service.headless)
    }

    /// Whether a port of a Service is one that is asked about.
    pub(super) fn names_port(&self, port: &ServicePort) -> bool {
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

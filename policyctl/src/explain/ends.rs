//! From what was written to the pairs that are asked about.

use crate::{
    endpoint::{Destination, Endpoint, Ports, ResolveError, ServiceRoute, Target, Transport},
    input::Snapshot,
};
use policy_model::{
    object::ObjectKey,
    portset::{PortRanges, PortSet},
    verdict::{self, Flow},
};
use std::net::IpAddr;

/// May `source` reach `target`?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who opens the connection.
    pub source: Endpoint,
    /// Whom to, and on which ports.
    pub target: Target,
}

/// An end that stands for nothing, or too much.
#[derive(Debug, thiserror::Error)]
pub enum EndsError {
    /// What does not exist or matches nothing.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A question about the whole cluster.
    #[error("this asks about {pairs} pairs, more than {MOST_PAIRS}; `matrix` shows all of them at once")]
    Many {
        /// How many there would be.
        pairs: usize,
    },
}

/// The most pairs that one question may be about.
pub const MOST_PAIRS: usize = 10_000;

/// What a pair is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One protocol and port. The last says whether ICMP means that of IPv6.
    One(Transport, Option<u16>, bool),
    /// Every packet of a set.
    Many(PortSet),
}

impl Asked {
    /// The packets, as a set.
    #[must_use]
    pub fn ports(&self) -> PortSet {
        match self {
            Self::One(Transport::Ported(protocol), Some(port), _) => PortSet::single(*protocol, *port),
            Self::One(Transport::Ported(protocol), None, _) => {
                PortSet::none().with(*protocol, PortRanges::all())
            }
            Self::One(Transport::Icmp, ..) => PortSet::others(),
            Self::Many(ports) => ports.clone(),
        }
    }

    /// Protocol and port, if it is one.
    #[must_use]
    pub fn single(&self) -> Option<(Transport, Option<u16>)> {
        match self {
            Self::One(transport, port, _) => Some((*transport, *port)),
            Self::Many(_) => None,
        }
    }
}

/// One pair.
pub(super) struct Probe {
    pub(super) source: verdict::Endpoint,
    pub(super) destination: verdict::Endpoint,
    pub(super) asked: Asked,
    pub(super) service: Option<ServiceRoute>,
}

impl Probe {
    /// The flow of one packet: its IP protocol number and port.
    pub(super) fn flow(&self, (protocol, port): (u8, Option<u16>)) -> Flow {
        Flow { source: self.source.clone(), destination: self.destination.clone(), protocol, port }
    }
}

pub(super) struct Ends {
    pub(super) probes: Vec<Probe>,
    pub(super) notes: Vec<String>,
}

/// Every pair of one address family.
pub(super) fn resolve(snapshot: &Snapshot, question: &Question) -> Result<Ends, EndsError> {
    let mut notes = Vec::new();
    let target = through_service_address(snapshot, &question.target, &mut notes);
    let sources = question.source.resolve(&snapshot.cluster, &snapshot.slices)?;
    let destinations = match destinations(snapshot, &target) {
        // Nobody behind it can be known: the answer is that it is unknown.
        Err(error @ (ResolveError::ExternalName { .. } | ResolveError::NoSelector { .. })) => {
            notes.push(error.to_string());
            Vec::new()
        }
        other => other?,
    };
    let pairs = sources.len() * destinations.len();
    if pairs > MOST_PAIRS {
        return Err(EndsError::Many { pairs });
    }
    let asked_alone = question.source.is_single() && target.endpoint.is_single();
    let mut probes = Vec::new();
    let mut itself = None;
    for source in &sources {
        for destination in &destinations {
            if !fits(source, &destination.endpoint) {
                continue;
            }
            let same = key(source).filter(|key| Some(*key) == self::key(&destination.endpoint));
            if let Some(pod) = same.filter(|_| !asked_alone) {
                itself = Some(pod);
                continue;
            }
            let to_ipv6 = address(&destination.endpoint).or(address(source)).is_some_and(|a| a.is_ipv6());
            probes.push(Probe {
                source: source.clone(),
                destination: destination.endpoint.clone(),
                asked: asked(&target, destination, to_ipv6),
                service: destination.service.clone(),
            });
        }
    }
    if probes.is_empty() && !destinations.is_empty() {
        notes.push(match itself {
            Some(pod) => {
                format!("both stand for the one pod {pod}, and no policy judges what a pod sends to itself")
            }
            None => "the two have no address family in common, so they cannot talk at all".to_owned(),
        });
    }
    Ok(Ends { probes, notes })
}

/// What a target stands for, with one entry a receiver where the question is about many ports.
fn destinations(snapshot: &Snapshot, target: &Target) -> Result<Vec<Destination>, ResolveError> {
    let Snapshot { cluster, slices, .. } = snapshot;
    match target.ports {
        _ if target.is_translated(cluster) => target.resolve(cluster, slices),
        Ports::Named(..) => target.resolve(cluster, slices),
        _ => {
            let ends = target.endpoint.resolve(cluster, slices)?;
            let (transport, port) = match target.ports {
                Ports::Range(protocol, lo, _) => (Transport::Ported(protocol), Some(lo)),
                Ports::All(transport) => (transport, None),
                _ => (Transport::Icmp, None),
            };
            let of = |endpoint| Destination { endpoint, transport, port, service: None };
            Ok(ends.into_iter().map(of).collect())
        }
    }
}

fn asked(target: &Target, destination: &Destination, to_ipv6: bool) -> Asked {
    let one = Asked::One(destination.transport, destination.port, to_ipv6);
    if destination.service.is_some() {
        return one;
    }
    match &target.ports {
        Ports::Everything => Asked::Many(PortSet::all()),
        Ports::All(Transport::Ported(protocol)) => {
            Asked::Many(PortSet::none().with(*protocol, PortRanges::all()))
        }
        Ports::Range(protocol, lo, hi) if lo != hi => Asked::Many(PortSet::range(*protocol, *lo, *hi)),
        _ => one,
    }
}

/// A Service's own address is translated before any policy sees it.
fn through_service_address(snapshot: &Snapshot, target: &Target, notes: &mut Vec<String>) -> Target {
    let Endpoint::Address(address) = &target.endpoint else { return target.clone() };
    match snapshot.cluster.services().find(|service| service.cluster_ips.contains(address)) {
        Some(service) => {
            let key = service.key.clone();
            notes.push(format!("{address} is the address of Service {key}; policies see the pods behind it"));
            Target { endpoint: Endpoint::Service(key), ports: target.ports.clone() }
        }
        None => target.clone(),
    }
}

fn key(endpoint: &verdict::Endpoint) -> Option<&ObjectKey> {
    match endpoint {
        verdict::Endpoint::Pod { key, .. } => Some(key),
        verdict::Endpoint::Address(_) => None,
    }
}

fn address(endpoint: &verdict::Endpoint) -> Option<IpAddr> {
    match endpoint {
        verdict::Endpoint::Pod { address, .. } => *address,
        verdict::Endpoint::Address(address) => Some(*address),
    }
}

/// Whether they have an address family in common, or one of them has no address yet.
fn fits(source: &verdict::Endpoint, destination: &verdict::Endpoint) -> bool {
    match (address(source), address(destination)) {
        (Some(a), Some(b)) => a.is_ipv4() == b.is_ipv4(),
        _ => true,
    }
}

//! How the objects of a cluster become hosts, Services and probes of a lab.

use crate::{
    lab::{Family, Lab, LabError, Place, PodSpec, Service},
    probe::{Probe, Transport},
};
use policy_model::{
    cluster::Cluster,
    object::{self, Pod, Protocol, TargetPort},
    verdict::Endpoint,
};
use policyctl::{assertions, endpoint};
use std::{collections::BTreeSet, net::IpAddr};

/// What the nodes are called.
fn node_name(index: u8) -> String {
    format!("node-{index}")
}

/// How a cluster lies in a lab whose nodes are called `node-1`, `node-2` and so on.
#[derive(Debug)]
pub struct Ground<'a> {
    cluster: &'a Cluster,
    nodes: u8,
}

impl<'a> Ground<'a> {
    /// Of a cluster's manifests.
    ///
    /// # Errors
    /// [`LabError::Invalid`] if it has more nodes than a lab.
    pub fn new(cluster: &'a Cluster) -> Result<Self, LabError> {
        let nodes = cluster.nodes().len().max(1);
        let nodes =
            u8::try_from(nodes).map_err(|_| LabError::Invalid(format!("{nodes} nodes are too many")))?;
        Ok(Self { cluster, nodes })
    }

    /// How many nodes the lab needs.
    #[must_use]
    pub fn nodes(&self) -> u8 {
        self.nodes
    }

    fn node_index(&self, name: &str) -> Option<u8> {
        (1..=self.nodes).find(|&index| node_name(index) == name)
    }

    /// Pods that can run: policed, bound to a node of the lab, with addresses of their own.
    #[must_use]
    pub fn pods(&self) -> Vec<PodSpec> {
        let mut taken = BTreeSet::new();
        self.cluster.pods().filter_map(|pod| self.pod(pod, &mut taken)).collect()
    }

    fn pod(&self, pod: &Pod, taken: &mut BTreeSet<IpAddr>) -> Option<PodSpec> {
        let node = self.node_index(pod.node.as_deref()?)?;
        if !pod.is_policed() || pod.ips.is_empty() || !pod.ips.iter().all(|ip| taken.insert(*ip)) {
            return None;
        }
        let mut spec = PodSpec::new(node, &pod.key.namespace, &pod.key.name);
        for ip in &pod.ips {
            spec = match ip {
                IpAddr::V4(v4) => spec.ipv4(*v4),
                IpAddr::V6(v6) => spec.ipv6(*v6),
            };
        }
        let only = match &*pod.ips {
            [IpAddr::V4(_)] => Some(Family::V4),
            [IpAddr::V6(_)] => Some(Family::V6),
            _ => None,
        };
        Some(match only {
            Some(family) => spec.only(family),
            None => spec,
        })
    }

    /// Services with a backend that runs, for the lab's kube-proxy.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        self.cluster.services().filter_map(|service| self.service(service)).collect()
    }

    fn service(&self, service: &object::Service) -> Option<Service> {
        let backends = self.backends(service);
        let first = backends.first()?;
        let mut built = Service::new(&service.key.namespace, &service.key.name);
        for &address in &service.cluster_ips {
            built = built.cluster_ip(address);
        }
        let target = |pod: &Pod, port: &object::ServicePort| match &port.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => pod.resolve_port(name, port.protocol).next(),
        };
        for port in &service.ports {
            built = built.port(port.protocol, port.port, target(first, port)?, port.node_port);
        }
        for pod in &backends {
            built = built.backend(pod.key.clone());
            for port in &service.ports {
                built = built.named_target(port.protocol, port.port, target(pod, port)?);
            }
        }
        Some(built)
    }

    fn backends(&self, service: &object::Service) -> Vec<&Pod> {
        let Some(selector) = &service.selector else { return Vec::new() };
        let selected = |pod: &&Pod| {
            pod.key.namespace == service.key.namespace
                && pod.is_policed()
                && selector.iter().all(|(k, v)| pod.labels.get(k) == Some(v))
        };
        self.cluster.pods().filter(selected).collect()
    }

    /// A host of the lab that has this address, and whether traffic of its own leaves with it.
    fn host(&self, address: IpAddr) -> Option<Place> {
        if let Some(pod) = self.cluster.claimants(address).next() {
            self.node_index(pod.node.as_deref()?)?;
            return Some(Place::Pod(pod.key.clone()));
        }
        for node in self.cluster.nodes() {
            if node.own_addresses().any(|own| own == address) {
                return self.node_index(&node.name).map(Place::Node);
            }
        }
        let pods = self.cluster.nodes().flat_map(|node| &node.pod_cidrs);
        let unheld = pods.into_iter().any(|cidr| cidr.contains(&address));
        (!unheld).then_some(Place::Outside)
    }

    fn address(&self, endpoint: &Endpoint) -> Option<IpAddr> {
        match endpoint {
            Endpoint::Address(address) => Some(*address),
            Endpoint::Pod { address, .. } => *address,
        }
    }

    /// Gives the outside host every address that a flow names and nobody in the cluster has.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn add_outside_addresses(&self, lab: &Lab, probes: &[assertions::Probe]) -> Result<(), LabError> {
        let ends = probes.iter().flat_map(|probe| [&probe.flow.source, &probe.flow.destination]);
        let addresses: BTreeSet<_> = ends.filter_map(|end| self.address(end)).collect();
        for address in addresses.into_iter().filter(|a| self.host(*a) == Some(Place::Outside)) {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let prefix = format!("{address}/{length}");
            lab.exec(Place::Outside, &["ip", "addr", "replace", &prefix, "dev", "eth0", "nodad"])?;
        }
        Ok(())
    }

    /// The probe that tries a flow; `None` if the lab cannot send exactly that.
    #[must_use]
    pub fn probe(&self, probe: &assertions::Probe) -> Option<Probe> {
        let source = self.address(&probe.flow.source)?;
        let destination = self.address(&probe.flow.destination)?;
        let (from, to) = (self.host(source)?, self.host(destination)?);
        // Flannel masquerades what a node sends to another node's pods, unless it leaves with the overlay's address.
        if let (Place::Node(node), Place::Pod(pod)) = (&from, &to) {
            let there = self.cluster.pod(pod)?.node.as_deref()?;
            let first = self.cluster.node(&node_name(*node))?.pod_cidrs.iter().map(|cidr| cidr.network());
            if there != node_name(*node) && !first.into_iter().any(|overlay| overlay == source) {
                return None;
            }
        }
        let transport = match probe.transport {
            endpoint::Transport::Ported(Protocol::Tcp) => Transport::Tcp,
            endpoint::Transport::Ported(Protocol::Udp) => Transport::Udp,
            endpoint::Transport::Ported(Protocol::Sctp) => Transport::Sctp,
            endpoint::Transport::Icmp => Transport::Icmp,
        };
        let (address, port) = match &probe.service {
            None if transport == Transport::Icmp => (destination, 0),
            None => (destination, probe.flow.port?),
            Some(route) => self.through_service(route, destination, &from)?,
        };
        Some(Probe::new(transport, from, address, port).from_address(source))
    }

    /// Where a client sends to for a Service: its address inside the cluster, a node port from outside.
    fn through_service(
        &self,
        route: &endpoint::ServiceRoute,
        backend: IpAddr,
        from: &Place,
    ) -> Option<(IpAddr, u16)> {
        let service = self.cluster.service(&route.key)?;
        // With several backends the kernel chooses, and an answer would be about any of them.
        let [pod] = &*self.backends(service) else { return None };
        let same_family = |ip: &&IpAddr| ip.is_ipv4() == backend.is_ipv4();
        if *from != Place::Outside {
            return Some((*service.cluster_ips.iter().find(same_family)?, route.port));
        }
        // On the backend's own node, so that the true client is seen.
        let node = self.cluster.node(pod.node.as_deref()?)?;
        let port = service.ports.iter().find(|port| port.port == route.port)?.node_port?;
        Some((*node.addresses.iter().find(same_family)?, port))
    }
}

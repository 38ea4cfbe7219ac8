//! The lab in which everything is compared.

use super::{
    Contender, Load, Path, cluster,
    load::{Denied, End, Flow, NewFlows, Requests, Stream},
    switch::Switch,
};
use crate::{
    attack::port,
    lab::{Family, Lab, LabError, Pod, PodSpec, Service, ServicePort},
};
use compiler::config::Port;
use policy_model::object::Protocol;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// A way between two pods of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What it is called in the report.
    pub name: &'static str,
    /// Both pods are on one node (bridged); else the overlay is between them.
    pub near: bool,
    /// Of the addresses.
    pub family: Family,
}

/// All of them.
pub const WAYS: [Way; 4] = [
    Way { name: "same node, IPv4", near: true, family: Family::V4 },
    Way { name: "same node, IPv6", near: true, family: Family::V6 },
    Way { name: "across VXLAN, IPv4", near: false, family: Family::V4 },
    Way { name: "across VXLAN, IPv6", near: false, family: Family::V6 },
];

impl Way {
    /// Such a load on it.
    #[must_use]
    pub fn path(self, load: Box<dyn Load>) -> Path {
        Path { name: self.name.to_owned(), load, nodes: if self.near { 1 } else { 2 } }
    }
}

/// The port that established flows and streams go to.
pub const PORT: u16 = 7000;
/// The port that new flows go to.
const NEW_FLOWS_PORT: u16 = 7001;
/// The port that requests go to.
const REQUESTS_PORT: u16 = 7002;
/// The port that nothing permits.
pub(super) const DENIED_PORT: u16 = 7003;

/// What the last of all policies permits.
pub(super) const PERMITTED: [(Protocol, u16); 4] = [
    (Protocol::Udp, PORT),
    (Protocol::Tcp, PORT),
    (Protocol::Udp, NEW_FLOWS_PORT),
    (Protocol::Udp, REQUESTS_PORT),
];

/// Two nodes with a client, a server beside it and a server on the other node; Flannel's and kube-proxy's tables on both,
/// which stay as they are all the time.
#[derive(Debug)]
pub struct Stage {
    lab: Lab,
    client: Arc<Pod>,
    /// On the client's node, and on the other one.
    servers: [Arc<Pod>; 2],
    /// By node.
    switches: Vec<Switch>,
    awake: BTreeSet<String>,
}

impl Stage {
    /// Raises the lab.
    ///
    /// # Errors
    /// As [`LabBuilder::build`](crate::lab::LabBuilder::build).
    pub fn raise() -> Result<Self, LabError> {
        let lab = Lab::builder("bench").nodes(2).build()?;
        let spec = |node, name| PodSpec::new(node, cluster::NAMESPACE, name);
        let client = lab.add_pod(spec(1, cluster::CLIENT))?;
        let servers = [lab.add_pod(spec(1, cluster::NEAR))?, lab.add_pod(spec(2, cluster::FAR))?];
        let mut service =
            Service::new(cluster::NAMESPACE, "server").cluster_ip(IpAddr::from([10, 96, 0, 10]));
        service.ports.push(ServicePort {
            protocol: Protocol::Udp,
            port: PORT,
            target_port: PORT,
            node_port: None,
        });
        service.backends.extend(servers.iter().map(Into::into));
        lab.set_services(&[service])?;
        let switches = lab.nodes().iter().map(|node| Switch::open(node.netns())).collect::<Result<_, _>>()?;
        Ok(Self { lab, client, servers, switches, awake: BTreeSet::new() })
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// An established flow from the client to a server.
    ///
    /// # Errors
    /// As [`Flow::open`].
    pub fn flow(&self, way: Way) -> Result<Flow, LabError> {
        let [client, server] = self.ends(way);
        Flow::open(client, server, PORT)
    }

    /// Flows that begin, between the same pods.
    ///
    /// # Errors
    /// As [`NewFlows::open`].
    pub fn new_flows(&self, way: Way) -> Result<NewFlows, LabError> {
        let [client, server] = self.ends(way);
        NewFlows::open(client, server, NEW_FLOWS_PORT, self.lab.nodes().iter().map(|node| node.netns()))
    }

    /// Requests, between the same pods.
    ///
    /// # Errors
    /// As [`Requests::open`].
    pub fn requests(&self, way: Way) -> Result<Requests, LabError> {
        let [client, server] = self.ends(way);
        Requests::open(client, server, REQUESTS_PORT)
    }

    /// A TCP connection, between the same pods.
    ///
    /// # Errors
    /// As [`Stream::open`].
    pub fn stream(&self, way: Way) -> Result<Stream, LabError> {
        let [client, server] = self.ends(way);
        Stream::open(client, server, PORT)
    }

    /// A flood to a port that the policies do not permit, between the same pods.
    ///
    /// # Errors
    /// As [`Denied::open`].
    pub fn denied(&self, way: Way) -> Result<Denied, LabError> {
        let [client, server] = self.ends(way);
        Denied::open(client, server, DENIED_PORT)
    }

    fn ends(&self, way: Way) -> [End<'_>; 2] {
        let server = &self.servers[usize::from(!way.near)];
        [&self.client, server].map(|pod| (pod.netns(), pod.address(way.family)))
    }

    /// The interfaces of the pods on a node, for its source guard.
    ///
    /// # Errors
    /// As [`port`].
    pub fn ports(&self, node: u8) -> Result<Vec<Port>, LabError> {
        let own = self.lab.pods().into_iter().filter(|pod| pod.node() == node);
        own.map(|pod| port(&self.lab, &pod)).collect()
    }

    /// Loads a contender's tables, asleep.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's own message.
    pub fn install(&self, contender: &Contender) -> Result<(), LabError> {
        let nodes = self.lab.nodes().iter().zip(&contender.texts);
        nodes.into_iter().try_for_each(|(node, text)| self.lab.nft(node.index(), text))
    }

    /// Puts what is awake to sleep and wakes these, in one transaction a node.
    ///
    /// # Errors
    /// [`LabError::Io`] with what the kernel says, for example of a table that is not installed.
    pub fn wake(&mut self, contenders: &[&Contender]) -> Result<(), LabError> {
        let wanted: BTreeSet<String> = contenders.iter().flat_map(|c| c.tables.iter().cloned()).collect();
        let asleep = self.awake.difference(&wanted).map(|table| (table.as_str(), true));
        let woken = wanted.difference(&self.awake).map(|table| (table.as_str(), false));
        let changes: Vec<_> = asleep.chain(woken).collect();
        self.switches.iter().try_for_each(|switch| switch.set(&changes))?;
        self.awake = wanted;
        Ok(())
    }

    /// How many datagrams of a burst arrive while this one is awake.
    ///
    /// # Errors
    /// As [`Self::wake`] and [`Denied::arriving`].
    pub fn arriving_past(&mut self, contender: &Contender, flood: &Denied) -> Result<u32, LabError> {
        self.wake(&[contender])?;
        flood.arriving()
    }

    /// Sees to it that each of these denies the flood: what does not would be measured for nothing.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the name of one that does not, and as [`Self::arriving_past`].
    pub fn require_denied<'a>(
        &mut self,
        contenders: impl IntoIterator<Item = &'a Contender>,
        flood: &Denied,
    ) -> Result<(), LabError> {
        contenders.into_iter().try_for_each(|contender| match self.arriving_past(contender, flood)? {
            0 => Ok(()),
            some => Err(LabError::Invalid(format!(
                "{some} datagrams of the flood arrive past {}",
                contender.name
            ))),
        })
    }
}

//! The pods, Services and hosts that all cases share.

use super::super::{
    case::{Fault, wrong},
    pods::{self},
};
use crate::{
    cluster::{Cluster, ClusterNode, Engine, Families, agnhost_image},
    lab::{LabError, Netns, Place},
    probe::{self, Probe, Reply, Responder},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

/// Their namespace.
pub(super) const NAMESPACE: &str = "rules";
/// Where everybody answers, by TCP and UDP.
pub(super) const PORTS: [u16; 6] = [6999, 7000, 7001, 7002, 7003, 7004];
/// The port of the node that leads to [`SERVERS`]' first.
pub(super) const HOST_PORT: u16 = 7070;
/// Two of each app: one on the first node, one on the second.
pub(super) const SERVERS: [&str; 2] = ["server-1", "server-2"];
pub(super) const CLIENTS: [&str; 2] = ["client-1", "client-2"];
pub(super) const STRANGERS: [&str; 2] = ["stranger-1", "stranger-2"];
pub(super) const NODES: [&str; 2] = ["node-1", "node-2"];
/// A host that is not of the cluster, and the same with its other addresses.
pub(super) const OUTSIDE: &str = "outside";
pub(super) const BESIDE: &str = "beside";

/// What must hold in a namespace that echo requests are sent from, and whose refusals must not be held back for their number.
const HOST: [(&str, &str); 3] =
    [("ipv4/ping_group_range", "0 2147483647"), ("ipv4/icmp_ratemask", "0"), ("ipv6/icmp/ratemask", "255")];
/// How long a policy may take to be in force or gone. Without an engine there is nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// Somebody with a name.
#[derive(Debug)]
struct Host {
    /// Whose network namespace it has; a Service has none.
    place: Option<Place>,
    /// One of each family, or more.
    addresses: Vec<IpAddr>,
}

/// All of them.
#[derive(Debug)]
pub(in super::super) struct Scene {
    // Ends before what it serves in.
    responder: Responder,
    hosts: BTreeMap<String, Host>,
    namespaces: BTreeMap<Place, Netns>,
    cluster: Cluster,
}

impl Scene {
    /// Makes them.
    pub(in super::super) fn create(cluster: Cluster) -> Result<Self, Fault> {
        cluster.kubectl_with(&["apply", "-f", "-"], &objects(&cluster)?.to_string())?;
        let (responder, hosts, namespaces) = (Responder::start()?, BTreeMap::new(), BTreeMap::new());
        let mut this = Self { responder, hosts, namespaces, cluster };
        for (number, name) in (1..).zip(NODES) {
            let node = this.node(number);
            let (netns, addresses) = (node.netns().clone(), node.addresses().to_vec());
            this.host(name, Place::Node(number), netns, addresses)?;
        }
        let (outside, [first, second]) = this.cluster.outside()?;
        this.routes(&outside)?;
        this.host(OUTSIDE, Place::Outside, outside, first)?;
        this.name(BESIDE, Some(Place::Outside), second);
        this.wait_for_pods()?;
        for (number, names) in [0, 1].map(|i| (i as u8 + 1, [SERVERS[i], CLIENTS[i], STRANGERS[i]])) {
            for name in names {
                this.adopt(name, number)?;
            }
        }
        Ok(this)
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The node of this number, from 1.
    fn node(&self, number: u8) -> &ClusterNode {
        &self.cluster.nodes()[usize::from(number) - 1]
    }

    /// Finds a pod that runs on a node, and lets it answer.
    pub(super) fn adopt(&mut self, name: &str, node: u8) -> Result<(), Fault> {
        let pod = pods::find(self.node(node), name)?;
        let netns = pod.adopt(format!("{}-{name}", self.cluster.id()))?;
        self.host(name, Place::pod(NAMESPACE, name), netns, pod.addresses)
    }

    /// All pods of the namespace are ready.
    pub(super) fn wait_for_pods(&self) -> Result<(), Fault> {
        let wait = ["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=120s"];
        self.cluster.kubectl(&wait)?;
        Ok(())
    }

    fn host(&mut self, name: &str, place: Place, netns: Netns, addresses: Vec<IpAddr>) -> Result<(), Fault> {
        netns.sysctl(&HOST)?;
        self.responder.serve(&netns, &place, &PORTS)?;
        self.namespaces.insert(place.clone(), netns);
        self.name(name, Some(place), addresses);
        Ok(())
    }

    /// Gives addresses a name.
    pub(super) fn name(&mut self, name: &str, place: Option<Place>, addresses: Vec<IpAddr>) {
        self.hosts.insert(name.to_owned(), Host { place, addresses });
    }

    /// The ways of the host outside to pods and load balancers.
    fn routes(&self, outside: &Netns) -> Result<(), Fault> {
        for node in self.cluster.nodes() {
            let path = r#"jsonpath={range .spec.podCIDRs[*]}{@}{"\n"}{end}"#;
            let ranges = self.cluster.kubectl(&["get", "node", node.name(), "--output", path])?;
            for range in ranges.lines() {
                via(outside, range, node.addresses())?;
            }
        }
        Ok(())
    }

    /// The host outside reaches these through a node.
    pub(super) fn route(&self, to: &[IpAddr], node: u8) -> Result<(), Fault> {
        let outside = self.netns(&Place::Outside)?;
        to.iter().try_for_each(|address| via(&outside, &address.to_string(), self.node(node).addresses()))
    }

    /// Who sends under a name, and from which addresses.
    pub(super) fn sender(&self, name: &str) -> Result<(Place, &[IpAddr]), Fault> {
        match self.hosts.get(name) {
            // Others' addresses are chosen by their routes, as a program that does not care has it.
            Some(Host { place: Some(Place::Outside), addresses }) => Ok((Place::Outside, addresses)),
            Some(Host { place: Some(place), .. }) => Ok((place.clone(), &[])),
            _ => wrong(format!("nobody sends as `{name}`")),
        }
    }

    pub(super) fn addresses(&self, name: &str) -> Result<&[IpAddr], Fault> {
        match self.hosts.get(name) {
            Some(host) => Ok(&host.addresses),
            None => wrong(format!("nobody is called `{name}`")),
        }
    }

    /// Whether its hosts have addresses of this family.
    pub(super) fn has(&self, v4: bool) -> bool {
        self.cluster.options().families != if v4 { Families::Ipv6 } else { Families::Ipv4 }
    }

    /// The address of a family.
    pub(super) fn address(&self, name: &str, v4: bool) -> Result<IpAddr, Fault> {
        let address = self.addresses(name)?.iter().find(|address| address.is_ipv4() == v4);
        address.copied().map_or_else(|| wrong(format!("`{name}` has no address of a family")), Ok)
    }

    /// Its addresses as `from` or `to` of a policy: a block of one address for each.
    pub(super) fn blocks(&self, name: &str) -> Result<String, Fault> {
        Ok(blocks_of(self.addresses(name)?))
    }

    pub(super) fn netns(&self, place: &Place) -> Result<Netns, LabError> {
        let netns = self.namespaces.get(place).cloned();
        netns.ok_or_else(|| LabError::Invalid(format!("{place} is not there")))
    }

    /// The network namespace of somebody.
    pub(super) fn netns_of(&self, name: &str) -> Result<Netns, Fault> {
        Ok(self.netns(&self.sender(name)?.0)?)
    }

    pub(super) fn responder(&self) -> &Responder {
        &self.responder
    }

    /// Sends probes and gives their replies.
    pub(super) fn ask(&self, probes: &[Probe]) -> Result<Vec<Reply>, LabError> {
        probe::run(probes, probe::TIMEOUT, |place| self.netns(place))
    }

    /// Applies objects to the namespace.
    pub(super) fn apply(&self, objects: &str) -> Result<(), Fault> {
        self.cluster.kubectl_with(&["apply", "-n", NAMESPACE, "-f", "-"], objects)?;
        Ok(())
    }

    /// Deletes all policies.
    pub(super) fn clear(&self) -> Result<(), Fault> {
        self.cluster.kubectl(&["delete", "networkpolicy", "-n", NAMESPACE, "--all"])?;
        Ok(())
    }

    /// Asks until it is so, or a policy must have been in force.
    pub(super) fn within_patience(
        &self,
        is_so: &mut dyn FnMut() -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let patience = if self.cluster.options().engine == Engine::None { PATIENCE / 10 } else { PATIENCE };
        let begin = Instant::now();
        while !is_so()? {
            if begin.elapsed() > patience {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }
}

/// Addresses as peers of a policy: a block of one address for each.
pub(super) fn blocks_of(addresses: &[IpAddr]) -> String {
    let blocks = addresses.iter().map(|address| format!("{{ipBlock: {{cidr: '{}'}}}}", single(*address)));
    blocks.collect::<Vec<_>>().join(", ")
}

/// `address/32` or `address/128`.
pub(super) fn single(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

fn via(host: &Netns, range: &str, gateways: &[IpAddr]) -> Result<(), Fault> {
    let gateway = gateways.iter().find(|gateway| gateway.is_ipv6() == range.contains(':'));
    match gateway {
        Some(gateway) => Ok(host.ip(&format!("route replace {range} via {gateway}\n"))?),
        None => wrong(format!("no node's address is of the family of {range}")),
    }
}

/// The namespace with its pods.
fn objects(cluster: &Cluster) -> Result<Value, Fault> {
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
    for (node, number) in cluster.nodes().iter().take(2).zip(1..) {
        for app in ["server", "client", "stranger"] {
            let mut pod = pod(&format!("{app}-{number}"), app, node.name())?;
            if (app, number) == ("server", 1) {
                let port = |protocol| json!({"containerPort": PORTS[1], "hostPort": HOST_PORT, "protocol": protocol});
                pod["spec"]["containers"][0]["ports"] = json!([port("TCP"), port("UDP")]);
            }
            objects.push(pod);
        }
        // Labelled as those that policies let in.
        let mut host = pod(&format!("host-{number}"), "client", node.name())?;
        host["spec"]["hostNetwork"] = json!(true);
        objects.push(host);
    }
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": objects}))
}

/// A pod that does nothing by itself.
pub(super) fn pod(name: &str, app: &str, node: &str) -> Result<Value, Fault> {
    Ok(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app, "name": name}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "enableServiceLinks": false, "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": agnhost_image()?, "imagePullPolicy": "Never"}]}}))
}

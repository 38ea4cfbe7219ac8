//! A pod's sandbox: its namespace, its veth and its addresses.

use super::{Family, HostPort, LabError, Netns, addresses, node::Node, random, shell};
use policy_model::object::{ObjectKey, Protocol};
use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What a pod is to be like.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// The node it runs on, counted from 1.
    pub node: u8,
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its address; `None` takes the next free one, as host-local does.
    pub ipv4: Option<Ipv4Addr>,
    /// Its address; `None` takes the next free one.
    pub ipv6: Option<Ipv6Addr>,
    /// The ports on which it answers TCP, UDP and SCTP; `None` for the lab's own list.
    pub ports: Option<Vec<u16>>,
    /// Its ports that are also ports of its node.
    pub host_ports: Vec<HostPort>,
    /// The families it has addresses of. A pod of one family still has a link-local IPv6 address, as in a real cluster.
    pub families: Vec<Family>,
}

impl PodSpec {
    /// A pod with the next free addresses, that answers on the lab's ports.
    #[must_use]
    pub fn new(node: u8, namespace: &str, name: &str) -> Self {
        Self {
            node,
            key: ObjectKey::new(namespace, name),
            ipv4: None,
            ipv6: None,
            ports: None,
            host_ports: Vec::new(),
            families: Family::BOTH.to_vec(),
        }
    }

    /// With this address.
    #[must_use]
    pub fn ipv4(mut self, address: Ipv4Addr) -> Self {
        self.ipv4 = Some(address);
        self
    }

    /// With this address.
    #[must_use]
    pub fn ipv6(mut self, address: Ipv6Addr) -> Self {
        self.ipv6 = Some(address);
        self
    }

    /// That answers on these ports only.
    #[must_use]
    pub fn ports(mut self, ports: &[u16]) -> Self {
        self.ports = Some(ports.to_vec());
        self
    }

    /// With addresses of this family only.
    #[must_use]
    pub fn only(mut self, family: Family) -> Self {
        self.families = vec![family];
        self
    }

    /// With this port of its node leading to it.
    #[must_use]
    pub fn host_port(mut self, protocol: Protocol, host_port: u16, container_port: u16) -> Self {
        self.host_ports.push(HostPort { protocol, host_port, container_port });
        self
    }
}

/// A running pod. Kept by its holder after the pod is deleted, it is only a record of what was.
#[derive(Debug)]
pub struct Pod {
    key: ObjectKey,
    uid: String,
    container_id: String,
    node: u8,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
    mac: String,
    host_veth: String,
    host_mac: String,
    host_ports: Vec<HostPort>,
    families: Vec<Family>,
    netns: Netns,
}

impl Pod {
    /// Chooses names, MACs and ids; nothing is made yet.
    pub(crate) fn plan(lab: &str, spec: &PodSpec, ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> Result<Self, LabError> {
        Ok(Self {
            key: spec.key.clone(),
            uid: random::uuid()?,
            container_id: random::hex::<32>()?,
            node: spec.node,
            ipv4,
            ipv6,
            mac: random::mac()?,
            host_veth: format!("veth{}", random::hex::<4>()?),
            host_mac: random::mac()?,
            host_ports: spec.host_ports.clone(),
            families: spec.families.clone(),
            netns: Netns::new(format!("{lab}-p-{}-{}", spec.key.namespace, spec.key.name)),
        })
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// `metadata.uid`, as in its CNI arguments.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The id of its sandbox: 64 hexadecimal digits.
    #[must_use]
    pub fn container_id(&self) -> &str {
        &self.container_id
    }

    /// The node it runs on, counted from 1.
    #[must_use]
    pub fn node(&self) -> u8 {
        self.node
    }

    /// The families it has addresses of.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Its addresses, as in `status.podIPs`.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.families.iter().map(|&f| self.address(f))
    }

    /// Its IPv4 address. Reserved, but not its own, if it is a pod of IPv6 only.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4
    }

    /// Its IPv6 address. Reserved, but not its own, if it is a pod of IPv4 only.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        self.ipv6
    }

    /// Its address of this family.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        family.pick(self.ipv4.into(), self.ipv6.into())
    }

    /// The link-local address that its kernel made of its MAC.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        // The MAC is our own, so it always reads.
        addresses::link_local(&self.mac).unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// The MAC of its `eth0`.
    #[must_use]
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// The name of its veth on the node, a port of `cni0`.
    #[must_use]
    pub fn host_veth(&self) -> &str {
        &self.host_veth
    }

    /// The MAC of its veth on the node.
    #[must_use]
    pub fn host_mac(&self) -> &str {
        &self.host_mac
    }

    /// The ports of its node that lead to it.
    #[must_use]
    pub fn host_ports(&self) -> &[HostPort] {
        &self.host_ports
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The lines for `ip -batch` in the node's namespace.
    pub(crate) fn host_links(&self, lines: &mut String) -> std::fmt::Result {
        let (veth, ns) = (&self.host_veth, self.netns.name());
        writeln!(
            lines,
            "link add {veth} address {} mtu 1450 type veth peer name eth0 address {} mtu 1450 netns {ns}",
            self.host_mac, self.mac
        )?;
        writeln!(lines, "link set {veth} master cni0 up")?;
        writeln!(lines, "link set {veth} type bridge_slave hairpin on")
    }

    /// Gives `eth0` its addresses and routes, as the bridge plugin does.
    pub(crate) fn configure(&self) -> Result<(), LabError> {
        let mut lines = "link set lo up\nlink set eth0 up\n".to_owned();
        if self.families.contains(&Family::V4) {
            let gateway = addresses::pod4(self.node, 1);
            lines += &format!(
                "addr add {}/24 dev eth0\nroute add {} via {gateway}\nroute add default via {gateway}\n",
                self.ipv4,
                addresses::PODS4
            );
        }
        if self.families.contains(&Family::V6) {
            let gateway = addresses::pod6(self.node, 1);
            lines += &format!("addr add {}/64 dev eth0 nodad\nroute add ::/0 via {gateway}\n", self.ipv6);
        }
        shell::ip_batch_in(self.netns.name(), &lines)
    }

    /// Removes its veth, and with it `eth0`.
    pub(crate) fn unplug(&self, node: &Node) -> Result<(), LabError> {
        shell::ip_batch_in(node.netns().name(), &format!("link del {}\n", self.host_veth))
    }
}

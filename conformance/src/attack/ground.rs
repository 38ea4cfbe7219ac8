//! Where attacks happen: two nodes, five pods, the outside host, and everybody's addresses.

use crate::lab::{Lab, LabError, Netns, Place, Pod, PodSpec, addresses};
use nix::ifaddrs::getifaddrs;
use policy_model::object::Protocol;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// A hardware address.
pub type Mac = [u8; 6];

/// A UDP port on which nothing of the lab answers; [`Arrival::Socket`](super::Arrival::Socket) listens there.
pub const LISTEN: u16 = 7000;

/// The ports on which every host answers: those of the policies and a few that no policy names.
const SERVED: [u16; 4] = [80, 81, 8080, 9000];

/// A host with the addresses that its packets carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where it is.
    pub place: Place,
    /// Of its `eth0`.
    pub mac: Mac,
    /// Of its `eth0`.
    pub v4: Ipv4Addr,
    /// Of its `eth0`.
    pub v6: Ipv6Addr,
    /// Its link-local address, which its kernel made of its MAC.
    pub local: Ipv6Addr,
}

/// Everybody's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// On node 1, isolated for egress.
    pub a: Host,
    /// On node 1, isolated for ingress.
    pub b: Host,
    /// On node 1, not isolated.
    pub c: Host,
    /// On node 2, isolated for ingress.
    pub d: Host,
    /// On node 2, isolated for egress.
    pub e: Host,
    /// The nodes on the underlay.
    pub nodes: [Host; 2],
    /// The host outside the cluster.
    pub outside: Host,
    /// The MAC of `cni0` on each node.
    pub gateways: [Mac; 2],
}

impl Cast {
    /// As a lab would have it, but for its random MACs: to know the names of all attacks before there is a lab.
    #[must_use]
    pub fn imagined() -> Self {
        let host = |place, number: u8, v4, v6| {
            let mac = [2, 0, 0, 0, 0, number];
            Host { place, mac, v4, v6, local: local(mac) }
        };
        let pod = |name, node, last: u8| {
            let (v4, v6) = (addresses::pod4(node, last), addresses::pod6(node, u16::from(last)));
            host(Place::pod("default", name), 16 * node + last, v4, v6)
        };
        let node = |n| host(Place::Node(n), n, addresses::node4(n), addresses::node6(n));
        Self {
            a: pod("a", 1, 2),
            b: pod("b", 1, 3),
            c: pod("c", 1, 4),
            d: pod("d", 2, 2),
            e: pod("e", 2, 3),
            nodes: [node(1), node(2)],
            outside: host(Place::Outside, 3, addresses::OUTSIDE4, addresses::OUTSIDE6),
            gateways: [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]],
        }
    }

    /// The pods.
    #[must_use]
    pub fn pods(&self) -> [&Host; 5] {
        [&self.a, &self.b, &self.c, &self.d, &self.e]
    }
}

/// The lab with everybody's addresses at hand.
#[derive(Debug)]
pub struct Ground {
    /// The lab itself.
    pub lab: Lab,
    /// Who is in it.
    pub cast: Cast,
}

impl Ground {
    /// Raises the lab and its five pods. `b` has the host port 8088.
    ///
    /// # Errors
    /// As [`LabBuilder::build`](crate::lab::LabBuilder::build) and [`Lab::add_pods`].
    pub fn raise(test: &str) -> Result<Self, LabError> {
        let lab = Lab::builder(test).nodes(2).ports(&SERVED).build()?;
        let spec = |node, name| PodSpec::new(node, "default", name);
        let pods = lab.add_pods(&[
            spec(1, "a"),
            spec(1, "b").host_port(Protocol::Tcp, 8088, 80),
            spec(1, "c"),
            spec(2, "d"),
            spec(2, "e"),
        ])?;
        let hosts: Vec<Host> = pods.iter().map(Host::of_pod).collect::<Result<_, _>>()?;
        let [a, b, c, d, e] =
            hosts.try_into().map_err(|_| LabError::Invalid("five pods were asked for".to_owned()))?;
        let node =
            |n| Host::on_link(lab.node(n).netns(), Place::Node(n), addresses::node4(n), addresses::node6(n));
        let nodes = [node(1)?, node(2)?];
        let outside = Host::on_link(lab.outside(), Place::Outside, addresses::OUTSIDE4, addresses::OUTSIDE6)?;
        let gateways = [mac(lab.node(1).bridge_mac())?, mac(lab.node(2).bridge_mac())?];
        Ok(Self { cast: Cast { a, b, c, d, e, nodes, outside, gateways }, lab })
    }

    /// Lets every pod tell its bridge where it is, as its kernel does when its link comes up (gratuitous ARP). Bridges
    /// believe the last frame of a hardware address, a forged one too.
    ///
    /// # Errors
    /// As [`Lab::inject`].
    pub fn announce(&self) -> Result<(), LabError> {
        let mut pods = self.cast.pods().into_iter();
        pods.try_for_each(|host| self.lab.inject(&host.place, "eth0", &[host.announcement(&[])]))
    }

    /// Forgets every flow and every neighbour, so that one round leaves nothing to the next.
    ///
    /// # Errors
    /// [`LabError::Command`] with what `conntrack` or `ip` says.
    pub fn forget(&self) -> Result<(), LabError> {
        for node in self.lab.nodes() {
            node.netns().exec(&["conntrack", "-F"])?;
            node.netns().exec(&["ip", "neigh", "flush", "dev", "cni0"])?;
        }
        for pod in self.lab.pods() {
            pod.netns().exec(&["ip", "neigh", "flush", "dev", "eth0"])?;
        }
        self.announce()
    }
}

impl Host {
    /// A pod's addresses.
    ///
    /// # Errors
    /// [`LabError::Invalid`] if its MAC is none.
    pub fn of_pod(pod: &Arc<Pod>) -> Result<Self, LabError> {
        Ok(Self {
            place: pod.into(),
            mac: mac(pod.mac())?,
            v4: pod.ipv4(),
            v6: pod.ipv6(),
            local: pod.link_local(),
        })
    }

    fn on_link(netns: &Netns, place: Place, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self, LabError> {
        let found = netns.enter(|| {
            let links = getifaddrs()?.filter(|link| link.interface_name == "eth0");
            let mut macs = links.filter_map(|link| link.address?.as_link_addr()?.addr());
            macs.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "eth0 has no hardware address"))
        });
        let mac = found?.map_err(LabError::io(format!("the links of {}", netns.name())))?;
        Ok(Self { place, mac, v4, v6, local: local(mac) })
    }

    /// A gratuitous ARP request (RFC 5227 section 3), with `trailer` behind it.
    #[must_use]
    pub fn announcement(&self, trailer: &[u8]) -> Vec<u8> {
        super::packet::arp_frame(self.mac, [0xff; 6], 1, (self.mac, self.v4), ([0; 6], self.v4), trailer)
    }
}

/// The link-local address that a kernel makes of a MAC.
pub(super) fn local(mac: Mac) -> Ipv6Addr {
    let text = mac.map(|byte| format!("{byte:02x}")).join(":");
    addresses::link_local(&text).unwrap_or(Ipv6Addr::UNSPECIFIED)
}

fn mac(text: &str) -> Result<Mac, LabError> {
    addresses::mac_bytes(text).ok_or_else(|| LabError::Invalid(format!("`{text}` is no MAC")))
}

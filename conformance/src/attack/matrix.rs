//! Honest traffic, every way that it can take: on one node and across nodes, through Services of each kind, to nodes and
//! from them, to the outside and from it.

use super::{Cast, Host};
use crate::{
    lab::{Family, Lab, LabError, Service},
    probe::{Outcome, Probe, Transport},
};
use policy_model::object::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A question to the network, and its answer under the policies. Without our tables everything gets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Which way, and what waits at its end.
    pub name: String,
    /// What is asked.
    pub probe: Probe,
    /// Whether it is to get through.
    pub allowed: bool,
}

/// The ports of nodes that lead to `b`, to `b` for its own node only, and to `d`; `b`'s host port.
const NODE_PORT_B: u16 = 30080;
const NODE_PORT_B_LOCAL: u16 = 30081;
const NODE_PORT_D: u16 = 30082;
const HOST_PORT_B: u16 = 8088;

/// The ClusterIP of the n-th Service.
fn cluster_ip(number: u8, family: Family) -> IpAddr {
    let v6 = Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x10 + u16::from(number));
    family.pick(Ipv4Addr::new(10, 96, 0, 10 + number).into(), v6.into())
}

const TO_A: u8 = 1;
const TO_B: u8 = 2;
const TO_D: u8 = 3;
const TO_NODE: u8 = 4;
const TO_B_LOCAL: u8 = 5;

/// Sets up the Services that the cases go through.
///
/// # Errors
/// As [`Lab::set_services`].
pub fn set_services(lab: &Lab, cast: &Cast) -> Result<(), LabError> {
    let service = |number, name, backend: &Host, target, node_port| {
        Service::new("default", name)
            .cluster_ip(cluster_ip(number, Family::V4))
            .cluster_ip(cluster_ip(number, Family::V6))
            .port(Protocol::Tcp, 80, target, node_port)
            .port(Protocol::Udp, 80, target, None)
            .backend(&backend.place)
    };
    lab.set_services(&[
        service(TO_A, "to-a", &cast.a, 80, None),
        service(TO_B, "to-b", &cast.b, 80, Some(NODE_PORT_B)),
        service(TO_D, "to-d", &cast.d, 80, Some(NODE_PORT_D)),
        service(TO_NODE, "to-node", &cast.nodes[0], 9000, None),
        service(TO_B_LOCAL, "to-b-local", &cast.b, 80, Some(NODE_PORT_B_LOCAL)).local(),
    ])
}

/// The ClusterIPs of the Services of `b` and of `d`, which answer on port 80.
#[must_use]
pub fn services_of_b_and_d(family: Family) -> [IpAddr; 2] {
    [TO_B, TO_D].map(|number| cluster_ip(number, family))
}

/// Every case of one family.
#[must_use]
pub fn cases(cast: &Cast, family: Family) -> Vec<Case> {
    let mut list = List { family, cases: Vec::new() };
    list.between_pods(cast);
    list.through_services(cast);
    list.with_nodes(cast);
    list.with_the_outside(cast);
    list.through_nodes_ports(cast);
    list.cases
}

use Transport::{Icmp, Sctp, Tcp, Udp};

struct List {
    family: Family,
    cases: Vec<Case>,
}

impl List {
    fn add(
        &mut self,
        name: &str,
        transport: Transport,
        from: &Host,
        (to, port): (IpAddr, u16),
        allowed: bool,
    ) {
        let name = format!("{transport} {name}");
        let port = if transport == Icmp { 0 } else { port };
        self.cases.push(Case { name, probe: Probe::new(transport, &from.place, to, port), allowed });
    }

    fn at(&self, host: &Host) -> IpAddr {
        self.family.pick(host.v4.into(), host.v6.into())
    }

    fn between_pods(&mut self, cast: &Cast) {
        let Cast { a, b, c, d, e, .. } = cast;
        for (name, transport, from, to, port, allowed) in [
            ("a to b:80", Tcp, a, b, 80, true),
            ("a to b:81", Tcp, a, b, 81, false),
            ("c to b:80", Tcp, c, b, 80, false),
            ("b to c:80", Tcp, b, c, 80, true),
            ("c to a:80", Tcp, c, a, 80, true),
            ("a to c:80", Tcp, a, c, 80, false),
            ("a to d:80", Tcp, a, d, 80, true),
            ("a to d:81", Tcp, a, d, 81, false),
            ("c to d:80", Tcp, c, d, 80, false),
            ("d to a:80", Tcp, d, a, 80, true),
            ("e to c:80", Tcp, e, c, 80, false),
            ("c to e:80", Tcp, c, e, 80, true),
            ("e to d:80", Tcp, e, d, 80, false),
            ("a to b:80", Udp, a, b, 80, true),
            ("a to b:81", Udp, a, b, 81, false),
            ("a to b:8080, in a range", Udp, a, b, 8080, true),
            ("a to b:8080, of the other protocol", Tcp, a, b, 8080, false),
            ("c to b:80", Udp, c, b, 80, false),
            ("a to b", Icmp, a, b, 0, false),
            ("c to a", Icmp, c, a, 0, true),
            ("c to e", Icmp, c, e, 0, true),
            ("e to c", Icmp, e, c, 0, false),
            ("c to a:80", Sctp, c, a, 80, true),
            ("a to b:80, of the other protocol", Sctp, a, b, 80, false),
            ("c to b:80", Sctp, c, b, 80, false),
            ("e to c:80", Sctp, e, c, 80, false),
        ] {
            self.add(name, transport, from, (self.at(to), port), allowed);
        }
    }

    fn through_services(&mut self, cast: &Cast) {
        let Cast { a, b, c, d, .. } = cast;
        for (name, transport, from, service, allowed) in [
            ("a to the Service of b", Tcp, a, TO_B, true),
            ("a to the Service of b", Udp, a, TO_B, true),
            ("c to the Service of b", Tcp, c, TO_B, false),
            ("a to the Service of d", Tcp, a, TO_D, true),
            ("c to the Service of d", Tcp, c, TO_D, false),
            ("d to the Service of b", Tcp, d, TO_B, false),
            ("b to itself through its Service", Tcp, b, TO_B, true),
            ("b to itself through its Service", Udp, b, TO_B, true),
            ("a to itself through its Service", Tcp, a, TO_A, true),
            ("d to itself through its Service", Tcp, d, TO_D, true),
            ("a to the Service of a host-network pod", Tcp, a, TO_NODE, false),
            ("c to the Service of a host-network pod", Tcp, c, TO_NODE, true),
            ("a to the Service of a host-network pod", Udp, a, TO_NODE, false),
            ("node 1 to the Service of b", Tcp, &cast.nodes[0], TO_B, true),
        ] {
            self.add(name, transport, from, (cluster_ip(service, self.family), 80), allowed);
        }
    }

    fn with_nodes(&mut self, cast: &Cast) {
        let Cast { a, b, c, nodes: [one, two], .. } = cast;
        for (name, transport, from, to, port, allowed) in [
            ("node 1 to a:80", Tcp, one, a, 80, true),
            ("node 1 to b:81", Tcp, one, b, 81, true),
            ("node 1 to b:81", Udp, one, b, 81, true),
            ("node 1 to b", Icmp, one, b, 0, true),
            ("node 2 to b:80, an address like any other", Tcp, two, b, 80, false),
            ("a to node 1:80", Tcp, a, one, 80, false),
            ("c to node 1:80", Tcp, c, one, 80, true),
            ("a to node 1:80", Udp, a, one, 80, false),
            ("a to node 2:80", Tcp, a, two, 80, false),
            ("c to node 2:80", Tcp, c, two, 80, true),
            ("a to node 1", Icmp, a, one, 0, false),
            ("c to node 1", Icmp, c, one, 0, true),
        ] {
            self.add(name, transport, from, (self.at(to), port), allowed);
        }
    }

    fn with_the_outside(&mut self, cast: &Cast) {
        let Cast { a, b, c, d, outside, .. } = cast;
        let named = self.family.pick(Ipv4Addr::new(203, 0, 113, 9).into(), self.at(outside));
        let other: IpAddr = self.family.pick(
            Ipv4Addr::new(198, 51, 100, 9).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9).into(),
        );
        for (name, transport, from, to, allowed) in [
            ("a to an address in its ipBlock", Tcp, a, named, true),
            ("a to an address in its ipBlock", Icmp, a, named, true),
            ("a to an address in its ipBlock", Sctp, a, named, true),
            ("c to an address outside", Tcp, c, named, true),
            ("a to an address in no ipBlock", Tcp, a, other, false),
            ("outside to b:80", Tcp, outside, self.at(b), true),
            ("outside to b:80", Sctp, outside, self.at(b), true),
            ("outside to c:80", Tcp, outside, self.at(c), true),
            ("outside to d:80", Tcp, outside, self.at(d), false),
        ] {
            self.add(name, transport, from, (to, 80), allowed);
        }
    }

    fn through_nodes_ports(&mut self, cast: &Cast) {
        let Cast { a, c, e, outside, nodes: [one, two], .. } = cast;
        for (name, from, to, port, allowed) in [
            ("outside to the NodePort of b, here", outside, one, NODE_PORT_B, true),
            (
                "outside to the NodePort of b, through node 2: its address is lost",
                outside,
                two,
                NODE_PORT_B,
                false,
            ),
            ("outside to the local NodePort of b", outside, one, NODE_PORT_B_LOCAL, true),
            ("outside to the host port of b", outside, one, HOST_PORT_B, true),
            ("a to the NodePort of b on its own node", a, one, NODE_PORT_B, true),
            ("c to the NodePort of b on its own node", c, one, NODE_PORT_B, false),
            ("a to the NodePort of d on its own node: its address is lost", a, one, NODE_PORT_D, false),
            ("e to the NodePort of d on its own node", e, two, NODE_PORT_D, false),
        ] {
            self.add(name, Tcp, from, (self.at(to), port), allowed);
        }
    }
}

/// Asks every case and gives what became of each.
///
/// # Errors
/// As [`Lab::probe_all`].
pub fn ask(lab: &Lab, cases: &[Case]) -> Result<Vec<Outcome>, LabError> {
    let probes: Vec<_> = cases.iter().map(|case| case.probe.clone()).collect();
    Ok(lab.probe_all(&probes)?.into_iter().map(|reply| reply.outcome).collect())
}

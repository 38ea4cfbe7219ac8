//! What is asked of the network, and what of the model.

use crate::{
    lab::{Family, Lab, Place, addresses},
    probe::{Probe, Transport},
};
use policy_model::verdict::{Endpoint, Flow};
use std::net::IpAddr;

/// Ports that policies of the strategies speak about, and one that none names.
pub const PORTS: [u16; 4] = [80, 81, 443, 7];
/// What every host of the lab has to serve for [`questions`].
pub const SERVED: [u16; 5] = [7, 53, 80, 81, 443];

/// Every pair of pods, and each pod with the outside, in both families: probes, with the flows that they are.
#[must_use]
pub fn questions(lab: &Lab) -> Vec<(Probe, Flow)> {
    let pods = lab.pods();
    let mut asked = Vec::new();
    let mut ask = |probe: Probe, source: IpAddr| {
        let protocol = match (probe.transport, probe.to) {
            (Transport::Tcp, _) => 6,
            (Transport::Udp, _) => 17,
            (Transport::Sctp, _) => 132,
            (Transport::Icmp, IpAddr::V4(_)) => 1,
            (Transport::Icmp, IpAddr::V6(_)) => 58,
        };
        let port = (probe.transport != Transport::Icmp).then_some(probe.port);
        let (source, destination) = (Endpoint::Address(source), Endpoint::Address(probe.to));
        asked.push((probe, Flow { source, destination, protocol, port }));
    };
    for family in Family::BOTH {
        let outside = family.pick(addresses::OUTSIDE4.into(), addresses::OUTSIDE6.into());
        for to in &pods {
            for from in &pods {
                for port in PORTS {
                    ask(Probe::tcp(from, to.address(family), port), from.address(family));
                }
                ask(Probe::udp(from, to.address(family), 80), from.address(family));
                ask(Probe::udp(from, to.address(family), 53), from.address(family));
                ask(Probe::sctp(from, to.address(family), 80), from.address(family));
                ask(Probe::icmp(from, to.address(family)), from.address(family));
            }
            ask(Probe::tcp(Place::Outside, to.address(family), 80).from_address(outside), outside);
            ask(Probe::udp(Place::Outside, to.address(family), 53).from_address(outside), outside);
            ask(Probe::tcp(to, outside, 443), to.address(family));
            ask(Probe::icmp(to, outside), to.address(family));
        }
    }
    asked
}

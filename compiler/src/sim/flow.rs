//! Packets of a flow, in the hook and with the interfaces where the kernel sees them.

use super::{Ct, CtState, Interface, Ip, Network, NoEntry, Packet, PacketType};
use crate::{ir::Hook, skeleton::Orientation};
use std::net::IpAddr;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A flow as its initiator sees it, after the node's DNAT and before its own SNAT: what policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The initiator.
    pub source: IpAddr,
    /// The responder.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source and destination port. `None` = none can be read: a later fragment, or a protocol without ports.
    pub ports: Option<(u16, u16)>,
}

/// Where the two ends of a flow are, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Both are pods of this node, on one bridge.
    Bridged,
    /// From another node's pod to a pod here, through the overlay.
    FromOverlay,
    /// From a pod here to another node's pod.
    ToOverlay,
    /// From outside to a pod here.
    FromOutside,
    /// From a pod here to outside.
    ToOutside,
    /// From a pod here to its own node.
    ToNode,
    /// From the node itself to a pod here.
    FromNode,
}

/// The node's interfaces on these routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The pod bridge.
    pub bridge: Interface,
    /// The overlay's device.
    pub overlay: Interface,
    /// The way to the outside.
    pub uplink: Interface,
}

/// As Flannel names them.
impl Default for Links {
    fn default() -> Self {
        Self {
            bridge: Interface::new(5, "cni0"),
            overlay: Interface::new(4, "flannel.1"),
            uplink: Interface::new(2, "eth0"),
        }
    }
}

/// Which packet of a flow. `from` tells who sends it: `Original` = the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The first packet of the initiator, a SYN if it is TCP: `ct state new`.
    First,
    /// A later packet of the initiator.
    Established,
    /// A packet of the responder.
    Reply,
    /// A TCP packet that is no SYN, of a flow that conntrack does not know: it takes its sender for the initiator.
    MidStream {
        /// Its sender.
        from: Orientation,
    },
    /// Not tracked (`notrack`).
    Untracked {
        /// Its sender.
        from: Orientation,
    },
    /// Conntrack cannot place it.
    Invalid {
        /// Its sender.
        from: Orientation,
    },
    /// An ICMP error about a packet of the flow, to that packet's sender.
    Error {
        /// Whose packet it is about.
        about: Orientation,
        /// Who reports it: a router, or the other end.
        reporter: IpAddr,
        /// ICMP or ICMPv6 type: 3 or 1 = unreachable, 5 or 137 = redirect.
        kind: u8,
    },
}

impl Flow {
    /// A flow of any protocol; `port` is the destination's, and counts for TCP, UDP and SCTP.
    #[must_use]
    pub fn new(source: IpAddr, destination: IpAddr, protocol: u8, port: Option<u16>) -> Self {
        const CLIENT_PORT: u16 = 40_000;
        Self { source, destination, protocol, ports: port.map(|port| (CLIENT_PORT, port)) }
    }

    /// A TCP connection.
    #[must_use]
    pub fn tcp(source: IpAddr, destination: IpAddr, port: u16) -> Self {
        Self::new(source, destination, TCP, Some(port))
    }

    /// A UDP flow.
    #[must_use]
    pub fn udp(source: IpAddr, destination: IpAddr, port: u16) -> Self {
        Self::new(source, destination, UDP, Some(port))
    }

    /// Echo request and reply, of ICMP or ICMPv6 as the addresses are.
    #[must_use]
    pub fn ping(source: IpAddr, destination: IpAddr) -> Self {
        Self::new(source, destination, icmp(source), None)
    }

    /// A packet of the flow, and the inet hook that judges it.
    #[must_use]
    pub fn packet(&self, route: Route, links: &Links, moment: Moment) -> (Hook, Packet) {
        let entry = |state, direction| Ct::Entry { state, direction };
        let (from, ct) = match moment {
            Moment::First => (Orientation::Original, entry(CtState::New, Orientation::Original)),
            Moment::Established => {
                (Orientation::Original, entry(CtState::Established, Orientation::Original))
            }
            Moment::Reply => (Orientation::Reply, entry(CtState::Established, Orientation::Reply)),
            Moment::MidStream { from } => (from, entry(CtState::New, Orientation::Original)),
            Moment::Untracked { from } => (from, Ct::None(NoEntry::Untracked)),
            Moment::Invalid { from } => (from, Ct::None(NoEntry::Invalid)),
            // It travels against the packet that it is about (`nf_conntrack_inet_error`).
            Moment::Error { about, .. } => {
                let against = opposite(about);
                (against, entry(CtState::Related, against))
            }
        };
        let ip = match moment {
            Moment::Error { about, reporter, kind } => {
                let to = if about == Orientation::Original { self.source } else { self.destination };
                Ip::new(reporter, to, icmp(to)).with_icmp_type(kind)
            }
            _ => self.ip(from, if moment == Moment::First { SYN } else { ACK }),
        };
        let (hook, input, output) = place(route, links, from);
        // A forwarded packet has been routed, and one hop is gone, unless the bridge took it from port to port.
        let ip = if hook == Hook::Forward && route != Route::Bridged { ip.with_hop_limit(63) } else { ip };
        let packet = Packet {
            network: Network::Ip(ip),
            input,
            output,
            packet_type: PacketType::Host,
            ct,
            frame: None,
        };
        (hook, packet)
    }

    fn ip(&self, from: Orientation, tcp_flags: u8) -> Ip {
        let original = from == Orientation::Original;
        let (source, destination) = in_order(original, self.source, self.destination);
        let ip = Ip::new(source, destination, self.protocol);
        match (self.protocol, self.ports) {
            (ICMP, _) => ip.with_icmp_type(if original { 8 } else { 0 }),
            (ICMPV6, _) => ip.with_icmp_type(if original { 128 } else { 129 }),
            (_, None) => ip,
            (protocol, Some((client, server))) => {
                let (sport, dport) = in_order(original, client, server);
                let ip = ip.with_ports(sport, dport);
                match protocol {
                    TCP => ip.with_tcp_flags(tcp_flags).with_transport(14, &[0; 6]),
                    UDP => ip.with_transport(4, &[0; 4]),
                    SCTP => ip.with_transport(4, &[0; 8]),
                    _ => ip,
                }
            }
        }
    }
}

fn in_order<T>(original: bool, initiator: T, responder: T) -> (T, T) {
    if original { (initiator, responder) } else { (responder, initiator) }
}

/// ICMP of an address's family.
const fn icmp(address: IpAddr) -> u8 {
    if address.is_ipv4() { ICMP } else { ICMPV6 }
}

const fn opposite(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::Original => Orientation::Reply,
        Orientation::Reply => Orientation::Original,
    }
}

/// The hook that a packet passes, and its devices there.
fn place(route: Route, links: &Links, from: Orientation) -> (Hook, Option<Interface>, Option<Interface>) {
    let Links { bridge, overlay, uplink } = links;
    let (initiator, responder) = match route {
        Route::Bridged => (Some(bridge), Some(bridge)),
        Route::FromOverlay => (Some(overlay), Some(bridge)),
        Route::ToOverlay => (Some(bridge), Some(overlay)),
        Route::FromOutside => (Some(uplink), Some(bridge)),
        Route::ToOutside => (Some(bridge), Some(uplink)),
        Route::ToNode => (Some(bridge), None),
        Route::FromNode => (None, Some(bridge)),
    };
    let (input, output) = match from {
        Orientation::Original => (initiator, responder),
        Orientation::Reply => (responder, initiator),
    };
    let hook = match (input, output) {
        (Some(_), Some(_)) => Hook::Forward,
        (Some(_), None) => Hook::Input,
        (None, _) => Hook::Output,
    };
    (hook, input.cloned(), output.cloned())
}

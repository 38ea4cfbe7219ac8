//! A blocking rtnetlink socket: the host's links and addresses, and one setting of bridges.

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoBridge, InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// `RT_TABLE_MAIN`.
const MAIN_TABLE: u8 = 254;

/// Whether a bridge hands its frames to the IP hooks, for itself alone. Source: `IFLA_BR_NF_CALL_IPTABLES`,
/// `IFLA_BR_NF_CALL_IP6TABLES`. The sysctls of the same meaning count for all bridges; either suffices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BridgeFlags {
    /// IPv4.
    pub iptables: bool,
    /// IPv6.
    pub ip6tables: bool,
}

impl BridgeFlags {
    /// Both families reach the hooks.
    pub const ON: Self = Self { iptables: true, ip6tables: true };
}

/// What kind of device a link is, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge, with its own flags.
    Bridge(BridgeFlags),
    /// A VXLAN device, with the UDP port that its tunnel uses.
    Vxlan(u16),
    /// A WireGuard device.
    WireGuard,
    /// Anything else, by the kernel's name of the kind; empty for hardware.
    Other(String),
}

/// One network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in this network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address, if it has one of 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// Index of the bridge (or bond) that it is a port of.
    pub master: Option<u32>,
    /// What it is.
    pub kind: LinkKind,
}

/// One address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// Index of the device.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix in bits.
    pub prefix: u8,
}

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: IpNet,
    /// Through another host on the link.
    pub via_gateway: bool,
    /// Index of the device.
    pub link: Option<u32>,
}

/// A socket to the kernel's rtnetlink, of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Rtnl {
    socket: Socket,
    sequence: u32,
}

impl Rtnl {
    /// Opens a socket for questions.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Every link of the namespace.
    ///
    /// # Errors
    /// The kernel refuses, or its answer cannot be read.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let answers = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(link) => Some(read_link(link)),
                _ => None,
            })
            .collect())
    }

    /// Every address of the namespace.
    ///
    /// # Errors
    /// The kernel refuses, or its answer cannot be read.
    pub fn addresses(&mut self) -> io::Result<Vec<LinkAddress>> {
        let answers = self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(address) => read_address(&address),
                _ => None,
            })
            .collect())
    }

    /// Every route of the main table, of both families.
    ///
    /// # Errors
    /// The kernel refuses, or its answer cannot be read.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let answers = self.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route) => read_route(&route),
                _ => None,
            })
            .collect())
    }

    /// Sets both flags of a bridge.
    ///
    /// # Errors
    /// The kernel refuses: no such device, no bridge, no `CAP_NET_ADMIN`.
    pub fn set_bridge_flags(&mut self, bridge: u32, flags: BridgeFlags) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = bridge;
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![
                InfoBridge::NfCallIpTables(flags.iptables),
                InfoBridge::NfCallIp6Tables(flags.ip6tables),
            ])),
        ]));
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_ACK).map(drop)
    }

    fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_DUMP)
    }

    /// Sends a request and collects what answers it, until the acknowledgement or the end of the dump.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages(&datagram) {
                let message = message?;
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(e) if e.code.is_some() => return Err(e.to_io()),
                    NetlinkPayload::Error(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    _ => {}
                }
            }
        }
    }
}

/// The messages of a datagram; lengths are rounded up to 4 bytes between them (NLMSG_ALIGN).
pub(super) fn messages(
    mut rest: &[u8],
) -> impl Iterator<Item = io::Result<NetlinkMessage<RouteNetlinkMessage>>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
        let length = message.as_ref().map_or(rest.len(), |m| (m.header.length as usize).next_multiple_of(4));
        rest = rest.get(length..).unwrap_or_default();
        Some(message.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("rtnetlink: {e}"))))
    })
}

pub(super) fn read_link(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        master: None,
        kind: LinkKind::Other(String::new()),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok(),
            LinkAttribute::Controller(index) => link.master = Some(index),
            LinkAttribute::LinkInfo(infos) => link.kind = read_kind(&infos),
            _ => {}
        }
    }
    link
}

fn read_kind(infos: &[LinkInfo]) -> LinkKind {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match (kind, data) {
        (Some(InfoKind::Bridge), Some(InfoData::Bridge(settings))) => {
            let mut flags = BridgeFlags::default();
            for setting in settings {
                match setting {
                    InfoBridge::NfCallIpTables(on) => flags.iptables = *on,
                    InfoBridge::NfCallIp6Tables(on) => flags.ip6tables = *on,
                    _ => {}
                }
            }
            LinkKind::Bridge(flags)
        }
        (Some(InfoKind::Vxlan), Some(InfoData::Vxlan(settings))) => {
            let port = settings.iter().find_map(|setting| match setting {
                InfoVxlan::Port(port) => Some(*port),
                _ => None,
            });
            port.map_or_else(|| LinkKind::Other(InfoKind::Vxlan.to_string()), LinkKind::Vxlan)
        }
        (Some(InfoKind::Wireguard), _) => LinkKind::WireGuard,
        (Some(kind), _) => LinkKind::Other(kind.to_string()),
        (None, _) => LinkKind::Other(String::new()),
    }
}

/// `None` for routes of other tables: those of local and broadcast addresses are the kernel's own.
fn read_route(message: &RouteMessage) -> Option<Route> {
    use netlink_packet_route::AddressFamily::{Inet, Inet6};
    let header = &message.header;
    if header.table != MAIN_TABLE {
        return None;
    }
    let mut route = Route {
        to: IpNet::new(
            match header.address_family {
                Inet => Ipv4Addr::UNSPECIFIED.into(),
                Inet6 => Ipv6Addr::UNSPECIFIED.into(),
                _ => return None,
            },
            header.destination_prefix_length,
        )
        .ok()?,
        via_gateway: false,
        link: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                route.to = IpNet::new((*address).into(), header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => {
                route.to = IpNet::new((*address).into(), header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => route.via_gateway = true,
            RouteAttribute::Oif(index) => route.link = Some(*index),
            _ => {}
        }
    }
    Some(route)
}

/// On a point-to-point link `IFA_ADDRESS` is the other end; `IFA_LOCAL` is always our own where it is given.
pub(super) fn read_address(message: &AddressMessage) -> Option<LinkAddress> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let plain = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    let (link, prefix) = (message.header.index, message.header.prefix_len);
    local.or(plain).map(|address| LinkAddress { link, address, prefix })
}

//! A packet as nf_tables sees it, and what each field reads of it.

use crate::{
    ir::{Family, Field},
    skeleton::Orientation,
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// A packet or frame in one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The network header and what follows.
    pub network: Network,
    /// Where it came in; `None` in `output`.
    pub input: Option<Interface>,
    /// Where it goes out; `None` in `prerouting` and `input`.
    pub output: Option<Interface>,
    /// Whom the frame was for.
    pub packet_type: PacketType,
    /// What conntrack has attached.
    pub ct: Ct,
    /// The link header; `None` where there is none to read.
    pub frame: Option<Frame>,
}

/// What the frame carries, by `skb->protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4 or IPv6.
    Ip(Ip),
    /// ARP for IPv4 over Ethernet.
    Arp(Arp),
    /// Anything else, by its ethertype.
    Other(u16),
}

/// An IP header and the beginning of what it carries. Both addresses are of one family.
///
/// A field of the other family's header is taken for absent: rules ask for the family first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// `saddr`.
    pub source: IpAddr,
    /// `daddr`.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The transport protocol, behind extension headers. `None` where the kernel finds none: a truncated extension header.
    pub protocol: Option<u8>,
    /// The transport header as far as it can be read; empty in a later fragment. Fields are read at their offset whatever
    /// the protocol is, so `th dport` of an ICMP packet is its checksum.
    pub transport: Vec<u8>,
}

/// An ARP packet's fields that rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 = request, 2 = reply.
    pub operation: u16,
    /// Sender's hardware address.
    pub sender_mac: [u8; 6],
    /// Sender's address.
    pub sender: Ipv4Addr,
}

/// A link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Destination.
    pub destination: [u8; 6],
    /// Source.
    pub source: [u8; 6],
    /// The frame's own type: 0x8100 if it has a VLAN tag.
    pub ethertype: u16,
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: Arc<str>,
}

impl Interface {
    /// From index and name.
    pub fn new(index: u32, name: impl Into<Arc<str>>) -> Self {
        Self { index, name: name.into() }
    }
}

/// `skb->pkt_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketType {
    /// For the device's own address.
    #[default]
    Host = 0,
    /// For all.
    Broadcast = 1,
    /// For a group.
    Multicast = 2,
    /// For another address.
    OtherHost = 3,
}

/// What conntrack says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ct {
    /// No entry: `ct direction` and the like are absent.
    None(NoEntry),
    /// A packet of a tracked flow.
    Entry {
        /// `ct state`.
        state: CtState,
        /// `ct direction`.
        direction: Orientation,
    },
}

/// Why a packet has no conntrack entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are nft's words")]
pub enum NoEntry {
    Invalid,
    Untracked,
}

/// `ct state` of a packet with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are nft's words")]
pub enum CtState {
    New,
    Established,
    Related,
}

impl Ct {
    /// `ct state` as the kernel numbers it.
    #[must_use]
    pub const fn state_bit(self) -> u32 {
        use crate::ir::CtStates;
        match self {
            Self::None(NoEntry::Invalid) => CtStates::INVALID.0,
            Self::None(NoEntry::Untracked) => CtStates::UNTRACKED.0,
            Self::Entry { state: CtState::Established, .. } => CtStates::ESTABLISHED.0,
            Self::Entry { state: CtState::Related, .. } => CtStates::RELATED.0,
            Self::Entry { state: CtState::New, .. } => CtStates::NEW.0,
        }
    }
}

impl Ip {
    /// A packet of this protocol with nothing readable behind the header; hop limit 64.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr, protocol: u8) -> Self {
        Self { source, destination, hop_limit: 64, protocol: Some(protocol), transport: Vec::new() }
    }

    /// With source and destination port.
    #[must_use]
    pub fn with_ports(self, source: u16, destination: u16) -> Self {
        self.with_transport(0, &source.to_be_bytes()).with_transport(2, &destination.to_be_bytes())
    }

    /// With TCP flags: 1 = fin, 2 = syn, 4 = rst, 16 = ack.
    #[must_use]
    pub fn with_tcp_flags(self, flags: u8) -> Self {
        self.with_transport(13, &[flags])
    }

    /// With this type of ICMP or ICMPv6.
    #[must_use]
    pub fn with_icmp_type(self, kind: u8) -> Self {
        self.with_transport(0, &[kind]).with_transport(4, &[0; 4])
    }

    /// With this target of a neighbour solicitation or advertisement.
    #[must_use]
    pub fn with_nd_target(self, target: Ipv6Addr) -> Self {
        self.with_transport(8, &target.octets())
    }

    /// With another hop limit.
    #[must_use]
    pub fn with_hop_limit(self, hop_limit: u8) -> Self {
        Self { hop_limit, ..self }
    }

    /// With these bytes of the transport header; bytes before them that nobody has set are zero.
    #[must_use]
    pub fn with_transport(mut self, offset: usize, bytes: &[u8]) -> Self {
        let end = offset + bytes.len();
        if self.transport.len() < end {
            self.transport.resize(end, 0);
        }
        self.transport[offset..end].copy_from_slice(bytes);
        self
    }
}

/// `NFPROTO_*` of the packet's family as hooks of this table's family see it: a bridge hook is of family bridge.
fn nfproto(family: Family, network: &Network) -> Option<u8> {
    const BRIDGE: u8 = 7;
    match (family, network) {
        (Family::Bridge, _) => Some(BRIDGE),
        (Family::Inet, Network::Ip(ip)) => Some(if ip.source.is_ipv4() { 2 } else { 10 }),
        // An inet hook sees nothing else.
        (Family::Inet, _) => None,
    }
}

impl Packet {
    /// What a field reads in a table of this family; `None` = the field is absent and the rule does not match.
    #[must_use]
    pub fn read(&self, family: Family, field: Field) -> Option<Cow<'_, [u8]>> {
        let owned = |bytes: &[u8]| Some(Cow::Owned(bytes.to_vec()));
        let ip = match &self.network {
            Network::Ip(ip) => Some(ip),
            _ => None,
        };
        let arp = match &self.network {
            Network::Arp(arp) => Some(arp),
            _ => None,
        };
        match field {
            Field::NfProto => owned(&[nfproto(family, &self.network)?]),
            Field::Protocol => owned(&self.protocol().to_be_bytes()),
            Field::L4Proto => owned(&[ip?.protocol?]),
            Field::IifName => owned(&name(self.input.as_ref())),
            Field::OifName => owned(&name(self.output.as_ref())),
            Field::Iif => owned(&index(self.input.as_ref())),
            Field::Oif => owned(&index(self.output.as_ref())),
            Field::PktType => owned(&[self.packet_type as u8]),
            Field::CtDirection => match self.ct {
                Ct::None(_) => None,
                Ct::Entry { direction, .. } => owned(&[u8::from(direction == Orientation::Reply)]),
            },
            Field::IpSaddr => v4(ip?.source),
            Field::IpDaddr => v4(ip?.destination),
            Field::Ip6Saddr => v6(ip?.source),
            Field::Ip6Daddr => v6(ip?.destination),
            Field::Ip6HopLimit => ip.filter(|ip| ip.source.is_ipv6()).and_then(|ip| owned(&[ip.hop_limit])),
            Field::ThSport => transport(ip?, 0, 2),
            Field::ThDport => transport(ip?, 2, 2),
            Field::TcpFlags => transport(ip?, 13, 1),
            Field::IcmpType | Field::Icmpv6Type => transport(ip?, 0, 1),
            Field::NdTarget => transport(ip?, 8, 16),
            Field::EtherType => owned(&self.frame?.ethertype.to_be_bytes()),
            Field::EtherSaddr => owned(&self.frame?.source),
            Field::EtherDaddr => owned(&self.frame?.destination),
            Field::ArpOperation => owned(&arp?.operation.to_be_bytes()),
            Field::ArpSaddrEther => owned(&arp?.sender_mac),
            Field::ArpSaddrIp => owned(&arp?.sender.octets()),
        }
    }

    /// `skb->protocol`.
    fn protocol(&self) -> u16 {
        match &self.network {
            Network::Ip(ip) if ip.source.is_ipv4() => 0x0800,
            Network::Ip(_) => 0x86dd,
            Network::Arp(_) => 0x0806,
            Network::Other(ethertype) => *ethertype,
        }
    }
}

/// Without a device the name is empty and the index 0, not absent (`nft_meta_store_ifname`, `nft_meta_store_ifindex`).
fn name(interface: Option<&Interface>) -> [u8; 16] {
    let mut padded = [0; 16];
    if let Some(interface) = interface {
        let len = interface.name.len().min(15);
        padded[..len].copy_from_slice(&interface.name.as_bytes()[..len]);
    }
    padded
}

fn index(interface: Option<&Interface>) -> [u8; 4] {
    interface.map_or(0, |i| i.index).to_ne_bytes()
}

fn v4(address: IpAddr) -> Option<Cow<'static, [u8]>> {
    match address {
        IpAddr::V4(a) => Some(Cow::Owned(a.octets().to_vec())),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: IpAddr) -> Option<Cow<'static, [u8]>> {
    match address {
        IpAddr::V6(a) => Some(Cow::Owned(a.octets().to_vec())),
        IpAddr::V4(_) => None,
    }
}

/// Without a known transport protocol nothing behind the network header can be read (`NFT_PKTINFO_L4PROTO`).
fn transport(ip: &Ip, offset: usize, len: usize) -> Option<Cow<'_, [u8]>> {
    ip.protocol?;
    ip.transport.get(offset..offset + len).map(Cow::Borrowed)
}

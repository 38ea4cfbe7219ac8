//! What a rule can read of a packet, and the types of set keys.

use std::fmt;

/// The type of one part of a set's key, with nft's own name and number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[expect(missing_docs, reason = "the variants are nft's names")]
pub enum DataType {
    Ipv4Addr,
    Ipv6Addr,
    EtherAddr,
    InetProto,
    InetService,
    Icmpv6Type,
    IfIndex,
    /// 16 bytes without a type of their own in nft 1.0.6: the target of a neighbour advertisement, `@th,64,128`.
    NdTarget,
}

impl DataType {
    /// Bytes that matter.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a width, never zero")]
    pub const fn len(self) -> usize {
        match self {
            Self::Ipv4Addr | Self::IfIndex => 4,
            Self::Ipv6Addr | Self::NdTarget => 16,
            Self::EtherAddr => 6,
            Self::InetProto | Self::Icmpv6Type => 1,
            Self::InetService => 2,
        }
    }

    /// Bytes it takes in a concatenated key: registers are of 4 bytes.
    #[must_use]
    pub const fn padded(self) -> usize {
        self.len().next_multiple_of(4)
    }

    /// nft's name of the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::EtherAddr => "ether_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Icmpv6Type => "icmpv6_type",
            Self::IfIndex => "iface_index",
            Self::NdTarget => "integer",
        }
    }
}

/// A piece of a packet or of its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Field {
    /// `meta nfproto`, 1 byte: 2 = IPv4, 10 = IPv6.
    NfProto,
    /// `meta protocol`, 2 bytes in network order: what the bridge family asks before it reads an IP header. Blind to VLAN tags.
    Protocol,
    /// `meta l4proto`, 1 byte; behind IPv6 extension headers.
    L4Proto,
    /// `meta iifname`, 16 bytes padded with zeros.
    IifName,
    /// `meta oifname`, likewise.
    OifName,
    /// `meta iif`, 4 bytes in host order.
    Iif,
    /// `meta oif`, likewise.
    Oif,
    /// `meta pkttype`, 1 byte: 0 = host.
    PktType,
    /// `ct direction`, 1 byte: 0 = original, 1 = reply. Absent without a conntrack entry.
    CtDirection,
    /// `ip saddr`.
    IpSaddr,
    /// `ip daddr`.
    IpDaddr,
    /// `ip6 saddr`.
    Ip6Saddr,
    /// `ip6 daddr`.
    Ip6Daddr,
    /// `ip6 hoplimit`, 1 byte.
    Ip6HopLimit,
    /// `th sport`, 2 bytes.
    ThSport,
    /// `th dport`, 2 bytes.
    ThDport,
    /// `tcp flags`, 1 byte.
    TcpFlags,
    /// `icmp type`, 1 byte.
    IcmpType,
    /// `icmpv6 type`, 1 byte.
    Icmpv6Type,
    /// `ether type`, 2 bytes: the frame's own, so a VLAN tag is seen.
    EtherType,
    /// `ether saddr`.
    EtherSaddr,
    /// `ether daddr`.
    EtherDaddr,
    /// `arp operation`, 2 bytes: 1 = request.
    ArpOperation,
    /// `arp saddr ether`.
    ArpSaddrEther,
    /// `arp saddr ip`.
    ArpSaddrIp,
    /// `@th,64,128`: target of a neighbour solicitation or advertisement.
    NdTarget,
}

impl Field {
    /// Bytes it yields.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a width, never zero")]
    pub const fn len(self) -> usize {
        match self {
            Self::NfProto
            | Self::L4Proto
            | Self::PktType
            | Self::CtDirection
            | Self::Ip6HopLimit
            | Self::TcpFlags
            | Self::IcmpType
            | Self::Icmpv6Type => 1,
            Self::Protocol | Self::ThSport | Self::ThDport | Self::EtherType | Self::ArpOperation => 2,
            Self::Iif | Self::Oif | Self::IpSaddr | Self::IpDaddr | Self::ArpSaddrIp => 4,
            Self::EtherSaddr | Self::EtherDaddr | Self::ArpSaddrEther => 6,
            Self::IifName | Self::OifName | Self::Ip6Saddr | Self::Ip6Daddr | Self::NdTarget => 16,
        }
    }

    /// The type that a set must have to be asked about it; `None` for fields that are only compared.
    #[must_use]
    pub const fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::IpSaddr | Self::IpDaddr | Self::ArpSaddrIp => DataType::Ipv4Addr,
            Self::Ip6Saddr | Self::Ip6Daddr => DataType::Ipv6Addr,
            Self::EtherSaddr | Self::EtherDaddr | Self::ArpSaddrEther => DataType::EtherAddr,
            Self::L4Proto => DataType::InetProto,
            Self::ThSport | Self::ThDport => DataType::InetService,
            Self::Icmpv6Type => DataType::Icmpv6Type,
            Self::Iif | Self::Oif => DataType::IfIndex,
            Self::NdTarget => DataType::NdTarget,
            _ => return None,
        })
    }

    /// As nft writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NfProto => "meta nfproto",
            Self::Protocol => "meta protocol",
            Self::L4Proto => "meta l4proto",
            Self::IifName => "iifname",
            Self::OifName => "oifname",
            Self::Iif => "iif",
            Self::Oif => "oif",
            Self::PktType => "meta pkttype",
            Self::CtDirection => "ct direction",
            Self::IpSaddr => "ip saddr",
            Self::IpDaddr => "ip daddr",
            Self::Ip6Saddr => "ip6 saddr",
            Self::Ip6Daddr => "ip6 daddr",
            Self::Ip6HopLimit => "ip6 hoplimit",
            Self::ThSport => "th sport",
            Self::ThDport => "th dport",
            Self::TcpFlags => "tcp flags",
            Self::IcmpType => "icmp type",
            Self::Icmpv6Type => "icmpv6 type",
            Self::EtherType => "ether type",
            Self::EtherSaddr => "ether saddr",
            Self::EtherDaddr => "ether daddr",
            Self::ArpOperation => "arp operation",
            Self::ArpSaddrEther => "arp saddr ether",
            Self::ArpSaddrIp => "arp saddr ip",
            Self::NdTarget => "@th,64,128",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

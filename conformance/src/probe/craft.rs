//! Packets made by hand, layer by layer, with right checksums: for what no socket would send.
//!
//! Each function puts one header before a payload, so that they nest:
//!
//! ```
//! use conformance::probe::craft::{self, Ipv4};
//! let (a, b) = ([10, 244, 1, 2].into(), [10, 244, 1, 3].into());
//! let frame = craft::ethernet([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 2], craft::IPV4,
//!     &Ipv4::new(a, b, craft::UDP).packet(&craft::udp(a.into(), b.into(), 1111, 80, b"marker")));
//! assert_eq!(frame.len(), 14 + 20 + 8 + 6);
//! ```

use super::sctp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ethertypes (IANA).
pub const IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Ethertype of a VLAN tag (802.1Q).
pub const VLAN: u16 = 0x8100;
/// Ethertype of an outer VLAN tag (802.1ad).
pub const OUTER_VLAN: u16 = 0x88a8;

/// IP protocol numbers (IANA).
pub const ICMP: u8 = 1;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of GRE.
pub const GRE: u8 = 47;
/// IP protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;

/// TCP flags (RFC 9293).
pub const FIN: u8 = 1;
/// The TCP flag SYN.
pub const SYN: u8 = 2;
/// The TCP flag RST.
pub const RST: u8 = 4;
/// The TCP flag ACK.
pub const ACK: u8 = 16;

/// An Ethernet frame.
#[must_use]
pub fn ethernet(to: [u8; 6], from: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ethertype.to_be_bytes(), payload].concat()
}

/// The payload of a frame of ethertype [`VLAN`] or [`OUTER_VLAN`]: the tag, and what it tags.
#[must_use]
pub fn vlan(id: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&(id & 0xfff).to_be_bytes()[..], &ethertype.to_be_bytes(), payload].concat()
}

/// An ARP packet for IPv4 over Ethernet. `operation` 1 asks, 2 answers.
#[must_use]
pub fn arp(operation: u16, sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend(operation.to_be_bytes());
    for (mac, ip) in [sender, target] {
        packet.extend(mac);
        packet.extend(ip.octets());
    }
    packet
}

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Source.
    pub from: Ipv4Addr,
    /// Destination.
    pub to: Ipv4Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// Identification, which the fragments of one packet share.
    pub id: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Where this fragment's payload belongs, in units of 8 bytes.
    pub offset: u16,
}

impl Ipv4 {
    /// A whole packet with time to live 64.
    #[must_use]
    pub const fn new(from: Ipv4Addr, to: Ipv4Addr, protocol: u8) -> Self {
        Self { from, to, protocol, ttl: 64, id: 1, more: false, offset: 0 }
    }

    /// The header and this payload.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let length = (20 + payload.len()) as u16;
        let fragment = u16::from(self.more) << 13 | self.offset & 0x1fff;
        let mut header = vec![0x45, 0];
        header.extend(length.to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.from.octets());
        header.extend(self.to.octets());
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend(payload);
        header
    }

    /// The packet cut into fragments that carry at most `size` bytes each, a multiple of 8.
    #[must_use]
    pub fn fragments(&self, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
        let size = (size / 8 * 8).max(8);
        let count = payload.len().div_ceil(size);
        let piece = |(i, part): (usize, &[u8])| {
            Self { more: i + 1 < count, offset: (i * size / 8) as u16, ..*self }.packet(part)
        };
        payload.chunks(size).enumerate().map(piece).collect()
    }
}

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Source.
    pub from: Ipv6Addr,
    /// Destination.
    pub to: Ipv6Addr,
    /// What the payload begins with: a protocol, or an extension header.
    pub next: u8,
    /// Hop limit.
    pub hops: u8,
}

impl Ipv6 {
    /// With hop limit 64.
    #[must_use]
    pub const fn new(from: Ipv6Addr, to: Ipv6Addr, next: u8) -> Self {
        Self { from, to, next, hops: 64 }
    }

    /// With this hop limit.
    #[must_use]
    pub const fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// The header and this payload.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([self.next, self.hops]);
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend(payload);
        packet
    }
}

/// The number of the IPv6 hop-by-hop options header.
pub const HOP_BY_HOP: u8 = 0;
/// The number of the IPv6 routing header.
pub const ROUTING: u8 = 43;
/// The number of the IPv6 fragment header.
pub const FRAGMENT: u8 = 44;
/// The number of the IPv6 destination options header.
pub const DESTINATION_OPTIONS: u8 = 60;

/// An IPv6 options header of either kind with padding only (RFC 8200 section 4.2), before `payload`.
#[must_use]
pub fn options(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0], payload].concat()
}

/// An IPv6 routing header of type 0 without addresses (RFC 8200 section 4.4), before `payload`.
#[must_use]
pub fn routing(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 0, 0, 0, 0, 0, 0], payload].concat()
}

/// An IPv6 fragment header (RFC 8200 section 4.5), before `payload`. `offset` counts units of 8 bytes.
#[must_use]
pub fn fragment(next: u8, offset: u16, more: bool, id: u32, payload: &[u8]) -> Vec<u8> {
    let place = offset << 3 | u16::from(more);
    [&[next, 0][..], &place.to_be_bytes(), &id.to_be_bytes(), payload].concat()
}

/// A UDP datagram.
#[must_use]
pub fn udp(from: IpAddr, to: IpAddr, source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram =
        [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload]
            .concat();
    let sum = transport_checksum(from, to, UDP, &datagram);
    // A sum of 0 would say that there is none.
    datagram[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    datagram
}

/// A TCP header, with sequence and acknowledgement number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// The flags together: [`SYN`], [`ACK`], …
    pub flags: u8,
}

impl Tcp {
    /// With these ports and flags, and sequence number 1.
    #[must_use]
    pub const fn new(source: u16, destination: u16, flags: u8) -> Self {
        Self { source, destination, sequence: 1, acknowledgement: 0, flags }
    }

    /// The segment with this payload.
    #[must_use]
    pub fn segment(&self, from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
        let mut segment = Vec::new();
        segment.extend(self.source.to_be_bytes());
        segment.extend(self.destination.to_be_bytes());
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgement.to_be_bytes());
        segment.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        let sum = transport_checksum(from, to, TCP, &segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        segment
    }
}

/// An ICMP message. `rest` is the second word of its header: identifier and sequence, gateway, MTU …
#[must_use]
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &rest, payload].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An ICMPv6 message, likewise.
#[must_use]
pub fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], &rest, payload].concat();
    let sum = transport_checksum(from.into(), to.into(), ICMPV6, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An SCTP INIT with this initiate tag.
#[must_use]
pub fn sctp_init(source: u16, destination: u16, tag: u32) -> Vec<u8> {
    sctp::init(source, destination, tag)
}

/// An SCTP message of one chunk of type `kind` without flags. `tag` is the verification tag.
#[must_use]
pub fn sctp(source: u16, destination: u16, tag: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    sctp::message(source, destination, tag, kind, body)
}

/// The payload of a UDP datagram to port 8472: a VXLAN header, and the frame inside.
#[must_use]
pub fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), frame].concat()
}

/// A GRE header without options, and what it carries.
#[must_use]
pub fn gre(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &ethertype.to_be_bytes(), payload].concat()
}

/// The internet checksum (RFC 1071).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|c| u64::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of a transport header and payload together with its pseudo header (RFC 9293, RFC 8200 section 8.1).
fn transport_checksum(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut all = Vec::with_capacity(40 + segment.len());
    for address in [from, to] {
        match address {
            IpAddr::V4(v4) => all.extend(v4.octets()),
            IpAddr::V6(v6) => all.extend(v6.octets()),
        }
    }
    // The 32-bit length and the protocol of IPv6; summed up, IPv4's shorter form is the same.
    all.extend((segment.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, protocol]);
    all.extend(segment);
    checksum(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_example_in_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_header_with_its_checksum_sums_up_to_nothing() {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(checksum(&Ipv4::new(a, b, UDP).packet(b"")[..20]), 0);
        assert_eq!(checksum(&icmp(8, 0, [0, 1, 0, 1], b"odd")), 0);
    }

    #[test]
    fn fragments_carry_the_whole_payload() {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let payload: Vec<u8> = (0..100).collect();
        let parts = Ipv4::new(a, b, UDP).fragments(&payload, 64);
        assert_eq!(parts.iter().flat_map(|p| p[20..].to_vec()).collect::<Vec<_>>(), payload);
        assert_eq!(parts.iter().map(|p| (p[6] >> 5, p[7])).collect::<Vec<_>>(), [(1, 0), (0, 8)]);
    }
}

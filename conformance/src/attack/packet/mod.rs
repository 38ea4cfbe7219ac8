//! Whole packets and frames, on top of the headers of [`probe::craft`](crate::probe::craft): those of the link layer that
//! bridges carry and br_netfilter does not see, neighbour discovery, SCTP chunks, and packets with something wrong.

mod discovery;
mod link;
mod sctp;

pub use discovery::{
    Message, advertisement, nonce, redirect, router_advertisement, solicitation, target_link_address,
};
pub use link::{arp_frame, mpls, pppoe, snap_frame};
pub use sctp::{data as sctp_data, init as sctp_init};

use crate::probe::craft::{self, Ipv4, Ipv6, Tcp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 packet.
#[must_use]
pub fn ip4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ipv4::new(from, to, protocol).packet(payload)
}

/// An IPv6 packet.
#[must_use]
pub fn ip6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    Ipv6::new(from, to, next).packet(payload)
}

/// Source and destination port.
pub type Ports = (u16, u16);

/// A UDP datagram in an IPv4 packet.
#[must_use]
pub fn udp4(from: Ipv4Addr, to: Ipv4Addr, (source, destination): Ports, payload: &[u8]) -> Vec<u8> {
    ip4(from, to, craft::UDP, &craft::udp(from.into(), to.into(), source, destination, payload))
}

/// A UDP datagram in an IPv6 packet.
#[must_use]
pub fn udp6(from: Ipv6Addr, to: Ipv6Addr, ports: Ports, payload: &[u8]) -> Vec<u8> {
    ip6(from, to, craft::UDP, &datagram6(from, to, ports, payload))
}

/// A UDP datagram as IPv6 carries it, for what has extension headers before it.
#[must_use]
pub fn datagram6(from: Ipv6Addr, to: Ipv6Addr, (source, destination): Ports, payload: &[u8]) -> Vec<u8> {
    craft::udp(from.into(), to.into(), source, destination, payload)
}

/// A TCP segment in an IPv4 packet.
#[must_use]
pub fn tcp4(from: Ipv4Addr, to: Ipv4Addr, header: Tcp, payload: &[u8]) -> Vec<u8> {
    ip4(from, to, craft::TCP, &header.segment(from.into(), to.into(), payload))
}

/// A TCP segment in an IPv6 packet.
#[must_use]
pub fn tcp6(from: Ipv6Addr, to: Ipv6Addr, header: Tcp, payload: &[u8]) -> Vec<u8> {
    ip6(from, to, craft::TCP, &header.segment(from.into(), to.into(), payload))
}

/// Where a transport header keeps its checksum, counted from the header's start.
pub const UDP_CHECKSUM: usize = 6;
/// As [`UDP_CHECKSUM`].
pub const TCP_CHECKSUM: usize = 16;

/// An IPv4 packet of [`ip4`] with another checksum in its transport header.
#[must_use]
pub fn with_checksum4(packet: Vec<u8>, place: usize, sum: u16) -> Vec<u8> {
    with_bytes(packet, 20 + place, &sum.to_be_bytes())
}

/// An IPv6 packet of [`ip6`] without extension headers, likewise.
#[must_use]
pub fn with_checksum6(packet: Vec<u8>, place: usize, sum: u16) -> Vec<u8> {
    with_bytes(packet, 40 + place, &sum.to_be_bytes())
}

/// An IPv4 packet that no router may cut: with the flag DF.
#[must_use]
pub fn unfragmented(mut packet: Vec<u8>) -> Vec<u8> {
    packet[6] |= 0x40;
    let header = with_bytes(packet, 10, &[0, 0]);
    let sum = craft::checksum(&header[..20]);
    with_bytes(header, 10, &sum.to_be_bytes())
}

fn with_bytes(mut packet: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

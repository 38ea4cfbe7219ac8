//! Neighbour discovery (RFC 4861 section 4): honest and forged messages are made alike.

use crate::probe::craft::{self, Ipv6};
use std::net::Ipv6Addr;

/// Ends and hop limit of a message, which is 255 unless it is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Source.
    pub from: Ipv6Addr,
    /// Destination.
    pub to: Ipv6Addr,
    /// Hop limit.
    pub hops: u8,
}

impl Message {
    /// With hop limit 255.
    #[must_use]
    pub const fn new(from: Ipv6Addr, to: Ipv6Addr) -> Self {
        Self { from, to, hops: 255 }
    }

    /// With this hop limit.
    #[must_use]
    pub const fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// An ICMPv6 message of any type in its IPv6 packet; `body` follows the first four bytes.
    #[must_use]
    pub fn packet(&self, kind: u8, body: &[u8]) -> Vec<u8> {
        Ipv6::new(self.from, self.to, craft::ICMPV6).hops(self.hops).packet(&self.icmpv6(kind, body))
    }

    /// The message alone, for what has extension headers before it.
    #[must_use]
    pub fn icmpv6(&self, kind: u8, body: &[u8]) -> Vec<u8> {
        let (rest, payload) = body.split_at_checked(4).unwrap_or((&[0; 4], body));
        let rest = rest.try_into().unwrap_or([0; 4]);
        craft::icmpv6(self.from, self.to, kind, 0, rest, payload)
    }
}

/// Type 135: who has `target`?
#[must_use]
pub fn solicitation(message: Message, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    message.packet(135, &[&[0; 4][..], &target.octets(), options].concat())
}

/// Type 136, unsolicited, to override what the receiver knows: `target` is at the address that `options` name.
#[must_use]
pub fn advertisement(message: Message, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    message.packet(136, &[&[0x20, 0, 0, 0][..], &target.octets(), options].concat())
}

/// Body of type 134: "I am a router", with a lifetime of 0, so that a receiver that believes it gets no route from it.
#[must_use]
pub fn router_advertisement(options: &[u8]) -> Vec<u8> {
    [&[64, 0, 0, 0][..], &[0; 8], options].concat()
}

/// Type 137: packets to `destination` go to `target`.
#[must_use]
pub fn redirect(message: Message, target: Ipv6Addr, destination: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    message.packet(137, &[&[0; 4][..], &target.octets(), &destination.octets(), options].concat())
}

/// The option that names the target's hardware address.
#[must_use]
pub fn target_link_address(mac: [u8; 6]) -> Vec<u8> {
    [&[2, 1][..], &mac].concat()
}

/// The nonce option (RFC 3971 section 5.3.2): six bytes of the sender's choice, which a receiver that knows nothing of it
/// passes over.
#[must_use]
pub fn nonce(bytes: &[u8]) -> Vec<u8> {
    let mut option = [&[14, 1][..], bytes].concat();
    option.resize(8, 0);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solicitation_has_its_target_where_the_guard_looks_for_it() {
        let (from, to) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
        let packet = solicitation(Message::new(from, to), from, &nonce(b"marker"));
        assert_eq!(packet[40..42], [135, 0]);
        assert_eq!(packet[48..64], from.octets());
        assert_eq!(packet[64..], *b"\x0e\x01marker");
        assert_eq!(packet[7], 255);
    }
}

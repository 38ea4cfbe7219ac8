//! Frames that carry IP without being plain IP frames.

use crate::probe::craft;
use std::net::Ipv4Addr;

/// A hardware and a protocol address, as ARP pairs them.
type Pair = ([u8; 6], Ipv4Addr);

/// An ARP packet in its frame, with `trailer` behind it, where a short frame has padding. `operation` 1 asks, 2 answers.
#[must_use]
pub fn arp_frame(
    from: [u8; 6],
    to: [u8; 6],
    operation: u16,
    sender: Pair,
    target: Pair,
    trailer: &[u8],
) -> Vec<u8> {
    craft::ethernet(to, from, craft::ARP, &[&craft::arp(operation, sender, target)[..], trailer].concat())
}

/// The payload of a frame of ethertype 0x8864: a PPPoE session header (RFC 2516 section 4), PPP's protocol number for
/// IPv4 (RFC 1332), and the packet.
#[must_use]
pub fn pppoe(session: u16, packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() + 2) as u16;
    [&[0x11, 0][..], &session.to_be_bytes(), &length.to_be_bytes(), &[0x00, 0x21], packet].concat()
}

/// The payload of a frame of ethertype 0x8847: one label (RFC 3032 section 2.1) at the bottom of the stack, and the packet.
#[must_use]
pub fn mpls(label: u32, packet: &[u8]) -> Vec<u8> {
    [&(label << 12 | 1 << 8 | 64).to_be_bytes()[..], packet].concat()
}

/// A frame of IEEE 802.3 with length, LLC and SNAP headers (RFC 1042) before an IPv4 packet.
#[must_use]
pub fn snap_frame(from: [u8; 6], to: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let payload = [&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00][..], packet].concat();
    craft::ethernet(to, from, payload.len() as u16, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_802_3_frame_has_its_length_where_others_have_the_ethertype() {
        let frame = snap_frame([2; 6], [4; 6], &[0; 40]);
        assert_eq!(usize::from(u16::from_be_bytes([frame[12], frame[13]])), frame.len() - 14);
    }

    #[test]
    fn the_label_of_the_example_in_the_lab_reads_as_it_was_written() {
        assert_eq!(mpls(0, b"x"), [0, 0, 1, 0x40, b'x']);
    }
}

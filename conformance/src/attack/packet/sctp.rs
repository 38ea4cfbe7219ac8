//! SCTP messages (RFC 9260 section 3.3) with room for bytes of one's own.

use super::Ports;
use crate::probe::craft;

/// An INIT chunk with one parameter that its receiver may pass over (its type's upper bits are 10).
#[must_use]
pub fn init((source, destination): Ports, tag: u32, parameter: &[u8]) -> Vec<u8> {
    let fixed =
        [&tag.to_be_bytes()[..], &65_536_u32.to_be_bytes(), &[0, 1, 0, 1], &tag.to_be_bytes()].concat();
    let length = (parameter.len() + 4) as u16;
    let body = [&fixed[..], &[0x80, 0xff], &length.to_be_bytes(), parameter].concat();
    craft::sctp(source, destination, 0, 1, &body)
}

/// A DATA chunk on stream 0.
#[must_use]
pub fn data((source, destination): Ports, tag: u32, payload: &[u8]) -> Vec<u8> {
    craft::sctp(source, destination, tag, 0, &[&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..], payload].concat())
}

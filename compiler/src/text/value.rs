//! Values of fields and of parts of keys, with nft's words where it has some.

use crate::ir::{DataType, Field};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Text between double quotes. nft has no escapes: what could end the text or the line is replaced, a byte for a
/// character, so that it grows no longer than it was; so is `$`, which log prefixes would take for a variable.
pub(super) fn quoted(text: &str) -> String {
    let safe = |c: char| match c {
        '"' => '\'',
        '$' => '?',
        ' '..='~' => c,
        _ => '?',
    };
    format!("\"{}\"", text.chars().map(safe).collect::<String>())
}

/// An interface's name; `prefix` = every name that begins with it. A star at its own end is no wildcard.
pub(super) fn interface(bytes: &[u8], prefix: bool) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end]).replace('*', "\\*");
    quoted(&if prefix { name + "*" } else { name })
}

/// A value of a field, as nft writes it. Bytes that are no value of it are written as one number.
#[must_use]
pub fn value(field: Field, bytes: &[u8]) -> String {
    if bytes.len() != field.len() {
        return hex(bytes);
    }
    let name = match (field, number(bytes)) {
        (Field::NfProto, n) => name_of(n, &[(2, "ipv4"), (10, "ipv6")]),
        (Field::Protocol | Field::EtherType, n) => {
            let names =
                [(0x0800, "ip"), (0x0806, "arp"), (0x86dd, "ip6"), (0x8100, "8021q"), (0x88a8, "8021ad")];
            return name_of(n, &names).map_or_else(|| hex(bytes), str::to_owned);
        }
        (Field::PktType, n) => name_of(n, &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")]),
        (Field::CtDirection, n) => name_of(n, &[(0, "original"), (1, "reply")]),
        (Field::IcmpType, n) => name_of(n, ICMP_TYPES),
        (Field::ArpOperation, n) => name_of(n, &[(1, "request"), (2, "reply")]),
        (Field::IifName | Field::OifName, _) => return interface(bytes, false),
        (Field::TcpFlags, _) => return tcp_flags(bytes[0]),
        _ => None,
    };
    match (name, field.data_type()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(kind)) => part(kind, bytes),
        (None, None) => number(bytes).to_string(),
    }
}

/// A part of a set's key.
pub(super) fn part(kind: DataType, bytes: &[u8]) -> String {
    if bytes.len() != kind.len() {
        return hex(bytes);
    }
    match kind {
        DataType::Ipv4Addr => {
            <[u8; 4]>::try_from(bytes).map_or_else(|_| hex(bytes), |b| Ipv4Addr::from(b).to_string())
        }
        DataType::Ipv6Addr => {
            <[u8; 16]>::try_from(bytes).map_or_else(|_| hex(bytes), |b| Ipv6Addr::from(b).to_string())
        }
        DataType::EtherAddr => bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"),
        DataType::InetProto => {
            name_of(number(bytes), PROTOCOLS).map_or_else(|| bytes[0].to_string(), str::to_owned)
        }
        DataType::InetService => number(bytes).to_string(),
        DataType::Icmpv6Type => {
            name_of(number(bytes), ICMPV6_TYPES).map_or_else(|| bytes[0].to_string(), str::to_owned)
        }
        DataType::IfIndex => {
            <[u8; 4]>::try_from(bytes).map_or_else(|_| hex(bytes), |b| u32::from_ne_bytes(b).to_string())
        }
        DataType::NdTarget => hex(bytes),
    }
}

/// `fin | syn`; one flag alone; a number where a bit has no name or none is set.
fn tcp_flags(bits: u8) -> String {
    let named: Vec<_> = TCP_FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    match named.as_slice() {
        [] => format!("0x{bits:x}"),
        [one] => (*one).to_owned(),
        _ => format!("({})", named.join(" | ")),
    }
}

/// `0x…`, all digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, b| text + &format!("{b:02x}"))
}

/// Up to four bytes in network order; more are no number here.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b))
}

fn name_of(number: u32, names: &[(u32, &'static str)]) -> Option<&'static str> {
    names.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// Protocols that nft prints by name on every host: the others depend on its /etc/protocols.
pub(super) const PROTOCOLS: &[(u32, &str)] =
    &[(1, "icmp"), (6, "tcp"), (17, "udp"), (58, "ipv6-icmp"), (132, "sctp")];

const TCP_FLAGS: &[(u8, &str)] = &[
    (0x01, "fin"),
    (0x02, "syn"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];

const ICMP_TYPES: &[(u32, &str)] = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
];

const ICMPV6_TYPES: &[(u32, &str)] = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (143, "mld2-listener-report"),
];

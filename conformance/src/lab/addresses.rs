//! The address plan: which address is whose, in every lab.
//!
//! | what | IPv4 | IPv6 |
//! | --- | --- | --- |
//! | node N on the underlay | 192.168.50.N | fd00:50::N |
//! | the outside host there | 192.168.50.254 | fd00:50::fe |
//! | pods of node N | 10.244.N.0/24, gateway .1 | fd00:10:244:N::/64, gateway ::1 |
//! | Services | 10.96.0.0/12 | fd00:10:96::/112 |
//! | the internet: the outside host answers for all of it | 203.0.113.0/24, 198.51.100.0/24, 192.0.2.0/24 | 2001:db8::/32 |

use std::net::{Ipv4Addr, Ipv6Addr};

/// All pods of the cluster, as kube-proxy's `--cluster-cidr`.
pub const PODS4: &str = "10.244.0.0/16";
/// All pods of the cluster, IPv6.
pub const PODS6: &str = "fd00:10:244::/48";
/// All ClusterIPs.
pub const SERVICES4: &str = "10.96.0.0/12";
/// All ClusterIPs, IPv6.
pub const SERVICES6: &str = "fd00:10:96::/112";
/// The documentation ranges (RFC 5737) that stand for the internet.
pub const INTERNET4: [&str; 3] = ["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"];
/// The documentation range (RFC 3849) that stands for the internet.
pub const INTERNET6: [&str; 1] = ["2001:db8::/32"];
/// The outside host on the underlay.
pub const OUTSIDE4: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 254);
/// The outside host on the underlay.
pub const OUTSIDE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x50, 0, 0, 0, 0, 0, 0xfe);
/// The most nodes that the plan has room for.
pub const MAX_NODES: u8 = 250;

/// Node N's address on the underlay.
#[must_use]
pub const fn node4(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 50, node)
}

/// Node N's address on the underlay.
#[must_use]
pub const fn node6(node: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x50, 0, 0, 0, 0, 0, node as u16)
}

/// An address of node N's pod range: 0 is its `flannel.1`, 1 its `cni0`, the others are pods.
#[must_use]
pub const fn pod4(node: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, node, host)
}

/// An address of node N's pod range: 0 is its `flannel-v6.1`, 1 its `cni0`, the others are pods.
#[must_use]
pub const fn pod6(node: u8, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, node as u16, 0, 0, 0, host)
}

/// The MAC of node N's `flannel.1` (`of` 4) and `flannel-v6.1` (`of` 6).
#[must_use]
pub fn vtep_mac(node: u8, of: u8) -> String {
    format!("02:00:00:00:{of:02x}:{node:02x}")
}

/// The link-local address that a kernel makes of a MAC (EUI-64, RFC 4291 appendix A). `None` if `mac` is not a MAC.
#[must_use]
pub fn link_local(mac: &str) -> Option<Ipv6Addr> {
    let m = mac_bytes(mac)?;
    let word = |a: u8, b: u8| u16::from_be_bytes([a, b]);
    Some(Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        word(m[0] ^ 2, m[1]),
        word(m[2], 0xff),
        word(0xfe, m[3]),
        word(m[4], m[5]),
    ))
}

/// The six bytes of a MAC written as `02:00:0a:f4:01:02`. `None` if it is not one.
#[must_use]
pub fn mac_bytes(mac: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = mac.split(':').map(|b| u8::from_str_radix(b, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

//! CIDR blocks: in canonical form where they are new, as an API server once took them where they are stored.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// A block that is not taken as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadCidr {
    /// What is wrong.
    pub(super) message: &'static str,
    /// The block that was probably meant.
    pub(super) meant: Option<IpNet>,
}

/// A block in canonical form: no leading zeros, no IPv4 address within an IPv6 one, no bits set beyond the length.
pub(super) fn canonical(text: &str) -> Result<IpNet, BadCidr> {
    let meant = stored(text);
    let bad = |message| Err(BadCidr { message, meant });
    let Some(block) = meant else {
        return bad(match text.contains('/') {
            true => "it is not an address, a '/' and a length",
            false => "it has no '/' and length",
        });
    };
    let (address, length) = text.split_once('/').unwrap_or_default();
    if has_leading_zero(length) {
        return bad("its length has a leading zero");
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        return bad("its address has a leading zero, which some programs read as octal");
    };
    if is_mapped(address) {
        return bad("it is an IPv4 address written as an IPv6 one");
    }
    if address != block.network() {
        return bad("its address has bits set beyond its length");
    }
    Ok(block)
}

/// A block as API servers took it before they were strict: leading zeros are decimal, an IPv4-mapped address is the IPv4
/// one, and bits beyond the length do not count. `None` if it is no block at all.
pub(super) fn stored(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || length.len() > 4 || !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    let address: IpAddr = match address.parse() {
        Ok(address) => address,
        Err(_) => with_decimal_zeros(address)?.into(),
    };
    let block = match address {
        IpAddr::V6(v6) if is_mapped(address) => {
            IpNet::new(v6.to_ipv4_mapped()?.into(), length.checked_sub(96)?).ok()?
        }
        address => IpNet::new(address, length).ok()?,
    };
    Some(block.trunc())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn has_leading_zero(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0')
}

/// An IPv4 address some of whose parts have leading zeros.
fn with_decimal_zeros(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = text
        .split('.')
        .map(|part| Some(part).filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok())
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(parts).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_blocks_are_taken_as_they_are() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "::/0", "fd00::/8", "2001:db8::1/128"] {
            assert_eq!(canonical(text).unwrap().to_string(), text);
        }
        assert_eq!(
            canonical("2001:DB8:0::/32").unwrap().to_string(),
            "2001:db8::/32",
            "other ways to write IPv6"
        );
    }

    #[test]
    fn blocks_that_are_not_canonical_are_refused_and_say_what_was_meant() {
        for (text, meant) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("010.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/08", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("fd00::1/64", "fd00::/64"),
        ] {
            let bad = canonical(text).unwrap_err();
            assert_eq!(bad.meant.map(|block| block.to_string()).as_deref(), Some(meant), "{text}");
            assert_eq!(stored(text).map(|block| block.to_string()).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_block_is_never_taken() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0.0/8",
            "10.0.0.256/32",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8 ",
            "10.0.0.0/255.0.0.0",
            "a/8",
            "::ffff:10.0.0.0/8",
            "10..0.0/8",
            "fe80::1%eth0/64",
        ] {
            assert!(canonical(text).is_err(), "{text}");
            assert_eq!(stored(text), None, "{text}");
        }
    }
}

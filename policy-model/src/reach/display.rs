//! Reaches as people read them: a line a range, blocks in CIDR form where a range is one.

use super::{Difference, Reach};
use std::{fmt, net::IpAddr};

/// `10.0.0.0/24: TCP 80,443; UDP all`, a line for each range; `nothing` if it is empty.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (i, (lo, hi, ports)) in self.ranges().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}: {ports}", AddressRange { lo, hi })?;
        }
        Ok(())
    }
}

/// `10.0.0.7: TCP 80 here, TCP 80,443 there`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lo, hi, this, other } = self;
        write!(f, "{}: {this} here, {other} there", AddressRange { lo: *lo, hi: *hi })
    }
}

/// An inclusive range of addresses of one family; displays as an address, a block or `lo-hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// First address.
    pub lo: IpAddr,
    /// Last address.
    pub hi: IpAddr,
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lo, hi, bits) = match (self.lo, self.hi) {
            (IpAddr::V4(lo), IpAddr::V4(hi)) => (u128::from(lo.to_bits()), u128::from(hi.to_bits()), 32),
            (IpAddr::V6(lo), IpAddr::V6(hi)) => (lo.to_bits(), hi.to_bits(), 128),
            (lo, hi) => return write!(f, "{lo}-{hi}"),
        };
        // A block's ends differ in the low bits alone, which are all zeros in one and all ones in the other.
        let low = lo ^ hi;
        let is_block = low & low.wrapping_add(1) == 0 && lo & low == 0;
        match (lo == hi, is_block) {
            (true, _) => write!(f, "{}", self.lo),
            (false, true) => write!(f, "{}/{}", self.lo, bits - low.count_ones()),
            (false, false) => write!(f, "{}-{}", self.lo, self.hi),
        }
    }
}

//! A set of (protocol, port) in one canonical form.

#[cfg(test)]
mod tests;

use crate::object::Protocol;
use smallvec::SmallVec;
use std::fmt;

/// Inclusive ranges of ports: sorted, disjoint, never adjacent. Equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRanges(SmallVec<[(u16, u16); 2]>);

impl PortRanges {
    /// No port.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Ports 0 to 65535.
    #[must_use]
    pub fn all() -> Self {
        Self::from_iter([(0, u16::MAX)])
    }

    /// The ranges in order.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// No port at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every port.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self.0 == [(0, u16::MAX)]
    }

    /// Whether `port` is in it.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|&(lo, _)| lo <= port);
        after > 0 && port <= self.0[after - 1].1
    }

    /// How many ports are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|&(lo, hi)| u32::from(hi) - u32::from(lo) + 1).sum()
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What is not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = SmallVec::new();
        let mut next = 0u32;
        for &(lo, hi) in &self.0 {
            if next < u32::from(lo) {
                gaps.push((next as u16, lo - 1));
            }
            next = u32::from(hi) + 1;
        }
        if next <= u32::from(u16::MAX) {
            gaps.push((next as u16, u16::MAX));
        }
        Self(gaps)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j, mut both) = (0, 0, SmallVec::new());
        while let (Some(&(a, b)), Some(&(c, d))) = (self.0.get(i), other.0.get(j)) {
            if a.max(c) <= b.min(d) {
                both.push((a.max(c), b.min(d)));
            }
            if b < d { i += 1 } else { j += 1 }
        }
        Self(both)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }
}

/// From inclusive ranges in any order, overlapping or not; one with its ends swapped is empty.
impl FromIterator<(u16, u16)> for PortRanges {
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(ranges: I) -> Self {
        let mut sorted: SmallVec<[(u16, u16); 8]> = ranges.into_iter().filter(|(lo, hi)| lo <= hi).collect();
        sorted.sort_unstable();
        let mut merged: SmallVec<[(u16, u16); 2]> = SmallVec::new();
        for (lo, hi) in sorted {
            match merged.last_mut() {
                Some(last) if u32::from(lo) <= u32::from(last.1) + 1 => last.1 = last.1.max(hi),
                _ => merged.push((lo, hi)),
            }
        }
        Self(merged)
    }
}

/// `80,443,8000-8100`; `all` or `none` where it is so.
impl fmt::Display for PortRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match () {
            () if self.is_empty() => return f.write_str("none"),
            () if self.is_all() => return f.write_str("all"),
            () => {}
        }
        for (i, (lo, hi)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if lo == hi { write!(f, "{comma}{lo}")? } else { write!(f, "{comma}{lo}-{hi}")? }
        }
        Ok(())
    }
}

/// A set of packets told apart by protocol and destination port, in canonical form.
///
/// Protocols that no policy port can name (ICMP, GRE, …) are one class, [`Self::other`]: a rule either allows them all
/// (it has no `ports`) or none. A packet of a nameable protocol whose port cannot be read is in a set only if
/// all ports of its protocol are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet {
    by_protocol: [PortRanges; 3],
    /// Whether packets of every other protocol are in it.
    pub other: bool,
}

impl PortSet {
    /// No packet.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every packet.
    #[must_use]
    pub fn all() -> Self {
        Self { by_protocol: [PortRanges::all(), PortRanges::all(), PortRanges::all()], other: true }
    }

    /// One protocol's inclusive range.
    #[must_use]
    pub fn range(protocol: Protocol, lo: u16, hi: u16) -> Self {
        Self::none().with(protocol, PortRanges::from_iter([(lo, hi)]))
    }

    /// One protocol's port.
    #[must_use]
    pub fn single(protocol: Protocol, port: u16) -> Self {
        Self::range(protocol, port, port)
    }

    /// Every packet of the protocols that no policy port can name.
    #[must_use]
    pub fn others() -> Self {
        Self { other: true, ..Self::default() }
    }

    /// The same set with one protocol's ports replaced.
    #[must_use]
    pub fn with(mut self, protocol: Protocol, ports: PortRanges) -> Self {
        self.by_protocol[protocol as usize] = ports;
        self
    }

    /// The ports of one protocol.
    #[must_use]
    pub fn ports(&self, protocol: Protocol) -> &PortRanges {
        &self.by_protocol[protocol as usize]
    }

    /// No packet at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.other && self.by_protocol.iter().all(PortRanges::is_empty)
    }

    /// Every packet.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.other && self.by_protocol.iter().all(PortRanges::is_all)
    }

    /// Whether a packet of this protocol to this port is in it.
    #[must_use]
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        self.ports(protocol).contains(port)
    }

    /// Whether a packet of this IP protocol number and destination port is in it.
    ///
    /// A packet of TCP, UDP or SCTP without a readable port is in it only if all ports of its protocol are. Every other
    /// protocol, UDP-Lite too, is of the class [`Self::other`], and its port does not count.
    #[must_use]
    pub fn contains_packet(&self, protocol: u8, port: Option<u16>) -> bool {
        match (Protocol::from_number(protocol), port) {
            (Some(protocol), Some(port)) => self.contains(protocol, port),
            (Some(protocol), None) => self.ports(protocol).is_all(),
            (None, _) => self.other,
        }
    }

    /// Every (protocol, lo, hi), in order.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, u16, u16)> + '_ {
        Protocol::ALL
            .into_iter()
            .flat_map(|p| self.ports(p).ranges().iter().map(move |&(lo, hi)| (p, lo, hi)))
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, PortRanges::union, |a, b| a | b)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, PortRanges::intersection, |a, b| a & b)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, PortRanges::difference, |a, b| a & !b)
    }

    fn zip(
        &self,
        other: &Self,
        ports: fn(&PortRanges, &PortRanges) -> PortRanges,
        rest: fn(bool, bool) -> bool,
    ) -> Self {
        let [a, b, c] = &self.by_protocol;
        let [x, y, z] = &other.by_protocol;
        Self { by_protocol: [ports(a, x), ports(b, y), ports(c, z)], other: rest(self.other, other.other) }
    }
}

/// `TCP 80,443; UDP all; other protocols`; `everything` or `nothing` where it is so.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match () {
            () if self.is_empty() => return f.write_str("nothing"),
            () if self.is_all() => return f.write_str("everything"),
            () => {}
        }
        let mut separator = "";
        for protocol in Protocol::ALL {
            let ports = self.ports(protocol);
            if !ports.is_empty() {
                write!(f, "{separator}{protocol} {ports}")?;
                separator = "; ";
            }
        }
        if self.other {
            write!(f, "{separator}other protocols")?;
        }
        Ok(())
    }
}

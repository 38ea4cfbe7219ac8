//! Named sets and verdict maps, with their elements in the kernel's own byte layout.

use super::{DataType, Verdict};
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// A comment on an element, at most 127 bytes (nft's limit is 128 with the final zero).
pub type Comment = Arc<str>;

/// Bytes of a key that need no allocation: an IPv6 address, a protocol and a port.
const INLINE: usize = 24;

/// The bytes of an element's key as the kernel holds them. A key of one part is as long as the part; in a concatenation
/// every part is padded with zeros to 4 bytes. Addresses and ports are in network order, interface indices in host order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Key(#[cfg_attr(feature = "serde", serde(with = "super::bytes"))] SmallVec<[u8; INLINE]>);

impl Key {
    /// From bytes in that layout.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key of one part: the address alone.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::from_bytes(&a.octets()),
            IpAddr::V6(a) => Self::from_bytes(&a.octets()),
        }
    }

    /// A key of one part: a port.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Self::from_bytes(&port.to_be_bytes())
    }

    /// The next part of a concatenation.
    #[must_use]
    pub fn then(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(part);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A concatenation's parts, without their padding. `None` if the bytes do not fit the types.
    pub fn parts<'a>(&'a self, types: &'a [DataType]) -> impl Iterator<Item = (DataType, &'a [u8])> + 'a {
        let padded = types.len() > 1;
        types.iter().scan(0, move |at, &t| {
            let part = self.0.get(*at..*at + t.len())?;
            *at += if padded { t.padded() } else { t.len() };
            Some((t, part))
        })
    }

    /// The address in the first part, told by the type.
    #[must_use]
    pub fn first_address(&self, first: DataType) -> Option<IpAddr> {
        match first {
            DataType::Ipv4Addr => {
                Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(self.0.get(..4)?).ok()?)))
            }
            DataType::Ipv6Addr => {
                Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(self.0.get(..16)?).ok()?)))
            }
            _ => None,
        }
    }
}

/// What a set is, without its elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SetSpec {
    /// The parts of its key; one, or several concatenated.
    pub key: Box<[DataType]>,
    /// Elements are ranges (`flags interval`). Only with a key of one part.
    pub interval: bool,
    /// Elements carry verdicts: a verdict map.
    pub verdicts: bool,
    /// Room for this many elements (`size`): the kernel refuses more. `None` = it grows.
    pub size: Option<u32>,
}

/// What an element has beside its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Attributes {
    /// Last key of the range, itself included. Only in interval sets, and there always.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub end: Option<Key>,
    /// Only in verdict maps, and there always.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub verdict: Option<Verdict>,
    /// For whoever lists the ruleset.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub comment: Option<Comment>,
}

/// A named set or verdict map.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Set {
    /// What it is.
    pub spec: SetSpec,
    /// Elements by key; in an interval set by first key, the ranges disjoint. Most have no attributes at all.
    pub elements: BTreeMap<Key, Option<Box<Attributes>>>,
}

impl Set {
    /// An empty set.
    #[must_use]
    pub fn new(spec: SetSpec) -> Self {
        Self { spec, elements: BTreeMap::new() }
    }

    /// The attributes of the element that holds `key`, exactly or within its range; `None` if no element does.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Option<&Attributes>> {
        if !self.spec.interval {
            return self.elements.get(key).map(Option::as_deref);
        }
        let (_, attributes) = self.elements.range(..=key.clone()).next_back()?;
        let attributes = attributes.as_deref()?;
        (attributes.end.as_ref()? >= key).then_some(Some(attributes))
    }
}

impl SetSpec {
    /// A plain set.
    #[must_use]
    pub fn plain(key: &[DataType]) -> Self {
        Self { key: key.into(), interval: false, verdicts: false, size: None }
    }

    /// A set of ranges of one part.
    #[must_use]
    pub fn intervals(key: DataType) -> Self {
        Self { interval: true, ..Self::plain(&[key]) }
    }

    /// The same as a verdict map.
    #[must_use]
    pub fn with_verdicts(self) -> Self {
        Self { verdicts: true, ..self }
    }

    /// The same with room for `size` elements.
    #[must_use]
    pub fn with_size(self, size: u32) -> Self {
        Self { size: Some(size), ..self }
    }
}

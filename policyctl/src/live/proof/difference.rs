//! What differs, as small as it can be said.

use compiler::{ir::Name, skeleton::Orientation};
use policy_model::{
    object::{ObjectKey, Protocol},
    policy::Direction,
    portset::PortSet,
    reach::{AddressRange, Reach},
};
use std::net::IpAddr;

/// Something in which a kernel differs from the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A pod may exchange other packets than its policies say.
    Reach {
        /// The pod.
        pod: ObjectKey,
        /// Which side of its flows.
        direction: Direction,
        /// The smallest range in which the two differ.
        smallest: Box<Differing>,
        /// How many ranges differ.
        ranges: usize,
    },
    /// What the kernel does with a pod's packets cannot be told, or it does not know the pod.
    Unclear {
        /// The pod.
        pod: ObjectKey,
        /// Which of its addresses.
        address: IpAddr,
        /// Which side of its flows.
        direction: Direction,
        /// Why not.
        why: String,
    },
    /// A fixed object of our tables is not as it should be.
    Fixed {
        /// Such as `chain inet palisade forward`.
        object: String,
        /// How it differs.
        what: String,
    },
    /// An address is dispatched as a local pod's and is none's.
    Stranger {
        /// The dispatch map.
        map: Name,
        /// The address.
        address: IpAddr,
    },
}

/// A range of packets that one of the two lets pass and the other does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The pod's address.
    pub own: IpAddr,
    /// Packets from the flow's initiator, or its answers.
    pub orientation: Orientation,
    /// The other end's addresses.
    pub peers: AddressRange,
    /// The protocol; `None` = every protocol but TCP, UDP and SCTP.
    pub protocol: Option<Protocol>,
    /// The destination's ports, both included; of protocols without ports all.
    pub ports: (u16, u16),
    /// Whether the model lets them pass. The kernel does the contrary.
    pub model_allows: bool,
    /// How many ranges of addresses differ.
    pub ranges: usize,
}

impl Differing {
    /// The smallest range in which two reaches differ: the fewest addresses, then the fewest ports.
    #[must_use]
    pub fn smallest(model: &Reach, kernel: &Reach, own: IpAddr, orientation: Orientation) -> Option<Self> {
        let parts = [(true, model.difference(kernel)), (false, kernel.difference(model))];
        let ranges = parts.iter().map(|(_, reach)| reach.ranges().count()).sum();
        let pieces = parts.iter().flat_map(|(model_allows, reach)| {
            reach.ranges().flat_map(move |(lo, hi, set)| {
                stretches(set).into_iter().map(move |(protocol, ports)| Self {
                    own,
                    orientation,
                    peers: AddressRange { lo, hi },
                    protocol,
                    ports,
                    model_allows: *model_allows,
                    ranges,
                })
            })
        });
        pieces.min_by_key(Self::size)
    }

    /// Addresses and ports in it; the first of two of one size is the lower one.
    #[must_use]
    pub fn size(&self) -> (u128, u16) {
        let bits = |address| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        (bits(self.peers.hi) - bits(self.peers.lo), self.ports.1 - self.ports.0)
    }

    /// `TCP 5432`, `UDP 1000-2000`, `TCP all`, `other protocols`.
    #[must_use]
    pub fn packets(&self) -> String {
        match (self.protocol, self.ports) {
            (None, _) => "other protocols".to_owned(),
            (Some(protocol), (0, u16::MAX)) => format!("{} all ports", protocol.name()),
            (Some(protocol), (lo, hi)) if lo == hi => format!("{} {lo}", protocol.name()),
            (Some(protocol), (lo, hi)) => format!("{} {lo}-{hi}", protocol.name()),
        }
    }
}

fn stretches(set: &PortSet) -> Vec<(Option<Protocol>, (u16, u16))> {
    let ported = set.iter().map(|(protocol, lo, hi)| (Some(protocol), (lo, hi)));
    ported.chain(set.other.then_some((None, (0, u16::MAX)))).collect()
}

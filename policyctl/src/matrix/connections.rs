//! Sets of ports as section 6 of the design writes them.

use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
};
use serde::Serialize;

/// The ports of one protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// `TCP`, `UDP`, `SCTP`, or `ANY` for all of them.
    pub protocol: &'static str,
    /// `all`, or `80,443,8000-8100`.
    pub ports: String,
}

impl Connections {
    /// A set, a protocol an item; `ANY` alone for every port of all three protocols.
    ///
    /// ICMP and other protocols without ports have no item of their own: no policy can name them.
    #[must_use]
    pub fn of(ports: &PortSet) -> Vec<Self> {
        let items = Self::each(ports);
        if items.len() == Protocol::ALL.len() && items.iter().all(|item| item.ports == ALL) {
            return vec![Self { protocol: "ANY", ports: ALL.to_owned() }];
        }
        items
    }

    /// A set, a protocol an item; `ANY` alone for every packet, ICMP too, and `OTHER` for ICMP and the like by themselves.
    #[must_use]
    pub fn exactly(ports: &PortSet) -> Vec<Self> {
        if ports.is_all() {
            return vec![Self { protocol: "ANY", ports: ALL.to_owned() }];
        }
        let other = ports.other.then(|| Self { protocol: "OTHER", ports: ALL.to_owned() });
        Self::each(ports).into_iter().chain(other).collect()
    }

    fn each(ports: &PortSet) -> Vec<Self> {
        let of = |protocol: Protocol| {
            let text = ports_text(ports.ports(protocol))?;
            Some(Self { protocol: protocol.name(), ports: text })
        };
        Protocol::ALL.into_iter().filter_map(of).collect()
    }
}

const ALL: &str = "all";

/// `80,443,8000-8100`, or `all`; `None` if there is no port in it. Port 0 is no port that anybody can use.
#[must_use]
pub fn ports_text(ports: &PortRanges) -> Option<String> {
    let usable = ports.intersection(&[(1, u16::MAX)].into_iter().collect());
    match usable.ranges() {
        [] => None,
        [(1, u16::MAX)] => Some(ALL.to_owned()),
        _ => Some(usable.to_string()),
    }
}

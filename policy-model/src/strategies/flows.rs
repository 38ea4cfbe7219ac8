//! Flows between the ends that the other strategies know of, and a few that nobody knows.

use super::{
    NODES,
    objects::{node_address, pod_address4, pod_address6, port_number, shared_addresses},
    pod_key,
};
use crate::verdict::{Endpoint, Flow};
use proptest::{prelude::*, sample::select};
use std::net::IpAddr;

/// A flow: TCP, UDP or SCTP most often, with a port that policies speak of most often.
pub fn flow() -> impl Strategy<Value = Flow> {
    let protocol = prop_oneof![6 => Just(6), 2 => Just(17), 2 => Just(132), 1 => Just(1), 1 => Just(136)];
    let number = prop_oneof![8 => port_number(), 1 => any::<u16>()];
    let port = prop_oneof![8 => number.prop_map(Some), 1 => Just(None)];
    (endpoint(), endpoint(), protocol, port).prop_map(|(source, destination, protocol, port)| Flow {
        source,
        destination,
        protocol,
        port,
    })
}

/// A pod by its key, whether it is there or not, or an address.
pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    let pod = pod_key().prop_map(|key| Endpoint::Pod { key, address: None });
    prop_oneof![1 => pod, 2 => address().prop_map(Endpoint::Address)]
}

/// An address that a pod may have, a node's, or an outside one inside or beside the blocks that policies speak of.
pub fn address() -> impl Strategy<Value = IpAddr> {
    let pod = (1..=NODES, 2..14u8, any::<bool>())
        .prop_map(|(node, host, v6)| if v6 { pod_address6(node, host) } else { pod_address4(node, host) });
    let outside =
        select(&["203.0.113.7", "203.0.113.8", "198.51.100.1", "10.1.2.3", "2001:db8::7", "2001:db9::1"][..])
            .prop_filter_map("an address", |text| text.parse().ok());
    let shared = any::<bool>().prop_map(|v6| shared_addresses()[usize::from(v6)]);
    prop_oneof![6 => pod, 2 => shared, 2 => node_address(), 2 => outside]
}

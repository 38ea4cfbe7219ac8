//! A new pod's word to its neighbours: who had its address before is forgotten.
//!
//! Source: containernetworking/plugins `plugins/main/bridge` sets `arp_notify` and `ndisc_notify` on a pod's `eth0`, so
//! that its kernel says this. Without it a neighbour sends to the hardware address of the pod that had the address before,
//! until its own entry has grown old.

use super::{Family, Lab, LabError, Pod, addresses};
use crate::probe::craft::{self, Ipv6};
use std::net::Ipv6Addr;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// A neighbour advertisement (RFC 4861 section 4.4) that overrides what the neighbour knew.
const ADVERTISEMENT: u8 = 136;
const OVERRIDE: [u8; 4] = [0x20, 0, 0, 0];

/// Sends one announcement of each of the pod's addresses.
pub(crate) fn announce(lab: &Lab, pod: &Pod) -> Result<(), LabError> {
    let mac = addresses::mac_bytes(pod.mac());
    let mac = mac.ok_or_else(|| LabError::Invalid(format!("`{}` is no MAC", pod.mac())))?;
    let frames: Vec<_> = pod
        .families()
        .iter()
        .map(|family| match family {
            Family::V4 => {
                let own = (mac, pod.ipv4());
                craft::ethernet([0xff; 6], mac, 0x0806, &craft::arp(1, own, ([0; 6], pod.ipv4())))
            }
            Family::V6 => {
                let own = pod.ipv6();
                // The option that holds the target's hardware address.
                let body = [&own.octets()[..], &[2, 1], &mac].concat();
                let message = craft::icmpv6(own, ALL_NODES, ADVERTISEMENT, 0, OVERRIDE, &body);
                let packet = Ipv6::new(own, ALL_NODES, craft::ICMPV6).hops(255).packet(&message);
                craft::ethernet([0x33, 0x33, 0, 0, 0, 1], mac, 0x86dd, &packet)
            }
        })
        .collect();
    lab.inject(pod, "eth0", &frames)
}

//! Flows that a policy has just forbidden stay so, though their servers go on sending: seen from conntrack's table they look
//! like flows that it has the wrong way round, whose entries are deleted.

use super::ground::{self, app, ingress};
use conformance::{
    enforced::{Enforced, Manifests},
    probe::{Side, UdpFlow},
};
use std::{net::SocketAddr, thread, time::Duration};

const PORT: u16 = 53;
const EVERY: Duration = Duration::from_millis(2);
/// How long something may still be under way.
const UNDER_WAY: Duration = Duration::from_millis(50);
/// Long enough for conntrack's table to be read several times.
const WATCH: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_millis(400);

fn received(flows: &[UdpFlow]) -> Vec<[u64; 2]> {
    flows.iter().map(|flow| Side::BOTH.map(|side| flow.received(side))).collect()
}

#[test]
fn a_datagram_flow_that_a_policy_forbids_does_not_go_on_as_its_servers() {
    let (lab, pods) = ground::raise("forbidden", &[PORT]);
    let mut cluster = ground::cluster(&pods, ingress("nobody", app("nobody"), Vec::new()));
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");
    let flows: Vec<UdpFlow> = pods[1]
        .addresses()
        .map(|address| {
            let to = SocketAddr::new(address, PORT);
            enforced.lab().open_udp_flow(&pods[0], to, EVERY).expect("a flow")
        })
        .collect();
    thread::sleep(MOMENT);
    let open = received(&flows);
    assert!(open.iter().flatten().all(|count| *count > 20), "the flows do not flow: {open:?}");

    // The client still hears everybody: as the server's own, the flow would be permitted.
    cluster.insert_policy(ingress("server", app("server"), Vec::new()));
    let commits = enforced.update(&Manifests::of(&cluster)).expect("the policies").concat();
    assert!(!commits.is_empty(), "the policy changes something");
    thread::sleep(UNDER_WAY);
    let forbidden = received(&flows);
    thread::sleep(WATCH);
    assert_eq!(received(&flows), forbidden, "datagrams arrive at the client and at the server");
}

//! What `policyd` serves on its node is not for pods. Needs root.

use conformance::{
    enforced::{Enforced, Manifests},
    lab::{Lab, Place, PodSpec, addresses},
    probe::{Outcome, Probe},
};
use policy_model::cluster::Cluster;
use std::net::IpAddr;

/// Where it listens, on the loopback device.
const HTTP: u16 = 9469;

#[test]
fn no_pod_reaches_what_policyd_serves() {
    let lab = Lab::builder("http").nodes(2).build().expect("a lab");
    let pods =
        lab.add_pods(&[1, 2].map(|node| PodSpec::new(node, "default", &format!("p{node}")))).expect("pods");
    // No policy: what is not reached is not reached by anybody's leave.
    let enforced = Enforced::start(lab, &Manifests::of(&Cluster::new())).expect("policyd");
    assert!(enforced.daemon(1).get("/healthz").expect("it answers on its node").is_some());
    let lab = enforced.lab();
    let own: [IpAddr; 5] = [
        addresses::node4(1).into(),
        addresses::node6(1).into(),
        addresses::pod4(1, 0).into(),
        addresses::pod4(1, 1).into(),
        addresses::pod6(1, 1).into(),
    ];
    let mut probes = Vec::new();
    for from in pods.iter().map(Place::from).chain([Place::Outside, Place::Node(2)]) {
        probes.extend(own.map(|to| Probe::tcp(&from, to, HTTP)));
    }
    let replies = lab.probe_all(&probes).expect("probes");
    for (probe, reply) in probes.iter().zip(&replies) {
        assert_ne!(reply.outcome, Outcome::Allowed, "{probe}");
    }
    // A port that the node does serve is reached the same way.
    let control = lab.probe(Probe::tcp(&pods[0], addresses::node4(1), 80)).expect("a probe");
    assert_eq!(control.outcome, Outcome::Allowed);
}

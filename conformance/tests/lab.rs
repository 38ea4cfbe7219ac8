//! The lab tried on itself: without any policy everything that a cluster allows gets through, and what a firewall drops
//! is seen to be dropped. Needs root.

use conformance::{
    lab::{Lab, PodSpec},
    probe::{Outcome, Probe, Transport},
};

#[test]
fn pods_reach_each_other_on_one_node_and_across_nodes() {
    let t = std::time::Instant::now();
    let lab = Lab::builder("reach").nodes(2).build().expect("a lab");
    eprintln!("up {:?}", t.elapsed());
    let pods = lab
        .add_pods(&[
            PodSpec::new(1, "default", "a"),
            PodSpec::new(1, "default", "b"),
            PodSpec::new(2, "default", "c"),
        ])
        .expect("pods");
    eprintln!("pods {:?}", t.elapsed());
    let mut probes = Vec::new();
    for from in &pods {
        for to in &pods {
            for transport in Transport::ALL {
                let port = if transport == Transport::Icmp { 0 } else { 80 };
                probes.push(Probe::new(transport, from, to.ipv4(), port));
                probes.push(Probe::new(transport, from, to.ipv6(), port));
            }
        }
    }
    let replies = lab.probe_all(&probes).expect("replies");
    eprintln!("probed {} {:?}", probes.len(), t.elapsed());
    for (probe, reply) in probes.iter().zip(&replies) {
        eprintln!("{probe}: {reply:?}");
    }
    assert!(replies.iter().all(|r| r.outcome == Outcome::Allowed));
    drop(lab);
    eprintln!("down {:?}", t.elapsed());
}

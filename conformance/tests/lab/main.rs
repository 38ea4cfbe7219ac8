//! The lab tried on itself: without any policy everything that a cluster allows gets through, and what a firewall drops
//! is seen to be dropped. Needs root.

mod files;
mod flows;
mod frames;
mod leftovers;
mod probes;
mod reach;
mod services;

use conformance::{
    lab::{Family, Lab, Place, Pod, PodSpec},
    probe::{Outcome, Probe, Reply, Transport},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Two nodes; `a` and `b` on the first, `c` on the second.
pub(crate) fn three_pods(test: &str) -> (Lab, [Arc<Pod>; 3]) {
    let lab = Lab::builder(test).nodes(2).build().unwrap_or_else(|e| panic!("{e}"));
    let specs = [("a", 1), ("b", 1), ("c", 2)].map(|(name, node)| PodSpec::new(node, "default", name));
    let pods = lab.add_pods(&specs).expect("three pods");
    (lab, pods.try_into().expect("three pods"))
}

/// Sends the probes and says which did not end as wanted.
pub(crate) fn expect(lab: &Lab, wanted: Outcome, probes: &[Probe]) -> Vec<Reply> {
    let replies = lab.probe_all(probes).expect("replies");
    let wrong: Vec<_> = probes
        .iter()
        .zip(&replies)
        .filter(|(_, r)| r.outcome != wanted)
        .map(|(p, r)| format!("{p} was {}", r.outcome))
        .collect();
    assert!(wrong.is_empty(), "wanted {wanted}, but {wrong:#?}");
    replies
}

/// A table `inet test` with these rules on the forward path, before everybody else's.
pub(crate) fn firewall(rules: &str) -> String {
    format!("table inet test {{\nchain forward {{\ntype filter hook forward priority -10;\n{rules}\n}}\n}}\n")
}

/// A probe of every transport and both families.
pub(crate) fn every_probe(from: impl Into<Place>, to: impl Fn(Family) -> IpAddr) -> Vec<Probe> {
    let from = from.into();
    let of = |family| Transport::ALL.map(|t| Probe::new(t, &from, to(family), 80));
    Family::BOTH.into_iter().flat_map(of).collect()
}

/// Waits up to two seconds.
pub(crate) fn wait(mut condition: impl FnMut() -> bool) -> bool {
    (0..400).any(|_| {
        condition() || {
            std::thread::sleep(Duration::from_millis(5));
            false
        }
    })
}

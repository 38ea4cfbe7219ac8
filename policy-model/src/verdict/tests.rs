//! The reference held to itself: packet by packet and as a set it must say the same.

use super::*;
use crate::{cluster::Cluster, strategies};
use proptest::{collection::vec, prelude::*};

/// Every address that a pod holds, and these besides.
fn addresses(cluster: &Cluster, more: &[IpAddr]) -> Vec<IpAddr> {
    cluster.claims().map(|(address, _)| address).chain(more.iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn verdict_and_reach_agree_on_every_pair_of_addresses(
        cluster in strategies::cluster(),
        more in vec(strategies::address(), 4),
        packets in vec(strategies::flow().prop_map(|flow| (flow.protocol, flow.port)), 3),
    ) {
        let addresses = addresses(&cluster, &more);
        let reaches = |direction| -> Vec<_> {
            addresses.iter().map(|&own| cluster.reach_of_address(own, direction)).collect()
        };
        let (egress, ingress) = (reaches(Direction::Egress), reaches(Direction::Ingress));
        for (&source, egress) in addresses.iter().zip(&egress) {
            for (&destination, ingress) in addresses.iter().zip(&ingress) {
                if source.is_ipv4() != destination.is_ipv4() {
                    continue;
                }
                for &(protocol, port) in &packets {
                    let [from, to] = [source, destination].map(Endpoint::Address);
                    let flow = Flow { source: from, destination: to, protocol, port };
                    let verdict = cluster.verdict(&flow);
                    let sent = egress.contains(destination, protocol, port);
                    prop_assert_eq!(verdict.egress.allowed, sent, "egress, {:?}: {:#?}", flow, verdict.egress);
                    // The own node's traffic is let pass by the hook, which a reach does not describe.
                    if verdict.exemption != Some(Exemption::OwnNode) {
                        let received = ingress.contains(source, protocol, port);
                        prop_assert_eq!(verdict.ingress.allowed, received, "ingress, {:?}: {:#?}", flow, verdict.ingress);
                    }
                    prop_assert_eq!(verdict.allowed, verdict.egress.allowed && verdict.ingress.allowed);
                }
            }
        }
    }

    #[test]
    fn verdict_and_reach_agree_on_pods(
        cluster in strategies::cluster(),
        other in strategies::address(),
        flow in strategies::flow(),
    ) {
        for pod in cluster.pods().filter(|pod| pod.is_policed()) {
            if pod.ips.iter().any(|&ip| cluster.claimants(ip).count() > 1) {
                continue;
            }
            let pod = Endpoint::Pod { key: pod.key.clone(), address: None };
            let Endpoint::Pod { key, .. } = &pod else { unreachable!() };
            let out = Flow { source: pod.clone(), destination: Endpoint::Address(other), ..flow.clone() };
            let into = Flow { source: Endpoint::Address(other), destination: pod.clone(), ..flow.clone() };
            let passes = |direction| cluster.reach(key, direction).contains(other, flow.protocol, flow.port);
            let sent = cluster.verdict(&out);
            prop_assert_eq!(sent.egress.allowed, passes(Direction::Egress), "{:?}: {:#?}", out, sent);
            let received = cluster.verdict(&into);
            if received.exemption != Some(Exemption::OwnNode) {
                prop_assert_eq!(received.ingress.allowed, passes(Direction::Ingress), "{:?}: {:#?}", into, received);
            }
        }
    }

    #[test]
    fn every_answer_has_its_reason(cluster in strategies::cluster(), flows in vec(strategies::flow(), 16)) {
        for flow in &flows {
            let verdict = cluster.verdict(flow);
            for side in [&verdict.egress, &verdict.ingress] {
                prop_assert_eq!(side.isolated, !side.policies.is_empty());
                if !side.isolated {
                    prop_assert!(side.allowed && side.allowed_by.is_empty());
                }
                if side.isolated && side.allowed && verdict.exemption.is_none() {
                    prop_assert!(!side.allowed_by.is_empty());
                }
                prop_assert!(side.allowed || side.allowed_by.is_empty());
                prop_assert!(!side.allowed || side.near_misses.is_empty());
                for miss in &side.near_misses {
                    prop_assert!(!miss.failed.is_empty());
                    for failure in &miss.failed {
                        prop_assert!(!failure.mismatch.finding().is_empty());
                    }
                }
                prop_assert!(side.near_misses.iter().all(|miss| side.policies.contains(&miss.policy)));
            }
        }
    }
}

use super::*;
use crate::connect::{Party, address_pairs, pod_addresses};
use policy_model::{
    strategies,
    verdict::{Endpoint, Flow},
};
use proptest::prelude::*;

/// What the reference verdict lets pass from one pod to another: every pair of addresses, every port that a policy of the
/// strategies speaks of, and ports beside them.
fn allowed(cluster: &Cluster, source: &Pod, destination: &Pod, protocol: u8, port: Option<u16>) -> bool {
    let pairs = address_pairs(pod_addresses(cluster, source), pod_addresses(cluster, destination));
    let endpoint = |pod: &Pod, address| Endpoint::Pod { key: pod.key.clone(), address };
    pairs.into_iter().any(|(from, to)| {
        let flow =
            Flow { source: endpoint(source, from), destination: endpoint(destination, to), protocol, port };
        cluster.verdict(&flow).allowed
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_pair_of_pods_is_as_the_verdict_says(cluster in strategies::cluster(), flow in strategies::flow()) {
        let snapshot = Snapshot::of(cluster.clone());
        let matrix = Matrix::new(&snapshot, &Options { granularity: Granularity::Pods, ..Options::default() });
        let rows = matrix.by_ends();
        let pods: Vec<&Pod> = cluster.pods().filter(|pod| !pod.terminal).collect();
        let name = |pod: &Pod| End::Inside(format!("{}[Pod]", pod.key).into());
        for source in &pods {
            for destination in pods.iter().filter(|other| other.key != source.key) {
                let ports = rows.get(&(name(source), name(destination)));
                let passes = ports.is_some_and(|ports| ports.contains_packet(flow.protocol, flow.port));
                let expected = allowed(&cluster, source, destination, flow.protocol, flow.port);
                prop_assert_eq!(passes, expected, "{} -> {}", &source.key, &destination.key);
            }
        }
    }

    /// At both ends of every range an address that is nobody's gets the answer of the range.
    #[test]
    fn every_range_is_as_the_verdict_says(cluster in strategies::cluster(), flow in strategies::flow()) {
        let snapshot = Snapshot::of(cluster.clone());
        let matrix = Matrix::new(&snapshot, &Options { granularity: Granularity::Pods, ..Options::default() });
        let rows = matrix.by_ends();
        for direction in Direction::BOTH {
            for range in &matrix.ranges[direction as usize] {
                for pod in cluster.pods().filter(|pod| !pod.terminal) {
                    let ends = (End::Outside(*range), End::Inside(format!("{}[Pod]", pod.key).into()));
                    let ends = if direction == Direction::Ingress { ends } else { (ends.1, ends.0) };
                    let passes = rows.get(&ends).is_some_and(|p| p.contains_packet(flow.protocol, flow.port));
                    for at in [range.lo, range.hi] {
                        let addresses = pod_addresses(&cluster, pod);
                        let own = addresses.iter().filter(|own| own.is_ipv4() == at.is_ipv4()).map(|own| Some(*own));
                        let own = own.chain(addresses.is_empty().then_some(None));
                        let expected = own.into_iter().any(|own| {
                            let (pod, outside) = (Party::of_pod(&cluster, pod, own), Party::outside(at));
                            connect::side(&cluster, &pod, &outside, direction)
                                .contains_packet(flow.protocol, flow.port)
                        });
                        prop_assert_eq!(passes, expected, "{} {}", at, &pod.key);
                    }
                }
            }
        }
    }
}

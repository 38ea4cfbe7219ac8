use super::*;
use policy_model::{strategies, verdict::Flow};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every packet between two endpoints is in the set of ports if and only if the reference verdict lets it pass.
    #[test]
    fn ports_are_those_that_the_verdict_allows(cluster in strategies::cluster(), flow in strategies::flow()) {
        // A pod by its name alone is one of its addresses to a verdict: the first of the family that both ends have.
        let addresses = |end: &policy_model::verdict::Endpoint| match end {
            policy_model::verdict::Endpoint::Pod { key, .. } =>
                cluster.pod(key).map(|pod| pod_addresses(&cluster, pod).to_vec()).unwrap_or_default(),
            policy_model::verdict::Endpoint::Address(address) => vec![*address],
        };
        let pairs = address_pairs(&addresses(&flow.source), &addresses(&flow.destination));
        let (from, to) = pairs[0];
        let party = |end: &policy_model::verdict::Endpoint, at| match end {
            policy_model::verdict::Endpoint::Pod { key, .. } => match cluster.pod(key) {
                Some(pod) => Party::of_pod(&cluster, pod, at),
                None => Party::of_endpoint(&cluster, end),
            },
            policy_model::verdict::Endpoint::Address(_) => Party::of_endpoint(&cluster, end),
        };
        let (source, destination) = (party(&flow.source, from), party(&flow.destination, to));
        let ports = between(&cluster, &source, &destination).both();
        let verdict = cluster.verdict(&Flow { ..flow.clone() });
        prop_assert_eq!(ports.contains_packet(flow.protocol, flow.port), verdict.allowed, "{:?}", verdict);
    }
}

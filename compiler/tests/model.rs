//! The compiled ruleset judges every packet as the reference verdict does: in both directions of a flow, with and without a
//! conntrack entry.

use compiler::{
    Compiler, Event,
    config::Config,
    ir::Family,
    sim::{self, Flow, Links, Moment, Route, Verdict},
    skeleton::Orientation,
};
use policy_model::{
    cluster::Cluster,
    strategies,
    verdict::{self, Endpoint},
};
use proptest::prelude::*;
use std::net::IpAddr;

const NODE: &str = "w1";

fn compile(cluster: &Cluster) -> Compiler {
    let mut compiler = Compiler::new(Config::new(NODE, "cni0"));
    cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
    let _ = compiler.commit();
    compiler
}

fn is_local(cluster: &Cluster, address: IpAddr) -> bool {
    cluster.claimants(address).any(|pod| pod.node.as_deref() == Some(NODE))
}

/// Whether the packets of a flow pass this node, for each kind of packet that must be judged alike.
fn passes(compiler: &Compiler, flow: Flow, route: Route, moment: Moment) -> bool {
    let (hook, packet) = flow.packet(route, &Links::default(), moment);
    let outcome = sim::evaluate(compiler.ruleset(), Family::Inet, hook, &packet)
        .expect("a ruleset that the kernel takes");
    outcome.verdict == Verdict::Accept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_packet_is_judged_as_the_model_says(
        cluster in strategies::cluster(),
        flows in prop::collection::vec((strategies::address(), strategies::address(), strategies::flow()), 40),
    ) {
        let compiler = compile(&cluster);
        for (source, destination, like) in flows {
            if source.is_ipv4() != destination.is_ipv4() {
                continue;
            }
            let (from_here, to_here) = (is_local(&cluster, source), is_local(&cluster, destination));
            let route = match (from_here, to_here) {
                (true, true) => Route::Bridged,
                (true, false) => Route::ToOverlay,
                (false, true) => Route::FromOverlay,
                (false, false) => continue,
            };
            let question = verdict::Flow {
                source: Endpoint::Address(source),
                destination: Endpoint::Address(destination),
                ..like
            };
            let answer = cluster.verdict(&question);
            if answer.exemption == Some(verdict::Exemption::OwnNode) {
                continue;
            }
            let own = answer.exemption == Some(verdict::Exemption::SelfTraffic);
            let expected = own || (!from_here || answer.egress.allowed) && (!to_here || answer.ingress.allowed);
            let flow = Flow::new(source, destination, question.protocol, question.port);
            for moment in [
                Moment::First,
                Moment::Established,
                Moment::Reply,
                Moment::Untracked { from: Orientation::Original },
            ] {
                prop_assert_eq!(
                    passes(&compiler, flow, route, moment), expected,
                    "{:?} {:?} {:?}: {:?}", flow, route, moment, answer
                );
            }
        }
    }
}

//! The compiled ruleset judges every packet as the reference verdict does: in both directions of a flow, with and without a
//! conntrack entry.

use compiler::{
    Compiler, Event,
    config::{Config, Costs, Guards},
    ir::Family,
    sim::{self, Flow, Links, Moment, Route, Verdict},
    skeleton::Orientation,
};
use policy_model::{
    cluster::Cluster,
    policy::Direction,
    strategies,
    verdict::{self, Endpoint},
};
use proptest::prelude::*;
use std::{collections::BTreeSet, net::IpAddr};

const NODE: &str = "w1";

/// Costs that make every form of a step come up in small clusters.
fn costs() -> impl Strategy<Value = Costs> {
    let exact = prop_oneof![Just(Costs::default().exact_ports), 0u32..3];
    (exact, 0usize..3, 0u64..4).prop_map(|(exact_ports, shared_programs, shared_elements)| Costs {
        exact_ports,
        shared_programs,
        shared_elements,
    })
}

/// Guards and the bridge table; whatever they are, policy is judged alike.
fn settings() -> impl Strategy<Value = Config> {
    (costs(), any::<[bool; 5]>()).prop_map(
        |(costs, [bridge_table, overlay, sources, routers, ethertypes])| Config {
            costs,
            bridge_table,
            guards: Guards { overlay, sources, routers, ethertypes },
            ..Config::new(NODE, "cni0")
        },
    )
}

fn compile(cluster: &Cluster, config: Config) -> Compiler {
    let mut compiler = Compiler::new(config);
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
        settings in settings(),
        flows in prop::collection::vec((strategies::address(), strategies::address(), strategies::flow()), 40),
    ) {
        let compiler = compile(&cluster, settings);
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

    #[test]
    fn the_reach_of_every_local_address_is_the_models(cluster in strategies::cluster(), settings in settings()) {
        let compiler = compile(&cluster, settings);
        let of_pods: BTreeSet<_> = cluster.pods().flat_map(|pod| pod.ips.iter().copied()).collect();
            let local: Vec<_> = of_pods.into_iter().filter(|&address| is_local(&cluster, address)).collect();
        for address in local {
            for direction in Direction::BOTH {
                let expected = cluster.reach_of_address(address, direction);
                for orientation in Orientation::BOTH {
                    let compiled = compiler::reach::reach(compiler.ruleset(), address, direction, orientation);
                    prop_assert_eq!(compiled.as_ref(), Ok(&expected), "{} {} {:?}", address, direction, orientation);
                }
            }
        }
    }
}

//! A guard's switch changes its own rules, and nothing that holds a pod, an address or a policy.

use compiler::{
    Compiler, Event,
    config::{Config, Guards},
    delta::{Delta, Op},
};
use policy_model::strategies;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The settings with a guard on or off.
type Switch = fn(bool) -> Guards;

/// The chains in which each guard stands.
const CHAINS: [(Switch, &[&str]); 4] = [
    (|overlay| Guards { overlay, ..Guards::ALL }, &["from-pod", "new", "noct"]),
    (|sources| Guards { sources, ..Guards::ALL }, &["from-arp", "from-icmp6", "from-ip4", "from-ip6"]),
    (|routers| Guards { routers, ..Guards::ALL }, &["from-icmp6", "from-pod", "no-pod", "noct"]),
    (|ethertypes| Guards { ethertypes, ..Guards::ALL }, &["input", "prerouting"]),
];

fn touched(delta: &Delta) -> BTreeSet<&str> {
    fn chain(op: &Op) -> &str {
        match op {
            Op::SetRules { chain, .. } => chain,
            other => panic!("a switch changes rules alone: {other:?}"),
        }
    }
    delta.ops.iter().map(chain).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_switch_changes_its_own_rules_and_nothing_else(cluster in strategies::cluster()) {
        let mut compiler = Compiler::new(Config::new("w1", "cni0"));
        cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
        let _ = compiler.commit();
        while !compiler.settled() {
            let _ = compiler.commit();
        }
        let before = compiler.ruleset().clone();
        for (guards, chains) in CHAINS {
            compiler.set_config(Config { guards: guards(false), ..compiler.config().clone() });
            let off = compiler.commit();
            prop_assert_eq!(touched(&off), chains.iter().copied().collect());
            compiler.set_config(Config { guards: guards(true), ..compiler.config().clone() });
            let on = compiler.commit();
            prop_assert_eq!(touched(&on), chains.iter().copied().collect());
            prop_assert!(*compiler.ruleset() == before);
        }
    }
}

//! Policies that ask for more than they may: the pods concerned are denied in the direction concerned, all others are judged as
//! the model says, and it heals. And commits that put off what is heavy end where a whole one does.

use compiler::{
    Compiler, Event, Excess, Limit, Pace,
    config::{Config, Costs, Limits, Listed},
    ir::Ruleset,
    reach,
    skeleton::Orientation,
};
use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
    policy::{Direction, NetworkPolicy, Peer},
    portset::PortSet,
    reach::Reach,
    selector::Requirement,
    strategies,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NODE: &str = "w1";

/// Limits that come up in small clusters.
fn limits() -> impl Strategy<Value = Limits> {
    let listed = || (0u64..14, 0u64..5).prop_map(|(entries, selectors)| Listed { entries, selectors });
    (listed(), listed(), 0u64..12, 0u64..6).prop_map(|(pod, namespace, elements, commit)| Limits {
        pod,
        namespace,
        elements,
        commit,
    })
}

fn config(limits: Limits) -> Config {
    let costs = Costs { exact_ports: 2, shared_programs: 3, shared_elements: 6 };
    Config { costs, limits, ..Config::new(NODE, "cni0") }
}

fn compile(changes: impl IntoIterator<Item = Change>, limits: Limits) -> Compiler {
    let mut compiler = Compiler::new(config(limits));
    changes.into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
    settle(&mut compiler);
    compiler
}

fn settle(compiler: &mut Compiler) {
    for _ in 0..5 {
        let _ = compiler.commit();
    }
    assert!(compiler.settled() && !compiler.is_waiting());
}

/// What the policies that select a pod list, counted here by itself.
fn listed(policies: &[&NetworkPolicy], direction: Direction) -> Listed {
    let mut sum = Listed::default();
    for rule in policies.iter().flat_map(|policy| policy.rules(direction).unwrap_or_default()) {
        sum.entries += 1 + rule.ports.len() as u64;
        for peer in &rule.peers {
            match peer {
                Peer::Pods { pods, .. } => {
                    sum.entries += 1;
                    let excludes = pods.requirements().iter().filter(|requirement| {
                        matches!(requirement, Requirement::NotIn(..) | Requirement::DoesNotExist(_))
                    });
                    let all = pods.requirements().len();
                    sum.selectors += u64::from(all > 0 && excludes.count() == all);
                }
                Peer::IpBlock { except, .. } => sum.entries += 1 + except.len() as u64,
            }
        }
    }
    sum
}

fn beyond(listed: Listed, limit: Listed) -> bool {
    listed.entries > limit.entries || listed.selectors > limit.selectors
}

fn selecting<'a>(cluster: &'a Cluster, key: &ObjectKey) -> Vec<&'a NetworkPolicy> {
    let pod = cluster.pod(key).expect("a pod of the cluster");
    cluster
        .policies()
        .filter(|policy| policy.key.namespace == key.namespace && policy.pod_selector.matches(&pod.labels))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn who_asks_for_too_much_is_denied_and_nobody_else(cluster in strategies::cluster(), limits in limits()) {
        let compiler = compile(cluster.changes(), limits);
        let excesses = compiler.excesses();
        for pod in cluster.pods().filter(|pod| pod.is_policed() && pod.node.as_deref() == Some(NODE)) {
            let policies = selecting(&cluster, &pod.key);
            for direction in Direction::BOTH {
                let excess = excesses.iter().find(|e| e.pod == pod.key && e.direction == direction);
                let of_pod = listed(&policies, direction);
                let by_pod = excess.is_some_and(|e| matches!(e.limit, Limit::PodEntries | Limit::PodSelectors));
                prop_assert_eq!(by_pod, beyond(of_pod, limits.pod), "{} {}", &pod.key, direction);
                if let Some(excess) = excess {
                    prop_assert!(excess.found > excess.allowed, "{}", excess);
                    prop_assert!(!excess.policies.is_empty(), "{}", excess);
                    prop_assert!(excess.policies.iter().all(|key| key.namespace == pod.key.namespace), "{}", excess);
                }
                for &address in pod.ips.iter().filter(|&&address| cluster.claimants(address).count() == 1) {
                    let expected = match excess {
                        // What it says to itself is never judged.
                        Some(_) => Reach::address(address, PortSet::all()),
                        None => cluster.reach_of_address(address, direction),
                    };
                    for orientation in Orientation::BOTH {
                        let reach = reach::reach(compiler.ruleset(), address, direction, orientation);
                        prop_assert_eq!(reach.as_ref(), Ok(&expected), "{} {} {:?}", &pod.key, direction, excess);
                    }
                }
            }
        }
        // What a namespace's pods list that are not denied is within its limit: pods with the same policies count once.
        for namespace in cluster.pods().map(|pod| pod.key.namespace.clone()).collect::<BTreeSet<_>>() {
            let mut groups = BTreeSet::new();
            let mut sum = Listed::default();
            let here = |key: &ObjectKey| {
                cluster.pod(key).is_some_and(|pod| pod.is_policed() && pod.node.as_deref() == Some(NODE))
            };
            for pod in cluster.pods().filter(|pod| pod.key.namespace == namespace && here(&pod.key)) {
                let policies = selecting(&cluster, &pod.key);
                for direction in Direction::BOTH {
                    let denied = excesses.iter().any(|e| {
                        e.pod == pod.key && e.direction == direction && e.limit != Limit::Elements
                    });
                    let names: Vec<_> = policies.iter().map(|policy| policy.key.clone()).collect();
                    if !denied && groups.insert((names, pod.ports.clone(), direction)) {
                        let one = listed(&policies, direction);
                        sum.entries += one.entries;
                        sum.selectors += one.selectors;
                    }
                }
            }
            prop_assert!(!beyond(sum, limits.namespace), "{}: {:?}", namespace, sum);
        }
    }

    #[test]
    fn it_heals_when_the_cause_is_gone(cluster in strategies::cluster(), limits in limits()) {
        let mut compiler = compile(cluster.changes(), limits);
        for policy in cluster.policies() {
            compiler.apply(Event::Cluster(Change::PolicyDeleted(policy.key.clone())));
        }
        settle(&mut compiler);
        prop_assert_eq!(compiler.excesses(), Vec::<Excess>::new());
        let without = cluster.changes().filter(|change| !matches!(change, Change::Policy(_)));
        let fresh = compile(without, limits);
        prop_assert_eq!(compiler.ruleset(), fresh.ruleset());
    }

    #[test]
    fn any_pace_and_any_order_end_in_the_same_ruleset(
        changes in prop::collection::vec((strategies::change(), 0u8..4), 0..40),
        limits in limits(),
    ) {
        let mut compiler = Compiler::new(config(limits));
        for (change, then) in &changes {
            compiler.apply(Event::Cluster(change.clone()));
            match then {
                0 => drop(compiler.commit_at(Pace::Light)),
                1 => drop(compiler.commit_at(Pace::Heavy)),
                2 => drop(compiler.commit()),
                _ => {}
            }
        }
        // One heavy pod a commit, and what is retired goes a commit later.
        let mut turns = 0;
        while compiler.is_waiting() || turns == 0 {
            let _ = compiler.commit_at(Pace::Heavy);
            turns += 1;
            prop_assert!(turns < 200, "pods wait for ever");
        }
        for _ in 0..5 {
            let _ = compiler.commit_at(Pace::Heavy);
        }
        let cluster: Cluster = changes.into_iter().map(|(change, _)| change).collect();
        let fresh = compile(cluster.changes(), limits);
        let same: (&Ruleset, &Ruleset) = (compiler.ruleset(), fresh.ruleset());
        prop_assert!(same.0 == same.1, "{:#?}", compiler::delta::diff(same.1, same.0));
        prop_assert_eq!(compiler.excesses(), fresh.excesses());
    }
}

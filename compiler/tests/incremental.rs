//! The compiler's output is a function of the state alone: any order and any batching of events ends in the ruleset of a
//! compile from nothing, every Delta leads exactly there, and what is undone leaves nothing.

use compiler::{
    Compiler, Event,
    config::{Config, Costs, Guards, Port},
    delta::{Delta, Op},
    ir::{Chain, Name, Ruleset, Set, Table},
    stages::Stages,
};
use policy_model::{
    cluster::{Change, Cluster},
    object::ObjectKey,
    strategies,
};
use proptest::prelude::*;
use std::net::IpAddr;

/// Sharing and profiles come up in small clusters too.
fn config() -> Config {
    let costs = Costs { exact_ports: 2, shared_programs: 2, shared_elements: 5 };
    Config { costs, ..Config::new("w1", "cni0") }
}

/// Any guards, with and without the bridge table.
fn settings() -> impl Strategy<Value = Config> {
    any::<[bool; 5]>().prop_map(|[bridge_table, overlay, sources, routers, ethertypes]| Config {
        bridge_table,
        guards: Guards { overlay, sources, routers, ethertypes },
        ..config()
    })
}

/// Applies a Delta as the kernel would, and fails where the kernel would refuse.
fn apply(ruleset: &mut Ruleset, delta: &Delta) {
    for op in &delta.ops {
        match op.clone() {
            Op::AddTable { family } => {
                assert!(ruleset.tables.insert(family, Table::default()).is_none(), "{op:?}");
            }
            Op::DeleteTable { family } => assert!(ruleset.tables.remove(&family).is_some(), "{op:?}"),
            Op::AddCounter { family, name } => {
                assert!(
                    ruleset.tables.get_mut(&family).expect("the table is there").counters.insert(name),
                    "{op:?}"
                );
            }
            Op::DeleteCounter { family, name } => {
                assert!(
                    ruleset.tables.get_mut(&family).expect("the table is there").counters.remove(&name),
                    "{op:?}"
                );
            }
            Op::AddSet { family, name, spec } => {
                let sets = &mut ruleset.tables.get_mut(&family).expect("the table is there").sets;
                assert!(sets.insert(name, Set::new(spec)).is_none(), "{op:?}");
            }
            Op::DeleteSet { family, name } => {
                assert!(
                    ruleset.tables.get_mut(&family).expect("the table is there").sets.remove(&name).is_some(),
                    "{op:?}"
                );
            }
            Op::AddChain { family, name, base } => {
                let chains = &mut ruleset.tables.get_mut(&family).expect("the table is there").chains;
                assert!(chains.insert(name, Chain { base, rules: Vec::new() }).is_none(), "{op:?}");
            }
            Op::DeleteChain { family, name } => {
                let chain = ruleset.tables.get_mut(&family).expect("the table is there").chains.remove(&name);
                assert!(chain.expect("the chain is there").rules.is_empty(), "{op:?}");
            }
            Op::SetRules { family, chain, rules } => {
                ruleset
                    .tables
                    .get_mut(&family)
                    .expect("the table is there")
                    .chains
                    .get_mut(&chain)
                    .expect("the chain is there")
                    .rules = rules;
            }
            Op::AddElements { family, set, spec, elements } => {
                let set = ruleset
                    .tables
                    .get_mut(&family)
                    .expect("the table is there")
                    .sets
                    .get_mut(&set)
                    .expect("the set is there");
                assert_eq!(set.spec, spec);
                for (key, value) in elements {
                    assert!(set.elements.insert(key, value).is_none(), "{op:?}");
                }
            }
            Op::DeleteElements { family, set, spec, elements } => {
                let set = ruleset
                    .tables
                    .get_mut(&family)
                    .expect("the table is there")
                    .sets
                    .get_mut(&set)
                    .expect("the set is there");
                assert_eq!(set.spec, spec);
                for (key, value) in elements {
                    assert_eq!(set.elements.remove(&key), Some(value), "{op:?}");
                }
            }
        }
    }
}

fn settle(compiler: &mut Compiler, kernel: &mut Ruleset) {
    apply(kernel, &compiler.commit());
    for _ in 0..4 {
        if compiler.settled() {
            break;
        }
        apply(kernel, &compiler.commit());
    }
    assert!(compiler.settled(), "nothing waits for ever");
}

/// Whether every chain and set of a ruleset is there as it is.
fn holds_all_of(kernel: &Ruleset, ruleset: &Ruleset) -> bool {
    ruleset.tables.iter().all(|(family, table)| {
        kernel.tables.get(family).is_some_and(|held| {
            table.chains.iter().all(|(name, chain)| held.chains.get(name) == Some(chain))
                && table.sets.iter().all(|(name, set)| held.sets.get(name) == Some(set))
        })
    })
}

/// From nothing, in one batch.
fn compiled(events: impl IntoIterator<Item = Event>) -> Ruleset {
    let mut compiler = Compiler::new(config());
    let mut kernel = Ruleset::default();
    events.into_iter().for_each(|event| compiler.apply(event));
    settle(&mut compiler, &mut kernel);
    assert_eq!(kernel, *compiler.ruleset(), "the Delta leads to the ruleset");
    kernel
}

/// The host's side of a pod, as a libcni result tells it.
fn port_of(key: &ObjectKey, ips: &[IpAddr], n: u8) -> Port {
    let pod = key.clone();
    Port {
        id: format!("{key}-{n}").into(),
        pod,
        ifindex: 10 + u32::from(n),
        mac: [2, 0, 0, 0, 0, n],
        addresses: ips.to_vec(),
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let port = (strategies::pod_key(), 0u8..6, any::<bool>()).prop_map(|(key, n, there)| {
        let ip = IpAddr::from([10, 244, 1, 2 + n]);
        let port = port_of(&key, &[ip], n);
        if there { Event::Port(port) } else { Event::PortDeleted(port.id) }
    });
    let address = (0u8..6).prop_map(|n| IpAddr::from([10, 244, 1, 2 + n]));
    let withheld = prop::collection::btree_set(address, 0..3).prop_map(Event::Withheld);
    let change = strategies::change().prop_map(Event::Cluster);
    prop::collection::vec(prop_oneof![12 => change, 2 => port, 1 => withheld], 0..40)
}

/// What is left of the events: the last word on every object.
fn state(events: &[Event]) -> Vec<Event> {
    let mut cluster = Cluster::new();
    let mut ports = std::collections::BTreeMap::new();
    let mut withheld = std::collections::BTreeSet::new();
    for event in events {
        match event {
            Event::Cluster(change) => cluster.apply(change.clone()),
            Event::Port(port) => {
                ports.insert(port.id.clone(), port.clone());
            }
            Event::PortDeleted(id) => {
                ports.remove(id);
            }
            Event::Withheld(addresses) => withheld.clone_from(addresses),
        }
    }
    let changes: Vec<_> = cluster.changes().collect();
    let ports = ports.into_values().map(Event::Port);
    changes.into_iter().map(Event::Cluster).chain(ports).chain([Event::Withheld(withheld)]).collect()
}

fn undo(event: &Event) -> Event {
    Event::Cluster(match event {
        Event::Cluster(Change::Pod(pod)) => Change::PodDeleted(pod.key.clone()),
        Event::Cluster(Change::Namespace(namespace)) => Change::NamespaceDeleted(namespace.name.clone()),
        Event::Cluster(Change::Policy(policy)) => Change::PolicyDeleted(policy.key.clone()),
        Event::Cluster(Change::Node(node)) => Change::NodeDeleted(node.name.clone()),
        Event::Port(port) => return Event::PortDeleted(port.id.clone()),
        Event::Withheld(_) => return Event::Withheld(Default::default()),
        other => return other.clone(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_batching_ends_in_the_same_ruleset(events in events(), cuts in prop::collection::vec(any::<bool>(), 40)) {
        let mut compiler = Compiler::new(config());
        let mut kernel = Ruleset::default();
        for (event, cut) in events.iter().zip(&cuts) {
            compiler.apply(event.clone());
            if *cut {
                apply(&mut kernel, &compiler.commit());
                prop_assert_eq!(&kernel, compiler.ruleset());
            }
        }
        settle(&mut compiler, &mut kernel);
        prop_assert_eq!(&kernel, compiler.ruleset());
        let fresh = compiled(state(&events));
        prop_assert!(kernel == fresh, "{:#?}", compiler::delta::diff(&fresh, &kernel));
        let mut again = Compiler::new(config());
        state(&events).into_iter().for_each(|event| again.apply(event));
        let _ = again.commit();
        prop_assert_eq!(compiler.stats().isolated, again.stats().isolated);
    }

    /// However many pods a node has, their sets have room for them; and nothing but their size depends on how many there were.
    #[test]
    fn local_pods_always_have_room(events in events()) {
        let mut compiler = Compiler::new(Config { room: 1, ..config() });
        let mut kernel = Ruleset::default();
        for event in &events {
            compiler.apply(event.clone());
            apply(&mut kernel, &compiler.commit());
            prop_assert_eq!(&kernel, compiler.ruleset());
            for set in kernel.tables.values().flat_map(|table| table.sets.values()) {
                prop_assert!(set.spec.size.is_none_or(|size| set.elements.len() <= size as usize));
            }
        }
        settle(&mut compiler, &mut kernel);
        for set in kernel.tables.values_mut().flat_map(|table| table.sets.values_mut()) {
            set.spec.size = set.spec.size.map(|_| config().room);
        }
        prop_assert_eq!(kernel, compiled(state(&events)));
    }

    /// A packet that has met the rules of before finds all of what they lead to until the last step, and one that meets those
    /// of after finds all of theirs from the first one on.
    #[test]
    fn steps_never_change_what_packets_are_among(events in events()) {
        let mut compiler = Compiler::new(config());
        let mut kernel = Ruleset::default();
        settle(&mut compiler, &mut kernel);
        for event in events {
            compiler.apply(event);
            let before = kernel.clone();
            let Stages { prepare, switch, remove } = compiler.commit().into_stages();
            apply(&mut kernel, &prepare);
            prop_assert!(holds_all_of(&kernel, &before));
            apply(&mut kernel, &switch);
            prop_assert!(holds_all_of(&kernel, compiler.ruleset()));
            for (family, table) in &before.tables {
                let (now, after) = (&kernel.tables[family], &compiler.ruleset().tables[family]);
                let gone = |name: &Name| !after.chains.contains_key(name) && !after.sets.contains_key(name);
                for (name, chain) in table.chains.iter().filter(|(name, _)| gone(name)) {
                    prop_assert_eq!(now.chains.get(name), Some(chain));
                }
                for (name, set) in table.sets.iter().filter(|(name, _)| gone(name)) {
                    prop_assert_eq!(now.sets.get(name), Some(set));
                }
            }
            apply(&mut kernel, &remove);
            prop_assert_eq!(&kernel, compiler.ruleset());
        }
    }

    #[test]
    fn any_order_ends_in_the_same_ruleset(events in events(), seed in any::<u64>()) {
        let state = state(&events);
        let mut shuffled = state.clone();
        let mut random = seed | 1;
        for i in (1..shuffled.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (random >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(compiled(state), compiled(shuffled));
    }

    #[test]
    fn what_is_undone_leaves_nothing(events in events()) {
        let mut compiler = Compiler::new(config());
        let mut kernel = Ruleset::default();
        for event in &events {
            compiler.apply(event.clone());
        }
        settle(&mut compiler, &mut kernel);
        for event in state(&events).iter().rev() {
            compiler.apply(undo(event));
            apply(&mut kernel, &compiler.commit());
        }
        settle(&mut compiler, &mut kernel);
        prop_assert_eq!(kernel, compiled([]));
        let stats = compiler.stats();
        prop_assert_eq!((stats.pods, stats.policies, stats.selectors, stats.programs, stats.strings), (0, 0, 0, 0, 0));
    }

    #[test]
    fn settings_may_come_and_go(events in events(), settings in prop::collection::vec(settings(), 1..6)) {
        let mut compiler = Compiler::new(config());
        let mut kernel = Ruleset::default();
        let last = settings.last().expect("at least one").clone();
        for (n, settings) in settings.into_iter().enumerate() {
            compiler.set_config(settings);
            events.iter().skip(n * 8).take(8).for_each(|event| compiler.apply(event.clone()));
            if n % 2 == 0 {
                apply(&mut kernel, &compiler.commit());
                prop_assert_eq!(&kernel, compiler.ruleset());
            }
        }
        events.iter().for_each(|event| compiler.apply(event.clone()));
        settle(&mut compiler, &mut kernel);
        let mut fresh = Compiler::new(last);
        let mut other = Ruleset::default();
        state(&events).into_iter().for_each(|event| fresh.apply(event));
        settle(&mut fresh, &mut other);
        prop_assert!(kernel == other, "{:#?}", compiler::delta::diff(&other, &kernel));
    }

    #[test]
    fn an_event_and_its_undoing_cost_nothing(events in events(), change in strategies::change()) {
        let mut compiler = Compiler::new(config());
        events.iter().for_each(|event| compiler.apply(event.clone()));
        let _ = compiler.commit();
        while !compiler.settled() {
            let _ = compiler.commit();
        }
        let before = state(&events);
        let mut cluster = Cluster::new();
        for event in &before {
            if let Event::Cluster(change) = event {
                cluster.apply(change.clone());
            }
        }
        compiler.apply(Event::Cluster(change.clone()));
        let restored = match &change {
            Change::Pod(pod) => cluster.pod(&pod.key).cloned().map_or(Change::PodDeleted(pod.key.clone()), Change::Pod),
            Change::Policy(policy) => {
                cluster.policy(&policy.key).cloned().map_or(Change::PolicyDeleted(policy.key.clone()), Change::Policy)
            }
            Change::PodDeleted(key) => cluster.pod(key).cloned().map_or(change.clone(), Change::Pod),
            Change::PolicyDeleted(key) => cluster.policy(key).cloned().map_or(change.clone(), Change::Policy),
            _ => return Ok(()),
        };
        compiler.apply(Event::Cluster(restored));
        let delta = compiler.commit();
        // A program made for nothing may come and go; nothing that decides may be touched.
        let touched = delta.ops.iter().filter(|op| matches!(op, Op::AddElements { set, .. } | Op::DeleteElements { set, .. } if set.starts_with("egress") || set.starts_with("ingress")));
        prop_assert_eq!(touched.count(), 0, "{:?}", delta);
    }
}

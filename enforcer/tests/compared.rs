//! The regular comparison on a real kernel: what is read part by part while changes are committed in between is what is wanted,
//! and what somebody else has changed is found.

use compiler::{
    Compiler, Event,
    config::Config,
    delta::{Delta, Op},
    ir::Family,
};
use enforcer::{
    apply::{Engine, Step},
    nft::{Backend, Kernel},
};
use nix::sched::{CloneFlags, unshare};
use policy_model::{
    cluster::{Change, Cluster},
    labels::Labels,
    object::{ObjectKey, Pod},
};
use std::{sync::Arc, thread};

const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: db, namespace: shop}\n\
    spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]}\n";

fn pod(n: u8, app: &str) -> Event {
    Event::Cluster(Change::Pod(Pod {
        key: ObjectKey::new("shop", format!("p{n}")),
        labels: [("app", app)].into_iter().collect::<Labels>(),
        ips: [[10, 244, 1, n].into()].into_iter().collect(),
        node: Some(Arc::from(if n < 10 { "w1" } else { "w2" })),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    }))
}

fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("this test changes nftables in a network namespace of its own: run it as root");
        test();
    };
    if let Err(panic) = thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn started() -> Engine<Kernel> {
    let parsed = policy_model::manifest::parse("policy.yaml", POLICY);
    let objects = parsed.objects.into_iter().filter_map(|object| object.value.into_change());
    let cluster: Cluster = objects.collect();
    let mut compiler = Compiler::new(Config::new("w1", "cni0"));
    cluster.changes().for_each(|change| compiler.apply(change.into()));
    for n in 2..100 {
        compiler.apply(pod(n, if n % 2 == 0 { "db" } else { "api" }));
    }
    let mut engine = Engine::new(Kernel::open().expect("a socket"), compiler);
    engine.start().expect("the first revision");
    engine
}

/// Compares to the end, with `between` before each reading. How often a part was read, and what came of it.
fn compare(
    engine: &mut Engine<Kernel>,
    mut between: impl FnMut(usize, &mut Engine<Kernel>, bool),
) -> (usize, Step) {
    let mut reader = Kernel::open().expect("a socket");
    let mut wanted = engine.begin_check().expect("it is healthy");
    for n in 0.. {
        between(n, engine, true);
        let part = reader.read_part(wanted);
        between(n, engine, false);
        match engine.check(part).expect("it is waited for") {
            Step::Read(next) => wanted = next,
            end => return (n, end),
        }
    }
    unreachable!("it ends")
}

#[test]
fn tables_that_keep_still_are_equal() {
    in_namespace(|| {
        let mut engine = started();
        let (reads, end) = compare(&mut engine, |_, _, _| {});
        assert_eq!(end, Step::Equal);
        let sets = engine.compiler().ruleset().tables.values().map(|table| table.sets.len()).sum::<usize>();
        assert_eq!(reads, sets, "the frame, and each set once");
    });
}

#[test]
fn commits_in_between_are_no_difference() {
    in_namespace(|| {
        let mut engine = started();
        let mut commits = 0;
        let (_, end) = compare(&mut engine, |n, engine, before| {
            // A peer comes and goes, and now and then a local pod gets another program.
            if before || n % 3 != 0 {
                return;
            }
            let n = u8::try_from(n % 250).expect("below 250");
            let changed = if n % 2 == 0 { pod(2 + n % 7, "api") } else { pod(100 + n % 100, "api") };
            engine.apply(changed);
            engine.commit().expect("the change");
            commits += 1;
        });
        assert_eq!(end, Step::Equal);
        assert!(commits > 5, "{commits}");
    });
}

#[test]
fn what_does_not_keep_still_is_compared_as_a_whole() {
    in_namespace(|| {
        let mut engine = started();
        let mut app = ["api", "db"].into_iter().cycle();
        let (reads, end) = compare(&mut engine, |_, engine, before| {
            if !before {
                engine.apply(pod(2, app.next().unwrap_or_default()));
                engine.commit().expect("the change");
            }
        });
        assert_eq!(end, Step::Whole);
        assert!(reads < 200, "{reads}");
    });
}

#[test]
fn what_somebody_else_has_changed_is_found() {
    let changes: [fn(&mut Kernel, &Engine<Kernel>); 3] = [
        |kernel, engine| {
            let table = &engine.compiler().ruleset().tables[&Family::Inet];
            let (name, set) =
                table.sets.iter().find(|(name, _)| name.ends_with("-x4")).expect("an exact set");
            let (key, value) = set.elements.iter().next().expect("an element");
            let elements = vec![(key.clone(), value.clone())];
            let (family, set, spec) = (Family::Inet, name.clone(), set.spec.clone());
            let op = Op::DeleteElements { family, set, spec, elements };
            kernel.commit(&Delta { ops: vec![op] }, None).expect("meddling");
        },
        |kernel, _| {
            let op = Op::AddChain { family: Family::Inet, name: "more".into(), base: None };
            kernel.commit(&Delta { ops: vec![op] }, None).expect("meddling");
        },
        |kernel, _| {
            let op = Op::DeleteTable { family: Family::Bridge };
            kernel.commit(&Delta { ops: vec![op] }, None).expect("meddling");
        },
    ];
    for change in changes {
        in_namespace(move || {
            let mut engine = started();
            change(&mut Kernel::open().expect("a socket"), &engine);
            let (_, end) = compare(&mut engine, |_, _, _| {});
            assert_eq!(end, Step::Whole);
            engine.verify().expect("a repair");
            assert!(engine.totals().drift_repaired > 0);
            let (_, end) = compare(&mut engine, |_, _, _| {});
            assert_eq!(end, Step::Equal);
        });
    }
}

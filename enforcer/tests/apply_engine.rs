//! The engine against a kernel in memory: refusals, lost answers, foreign changes, restarts.

mod support;

use compiler::{
    Compiler, Pace,
    config::Config,
    delta::{Delta, Op},
    ir::{Family, Key, Ruleset, Set, Verdict},
};
use enforcer::{
    apply::{Engine, Outcome},
    nft::{
        Backend, Error, Foreign, Object, Refusal, Tracked, Tuple,
        fake::{Fake, Fault},
    },
};
use nix::errno::Errno;
use policy_model::cluster::Change;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::committing::Committing;

fn pod(name: &str, address: &str) -> String {
    support::pod(name, name, address)
}

fn policy(subject: &str, from: &str, port: u16) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {subject}, namespace: shop}}\n\
         spec:\n  podSelector: {{matchLabels: {{app: {subject}}}}}\n  ingress:\n  \
         - from: [{{podSelector: {{matchLabels: {{app: {from}}}}}}}]\n    ports: [{{port: {port}}}]\n---\n"
    )
}

/// Three pods; `db` and `api` are isolated, each with a program of its own.
fn shop() -> String {
    pod("front", "10.244.1.2")
        + &pod("api", "10.244.1.3")
        + &pod("db", "10.244.1.4")
        + &policy("api", "front", 8080)
        + &policy("db", "api", 5432)
}

fn engine<B: Backend>(backend: B, text: &str) -> Engine<B> {
    let mut compiler = Compiler::new(Config::new("w1", "cni0"));
    support::changes(text).into_iter().for_each(|change| compiler.apply(change.into()));
    Engine::new(backend, compiler)
}

fn feed<B: Backend>(engine: &mut Engine<B>, text: &str) {
    support::changes(text).into_iter().for_each(|change| engine.apply(change.into()));
}

fn committed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

#[test]
fn a_restart_sends_nothing_when_nothing_has_changed_and_only_the_difference_when_something_has() {
    let fake = Fake::new();
    assert!(committed(engine(fake.clone(), &shop()).start().unwrap()));
    let first = fake.ruleset();

    let mut again = engine(fake.clone(), &shop());
    assert_eq!(again.start().unwrap(), Outcome::Unchanged);
    assert_eq!((again.revision(), fake.transactions()), (1, 1));
    assert!(again.is_healthy());

    let mut other = engine(fake.clone(), &(shop() + &pod("new", "10.244.1.5")));
    let Outcome::Committed { ops, .. } = other.start().unwrap() else { panic!("one more pod is a change") };
    assert!(ops < 10, "a pod without policy is a few elements, not {ops} operations");
    assert_eq!(fake.ruleset(), *other.compiler().ruleset());
    assert_ne!(fake.ruleset(), first);
}

#[test]
fn a_change_switches_in_one_transaction_and_its_undoing_leaves_nothing_behind() {
    let fake = Fake::new();
    let mut engine = engine(fake.clone(), &shop());
    engine.start().unwrap();
    let before = fake.ruleset();
    feed(&mut engine, &policy("front", "api", 80));
    assert!(committed(engine.commit().unwrap()));
    assert_eq!(fake.transactions(), 3, "its programs are made before anything leads to them");
    let [Change::Policy(gone)] = &support::changes(&policy("front", "api", 80))[..] else {
        panic!("one policy")
    };
    engine.apply(Change::PolicyDeleted(gone.key.clone()).into());
    engine.commit().unwrap();
    while !engine.compiler().settled() {
        engine.commit().unwrap();
    }
    assert_eq!(fake.ruleset(), before);
    assert_eq!(engine.commit().unwrap(), Outcome::Unchanged);
}

#[test]
fn a_refused_commit_is_followed_by_the_whole_state_and_heals() {
    for fault in [
        Fault::Refuse(0, Errno::ENOMEM),
        Fault::NoBuffers { committed: true },
        Fault::NoBuffers { committed: false },
        Fault::Restart,
    ] {
        let fake = Fake::new();
        let mut engine = engine(fake.clone(), &shop());
        engine.start().unwrap();
        fake.inject(fault.clone());
        feed(&mut engine, &policy("front", "api", 80));
        engine.commit().unwrap();
        assert_eq!(fake.ruleset(), *engine.compiler().ruleset(), "{fault:?}");
        assert!(engine.is_healthy(), "{fault:?}");
        assert_eq!(engine.quarantined_pods().len(), 0, "{fault:?}");
    }
}

#[test]
fn a_restart_that_meets_somebody_elses_commit_reads_again() {
    let fake = Fake::new();
    fake.inject(Fault::Restart);
    let mut engine = engine(fake.clone(), &shop());
    assert!(committed(engine.start().unwrap()));
    assert_eq!((fake.transactions(), engine.totals().refusals), (1, 1));
}

#[test]
fn without_privilege_nothing_is_tried_again() {
    let fake = Fake::new();
    fake.inject(Fault::Permission);
    let mut engine = engine(fake.clone(), &shop());
    assert!(matches!(engine.start(), Err(Error::Permission)));
    assert!(!engine.is_healthy());
}

#[test]
fn what_somebody_else_has_done_is_undone_in_one_transaction() {
    let fake = Fake::new();
    let mut engine = engine(fake.clone(), &shop());
    engine.start().unwrap();
    assert_eq!(engine.verify().unwrap(), Outcome::Unchanged, "nothing to repair, nothing sent");

    fake.flush();
    assert!(committed(engine.verify().unwrap()));
    assert_eq!(fake.ruleset(), *engine.compiler().ruleset(), "a flush");

    let spec = fake.ruleset().tables[&Family::Inet].sets["egress4-o"].spec.clone();
    let key = Key::from_bytes(&[10, 244, 1, 4]);
    let element = fake.ruleset().tables[&Family::Inet].sets["egress4-o"].elements[&key].clone();
    let ops = vec![Op::DeleteElements {
        family: Family::Inet,
        set: "egress4-o".into(),
        spec,
        elements: vec![(key, element)],
    }];
    fake.meddle(&Delta { ops }).unwrap();
    let before = fake.transactions();
    assert_eq!(engine.totals().drift_repaired as usize, engine_ops(&engine, &Ruleset::default()));
    assert!(
        matches!(engine.verify().unwrap(), Outcome::Committed { ops: 1, .. }),
        "one element is one operation"
    );
    assert_eq!(fake.transactions(), before + 1);

    let object = Object::Other { family: Family::Inet, name: "quota".into() };
    fake.put_foreign(Foreign { object, what: "a quota".into() });
    assert!(committed(engine.verify().unwrap()), "what the IR has no words for goes too");
    assert!(engine.backend().dump().unwrap().foreign.is_empty());
    assert_eq!(fake.ruleset(), *engine.compiler().ruleset());
}

/// How many operations lead from a ruleset to the one that is wanted.
fn engine_ops<B: Backend>(engine: &Engine<B>, from: &Ruleset) -> usize {
    compiler::delta::diff(from, engine.compiler().ruleset()).ops.len()
}

/// A flow of UDP from port 1000, known to conntrack as it was opened.
fn flow(source: &str, destination: &str, port: u16) -> Tracked {
    let [source, destination] = [source, destination].map(|address| address.parse().expect("an address"));
    let original = Tuple { source, destination, protocol: 17, ports: Some((1000, port)) };
    Tracked { original, reply: original.mirrored() }
}

#[test]
fn conntrack_forgets_the_addresses_of_pods_that_are_gone_or_others_and_no_more() {
    let (front, api, db) = ("10.244.1.2", "10.244.1.3", "10.244.1.4");
    let fake = Fake::new();
    let mut engine = engine(fake.clone(), &shop());
    engine.start().unwrap();
    let flows = [flow("10.9.9.9", front, 1), flow(api, "10.9.9.9", 2), flow("10.9.9.9", db, 3)];
    flows.iter().for_each(|flow| fake.track(*flow));
    let key = |name: &str| policy_model::object::ObjectKey::new("shop", name);
    engine.apply(Change::PolicyDeleted(key("db")).into());
    engine.commit().unwrap();
    assert_eq!(fake.flows(), flows, "a verdict that changes is no death");

    engine.apply(Change::PodDeleted(key("front")).into());
    engine.commit().unwrap();
    assert_eq!(fake.flows(), flows[1..], "gone");

    engine.apply(Change::PodDeleted(key("api")).into());
    feed(&mut engine, &pod("next", api));
    engine.commit().unwrap();
    assert_eq!(fake.flows(), flows[2..], "another pod's in one commit");
}

#[test]
fn what_conntrack_knows_of_a_pod_that_is_gone_is_looked_for_later_but_before_its_address_is_anothers() {
    let (front, api) = ("10.244.1.2", "10.244.1.3");
    let fake = Fake::new();
    let mut engine = engine(fake.clone(), &shop());
    engine.start().unwrap();
    let key = |name: &str| policy_model::object::ObjectKey::new("shop", name);
    let (old, other) = (flow("10.9.9.9", front, 1), flow("10.9.9.9", api, 1));
    [old, other].into_iter().for_each(|flow| fake.track(flow));
    assert_eq!(engine.forgetting_at(), None);

    engine.apply(Change::PodDeleted(key("front")).into());
    engine.commit_at(Pace::Light).unwrap();
    assert_eq!(fake.flows(), [old, other], "no event waits for this");
    assert!(engine.forgetting_at().is_some());
    let asked = engine.begin_forgetting();
    assert_eq!(asked, [front.parse().unwrap()].into());
    assert_eq!(engine.forgetting_at(), None, "they are being read");
    let entries = fake.clone().tracked(&asked);
    assert_eq!(entries.as_ref().map(Vec::len).unwrap(), 1);

    // Before they are, the address is another pod's.
    feed(&mut engine, &pod("next", front));
    engine.commit_at(Pace::Light).unwrap();
    assert_eq!(fake.flows(), [other]);
    let new = flow("10.9.9.9", front, 2);
    fake.track(new);
    engine.forget(Ok(fake.clone().tracked(&asked).unwrap()), Duration::from_millis(1));
    assert_eq!(fake.flows(), [other, new], "they are the new pod's");

    // It rests, but not for what is asked to be done before it returns.
    engine.apply(Change::PodDeleted(key("api")).into());
    engine.commit_at(Pace::Light).unwrap();
    assert!(engine.forgetting_at().is_some_and(|at| at > Instant::now()));
    let error = Error::Unsettled(1);
    engine.begin_forgetting();
    engine.forget(Err(error), Duration::from_millis(1));
    assert!(engine.forgetting_at().is_some(), "what could not be read is read again");
    engine.forget_now();
    assert_eq!(fake.flows(), [new]);
    assert_eq!(engine.forgetting_at(), None);
}

/// A kernel that refuses sets whose names end like this, for as long as it is told to.
fn choosy(fake: Fake, refused: Arc<Mutex<Option<&'static str>>>) -> impl Backend {
    Committing::new(fake, move |fake: &mut Fake, delta: &Delta, generation| {
        let refused = *refused.lock().expect("the lock");
        let is_refused = |(op, what): (usize, &Op)| match what {
            Op::AddSet { family, name, .. } if refused.is_some_and(|end| name.ends_with(end)) => {
                Some(Refusal {
                    object: Object::Set { family: *family, name: name.clone() },
                    op,
                    errno: Errno::ENOMEM,
                    message: None,
                })
            }
            _ => None,
        };
        let refusals: Vec<_> = delta.ops.iter().enumerate().filter_map(is_refused).collect();
        if refusals.is_empty() { fake.commit(delta, generation) } else { Err(Error::Refused(refusals)) }
    })
}

fn verdict_of(ruleset: &Ruleset, map: &str, last: u8) -> Verdict {
    let map: &Set = &ruleset.tables[&Family::Inet].sets[map];
    let element = map.elements[&Key::from_bytes(&[10, 244, 1, last])].clone();
    element.and_then(|attributes| attributes.verdict).expect("a verdict map")
}

#[test]
fn an_object_that_is_refused_denies_its_pods_and_nobody_else_until_it_is_taken() {
    let refused = Arc::new(Mutex::new(None));
    let fake = Fake::new();
    let mut engine = engine(choosy(fake.clone(), refused.clone()), &shop());
    engine.start().unwrap();

    // A third isolated pod, and the kernel takes no new exact sets.
    *refused.lock().unwrap() = Some("-x4");
    feed(&mut engine, &policy("front", "api", 80));
    assert!(committed(engine.commit().unwrap()));
    assert!(!engine.is_healthy());
    assert_eq!(engine.quarantined_pods().iter().map(String::as_str).collect::<Vec<_>>(), ["shop/front"]);
    let deny = Verdict::Goto("deny".into());
    assert_eq!(verdict_of(&fake.ruleset(), "ingress4-o", 2), deny);
    assert_ne!(verdict_of(&fake.ruleset(), "ingress4-o", 4), deny, "the database keeps its program");

    // Others' changes still come through.
    feed(&mut engine, &pod("new", "10.244.1.5"));
    assert!(committed(engine.commit().unwrap()));
    assert_eq!(verdict_of(&fake.ruleset(), "ingress4-o", 5), Verdict::Return);
    assert_eq!(engine.quarantined_pods().len(), 1);

    // Tried again too early, it stays as it is; then the kernel takes it.
    engine.retry().unwrap();
    assert!(!engine.is_healthy());
    *refused.lock().unwrap() = None;
    assert!(committed(engine.retry().unwrap()));
    assert!(engine.is_healthy() && engine.quarantined_pods().is_empty());
    assert_eq!(fake.ruleset(), *engine.compiler().ruleset());
}

#[test]
fn a_refusal_of_the_fixed_part_leaves_the_kernel_as_it_was() {
    let refused = Arc::new(Mutex::new(Some("nodes4")));
    let fake = Fake::new();
    let mut engine = engine(choosy(fake.clone(), refused.clone()), &shop());
    let error = engine.start().unwrap_err();
    assert!(error.to_string().contains("set nodes4 of inet palisade"), "{error}");
    assert_eq!(fake.ruleset(), Ruleset::default());
    *refused.lock().unwrap() = None;
    assert!(committed(engine.retry().unwrap()));
    assert!(engine.is_healthy());
}

#[test]
fn flows_that_conntrack_has_the_wrong_way_round_are_forgotten_when_their_pods_are_isolated_and_no_others() {
    let tuple = |source: &str, destination: &str, ports| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: 17,
        ports: Some(ports),
    };
    let flow = |original: Tuple| Tracked { original, reply: original.mirrored() };
    let (front, api, db) = ("10.244.1.2", "10.244.1.3", "10.244.1.4");
    let turned = flow(tuple(api, front, (8080, 40_000)));
    let others = [
        // As policy has it; not allowed either way; of pods that nothing becomes of.
        flow(tuple(front, api, (40_001, 8080))),
        flow(tuple(api, front, (9090, 40_002))),
        flow(tuple(db, "10.9.9.9", (8080, 40_003))),
        // Forbidden to its client now; its server may send to any port there, so that it would go on as the server's.
        flow(tuple("10.9.9.9", front, (5000, 9999))),
        // Of TCP nobody knows.
        {
            let tcp = Tuple { protocol: 6, ..tuple(api, front, (8080, 40_004)) };
            flow(tcp)
        },
        // By a Service's address.
        Tracked {
            original: tuple(api, "10.96.0.1", (8080, 40_005)),
            reply: tuple(front, api, (40_005, 8080)),
        },
    ];
    let udp = |subject: &str, from: &str| {
        policy(subject, from, 8080).replace("{port: 8080}", "{port: 8080, protocol: UDP}")
    };
    let pods = pod("front", front) + &pod("api", api) + &pod("db", db);
    let fake = Fake::new();
    let mut engine = engine(fake.clone(), &(pods + &udp("db", "front")));
    engine.start().unwrap();
    std::iter::once(turned).chain(others).for_each(|flow| fake.track(flow));
    feed(&mut engine, &udp("api", "front"));
    engine.commit().unwrap();
    assert_eq!(fake.flows().len(), 7, "while its client may hear everybody, the flow is allowed either way");

    feed(&mut engine, &udp("front", "db"));
    engine.commit().unwrap();
    assert_eq!(fake.flows(), others);
    assert_eq!(engine.totals().forgotten, 1);

    // Pods that are relabelled do not wait for it, and are isolated all the same.
    feed(&mut engine, &pod("front", front).replace("app: front", "app: none"));
    engine.commit().unwrap();
    fake.track(turned);
    feed(&mut engine, &pod("front", front));
    engine.commit_at(Pace::Light).unwrap();
    assert_eq!(fake.flows().len(), 7);
    engine.forget_now();
    assert_eq!(fake.flows(), others);

    // Where the table is new, so is the isolation of all.
    fake.track(turned);
    feed(&mut engine, &pod("new", "10.244.1.5"));
    engine.commit().unwrap();
    assert_eq!(fake.flows().len(), 7, "nobody is isolated who was not");
    fake.flush();
    engine.verify().unwrap();
    assert_eq!(fake.flows(), others);
}

//! A transaction that is refused at each of its operations in turn: the kernel is as it was or denies more, never
//! less; everything else goes into force; and once the reason is gone, so does the rest.

mod support;

use compiler::{
    Compiler,
    config::Config,
    delta::diff,
    ir::Ruleset,
    reach::{Unclear, reach},
    skeleton::Orientation,
};
use enforcer::{
    apply::Engine,
    nft::fake::{Fake, Fault},
};
use nix::errno::Errno;
use policy_model::{cluster::Cluster, policy::Direction, reach::Reach};
use std::net::IpAddr;

fn cluster(text: &str) -> Cluster {
    support::changes(text).into_iter().collect()
}

fn pod(name: &str, address: &str) -> String {
    support::pod(name, name, address)
}

fn policy(subject: &str, rules: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {subject}, namespace: shop}}\n\
         spec: {{podSelector: {{matchLabels: {{app: {subject}}}}}, {rules}}}\n---\n"
    )
}

fn pods() -> String {
    (2..6).map(|n| pod(&format!("p{n}"), &format!("10.244.1.{n}"))).collect()
}

fn before() -> Cluster {
    let web = "ingress: [{from: [{podSelector: {matchLabels: {app: p3}}}], ports: [{port: 80}]}]";
    let blocks = "ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]}]";
    cluster(&(pods() + &policy("p2", web) + &policy("p4", blocks)))
}

/// Every kind of operation leads there: sets, elements, maps, chains, rules and counters, made and taken away.
fn after() -> Cluster {
    let web = "ingress: [{from: [{podSelector: {matchLabels: {app: p5}}}], ports: [{port: 81, endPort: 200}]}], \
               egress: [{to: [{podSelector: {}}]}, {ports: [{port: 53, protocol: UDP}, {port: 54, protocol: UDP}]}]";
    let blocks = "ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}], ports: [{port: 443}]}]";
    cluster(&(pods() + &policy("p2", web) + &policy("p3", blocks) + &pod("p6", "10.244.1.6")))
}

fn addresses() -> impl Iterator<Item = (IpAddr, Direction)> {
    (2..7).flat_map(|n| Direction::BOTH.map(|direction| (IpAddr::from([10, 244, 1, n]), direction)))
}

/// `None`: the address is no known pod's, and everything of it is dropped.
fn reach_in(ruleset: &Ruleset, address: IpAddr, direction: Direction) -> Option<Reach> {
    match reach(ruleset, address, direction, Orientation::Original) {
        Ok(reach) => Some(reach),
        Err(Unclear::Stray { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Nothing passes that neither state allows.
fn assert_opens_nothing(ruleset: &Ruleset, states: [&Cluster; 2], when: &str) {
    for (address, direction) in addresses() {
        let Some(held) = reach_in(ruleset, address, direction) else { continue };
        let allowed = states.map(|state| match state.claimants(address).next() {
            Some(_) => state.reach_of_address(address, direction),
            None => Reach::none(),
        });
        let more = held.difference(&allowed[0].union(&allowed[1]));
        assert!(more.is_empty(), "{when}: {address} {direction} may also\n{more}");
    }
}

fn start(fake: &Fake) -> Engine<Fake> {
    let mut compiler = Compiler::new(Config::new("w1", "cni0"));
    before().changes().for_each(|change| compiler.apply(change.into()));
    let mut engine = Engine::new(fake.clone(), compiler);
    engine.start().expect("the first revision");
    engine
}

fn go_on(engine: &mut Engine<Fake>) {
    let (before, after) = (before(), after());
    for policy in before.policies() {
        engine.apply(policy_model::cluster::Change::PolicyDeleted(policy.key.clone()).into());
    }
    after.changes().for_each(|change| engine.apply(change.into()));
}

#[test]
fn a_transaction_that_is_refused_anywhere_opens_nothing_and_heals() {
    let whole = Fake::new();
    let mut engine = start(&whole);
    let from = whole.ruleset();
    go_on(&mut engine);
    engine.commit().expect("the change");
    let count = diff(&from, engine.compiler().ruleset()).ops.len();
    assert!(count > 20, "only {count} operations");

    // Once: what follows is the whole state. More often: something is left out, if it can be.
    for times in [1, 3] {
        for at in 0..count {
            let when = format!("operation {at} refused {times} times");
            let fake = Fake::new();
            let mut engine = start(&fake);
            let held = fake.ruleset();
            for _ in 0..times {
                fake.inject(Fault::Refuse(at, Errno::ENOMEM));
            }
            go_on(&mut engine);
            let result = engine.commit();
            if result.is_err() {
                assert_eq!(fake.ruleset(), held, "{when}");
            }
            assert_opens_nothing(&fake.ruleset(), [&before(), &after()], &when);
            if times == 1 {
                assert!(result.is_ok() && engine.is_healthy(), "{when}");
            }
            // A try that gives up early leaves some of the faults for the next one.
            for _ in 1..times {
                let _ = engine.retry();
            }
            engine.retry().unwrap_or_else(|error| panic!("{when}: {error}"));
            while !engine.compiler().settled() {
                engine.commit().unwrap_or_else(|error| panic!("{when}: {error}"));
            }
            assert!(engine.is_healthy(), "{when}");
            assert_eq!(fake.ruleset(), *engine.compiler().ruleset(), "{when}");
        }
    }
    let last = Fake::new();
    let mut engine = start(&last);
    go_on(&mut engine);
    engine.commit().expect("the change");
    for (address, direction) in addresses() {
        let expected = after().reach_of_address(address, direction);
        assert_eq!(reach_in(&last.ruleset(), address, direction), Some(expected), "{address} {direction}");
    }
}

//! What becomes of a program whose set the kernel itself refuses: somebody else has put another one of that name into our table
//! just before each transaction that makes it.

mod support;

use compiler::{
    Compiler,
    config::Config,
    delta::{Delta, Op},
    ir::{Family, Name},
};
use enforcer::{
    apply::{Engine, Outcome},
    nft::{Backend, Error, Kernel},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use support::{Node, committing::Committing};

fn pod(name: &str, address: &str) -> String {
    support::pod(name, name, address)
}

/// The kernel, and somebody who gets in its way for as long as it `stands`.
fn contested(
    node: Arc<Node>,
    stands: Arc<AtomicBool>,
    refusals: Arc<AtomicUsize>,
) -> Result<impl Backend, Error> {
    let commit = move |kernel: &mut Kernel, delta: &Delta, generation| {
        let taken: Vec<&Name> = delta
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::AddSet { family: Family::Inet, name, .. } if name.ends_with("-x4") => Some(name),
                _ => None,
            })
            .collect();
        if taken.is_empty() || !stands.load(Ordering::SeqCst) {
            return kernel.commit(delta, generation);
        }
        for name in &taken {
            node.nft(&format!("add set inet palisade {name} {{ type ether_addr ; }}"));
        }
        // Of no generation: what was read before is not what is there now.
        let answer = kernel.commit(delta, None);
        for name in &taken {
            node.nft(&format!("delete set inet palisade {name}"));
        }
        if let Err(Error::Refused(found)) = &answer {
            refusals.fetch_add(found.len(), Ordering::SeqCst);
        }
        answer
    };
    Ok(Committing::new(Kernel::open()?, commit))
}

fn feed(engine: &mut Engine<impl Backend>, text: &str) {
    support::changes(text).into_iter().for_each(|change| engine.apply(change.into()));
}

fn committed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

/// Where a pod's ingress leads, as nft lists it.
fn leads_to(node: &Node, address: &str) -> String {
    let listing = node.nft("list map inet palisade ingress4-o");
    let elements = listing.split(['{', '}', '\n', ',']).map(str::trim);
    elements.filter(|element| element.starts_with(address)).collect()
}

#[test]
fn its_pods_are_denied_and_nobody_else_until_the_kernel_takes_it() {
    let node = Arc::new(Node::new("contested"));
    let (stands, refusals): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
    let backend = contested(node.clone(), stands.clone(), refusals.clone()).expect("netlink");
    let mut engine = Engine::new(backend, Compiler::new(Config::new("w1", "cni0")));
    feed(&mut engine, &(pod("front", "10.244.1.2") + &pod("api", "10.244.1.3") + &pod("db", "10.244.1.4")));
    feed(&mut engine, &support::policy("db", "api"));
    assert!(committed(engine.start().expect("a start")));
    let database = leads_to(&node, "10.244.1.4");
    assert!(database.contains("goto in-"), "{database}");

    stands.store(true, Ordering::SeqCst);
    feed(&mut engine, &support::policy("api", "front"));
    assert!(committed(engine.commit().expect("the rest")));
    assert!(refusals.load(Ordering::SeqCst) > 0, "the kernel has refused nothing");
    let denied: Vec<&str> = engine.quarantined_pods().iter().map(String::as_str).collect();
    assert_eq!(denied, ["shop/api"]);
    assert!(leads_to(&node, "10.244.1.3").contains("goto deny"), "{}", leads_to(&node, "10.244.1.3"));
    assert_eq!(leads_to(&node, "10.244.1.4"), database, "another pod keeps its program");

    // Others are served as before.
    feed(&mut engine, &pod("new", "10.244.1.5"));
    assert!(committed(engine.commit().expect("another pod")));
    assert!(leads_to(&node, "10.244.1.5").contains("return"), "{}", leads_to(&node, "10.244.1.5"));

    engine.retry().expect("too early");
    assert_eq!(engine.quarantined_pods().len(), 1);
    stands.store(false, Ordering::SeqCst);
    assert!(committed(engine.retry().expect("in time")));
    assert!(engine.is_healthy() && engine.quarantined_pods().is_empty());
    assert!(leads_to(&node, "10.244.1.3").contains("goto in-"), "{}", leads_to(&node, "10.244.1.3"));
    while !engine.compiler().settled() {
        engine.commit().expect("what is left");
    }
    let holds = engine.backend().dump().expect("a dump");
    assert_eq!((holds.foreign.len(), &holds.ruleset), (0, engine.compiler().ruleset()));
}

//! Random policies over a real cluster: every pair of pods, and the outside, is tried with real packets, and every answer
//! is the model's.
//!
//! One lab is raised; the policies, labels and namespaces change under it, so that the way from one state to the next is
//! tried as well. `PALISADE_STATES` sets the number of states (24), `PALISADE_SEED` the first one's seed.

use conformance::{
    enforced::{Enforced, Manifests},
    lab::Lab,
    probe::Outcome,
    random::{self, Draw},
};
use policy_model::object::ObjectKey;
use std::{env, time::Duration};

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn every_pair_is_as_the_model_says() {
    let seed = setting("PALISADE_SEED", 1);
    let states = setting("PALISADE_STATES", 24);
    let lab = Lab::builder("random").nodes(random::NODES).ports(&random::SERVED).build().expect("the lab");
    lab.add_pods(&random::specs()).expect("its pods");
    let (sent, flows): (Vec<_>, Vec<_>) = random::questions(&lab).into_iter().unzip();
    let open = lab.probe_all(&sent).expect("probes");
    let closed: Vec<_> = sent
        .iter()
        .zip(&open)
        .filter(|(_, reply)| reply.outcome != Outcome::Allowed)
        .map(|(p, _)| p)
        .collect();
    assert!(
        closed.is_empty(),
        "without policies everything passes, so that a denied packet means something: {closed:?}"
    );

    let mut enforced: Option<Enforced> = None;
    let mut lab = Some(lab);
    let (mut allowed, mut denied) = (0, 0);
    for seed in seed..seed + states {
        let addresses = |key: &ObjectKey| {
            let running = lab.as_ref().or_else(|| enforced.as_ref().map(Enforced::lab));
            let pod = running.and_then(|lab| lab.pod(&key.namespace, &key.name)).expect("the pod runs");
            pod.addresses().collect::<Vec<_>>()
        };
        let cluster = random::cluster(&mut Draw::new(seed), addresses);
        let manifests = Manifests::of(&cluster);
        match (&mut enforced, lab.take()) {
            (Some(enforced), _) => drop(enforced.update(&manifests).expect("policyd follows")),
            (none, Some(lab)) => *none = Some(Enforced::start(lab, &manifests).expect("policyd starts")),
            (None, None) => unreachable!("the lab is in one of the two"),
        }
        let running = enforced.as_ref().expect("it was started").lab();
        let replies = running.probe_all_within(&sent, Duration::from_millis(300)).expect("probes");
        let mut wrong = Vec::new();
        for ((probe, flow), reply) in sent.iter().zip(&flows).zip(&replies) {
            let verdict = cluster.verdict(flow);
            let passed = reply.outcome == Outcome::Allowed;
            if passed == verdict.allowed {
                *if passed { &mut allowed } else { &mut denied } += 1;
            } else {
                wrong.push(format!("{probe}: {} in the kernel, model: {verdict:?}", reply.outcome));
            }
        }
        let all = wrong.len();
        wrong.truncate(10);
        assert!(wrong.is_empty(), "seed {seed}: {all} wrong answers\n{}\n{cluster:#?}", wrong.join("\n"));
    }
    println!("{states} random states, {} flows each: {allowed} allowed, {denied} denied", sent.len());
    assert!(allowed > 0 && denied > 0, "both answers must come up");
}

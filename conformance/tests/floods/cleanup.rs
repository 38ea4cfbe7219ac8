//! `policyd cleanup` under a flood: taking the tables away loses no packet that they permit.

use super::ground;
use conformance::enforced::{Enforced, Manifests, binary};
use policy_model::{
    object::ObjectKey,
    policy::{NetworkPolicy, Rule},
    selector::Selector,
};

/// Each takes some 50 ms, and a flood has some 50,000 packets a second: a gap of 10 µs is found.
const TIMES: usize = 25;
const PORT: u16 = 53;

#[test]
fn taking_the_tables_away_loses_no_permitted_packet() {
    let (lab, pods) = ground::raise("cleanup", &[PORT]);
    // Everybody may hear everybody, by a program that says so.
    let cluster = ground::cluster(
        &pods,
        NetworkPolicy {
            key: ObjectKey::new("default", "all"),
            pod_selector: Selector::everything(),
            ingress: Some(vec![Rule { peers: Vec::new(), ports: Vec::new() }]),
            egress: None,
        },
    );
    let mut enforced = Enforced::start(lab, &Manifests::of(&cluster)).expect("policyd");
    // It would mend what is taken away.
    enforced.daemon_mut(1).kill();
    let node = enforced.lab().node(1);
    let policyd = binary().expect("policyd").display().to_string();
    let state = node.dir().join("cleaned").display().to_string();
    let (cni, manifests) = (node.cni_dir().display().to_string(), enforced.folder().display().to_string());
    let run = [
        "run",
        "--once",
        "--manifests",
        &manifests,
        "--node-name",
        "node-1",
        "--cni-dir",
        &cni,
        "--state-dir",
        &state,
    ];
    let once: Vec<&str> = [&*policyd].into_iter().chain(run).collect();
    let cleanup = [&*policyd, "cleanup", "--state-dir", &state];
    ground::watch(node.netns(), pods[1].ipv4(), &[PORT]);
    let result = ground::under_flood(&pods, &[PORT], || {
        (0..TIMES).try_for_each(|_| {
            node.netns().exec(&cleanup)?;
            node.netns().exec(&once).map(drop)
        })
    });
    result.expect("policyd comes and goes");
    let [[before, after]] = ground::counted(node.netns())[..] else { panic!("one port") };
    println!("{TIMES} times: {before} datagrams, {} lost", before - after);
    assert!(before > 10_000, "{before} datagrams are no flood");
    assert_eq!(before, after, "permitted datagrams that were lost");
}

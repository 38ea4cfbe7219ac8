//! Programs that are replaced under floods: what old and new deny never passes, what both permit is never lost.

use super::ground;
use conformance::enforced::{Enforced, Manifests, PolicydError};
use policy_model::{
    object::{ObjectKey, Protocol},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::{Requirement, Selector},
};

/// When each was one transaction, some of these lost a datagram: a packet under way was led into a chain that was empty for it, and
/// taken for one of an unknown pod.
const TIMES: usize = 200;
/// Within a range that is too wide for the exact set: the program asks a port profile, which is a map of its own.
const PERMITTED: u16 = 7000;
const DENIED: u16 = 53;

/// Lets everybody in at a wide range of ports, and at one more port, which differs from policy to policy.
fn policy(port: u16) -> NetworkPolicy {
    let ports = |first, last| PolicyPort { protocol: Protocol::Udp, port: PortMatch::Range(first, last) };
    let clients = Selector::new([Requirement::In("app".into(), ["client".into()].into())]);
    let peers = vec![Peer::Pods { namespaces: None, pods: clients }];
    NetworkPolicy {
        key: ObjectKey::new("default", "server"),
        pod_selector: Selector::new([Requirement::In("app".into(), ["server".into()].into())]),
        ingress: Some(vec![Rule { peers, ports: vec![ports(6000, 8000), ports(port, port)] }]),
        egress: None,
    }
}

#[test]
fn a_program_that_is_replaced_lets_nothing_pass_and_loses_nothing() {
    let (lab, pods) = ground::raise("replaced", &[PERMITTED, DENIED]);
    let manifests = |port| Manifests::of(&ground::cluster(&pods, policy(port)));
    let mut enforced = Enforced::start(lab, &manifests(100)).expect("policyd");
    let node = enforced.lab().node(1).netns().clone();
    ground::watch(&node, pods[1].ipv4(), &[PERMITTED, DENIED]);
    let manifests = [101, 102].map(manifests);
    let result = ground::under_flood(&pods, &[PERMITTED, DENIED], || {
        (0..TIMES).try_for_each(|turn| {
            let commits = enforced.update(&manifests[turn % 2])?.concat();
            assert!(!commits.is_empty(), "the program is another");
            Ok::<_, PolicydError>(())
        })
    });
    result.expect("the folder takes the change");
    let [[permitted, passed], [denied, leaked]] = ground::counted(&node)[..] else { panic!("two ports") };
    println!(
        "{TIMES} times: {permitted} permitted datagrams, {} lost; {denied} denied, {leaked} passed",
        permitted - passed
    );
    assert!(permitted.min(denied) > 10_000, "{permitted} and {denied} datagrams are no floods");
    assert_eq!((permitted - passed, leaked), (0, 0), "permitted datagrams lost, denied ones passed");
}

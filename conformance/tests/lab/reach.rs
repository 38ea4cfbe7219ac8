//! Who reaches whom, and as whom, when nothing is forbidden.

use crate::{every_probe, expect, three_pods};
use conformance::{
    lab::{Family, Lab, Place, PodSpec, addresses},
    probe::{Outcome, Probe, Transport},
};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

#[test]
fn pods_reach_each_other_on_one_node_and_across_nodes() {
    let (lab, pods) = three_pods("reach");
    for to in &pods {
        let probes: Vec<_> = pods.iter().flat_map(|from| every_probe(from, |f| to.address(f))).collect();
        let replies = expect(&lab, Outcome::Allowed, &probes);
        for (probe, reply) in probes.iter().zip(&replies).filter(|(p, _)| p.transport != Transport::Icmp) {
            assert!(reply.is_from(to), "{probe} was answered by {reply:?}");
            let Place::Pod(key) = &probe.from else { unreachable!("all sources are pods") };
            let from = lab.pod(&key.namespace, &key.name).expect("the source");
            assert_eq!(
                reply.client(),
                Some(from.address(Family::of(probe.to))),
                "{probe}: pods see each other as they are"
            );
        }
    }
}

#[test]
fn nodes_pods_and_the_outside_reach_each_other() {
    let (lab, [a, _, c]) = three_pods("around");
    for family in Family::BOTH {
        let node = |n| lab.address(Place::Node(n), family).expect("a node's address");
        let client = |probe: Probe| {
            let replies = expect(&lab, Outcome::Allowed, &[probe]);
            replies[0].client().expect("an answer")
        };
        let first = |n| family.pick(addresses::pod4(n, 0).into(), IpAddr::from(addresses::pod6(n, 0)));
        let gateway = |n| family.pick(addresses::pod4(n, 1).into(), IpAddr::from(addresses::pod6(n, 1)));
        let internet =
            family.pick(IpAddr::from([203, 0, 113, 77]), "2001:db8::77".parse().expect("an address"));

        assert_eq!(client(Probe::tcp(Place::Node(1), a.address(family), 80)), gateway(1), "node to its pod");
        assert_eq!(
            client(Probe::tcp(Place::Node(1), c.address(family), 80)),
            first(1),
            "node to another node's pod"
        );
        assert_eq!(client(Probe::tcp(&a, node(1), 80)), a.address(family), "pod to its node");
        assert_eq!(client(Probe::tcp(&a, node(2), 80)), node(1), "pod to another node is masqueraded");
        assert_eq!(client(Probe::udp(&a, internet, 53)), node(1), "pod to the internet is masqueraded");
        let from_internet = Probe::udp(Place::Outside, a.address(family), 80).from_address(internet);
        assert_eq!(client(from_internet), internet, "outside to a pod keeps its address");
    }
}

#[test]
fn link_local_addresses_reach_pods_of_the_same_node_only() {
    let (lab, [a, b, c]) = three_pods("linklocal");
    expect(
        &lab,
        Outcome::Allowed,
        &[Probe::tcp(&a, b.link_local(), 80), Probe::udp(Place::Node(1), b.link_local(), 80)],
    );
    let far = lab.probe(Probe::udp(&a, c.link_local(), 80)).expect("a reply");
    assert_ne!(far.outcome, Outcome::Allowed);
}

#[test]
fn a_pod_of_one_family_has_no_address_of_the_other() {
    let (lab, [a, ..]) = three_pods("family");
    let four = lab.add_pod(PodSpec::new(1, "default", "four").only(Family::V4)).expect("a pod");
    expect(&lab, Outcome::Allowed, &[Probe::tcp(&a, four.ipv4(), 80), Probe::tcp(&a, four.link_local(), 80)]);
    assert_ne!(lab.probe(Probe::tcp(&a, four.ipv6(), 80)).expect("a reply").outcome, Outcome::Allowed);
    assert!(!lab.node(1).cni_dir().join(format!("networks/cbr0/{}", four.ipv6())).exists());
}

#[test]
fn ten_pods_on_two_nodes_are_up_in_about_a_second_and_four_labs_stand_side_by_side() {
    let specs: Vec<_> = (0..10).map(|i| PodSpec::new(1 + i % 2, "default", &format!("p{i}"))).collect();
    let start = Instant::now();
    let lab = Lab::builder("speed").build().unwrap_or_else(|e| panic!("{e}"));
    let nodes_up = start.elapsed();
    let pods = lab.add_pods(&specs).expect("ten pods");
    let up = start.elapsed();
    println!("two nodes up in {nodes_up:?}, with ten pods in {up:?}");
    assert!(up < Duration::from_secs(3), "{up:?}");
    let pairs: Vec<_> =
        pods.iter().flat_map(|a| pods.iter().map(move |b| Probe::tcp(a, b.ipv6(), 80))).collect();
    expect(&lab, Outcome::Allowed, &pairs);

    // The same names and addresses four times over: each lab reaches its own pods only.
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let other = Lab::builder("speed").nodes(3).build().unwrap_or_else(|e| panic!("{e}"));
                let a = other.add_pod(PodSpec::new(1, "default", "p0")).expect("a pod");
                let z = other.add_pod(PodSpec::new(3, "default", "z")).expect("a pod");
                assert!(expect(&other, Outcome::Allowed, &[Probe::tcp(&a, z.ipv4(), 80)])[0].is_from(&z));
                assert_eq!(
                    other.probe(Probe::tcp(&a, pods[2].ipv4(), 80)).expect("a reply").outcome,
                    Outcome::Dropped
                );
            });
        }
    });
    let start = Instant::now();
    drop(lab);
    println!("down in {:?}", start.elapsed());
}

#[test]
fn a_pod_on_the_address_of_another_is_reached_at_once_by_who_knew_that_one() {
    let (lab, [a, b, _]) = three_pods("successor");
    expect(&lab, Outcome::Allowed, &every_probe(&a, |family| b.address(family)));
    let gone = lab.delete_pod(b.key()).expect("it is gone");
    let successor = PodSpec::new(1, "default", "d").ipv4(gone.ipv4()).ipv6(gone.ipv6());
    let successor = lab.add_pod(successor).expect("its successor");
    let replies = expect(&lab, Outcome::Allowed, &every_probe(&a, |family| gone.address(family)));
    let answered = replies.iter().filter(|reply| reply.answer.is_some());
    assert!(answered.clone().count() > 0 && answered.clone().all(|reply| reply.is_from(&successor)));
}

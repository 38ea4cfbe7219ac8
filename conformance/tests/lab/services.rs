//! Services and host ports, as kube-proxy and portmap make them.

use crate::{expect, three_pods};
use conformance::{
    lab::{Family, Place, PodSpec, Service, addresses},
    probe::{Outcome, Probe},
};
use policy_model::object::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VIP4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x10));

#[test]
fn a_cluster_ip_leads_to_its_backends_and_hairpins_are_masqueraded() {
    let (lab, [a, b, c]) = three_pods("clusterip");
    let service = Service::new("default", "web")
        .cluster_ip(VIP4)
        .cluster_ip(VIP6)
        .port(Protocol::Tcp, 80, 8080, None)
        .port(Protocol::Udp, 53, 53, None)
        .port(Protocol::Sctp, 80, 80, None)
        .backend(&b);
    lab.set_services(std::slice::from_ref(&service)).expect("the Service");
    for (family, vip) in [(Family::V4, VIP4), (Family::V6, VIP6)] {
        for from in [&a, &c] {
            let probes = [Probe::tcp(from, vip, 80), Probe::udp(from, vip, 53), Probe::sctp(from, vip, 80)];
            for reply in expect(&lab, Outcome::Allowed, &probes) {
                assert!(reply.is_from(&b));
                assert_eq!(reply.client(), Some(from.address(family)));
            }
        }
        let gateway = family.pick(addresses::pod4(1, 1).into(), IpAddr::from(addresses::pod6(1, 1)));
        let hairpin = &expect(&lab, Outcome::Allowed, &[Probe::tcp(&b, vip, 80)])[0];
        assert!(hairpin.is_from(&b));
        assert_eq!(hairpin.client(), Some(gateway), "a pod sees itself through the Service as its gateway");
        expect(&lab, Outcome::Refused, &[Probe::tcp(&a, vip, 81), Probe::udp(&a, vip, 80)]);
    }
    // Without a live backend it is refused; when the backend is back, it works again.
    lab.delete_pod(b.key()).expect("b is deleted");
    expect(&lab, Outcome::Refused, &[Probe::tcp(&a, VIP4, 80), Probe::tcp(&a, VIP6, 80)]);
    lab.add_pod(PodSpec::new(2, "default", "b")).expect("b on the other node");
    expect(&lab, Outcome::Allowed, &[Probe::tcp(&a, VIP4, 80), Probe::tcp(&a, VIP6, 80)]);
}

#[test]
fn a_node_port_masquerades_or_keeps_the_client_as_its_policy_says() {
    let (lab, [_, b, c]) = three_pods("nodeport");
    let service = |name: &str, last: u8, node_port| {
        Service::new("default", name)
            .cluster_ip([10, 96, 0, last])
            .cluster_ip(
                addresses::SERVICES6
                    .replace("::/112", &format!("::{last}"))
                    .parse::<IpAddr>()
                    .expect("an address"),
            )
            .port(Protocol::Tcp, 80, 80, Some(node_port))
            .backend(&b)
    };
    lab.set_services(&[service("cluster", 20, 30080), service("local", 21, 30081).local()])
        .expect("the Services");
    for family in Family::BOTH {
        let node = |n| lab.address(Place::Node(n), family).expect("a node's address");
        let outside = lab.address(Place::Outside, family).expect("its address");
        let client = |probe| expect(&lab, Outcome::Allowed, &[probe])[0].client();
        let gateway = family.pick(addresses::pod4(1, 1).into(), IpAddr::from(addresses::pod6(1, 1)));
        let first2 = family.pick(addresses::pod4(2, 0).into(), IpAddr::from(addresses::pod6(2, 0)));

        assert_eq!(
            client(Probe::tcp(Place::Outside, node(1), 30080)),
            Some(gateway),
            "Cluster, backend here"
        );
        assert_eq!(
            client(Probe::tcp(Place::Outside, node(2), 30080)),
            Some(first2),
            "Cluster, backend on another node"
        );
        assert_eq!(
            client(Probe::tcp(Place::Outside, node(1), 30081)),
            Some(outside),
            "Local keeps the client"
        );
        expect(&lab, Outcome::Dropped, &[Probe::tcp(Place::Outside, node(2), 30081)]);
        assert_eq!(
            client(Probe::tcp(&c, node(2), 30081)),
            Some(c.address(family)),
            "pods are short-circuited"
        );
    }
}

#[test]
fn a_host_port_leads_to_its_pod_while_the_pod_lives() {
    let (lab, [_, _, c]) = three_pods("hostport");
    let spec = PodSpec::new(1, "default", "ingress").host_port(Protocol::Tcp, 8088, 80);
    let pod = lab.add_pod(spec).expect("a pod with a host port");
    for family in Family::BOTH {
        let node = lab.address(Place::Node(1), family).expect("a node's address");
        for reply in expect(
            &lab,
            Outcome::Allowed,
            &[Probe::tcp(Place::Outside, node, 8088), Probe::tcp(&c, node, 8088)],
        ) {
            assert!(reply.is_from(&pod));
        }
    }
    lab.delete_pod(pod.key()).expect("deleted");
    expect(&lab, Outcome::Refused, &[Probe::tcp(Place::Outside, lab.node(1).ipv4(), 8088)]);
}
